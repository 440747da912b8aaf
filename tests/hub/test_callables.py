"""Functions registered with a hub: the accepted kinds, and the errors for all others."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from sessionstream import (
    Command,
    DuplicateCommandError,
    Event,
    EventPublisher,
    Hub,
    InvalidNameError,
    ProjectionError,
    Session,
    TimelineEntity,
    TimelineView,
    UIEvent,
    entity_changes,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate

from .support import App, chunk, registry, said, say


class Projector:
    """Fine as an instance, a mistake as a class."""

    def __init__(self, *arguments: object) -> None: ...

    def __call__(self, *arguments: object) -> None: ...

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def project(self, event: Event, session: Session, view: TimelineView) -> None: ...

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None: ...


class Bare:
    """A class that would even work when called."""

    def __init__(self, *arguments: object) -> None: ...

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def generator(*_: object) -> Iterator[Any]:
    yield None


async def async_generator(*_: object) -> AsyncIterator[Any]:
    yield None


async def coroutine(*_: object) -> None: ...


class Calls:
    """An object whose ``__call__`` is another function's."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Callable[..., Any]:
        calling: Callable[..., Any] = type("Calling", (cls,), {"__call__": staticmethod(function)})(function)
        return calling


PLACES: dict[str, tuple[str, Callable[[App, Any], object]]] = {
    "register_command": ("the handler of command 'Say'", lambda app, it: app.hub.register_command("Say", it)),
    "command": ("the handler of command 'Say'", lambda app, it: app.hub.command("Say")(it)),
    "register_ui_projection": ("UI projection", lambda app, it: app.hub.register_ui_projection(it)),
    "ui_projection": ("UI projection", lambda app, it: app.hub.ui_projection(it)),
    "register_timeline_projection": ("timeline projection", lambda app, it: app.hub.register_timeline_projection(it)),
    "timeline_projection": ("timeline projection", lambda app, it: app.hub.timeline_projection(it)),
    "set_fanout": ("fan-out", lambda app, it: app.hub.set_fanout(it)),
    "fanout": ("fan-out", lambda app, it: Hub(registry(), fanout=it)),
    "pipeline_observer": ("pipeline_observer", lambda app, it: Hub(registry(), pipeline_observer=it)),
    "error_observer": ("error_observer", lambda app, it: Hub(registry(), error_observer=it)),
}
HANDLERS = ["register_command", "command"]
PROJECTIONS = ["register_ui_projection", "ui_projection", "register_timeline_projection", "timeline_projection"]
TOLD = ["set_fanout", "fanout", "pipeline_observer", "error_observer"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cls", [Projector, Bare, functools.partial(Bare)], ids=["Projector", "Bare", "partial"])
async def test_a_class_is_refused_with_a_hint(place: str, cls: Any) -> None:
    app = App()
    what, register = PLACES[place]
    name = "Projector" if cls is Projector else "Bare"
    with pytest.raises(TypeError, match=rf"{what}.*{name}.*is a class.*an instance.*{name}\(…\)"):
        register(app, cls)
    await app.usable()


@pytest.mark.parametrize("place", PLACES)
def test_its_instance_is_fine(place: str) -> None:
    PLACES[place][1](App(), Projector())


def wrapped(function: Callable[..., Any]) -> list[object]:
    """The function in every form in which it may come."""
    return [
        function,
        functools.partial(function, None),
        Calls.of(function),
        functools.partial(Calls.of(function)),
    ]


@pytest.mark.parametrize("place", HANDLERS + TOLD)
@pytest.mark.parametrize("form", wrapped(generator) + wrapped(async_generator))
async def test_a_generator_would_never_run(place: str, form: object) -> None:
    app = App()
    what, register = PLACES[place]
    with pytest.raises(TypeError, match=f"{what}.*generator function.*would never run.*without yield"):
        register(app, form)
    await app.usable()


@pytest.mark.parametrize("place", TOLD)
@pytest.mark.parametrize("form", wrapped(coroutine))
def test_async_callbacks_are_refused(place: str, form: object) -> None:
    what, register = PLACES[place]
    with pytest.raises(TypeError, match=f"{what}.*has to be plain, not async.*put_nowait"):
        register(App(), form)


@pytest.mark.parametrize("place", PROJECTIONS)
@pytest.mark.parametrize("form", wrapped(async_generator))
async def test_an_async_generator_is_no_projection(place: str, form: object) -> None:
    app = App()
    what, register = PLACES[place]
    with pytest.raises(TypeError, match=f"{what}.*async generator function.*return a list"):
        register(app, form)
    await app.usable()


@pytest.mark.parametrize("method", ["project", "publish_ui"])
def test_methods_are_looked_at_too(method: str) -> None:
    it: Any = type("It", (), {method: staticmethod(async_generator)})()
    with pytest.raises(TypeError, match="generator function"):
        PLACES["set_fanout" if method == "publish_ui" else "ui_projection"][1](App(), it)


def without(*, option: int = 0) -> None: ...


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", [without, functools.partial(without, option=1)])
async def test_a_function_that_takes_other_arguments_is_refused(place: str, form: object) -> None:
    app = App()
    what, register = PLACES[place]
    with pytest.raises(TypeError, match=rf"{what} is a function \(.*\); .* takes \(.*option.*\): too many positional"):
        register(app, form)
    await app.usable()


def test_entity_changes_is_called_before_it_is_registered() -> None:
    with pytest.raises(
        TypeError, match=r"function \(event, session, view\); <function entity_changes .* takes \(kind=None\)"
    ):
        App().hub.register_ui_projection(entity_changes)  # type: ignore[arg-type]


def test_a_function_in_c_that_does_not_tell_its_parameters_is_taken() -> None:
    App().hub.set_fanout(max)  # type: ignore[arg-type]


def test_a_refused_handler_leaves_the_name_free() -> None:
    app = App()
    with pytest.raises(TypeError):
        app.hub.register_command("Say", generator)  # type: ignore[arg-type]
    app.hub.register_command("Say", coroutine)
    with pytest.raises(DuplicateCommandError):
        app.hub.register_command("Say", coroutine)


def test_a_decorator_without_its_name() -> None:
    with pytest.raises(InvalidNameError, match="coroutine"):
        App().hub.command(coroutine)  # type: ignore[arg-type]


async def test_plain_generators_are_projections() -> None:
    def ui(event: Event, session: Session, view: TimelineView) -> Iterable[UIEvent]:
        yield UIEvent("Told", ChatMessageUpdate(chunk="1"))
        yield UIEvent("Told", ChatMessageUpdate(chunk="2"))

    def timeline(event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
        yield TimelineEntity("Text", "2", ChatMessageEntity(text=chunk(event)))

    app = App()
    app.hub.register_ui_projection(ui)
    app.hub.register_timeline_projection(timeline)
    await app.publish("x")
    assert [str(event.payload) for event in app.recorder.sent[0][2]] == ['chunk: "x"\n', 'chunk: "1"\n', 'chunk: "2"\n']
    assert await app.texts() == {"1": "x", "2": "x"}


def update(event: Event) -> UIEvent:
    return UIEvent("Told", ChatMessageUpdate(chunk=chunk(event)))


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (update, r"it returned UIEvent\(.*iterable of UIEvent, or None"),
        (lambda event: 5, "it returned 5.*iterable of UIEvent, or None"),
        (lambda event: [None], "it returned None among others.*iterable of UIEvent, or None"),
        (lambda event: UIEvent, "it returned the class .*UIEvent.*iterable of UIEvent"),
        (lambda event: [UIEvent], "it returned the class .*UIEvent.*iterable of UIEvent"),
        (lambda event: [event], r"it returned Event\(.*iterable of UIEvent"),
        (lambda event: "text", "it returned 't' among others.*iterable of UIEvent"),
        (lambda event: async_generator(), "it returned <async_generator.*iterable of UIEvent"),
    ],
)
async def test_what_a_projection_may_not_return(result: Callable[[Event], Any], words: str) -> None:
    app = App()
    app.hub.register_ui_projection(lambda event, session, view: result(event) if chunk(event) == "bad" else ())
    with pytest.raises(ProjectionError, match=f"(?s){words}"):
        await app.publish("bad")
    assert app.recorder.kinds() == ["ui-projection"]
    assert await app.log() == ["bad"]


async def test_a_fan_out_that_returns_a_coroutine_is_reported_once_per_event() -> None:
    app = App()
    ran: list[int] = []

    async def send(ordinal: int) -> None:
        ran.append(ordinal)

    app.hub.set_fanout(lambda session_id, ordinal, events: send(ordinal))  # type: ignore[arg-type]
    await app.publish("a", "b")
    assert [(record.kind, record.ordinal) for record in app.recorder.errors] == [("fanout", 1), ("fanout", 2)]
    for record in app.recorder.errors:
        assert "returned a coroutine, which is never awaited" in record.error
        assert "put_nowait" in record.error
    assert [record.fanned_out for record in app.recorder.records] == [(), ()]
    assert [str(record.error) in app.recorder.errors[0].error for record in app.recorder.records] == [True, True]
    app.hub.set_fanout(app.recorder)
    await app.publish("c")
    assert app.recorder.ordinals() == [3]
    assert ran == []


@pytest.mark.parametrize("make", [generator, async_generator])
async def test_a_fan_out_that_returns_a_generator_is_reported(make: Callable[[], object]) -> None:
    app = App()
    app.hub.set_fanout(lambda *_: make())  # type: ignore[arg-type]
    await app.publish("a")
    (record,) = app.recorder.errors
    assert record.kind == "fanout"
    assert "generator, which never runs" in record.error


async def test_a_fan_out_may_start_a_task() -> None:
    app = App()
    tasks: list[asyncio.Task[None]] = []

    def start(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> asyncio.Task[None]:
        tasks.append(asyncio.create_task(coroutine()))
        return tasks[-1]

    app.hub.set_fanout(start)  # type: ignore[arg-type]
    await app.publish("a")
    assert app.recorder.errors == []
    await asyncio.gather(*tasks)


async def test_observers_that_return_a_coroutine_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    def lost(record: object) -> object:
        return coroutine()

    app = App(pipeline_observer=lost, error_observer=lost)
    app.broken["ui"].add("a")
    with caplog.at_level(logging.ERROR, "sessionstream"), pytest.raises(ProjectionError):
        await app.publish("a")
    assert [record.message.split(" failed")[0].split(" in ")[0] for record in caplog.records] == [
        "ui-projection error",
        "the error observer",
        "the pipeline observer",
    ]
    assert caplog.text.count("\nTypeError: error_observer returned a coroutine, which is never awaited") == 1
    assert caplog.text.count("\nTypeError: pipeline_observer returned a coroutine, which is never awaited") == 1


@pytest.mark.parametrize("make", [generator, async_generator])
async def test_a_handler_that_returns_a_generator(make: Callable[[], object]) -> None:
    app = App()
    app.hub.register_command("Say", lambda command, session, publisher: make())  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match=r"handler of command 'Say' returned a.*generator, which never runs"):
        await app.hub.submit("s", "Say", say())
    await app.usable()


async def test_what_else_a_handler_returns_is_ignored() -> None:
    app = App()

    def handle(command: Command, session: Session, publisher: EventPublisher) -> int:
        return 5

    app.hub.register_command("Say", handle)  # type: ignore[arg-type]
    await app.hub.submit("s", "Say", say(), idempotency_key="k")
    await app.hub.publish(said("x"))
    await app.usable()


@pytest.mark.parametrize("kind", [None, 5, ["Text"], "Other"], ids=repr)
@pytest.mark.parametrize("tombstone", [True, False])
async def test_an_entity_of_no_registered_kind(kind: Any, tombstone: bool) -> None:
    app = App()
    entity = TimelineEntity(kind, "1", None if tombstone else ChatMessageEntity(), tombstone=tombstone)
    app.hub.register_timeline_projection(lambda event, session, view: [entity])
    with pytest.raises(ProjectionError, match=r"UnknownSchemaError: timeline entity .* is not registered"):
        await app.publish("x")
