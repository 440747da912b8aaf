"""Bad input raises a specific error that names the argument and the remedy, and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sessionstream import (
    Command,
    CommandError,
    DuplicateCommandError,
    Event,
    EventPublisher,
    Hub,
    HubClosed,
    InvalidIdError,
    InvalidNameError,
    PayloadTypeError,
    Session,
    TimelineView,
    UIEvent,
    UnknownCommandError,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageUpdate,
    StartInferenceCommand,
    StopInferenceCommand,
    TokensDeltaEvent,
)

from .support import App, Broken, chunk, not_a, registry, said, say, settle, soon

DELTA = "sessionstream.examples.chatdemo.v1.TokensDeltaEvent"
START = "sessionstream.examples.chatdemo.v1.StartInferenceCommand"
STOP = "sessionstream.examples.chatdemo.v1.StopInferenceCommand"

METHODS: dict[str, Callable[[Hub, str], Awaitable[object]]] = {
    "submit": lambda hub, session_id: hub.submit(session_id, "Say", say()),
    "publish": lambda hub, session_id: hub.publish(said("x", session_id)),
    "snapshot": lambda hub, session_id: hub.snapshot(session_id),
    "session": lambda hub, session_id: hub.session(session_id),
    "cursor": lambda hub, session_id: hub.cursor(session_id),
    "event_cursor": lambda hub, session_id: hub.event_cursor(session_id),
    "retry_timeline": lambda hub, session_id: hub.retry_timeline(session_id),
    "rebuild_timeline": lambda hub, session_id: hub.rebuild_timeline(session_id),
}


@pytest.fixture
def app() -> App:
    app = App()

    @app.hub.command("Say")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        assert isinstance(command.payload, StartInferenceCommand)
        await publisher.publish(said(command.payload.prompt, session.id))

    return app


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("session_id", ["", " ", "a\0b", "\ud800", None, 5, b"s", ["s"]], ids=repr)
async def test_an_unusable_session_id(
    app: App, method: Callable[[Hub, str], Awaitable[object]], session_id: object
) -> None:
    with pytest.raises(InvalidIdError) as caught:
        await method(app.hub, not_a(session_id))
    assert (caught.value.what, caught.value.value) == ("session id", session_id)
    assert repr(session_id) in str(caught.value)
    assert await app.store.sessions() == []
    assert len(app.hub._sessions) == 0
    await app.usable()


@pytest.mark.parametrize("name", ["", "Sing", "say", None])
async def test_an_unknown_command(app: App, name: str) -> None:
    way_out = "register_command" if name else "give the name of one that is"
    with pytest.raises(UnknownCommandError, match=way_out) as caught:
        await app.hub.submit("s", name, say())
    assert isinstance(caught.value, CommandError)
    assert caught.value.name == name
    assert repr(name) in str(caught.value)
    await app.usable()


async def test_a_command_with_a_handler_but_no_schema(app: App) -> None:
    app.hub.register_command("Sing", lambda command, session, publisher: None)
    with pytest.raises(UnknownSchemaError, match=r"register_command\('Sing'") as caught:
        await app.hub.submit("s", "Sing", say())
    assert (caught.value.family, caught.value.name) == ("command", "Sing")


@pytest.mark.parametrize(
    ("payload", "got"),
    [
        (StopInferenceCommand(), STOP),
        (StartInferenceCommand, f"the class {START}"),
        (None, "a builtins.NoneType"),
        ({"prompt": "x"}, "a builtins.dict"),
        (b"", "a builtins.bytes"),
    ],
)
async def test_a_command_s_payload_of_another_type(app: App, payload: object, got: str) -> None:
    with pytest.raises(PayloadTypeError) as caught:
        await app.hub.submit("s", "Say", not_a(payload))
    error = caught.value
    assert (error.family, error.name, error.expected, error.got) == ("command", "Say", START, got)
    assert await app.log() == []
    await app.usable()


@pytest.mark.parametrize("name", ["", "Sung", None, ["Said"]])
async def test_an_unknown_event(app: App, name: object) -> None:
    way_out = "register_event" if name == "Sung" else "give the name of one that is"
    with pytest.raises(UnknownSchemaError, match=way_out) as caught:
        await app.hub.publish(Event(not_a(name), TokensDeltaEvent(), "s"))
    assert (caught.value.family, caught.value.name) == ("event", name)
    await app.usable()


@pytest.mark.parametrize(
    ("payload", "got"),
    [(say(), START), (None, "a builtins.NoneType"), (TokensDeltaEvent, f"the class {DELTA}")],
)
async def test_an_event_s_payload_of_another_type(app: App, payload: object, got: str) -> None:
    with pytest.raises(PayloadTypeError) as caught:
        await app.hub.publish(Event("Said", not_a(payload), "s"))
    error = caught.value
    assert (error.family, error.name, error.expected, error.got) == ("event", "Said", DELTA, got)
    assert app.recorder.records == []
    await app.usable()


@pytest.mark.parametrize("ordinal", [1, -1, 2**64])
async def test_an_ordinal_is_the_hub_s_to_give(app: App, ordinal: int) -> None:
    with pytest.raises(ValueError, match=f"'Said' has ordinal {ordinal} already"):
        await app.hub.publish(Event("Said", TokensDeltaEvent(), "s", ordinal))
    await app.usable()


@pytest.mark.parametrize("ordinal", [None, False, True, 0.0, "0", "", (), b""], ids=repr)
async def test_an_ordinal_of_another_type(app: App, ordinal: object) -> None:
    with pytest.raises(TypeError, match=rf"'Said'.*{type(ordinal).__name__}.*leave it 0"):
        await app.hub.publish(Event("Said", TokensDeltaEvent(), "s", not_a(ordinal)))
    await app.usable()


@pytest.mark.parametrize("event_id", [None, 0, False, b"", (), [], 5, " "], ids=repr)
async def test_an_invalid_event_id(app: App, event_id: object) -> None:
    with pytest.raises(InvalidIdError, match="event id") as caught:
        await app.hub.publish(Event("Said", TokensDeltaEvent(), "s", event_id=not_a(event_id)))
    assert caught.value.value is event_id
    await app.usable()


@pytest.mark.parametrize("key", ["", 0, False, b"k", ["k"]], ids=repr)
async def test_an_invalid_idempotency_key(app: App, key: object) -> None:
    with pytest.raises(InvalidIdError, match="idempotency key"):
        await app.hub.submit("s", "Say", say(), idempotency_key=not_a(key))
    assert await app.log() == []
    assert len(app.hub._sessions) == 0
    await app.usable()


WRONG_ARGUMENTS: dict[str, tuple[type[Exception], Callable[[Hub], Awaitable[object]]]] = {
    **{
        f"{method} of a session": (InvalidIdError, lambda hub, call=call: call(hub, ""))  # type: ignore[misc]
        for method, call in METHODS.items()
    },
    "a command": (UnknownCommandError, lambda hub: hub.submit("s", "Sing", say())),
    "a command's payload": (PayloadTypeError, lambda hub: hub.submit("s", "Say", TokensDeltaEvent())),
    "a key": (InvalidIdError, lambda hub: hub.submit("s", "Say", say(), idempotency_key="")),
    "no event": (TypeError, lambda hub: hub.publish(not_a("x"))),
    "an event": (UnknownSchemaError, lambda hub: hub.publish(Event("Sung", TokensDeltaEvent(), "s"))),
    "an event's payload": (PayloadTypeError, lambda hub: hub.publish(Event("Said", say(), "s"))),
    "an event's id": (InvalidIdError, lambda hub: hub.publish(said(event_id=" "))),
    "as_of": (TypeError, lambda hub: hub.snapshot("s", as_of=not_a(False))),
    "since": (ValueError, lambda hub: hub.snapshot("s", since=-1)),
    "an ordinal": (ValueError, lambda hub: hub.publish(Event("Said", TokensDeltaEvent(), "s", 3))),
}


@pytest.mark.parametrize(("error", "call"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
async def test_wrong_arguments_are_told_before_the_state_of_the_hub(
    app: App, error: type[Exception], call: Callable[[Hub], Awaitable[object]]
) -> None:
    inside: list[BaseException | None] = []

    async def project(event: Event, session: Session, view: TimelineView) -> None:
        inside.append(await outcome(call))

    async def outcome(call: Callable[[Hub], Awaitable[object]]) -> BaseException | None:
        (result,) = await asyncio.gather(call(app.hub), return_exceptions=True)
        return result if isinstance(result, BaseException) else None

    app.hub.register_timeline_projection(project)
    await app.publish("x")
    assert [type(got) for got in inside] == [error]
    await app.hub.shutdown()
    assert type(await outcome(call)) is error


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_closed_hub_is_told_before_a_lane(app: App, method: Callable[[Hub, str], Awaitable[object]]) -> None:
    inside: list[object] = []
    closing: list[asyncio.Task[None]] = []

    async def project(event: Event, session: Session, view: TimelineView) -> None:
        await closed.wait()
        inside.extend(await asyncio.gather(method(app.hub, "s"), return_exceptions=True))

    async def close() -> None:
        closed.set()
        await app.hub.shutdown()

    closed = asyncio.Event()
    app.hub.register_timeline_projection(project)
    publishing = asyncio.create_task(app.publish("x"))
    await settle()
    closing.append(asyncio.create_task(close()))
    await soon(asyncio.gather(publishing, *closing))
    assert [type(got) for got in inside] == [HubClosed]


async def test_a_published_event_cannot_be_published_again(app: App) -> None:
    published = await app.hub.publish(said("x"))
    with pytest.raises(ValueError, match="ordinal 1 already"):
        await app.hub.publish(published)


@pytest.mark.parametrize("name", ["", " ", None, 5])
def test_registering_a_handler_under_an_unusable_name(app: App, name: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        app.hub.register_command(name, lambda command, session, publisher: None)
    assert (caught.value.family, caught.value.name) == ("command", name)


def test_registering_two_handlers(app: App) -> None:
    with pytest.raises(DuplicateCommandError, match="'Say'") as caught:
        app.hub.register_command("Say", lambda command, session, publisher: None)
    assert caught.value.name == "Say"
    with pytest.raises(DuplicateCommandError):
        app.hub.command("Say")(lambda command, session, publisher: None)


def test_registering_what_cannot_be_called(app: App) -> None:
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: app.hub.register_command("Stop", not_a(5)), r"'Stop' is a function \(command, session.*; 5 is not"),
        (lambda: app.hub.register_ui_projection(not_a(5)), r"UI projection is a function .*project; 5 is not"),
        (lambda: app.hub.register_timeline_projection(not_a("x")), r"timeline projection .*project; 'x' is not"),
        (lambda: app.hub.set_fanout(not_a(5)), r"fan-out is a function .*publish_ui; 5 is not"),
        (lambda: Hub(registry(), fanout=not_a(5)), r"fan-out is a function .*publish_ui; 5 is not"),
    ]
    for register, words in refused:
        with pytest.raises(TypeError, match=words):
            register()


async def coroutine(*_: object) -> None:
    """What a fan-out may not be."""


class AsyncFanout:
    async def publish_ui(self, session_id: str, ordinal: int, events: object) -> None:
        """Nobody would await this."""


@pytest.mark.parametrize("fanout", [coroutine, AsyncFanout()])
def test_a_fan_out_that_nobody_would_await(app: App, fanout: Any) -> None:
    with pytest.raises(TypeError, match="not async"):
        app.hub.set_fanout(fanout)


async def test_a_handler_that_raises(app: App) -> None:
    error = Broken("in the handler")

    @app.hub.command("Stop")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await publisher.publish(said("before"))
        raise error

    with pytest.raises(Broken) as caught:
        await app.hub.submit("s", "Stop", StopInferenceCommand())
    assert caught.value is error
    assert await app.log() == ["before"]
    assert app.recorder.errors == []
    await app.usable()


async def test_handlers_may_be_plain_async_or_return_something_to_await() -> None:
    app = App()
    ran: list[str] = []

    def plain(command: Command, session: Session, publisher: EventPublisher) -> None:
        ran.append(f"plain {session.id} {session.metadata}")

    def task(command: Command, session: Session, publisher: EventPublisher) -> Awaitable[None]:
        return asyncio.create_task(publish(publisher))

    async def publish(publisher: EventPublisher) -> None:
        published = await publisher.publish(said("x"))
        ran.append(f"task {published.ordinal}")

    app.hub.register_command("Say", plain)
    app.hub.register_command("Stop", task)
    await app.hub.submit("s", "Say", say())
    await app.hub.submit("s", "Stop", StopInferenceCommand())
    assert ran == ["plain s None", "task 1"]


@pytest.mark.parametrize("question", [{"as_of": -1}, {"since": -1}, {"as_of": 1, "since": 1}, {"as_of": 0, "since": 0}])
async def test_a_question_that_contradicts_itself(app: App, question: dict[str, int]) -> None:
    await app.publish("a")
    with pytest.raises(ValueError, match=r"as_of|since"):
        await app.hub.snapshot("s", **question)


@pytest.mark.parametrize("argument", ["as_of", "since"])
@pytest.mark.parametrize("value", [1.5, True, False, "1", [1]], ids=repr)
async def test_a_question_of_another_type(app: App, argument: str, value: object) -> None:
    await app.publish("a")
    with pytest.raises(TypeError, match=f"^{argument} is an int or None, not "):
        await app.hub.snapshot("s", **{argument: not_a(value)})
    await app.usable()


async def test_asking_leaves_no_trace(app: App) -> None:
    await app.hub.snapshot("s")
    await app.hub.cursor("s")
    await app.hub.event_cursor("s")
    await app.hub.session("s")
    await app.hub.retry_timeline("s")
    assert await app.store.sessions() == []
    snapshot = await app.hub.snapshot("s")
    assert (snapshot.session_id, snapshot.snapshot_ordinal, snapshot.entities) == ("s", 0, ())


async def test_beyond_the_cursor_as_of_means_the_cursor(app: App) -> None:
    await app.publish("a", "b")
    assert await app.hub.snapshot("s", as_of=2**64) == await app.hub.snapshot("s")


async def test_a_huge_payload(app: App) -> None:
    huge = "é" * 5_000_000
    assert await app.publish(huge) == [1]
    assert await app.texts() == {"1": huge}


async def test_decorators_return_what_they_decorate(app: App) -> None:
    def stop(command: Command, session: Session, publisher: EventPublisher) -> None: ...

    def tell(event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        return [UIEvent("Told", ChatMessageUpdate(chunk=f"second {chunk(event)}"))]

    assert app.hub.command("Stop")(stop) is stop
    assert app.hub.ui_projection(tell) is tell
    assert app.hub.timeline_projection(coroutine) is coroutine
    await app.publish("x")
    ((_, _, events),) = app.recorder.sent
    assert [str(event.payload) for event in events] == ['chunk: "x"\n', 'chunk: "second x"\n']
