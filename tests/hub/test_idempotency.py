"""Idempotency keys: a command with a key runs at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sessionstream import (
    Command,
    CommandConflict,
    EventPublisher,
    HubClosed,
    InvalidIdError,
    MemoryStore,
    ProjectionError,
    Session,
    StoreError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand, StopInferenceCommand

from .support import App, Broken, Gate, Store, registry, said, say, settle, soon

Then = Callable[[EventPublisher], Awaitable[None]]


class Talking(App):
    """An app whose "Say" publishes what it is told to say, unless a test gives it something else to do."""

    def __init__(self, store: Store | None = None) -> None:
        schemas = registry()
        self.stopping = store if store is not None else Store(MemoryStore(schemas))
        super().__init__(self.stopping, schemas=schemas)
        self.runs = 0
        self.then: list[Then] = []
        self.hub.register_command("Say", self.handle)

        @self.hub.command("Stop")
        async def stop(command: Command, session: Session, publisher: EventPublisher) -> None:
            self.runs += 1

    async def handle(self, command: Command, session: Session, publisher: EventPublisher) -> None:
        self.runs += 1
        if self.then:
            await self.then.pop(0)(publisher)
            return
        assert isinstance(command.payload, StartInferenceCommand)
        await publisher.publish(said(command.payload.prompt))

    async def submit(self, prompt: str = "hello", key: str = "key") -> None:
        await soon(self.hub.submit("s", "Say", say(prompt), idempotency_key=key))


async def fail(publisher: EventPublisher) -> None:
    raise Broken("before it published")


async def publish_and_fail(publisher: EventPublisher) -> None:
    await publisher.publish(said("half"))
    raise Broken("after it published")


async def test_a_repeat_has_no_effect() -> None:
    app = Talking()
    for _ in range(3):
        await app.submit()
    assert (app.runs, await app.log()) == (1, ["hello"])
    await app.usable()


async def test_without_a_key_a_command_runs_each_time() -> None:
    app = Talking()
    for _ in range(2):
        await app.hub.submit("s", "Say", say())
    assert app.runs == 2
    assert "claim_command" not in app.stopping.calls


async def test_keys_belong_to_a_session() -> None:
    app = Talking()
    await app.hub.submit("one", "Stop", StopInferenceCommand(), idempotency_key="key")
    await app.hub.submit("two", "Stop", StopInferenceCommand(), idempotency_key="key")
    assert app.runs == 2


async def test_another_payload_is_a_conflict() -> None:
    app = Talking()
    await app.submit("hello")
    with pytest.raises(CommandConflict, match="new key") as caught:
        await app.submit("goodbye")
    error = caught.value
    assert (error.session_id, error.key, error.name) == ("s", "key", "Say")
    assert (app.runs, await app.log()) == (1, ["hello"])
    await app.usable()


async def test_another_command_is_a_conflict() -> None:
    app = Talking()
    await app.submit()
    with pytest.raises(CommandConflict):
        await app.hub.submit("s", "Stop", StopInferenceCommand(), idempotency_key="key")
    assert app.runs == 1


@pytest.mark.parametrize("key", ["", " ", "a\0b", 5])
async def test_an_unusable_key(key: str) -> None:
    app = Talking()
    with pytest.raises(InvalidIdError) as caught:
        await app.submit(key=key)
    assert (caught.value.what, caught.value.value) == ("idempotency key", key)
    assert app.runs == 0


async def test_two_at_once_run_once() -> None:
    app, gate = Talking(), Gate()

    async def wait(publisher: EventPublisher) -> None:
        await gate.stop()
        await publisher.publish(said("once"))

    app.then.append(wait)
    first = asyncio.create_task(app.submit())
    await gate.reached()
    await app.submit()
    assert app.runs == 1
    gate.open()
    await soon(first)
    assert await app.log() == ["once"]


async def test_it_survives_the_hub() -> None:
    app = Talking()
    await app.submit()
    again = Talking(app.stopping)
    await again.submit()
    assert again.runs == 0
    with pytest.raises(CommandConflict):
        await again.submit("goodbye")


async def test_a_handler_that_published_nothing_gives_its_key_back() -> None:
    app = Talking()
    app.then.append(fail)
    with pytest.raises(Broken, match="before"):
        await app.submit()
    await app.submit()
    assert (app.runs, await app.log()) == (2, ["hello"])


async def test_it_may_be_used_for_another_command_then() -> None:
    app = Talking()
    app.then.append(fail)
    with pytest.raises(Broken):
        await app.submit("hello")
    await app.submit("goodbye")
    assert await app.log() == ["goodbye"]


async def test_a_handler_that_published_keeps_its_key() -> None:
    app = Talking()
    app.then.append(publish_and_fail)
    with pytest.raises(Broken, match="after"):
        await app.submit()
    await app.submit()
    assert (app.runs, await app.log()) == (1, ["half"])


@pytest.mark.parametrize("family", ["ui", "timeline"])
async def test_an_event_that_holds_its_session_was_published(family: str) -> None:
    app = Talking()
    app.broken[family].add("hello")
    with pytest.raises(ProjectionError):
        await app.submit()
    await app.submit()
    assert (app.runs, await app.log()) == (1, ["hello"])


async def test_an_event_that_may_have_been_stored_counts_as_published() -> None:
    app = Talking()
    app.stopping.fail_after("commit", StoreError("the connection broke before the answer came"))
    with pytest.raises(StoreError):
        await app.submit()
    await app.submit()
    assert (app.runs, await app.log()) == (1, ["hello"])


async def test_a_commit_that_an_ending_event_loop_cancelled_counts_as_published() -> None:
    app = Talking()
    app.stopping.fail_after("commit", asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await app.submit()
    await app.submit()
    assert (app.runs, await app.log()) == (1, ["hello"])


async def test_an_event_that_was_refused_was_not_published() -> None:
    app = Talking()

    async def publish_nonsense(publisher: EventPublisher) -> None:
        await publisher.publish(said("x", " "))

    app.then.append(publish_nonsense)
    with pytest.raises(InvalidIdError):
        await app.submit()
    await app.submit()
    assert app.runs == 2


async def test_a_repeated_event_was_published() -> None:
    app = Talking()
    await app.hub.publish(said("x", event_id="id"))

    async def repeat_and_fail(publisher: EventPublisher) -> None:
        await publisher.publish(said("x", event_id="id"))
        raise Broken

    app.then.append(repeat_and_fail)
    with pytest.raises(Broken):
        await app.submit()
    await app.submit()
    assert app.runs == 1


async def test_a_handler_cancelled_before_it_published_gives_its_key_back() -> None:
    app, gate = Talking(), Gate()
    app.then.append(lambda _: gate.stop())
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.submit()
    assert (app.runs, await app.log()) == (2, ["hello"])


async def test_a_handler_cancelled_in_its_commit_keeps_its_key() -> None:
    app = Talking()
    gate = app.stopping.stop_before("commit")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.submit()
    assert (app.runs, await app.log()) == (1, ["hello"])


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_cancelled_while_the_key_is_claimed(moment: str) -> None:
    app = Talking()
    gate = app.stopping.stop_before("claim_command") if moment == "before" else app.stopping.stop_after("claim_command")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.runs == 0
    await app.submit()
    assert (app.runs, await app.log()) == (1, ["hello"])


async def test_a_repeat_cancelled_while_the_key_is_claimed() -> None:
    app = Talking()
    await app.submit()
    gate = app.stopping.stop_before("claim_command")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.submit()
    assert app.runs == 1


async def test_a_key_that_cannot_be_claimed() -> None:
    app = Talking()
    app.stopping.fail("claim_command", StoreError("the disk is full"))
    with pytest.raises(StoreError, match="full"):
        await app.submit()
    assert (app.runs, "release_command" in app.stopping.calls) == (0, False)
    await app.submit()
    assert app.runs == 1


async def test_a_key_that_cannot_be_given_back_does_not_hide_the_handler_s_error() -> None:
    app = Talking()
    app.then.append(fail)
    app.stopping.fail("release_command", StoreError("the disk is full"))
    with pytest.raises(Broken, match="before it published"):
        await app.submit()
    (record,) = app.recorder.errors
    assert (record.kind, record.session_id, record.ordinal) == ("store", "s", 0)
    assert record.error == "StoreError: the disk is full"
    assert record.metadata == {"command": "Say", "key": "key"}
    assert await app.store.error_records("s") == [record]


async def test_nor_a_cancellation() -> None:
    app, gate = Talking(), Gate()
    app.then.append(lambda _: gate.stop())
    app.stopping.fail("release_command", StoreError("the disk is full"))
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.recorder.kinds() == ["store"]


async def test_a_cancellation_while_the_key_is_given_back_is_not_lost() -> None:
    app = Talking()
    app.then.append(fail)
    gate = app.stopping.stop_before("release_command")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.submit()
    assert app.runs == 2


async def test_a_hub_that_closes_meanwhile_says_so() -> None:
    schemas = registry()
    app = App(schemas=schemas)
    gate = Gate()
    own = type(app.hub)(schemas, error_observer=app.recorder.error)

    @own.command("Say")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await gate.stop()
        await publisher.publish(said("x"))

    task = asyncio.create_task(own.submit("s", "Say", say(), idempotency_key="key"))
    await gate.reached()
    await own.shutdown()
    gate.open()
    with pytest.raises(HubClosed):
        await soon(task)


async def test_a_handler_that_its_event_loop_left_behind_is_closed_without_waiting_for_anything() -> None:
    app = Talking()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(publisher: EventPublisher) -> None:
        await never

    app.then.append(wait)
    left = app.hub.submit("s", "Say", say(), idempotency_key="key")
    left.send(None)
    await settle()
    left.send(None)
    left.close()
    assert "release_command" not in app.stopping.calls
