"""Projections: the accepted results, their effects, and where errors are reported."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest

from sessionstream import (
    Event,
    Hub,
    InvalidIdError,
    MemoryStore,
    PayloadTypeError,
    PipelineRecord,
    ProjectionError,
    Session,
    TimelineEntity,
    TimelineView,
    UIEvent,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate

from .support import App, Broken, Recorder, chunk, not_a, registry, said, soon, texts


def entity(entity_id: str = "1", text: str = "") -> TimelineEntity:
    return TimelineEntity("Text", entity_id, ChatMessageEntity(text=text))


def tombstone(entity_id: str = "1", kind: str = "Text") -> TimelineEntity:
    return TimelineEntity(kind, entity_id, None, tombstone=True)


def scripted(*answers: object) -> Hub:
    """A hub whose timeline projection gives one answer after the other."""
    hub = Hub(registry(), store=MemoryStore(registry()))
    remaining = list(answers)

    @hub.timeline_projection
    def answer(event: Event, session: Session, view: TimelineView) -> Any:
        result = remaining.pop(0)
        return result() if callable(result) else result

    return hub


async def play(hub: Hub, count: int) -> None:
    for _ in range(count):
        await hub.publish(said())


def lazily() -> Iterator[TimelineEntity]:
    yield entity("1", "a")
    yield entity("2", "b")


class Once:
    """An iterable that is neither list, tuple nor generator."""

    def __getitem__(self, index: int) -> TimelineEntity:
        return [entity("1", "a"), entity("2", "b")][index]


async def later(result: object) -> object:
    await asyncio.sleep(0)
    return result


def future() -> asyncio.Future[object]:
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    done.set_result(lazily())
    return done


@pytest.mark.parametrize(
    "answer",
    [
        [entity("1", "a"), entity("2", "b")],
        (entity("1", "a"), entity("2", "b")),
        deque([entity("1", "a"), entity("2", "b")]),
        lazily,
        Once(),
        lambda: iter(lazily()),
        lambda: {"1": entity("1", "a"), "2": entity("2", "b")}.values(),
        lambda: (each for each in lazily()),
        lambda: later([entity("1", "a"), entity("2", "b")]),
        lambda: later(lazily()),
        future,
    ],
)
async def test_a_projection_may_return_any_iterable(answer: object) -> None:
    hub = scripted(answer)
    await play(hub, 1)
    assert texts(await hub.snapshot("s")) == {"1": "a", "2": "b"}


@pytest.mark.parametrize("answer", [None, [], (), "", {}, lambda: later(None), lambda: iter(())])
async def test_nothing(answer: object) -> None:
    hub = scripted(answer)
    await play(hub, 1)
    assert (await hub.snapshot("s")).entities == ()
    assert await hub.cursor("s") == 1


async def asynchronously() -> AsyncIterator[TimelineEntity]:
    yield entity()


def raising() -> Iterator[TimelineEntity]:
    yield entity()
    raise Broken("midway")


def stopping() -> Iterator[TimelineEntity]:
    yield entity()
    raise StopIteration


def stop() -> None:
    raise StopIteration


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (5, TypeError),
        (entity(), TypeError),
        ("text", TypeError),
        ([None], TypeError),
        ([UIEvent("Told", ChatMessageUpdate())], TypeError),
        ([[entity()]], TypeError),
        (asynchronously, TypeError),
        (raising, Broken),
        (stopping, RuntimeError),
        (stop, StopIteration),
        ([TimelineEntity("Nonsense", "1", ChatMessageEntity())], UnknownSchemaError),
        ([tombstone(kind="Nonsense")], UnknownSchemaError),
        ([TimelineEntity(not_a(5), "1", ChatMessageEntity())], UnknownSchemaError),
        ([TimelineEntity(not_a(["Text"]), "1", ChatMessageEntity())], UnknownSchemaError),
        ([TimelineEntity("Text", "", ChatMessageEntity())], InvalidIdError),
        ([TimelineEntity("Text", not_a(1), ChatMessageEntity())], InvalidIdError),
        ([TimelineEntity("Text", "a\0b", ChatMessageEntity())], InvalidIdError),
        ([tombstone("")], InvalidIdError),
        ([TimelineEntity("Text", "1", ChatMessageUpdate())], PayloadTypeError),
        ([TimelineEntity("Text", "1", not_a("text"))], PayloadTypeError),
        ([entity("2"), TimelineEntity("Text", "1", ChatMessageUpdate())], PayloadTypeError),
    ],
)
async def test_an_invalid_result_is_a_failure_of_the_projection(answer: object, cause: type[Exception]) -> None:
    hub = scripted(answer, [entity("1", "mended")], None)
    with pytest.raises(ProjectionError) as failed:
        await play(hub, 1)
    assert isinstance(failed.value.__cause__, cause)
    assert failed.value.projector == "timeline projection tests.hub.test_projections.scripted.<locals>.answer"
    assert (await hub.snapshot("s")).entities == ()
    await play(hub, 1)
    assert texts(await hub.snapshot("s")) == {"1": "mended"}
    assert await hub.cursor("s") == 2


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ([entity()], TypeError),
        ([UIEvent("Nonsense", ChatMessageUpdate())], UnknownSchemaError),
        ([UIEvent("", ChatMessageUpdate())], UnknownSchemaError),
        ([UIEvent("Told", ChatMessageEntity())], PayloadTypeError),
        ([UIEvent("Told", not_a(None))], PayloadTypeError),
        (UIEvent("Told", ChatMessageUpdate()), TypeError),
    ],
)
async def test_ui_events_are_checked_too(answer: object, cause: type[Exception]) -> None:
    recorder = Recorder()
    hub = Hub(registry(), fanout=recorder, error_observer=recorder.error)
    hub.register_ui_projection(not_a(lambda event, session, view: answer))
    with pytest.raises(ProjectionError, match="UI projection") as failed:
        await play(hub, 1)
    assert isinstance(failed.value.__cause__, cause)
    assert recorder.sent == []
    assert recorder.kinds() == ["ui-projection"]


async def test_several_projections_one_view_and_the_last_word() -> None:
    hub = Hub(registry())
    views: list[list[TimelineEntity]] = []

    def writing(text: str) -> Callable[[Event, Session, TimelineView], Iterable[TimelineEntity]]:
        def project(event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
            views.append(view.list())
            return [entity("1", f"{text}, overwritten"), entity(text, text), entity("1", text)]

        return project

    hub.register_timeline_projection(writing("a"))
    hub.register_timeline_projection(writing("b"))
    await play(hub, 1)
    assert views == [[], []]
    assert texts(await hub.snapshot("s")) == {"1": "b", "a": "a", "b": "b"}


async def test_the_pipeline_sets_both_ordinals() -> None:
    lying = TimelineEntity("Text", "1", ChatMessageEntity(), created_ordinal=77, last_event_ordinal=99)
    hub = scripted([lying], [], [lying], [tombstone()], [lying])
    seen = []
    for _ in range(5):
        await play(hub, 1)
        seen.append([(e.created_ordinal, e.last_event_ordinal) for e in (await hub.snapshot("s")).entities])
    assert seen == [[(1, 1)], [(1, 1)], [(1, 3)], [], [(5, 5)]]


async def test_creating_and_deleting_in_one_event() -> None:
    recorder = Recorder()
    hub = scripted(
        [entity("1", "a"), tombstone("1")],  # it never was
        [tombstone("1")],  # there is nothing to delete
        [tombstone("1"), entity("1", "b")],
        [tombstone("1"), entity("1", "c")],  # the last wins: an update
        [entity("1", "d"), tombstone("1")],
        [TimelineEntity("Text", "1", ChatMessageEntity(text="ignored"), tombstone=True)],
    )
    hub.instrument(recorder)
    seen = []
    for _ in range(6):
        await play(hub, 1)
        snapshot = await hub.snapshot("s")
        seen.append(
            [(text, e.created_ordinal) for e, text in zip(snapshot.entities, texts(snapshot).values(), strict=True)]
        )
    assert seen == [[], [], [("b", 3)], [("c", 3)], [], []]
    assert [[e.tombstone for e in record.committed] for record in recorder.records] == [
        [],
        [],
        [False],
        [False],
        [True],
        [],
    ]
    (deleted,) = recorder.records[4].committed
    assert (deleted.payload, deleted.created_ordinal, deleted.last_event_ordinal) == (None, 3, 5)


class Projector:
    def project(self, event: Event, session: Session, view: TimelineView) -> None:
        raise Broken


class Calling:
    def __call__(self, event: Event, session: Session, view: TimelineView) -> None:
        raise Broken


def function(event: Event, session: Session, view: TimelineView) -> None:
    raise Broken


@pytest.mark.parametrize(
    ("projection", "name"),
    [
        (Projector(), "tests.hub.test_projections.Projector"),
        (Projector().project, "tests.hub.test_projections.Projector.project"),
        (Calling(), "tests.hub.test_projections.Calling"),
        (function, "tests.hub.test_projections.function"),
        (functools.partial(function), "functools.partial"),
    ],
)
@pytest.mark.parametrize("family", ["UI", "timeline"])
async def test_a_projection_is_named(projection: Any, name: str, family: str) -> None:
    hub = Hub(registry())
    (hub.register_ui_projection if family == "UI" else hub.register_timeline_projection)(projection)
    with pytest.raises(ProjectionError) as failed:
        await play(hub, 1)
    assert failed.value.projector == f"{family} projection {name}"
    assert name in str(failed.value)


async def test_an_exception_without_words_is_a_failure_like_any_other() -> None:
    class WordlessError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def wordless() -> None:
        raise WordlessError

    hub = scripted(wordless, None, None)
    with pytest.raises(ProjectionError, match="WordlessError"):
        await play(hub, 1)
    assert await hub.event_cursor("s") == 1
    await play(hub, 1)


# -- fan-out and observers -------------------------------------------------------------------------------------


async def test_a_fan_out_is_told_once_per_event_that_has_ui_events() -> None:
    app = App()
    app.hub.register_ui_projection(lambda event, session, view: None)
    await app.publish("a", "b")
    quiet = Hub(registry(), fanout=app.recorder)
    await play(quiet, 1)
    assert [(session_id, ordinal, len(events)) for session_id, ordinal, events in app.recorder.sent] == [
        ("s", 1, 1),
        ("s", 2, 1),
    ]


async def test_without_a_fan_out_nothing_is_sent() -> None:
    app = App()
    app.hub.set_fanout(None)
    await app.publish("a")
    assert app.recorder.records[0].fanned_out == ()
    app.hub.set_fanout(app.recorder.publish_ui)
    await app.publish("b")
    assert app.recorder.ordinals() == [2]


@pytest.mark.parametrize(
    "error", [Broken("the wire is cut"), asyncio.CancelledError("the wire is cut"), StopIteration()]
)
async def test_a_fan_out_that_fails_is_reported_and_reaches_nobody(error: BaseException) -> None:
    app = App()

    def fail(session_id: str, ordinal: int, events: object) -> None:
        raise error

    app.hub.set_fanout(fail)
    assert await app.publish("a", "b") == [1, 2]
    assert await app.texts() == {"1": "ab"}
    assert app.recorder.kinds() == ["fanout", "fanout"]
    assert app.recorder.errors[0].error.startswith(type(error).__name__)
    assert await app.store.error_records("s") == app.recorder.errors
    record = app.recorder.records[0]
    assert (record.stored, record.cursor_moved, record.fanned_out) == (True, True, ())
    assert len(record.ui_events) == 1
    assert type(error).__name__ in repr(record.error)


@pytest.mark.parametrize("error", [Broken("observed"), asyncio.CancelledError()])
async def test_an_observer_cannot_break_the_pipeline(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    def observe(record: object) -> None:
        raise error

    app = App(pipeline_observer=observe, error_observer=observe)
    app.broken["timeline"].add("a")
    with pytest.raises(ProjectionError):
        await app.publish("a")
    app.broken["timeline"].clear()
    await app.usable()
    assert [record.name for record in caplog.records] == ["sessionstream"] * len(caplog.records)
    assert len(caplog.records) >= 3
    caplog.clear()


async def test_a_live_record_says_everything() -> None:
    app = App()
    published = (await app.publish("a", "b"))[1]
    record = app.recorder.records[1]
    assert isinstance(record, PipelineRecord)
    assert (record.mode, record.event.ordinal, record.view_ordinal) == ("live", published, 1)
    assert chunk(record.event) == "b"
    assert record.event.event_id
    assert [event.name for event in record.ui_events] == ["Told"]
    assert record.fanned_out == record.ui_events
    assert record.committed == record.entities
    assert [(e.id, e.created_ordinal, e.last_event_ordinal) for e in record.entities] == [("1", 1, 2)]
    assert (record.stored, record.cursor_moved) == (True, True)
    assert (record.ui_error, record.timeline_error, record.error) == (None, None, None)


async def test_a_waiting_event_s_record() -> None:
    app = App()
    app.broken["ui"].add("a")
    for each in "ab":
        with pytest.raises(Exception, match=r"failed|held"):
            await app.publish(each)
    waiting = app.recorder.records[-1]
    assert (waiting.mode, waiting.event.ordinal, waiting.view_ordinal) == ("live", 2, 0)
    assert (waiting.stored, waiting.cursor_moved, waiting.entities, waiting.ui_events) == (True, False, (), ())


async def test_a_session_is_what_its_metadata_says() -> None:
    app = App(session_metadata=lambda session_id: {"tenant": session_id})
    seen: list[Session] = []

    @app.hub.ui_projection
    async def look(event: Event, session: Session, view: TimelineView) -> None:
        seen.append(session)

    await app.publish("a")
    assert seen == [Session("s", {"tenant": "s"})]
    assert await app.hub.session("s") == seen[0]


async def test_views_find_nothing_under_nonsense() -> None:
    hub = Hub(registry())
    found: list[object] = []

    @hub.ui_projection
    def look(event: Event, session: Session, view: TimelineView) -> None:
        found.extend([view.get("", ""), view.get("Text", "nobody"), view.list("Nonsense")])

    await soon(play(hub, 1))
    assert found == [None, None, []]


async def test_a_view_that_is_kept_does_not_show_what_comes_later() -> None:
    app = App()
    kept: list[TimelineView] = []

    @app.hub.ui_projection
    def keep(event: Event, session: Session, view: TimelineView) -> Iterator[UIEvent]:
        kept.append(view)
        assert view.ordinal == event.ordinal - 1
        yield from ()
        view.list()  # it lasts as long as what the projection returns is being read

    @app.hub.timeline_projection
    def keep_too(event: Event, session: Session, view: TimelineView) -> None:
        kept.append(view)

    await app.publish("a", "b")
    assert len(kept) == 4
    for view in kept:
        for look in (lambda: view.ordinal, lambda: view.get("Text", "1"), view.list):  # noqa: B023 - called at once
            with pytest.raises(RuntimeError, match="not the view"):
                look()
