"""Starting and shutting down a hub, and the calls that it refuses afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sessionstream import (
    Command,
    EventLoopError,
    EventPublisher,
    Hub,
    HubClosed,
    MemoryBus,
    MemoryStore,
    Session,
    StoreClosed,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import StopInferenceCommand

from .support import App, Gate, Store, registry, said, say, settle, soon

METHODS: dict[str, Callable[[Hub], Awaitable[object]]] = {
    "submit": lambda hub: hub.submit("s", "Stop", StopInferenceCommand()),
    "submit once": lambda hub: hub.submit("s", "Stop", StopInferenceCommand(), idempotency_key="key"),
    "publish": lambda hub: hub.publish(said()),
    "snapshot": lambda hub: hub.snapshot("s"),
    "snapshot as of": lambda hub: hub.snapshot("s", as_of=1),
    "session": lambda hub: hub.session("s"),
    "cursor": lambda hub: hub.cursor("s"),
    "event_cursor": lambda hub: hub.event_cursor("s"),
    "retry_timeline": lambda hub: hub.retry_timeline("s"),
    "rebuild_timeline": lambda hub: hub.rebuild_timeline("s"),
    "run": lambda hub: hub.run(),
    "async with": lambda hub: hub.__aenter__(),
}


@pytest.mark.parametrize("method", [*METHODS.values(), lambda hub: hub.shutdown()], ids=[*METHODS, "shutdown"])
async def test_a_call_from_another_event_loop_is_refused(method: Callable[[Hub], Awaitable[object]]) -> None:
    app, _ = app_on()
    await app.publish("a")

    async def elsewhere() -> None:
        with pytest.raises(EventLoopError, match="make a hub for each event loop"):
            await method(app.hub)

    await asyncio.to_thread(asyncio.run, elsewhere())
    await app.usable()


async def test_metadata_that_was_cancelled_does_not_cancel_the_publisher() -> None:
    def metadata(session_id: str) -> object:
        raise asyncio.CancelledError

    app = App(session_metadata=metadata)
    with pytest.raises(RuntimeError, match="session_metadata waited for something that was cancelled") as raised:
        await app.hub.publish(said())
    assert isinstance(raised.value.__cause__, asyncio.CancelledError)
    assert await app.store.sessions() == []


def test_one_event_loop_after_another_is_fine() -> None:
    app, _ = app_on()
    with asyncio.Runner() as first, asyncio.Runner() as second:
        for number, runner in enumerate((first, second, first), 1):
            assert runner.run(app.publish("a")) == [number]
    asyncio.run(app.publish("a"))


def app_on() -> tuple[App, Store]:
    schemas = registry()
    store = Store(MemoryStore(schemas))
    app = App(store, schemas=schemas)

    @app.hub.command("Stop")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None: ...

    return app, store


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_everything_is_refused_once_it_is_shut_down(method: Callable[[Hub], Awaitable[object]]) -> None:
    app, store = app_on()
    await app.publish("a")
    await app.hub.shutdown()
    with pytest.raises(HubClosed, match="shut down"):
        await method(app.hub)
    assert await app.log() == ["a"]
    assert "claim_command" not in store.calls


async def test_it_waits_for_what_is_inside_the_lanes_and_refuses_what_is_new() -> None:
    app, store = app_on()
    gate = store.stop_before("commit")
    inside = asyncio.create_task(app.hub.publish(said("inside")))
    await gate.reached()
    waiting = asyncio.create_task(app.hub.publish(said("waiting")))
    await settle()
    closing = asyncio.create_task(app.hub.shutdown())
    await settle()
    assert not closing.done()
    with pytest.raises(HubClosed):
        await app.hub.publish(said("late", "another"))
    gate.open()
    await soon(closing)
    assert inside.done()
    assert waiting.done()
    assert [(await task).ordinal for task in (inside, waiting)] == [1, 2]
    assert await app.log() == ["inside", "waiting"]
    assert app.recorder.ordinals() == [1, 2]


async def test_several_may_shut_it_down_at_once() -> None:
    app, store = app_on()
    gate = store.stop_before("commit")
    inside = asyncio.create_task(app.hub.publish(said("inside")))
    await gate.reached()
    closing = [asyncio.create_task(app.hub.shutdown()) for _ in range(3)]
    await settle()
    assert not any(task.done() for task in closing)
    gate.open()
    await soon(asyncio.gather(*closing, inside))


async def test_a_shutdown_that_is_cancelled_may_be_repeated() -> None:
    app, store = app_on()
    gate = store.stop_before("commit")
    inside = asyncio.create_task(app.hub.publish(said("inside")))
    await gate.reached()
    closing = asyncio.create_task(app.hub.shutdown())
    await settle()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(HubClosed):
        await app.hub.publish(said("late"))
    again = asyncio.create_task(app.hub.shutdown())
    await settle()
    gate.open()
    await soon(asyncio.gather(again, inside))


async def test_shutting_down_twice_is_allowed() -> None:
    app, _ = app_on()
    await app.hub.shutdown()
    await app.hub.shutdown()


async def test_a_handler_that_still_runs_is_told_when_it_publishes() -> None:
    app, _ = app_on()
    gate = Gate()

    @app.hub.command("Say")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await publisher.publish(said("before"))
        await gate.stop()
        await publisher.publish(said("after"))

    task = asyncio.create_task(app.hub.submit("s", "Say", say()))
    await gate.reached()
    await soon(app.hub.shutdown())
    gate.open()
    with pytest.raises(HubClosed):
        await soon(task)
    assert await app.log() == ["before"]


async def test_a_hub_closes_the_store_of_its_own() -> None:
    hub = Hub(registry())
    await hub.publish(said())
    store = hub._store
    await hub.shutdown()
    with pytest.raises(StoreClosed):
        await store.cursors("s")
    await hub.shutdown()


async def test_a_store_that_was_passed_in_stays_open() -> None:
    app, store = app_on()
    await app.publish("a")
    await app.hub.shutdown()
    assert "close" not in store.calls
    again = App(store, schemas=app.schemas)
    await again.usable()


async def test_a_closed_store() -> None:
    app, store = app_on()
    await store.close()
    with pytest.raises(StoreClosed):
        await app.publish("a")
    with pytest.raises(StoreClosed):
        await app.hub.snapshot("s")


async def test_async_with() -> None:
    schemas = registry()
    store = MemoryStore(schemas)
    async with Hub(schemas, store=store) as hub:
        assert isinstance(hub, Hub)
        await hub.run()
        await hub.publish(said("a"))
    with pytest.raises(HubClosed):
        await hub.publish(said("b"))
    assert (await store.cursors("s")).event == 1
    with pytest.raises(ZeroDivisionError):
        async with Hub(schemas, store=store) as hub:
            raise ZeroDivisionError
    with pytest.raises(HubClosed):
        await hub.run()


async def test_it_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with Hub(registry()) as hub:
        await asyncio.gather(*(hub.publish(said("x", f"s-{number}")) for number in range(20)))
    assert asyncio.all_tasks() == before
    assert len(hub._sessions) == 0


def test_a_hub_may_be_made_before_there_is_an_event_loop() -> None:
    app = App()

    async def use() -> list[int]:
        async with app.hub:
            return await app.publish("a", "b")

    assert asyncio.run(use()) == [1, 2]


async def test_by_default_events_are_kept_in_this_process() -> None:
    hub = Hub(registry())
    assert (await hub.publish(said("a"))).ordinal == 1
    assert await hub.cursor("s") == await hub.event_cursor("s") == 1
    other = Hub(registry())
    assert await other.cursor("s") == 0


def handle(command: Command, session: Session, publisher: EventPublisher) -> None: ...


START: dict[str, Callable[[Hub], Awaitable[object]]] = {"run": lambda hub: hub.run(), "async with": Hub.__aenter__}


@pytest.mark.parametrize("bus", [True, False])
@pytest.mark.parametrize("start", START.values(), ids=START)
async def test_a_hub_that_starts_names_every_command_that_has_a_handler_and_no_schema(
    start: Callable[[Hub], Awaitable[object]], bus: bool
) -> None:
    schemas = registry()
    app = App(schemas=schemas, bus=MemoryBus() if bus else None)
    for name in ("Renamed", "Say", "Gone", "Forgotten"):
        app.hub.register_command(name, handle)  # which is legal before the schemas are there
    schemas.register_command("Gone", StopInferenceCommand)
    with pytest.raises(UnknownSchemaError) as caught:
        await start(app.hub)
    assert caught.value.names == ("Renamed", "Forgotten")
    assert str(caught.value) == (
        "command 'Renamed' is not registered, nor is 'Forgotten': call register_command('Renamed', …) of the schema "
        "registry first"
    )
    assert app.hub.consumer is None or app.hub.consumer.state == "stopped"
    for name in caught.value.names:
        schemas.register_command(name, StopInferenceCommand)
    await start(app.hub)
    await app.hub.submit("s", "Renamed", StopInferenceCommand())
    await app.hub.shutdown()


async def test_a_schema_without_a_handler_is_legal_and_a_hub_need_not_run() -> None:
    app = App()
    assert app.schemas.command_schema("Say") is not None
    async with app.hub:
        await app.publish("a")
    idle = App()
    idle.hub.register_command("Forgotten", handle)
    await idle.publish("a")
    with pytest.raises(UnknownSchemaError, match="'Forgotten' is not registered: call register_command") as caught:
        await idle.hub.submit("s", "Forgotten", StopInferenceCommand())
    assert caught.value.names == ("Forgotten",)
