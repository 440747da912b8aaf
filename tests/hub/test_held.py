"""Projection policies, held sessions, and how they are resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import pytest

from sessionstream import (
    Event,
    MemoryStore,
    OrdinalConflict,
    ProjectionError,
    ProjectionPolicies,
    ReplayReport,
    SchemaRegistry,
    Session,
    SessionHeld,
    TimelineEntity,
    TimelineView,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, InferenceTraceEvent
from sessionstream.hub import turn
from sessionstream.hub.turn import RESUME_BATCH

from .support import App, Broken, Store, chunk, registry, said, soon

families = pytest.mark.parametrize("family", ["ui", "timeline"])


def app_on(**options: object) -> tuple[App, Store]:
    schemas = registry()
    store = Store(MemoryStore(schemas))
    return App(store, schemas=schemas, **options), store


async def hold(app: App, *chunks: str, family: str = "timeline") -> None:
    """Publish events of which the first holds the session."""
    app.broken[family].add(chunks[0])
    for each in chunks:
        with pytest.raises((ProjectionError, SessionHeld)):
            await app.publish(each)


@families
async def test_what_holds_a_session_is_recorded_once_however_often_it_is_tried(family: str) -> None:
    policies = ProjectionPolicies(ui="advance" if family == "timeline" else "fail")
    app, _ = app_on(policies=policies)
    app.broken["ui"].add("a")
    await hold(app, "a", *"bcdef", family=family)
    with pytest.raises(ProjectionError):
        await app.hub.retry_timeline("s")
    first = ["ui-projection"] if family == "ui" else ["ui-projection", "timeline-projection"]
    assert app.recorder.kinds() == first
    assert [record.ordinal for record in app.recorder.errors] == [1] * len(first)
    assert await app.store.error_records("s") == app.recorder.errors
    for _ in range(3):  # whoever comes later reads what is recorded
        later = App(app.store, schemas=app.hub.schemas, policies=policies)
        later.broken = app.broken
        with pytest.raises(ProjectionError):
            await later.hub.retry_timeline("s")
        assert await app.store.error_records("s") == app.recorder.errors
    app.broken[family].clear()
    app.broken["ui"].clear()
    app.broken[family].add("c")
    with pytest.raises(ProjectionError):
        await app.hub.retry_timeline("s")
    assert [record.ordinal for record in app.recorder.errors] == [*([1] * len(first)), 3]


async def test_another_failure_of_the_same_event_is_recorded() -> None:
    app, _ = app_on()
    await hold(app, "a")
    app.broken["timeline"].clear()
    app.broken["ui"].add("a")
    for _ in range(2):
        with pytest.raises(ProjectionError):
            await app.hub.retry_timeline("s")
    assert app.recorder.kinds() == ["timeline-projection", "ui-projection"]


@families
async def test_a_failure_stores_the_event_and_holds_the_session(family: str) -> None:
    app, _ = app_on()
    await app.publish("good")
    app.broken[family].add("bad")
    with pytest.raises(ProjectionError) as failed:
        await app.hub.publish(said("bad", event_id="id"))
    error = failed.value
    assert (error.event.ordinal, error.event.event_id, chunk(error.event)) == (2, "id", "bad")
    assert isinstance(error.__cause__, Broken)
    name = {"ui": "UI projection", "timeline": "timeline projection"}[family]
    assert error.projector.startswith(name)
    assert error.projector.endswith(f"support.App.project_{family}")
    assert await app.log() == ["good", "bad"]
    assert await app.texts() == {"1": "good"}
    assert (await app.hub.cursor("s"), await app.hub.event_cursor("s")) == (1, 2)
    assert app.recorder.ordinals() == [1]
    (record,) = await app.store.error_records("s")
    assert record == app.recorder.errors[0]
    assert (record.kind, record.ordinal, record.event_name) == (f"{family}-projection", 2, "Said")
    assert record.error == f"Broken: {family} bad"


@families
async def test_later_events_wait_in_order_until_it_is_mended(family: str) -> None:
    app, _ = app_on()
    await hold(app, "a", family=family)
    for position, each in enumerate("bc", 2):
        with pytest.raises(SessionHeld) as held:
            await app.publish(each)
        assert (held.value.failed_ordinal, held.value.event.ordinal) == (1, position)
        assert isinstance(held.value.__cause__, ProjectionError)
    assert await app.log() == ["a", "b", "c"]
    assert await app.texts() == {}
    app.broken[family].clear()
    assert await app.publish("d") == [4]
    assert await app.texts() == {"1": "abcd"}
    assert app.recorder.ordinals() == [1, 2, 3, 4]
    await app.usable()


@families
async def test_a_held_session_holds_no_other(family: str) -> None:
    app, _ = app_on()
    await hold(app, "a", family=family)
    await app.usable("another")


async def test_retry_resumes_in_order() -> None:
    app, store = app_on()
    await hold(app, "a", "b", "c")
    app.broken["timeline"].clear()
    report = await app.hub.retry_timeline("s")
    assert report == ReplayReport("s", events=3, cursor=3, epoch=(await store.cursors("s")).epoch)
    assert await app.texts() == {"1": "abc"}
    assert app.recorder.ordinals() == [1, 2, 3]
    retried = [record for record in app.recorder.records if record.mode == "retry" and record.cursor_moved]
    assert [(record.event.ordinal, record.view_ordinal) for record in retried] == [(1, 0), (2, 1), (3, 2)]
    for record in retried:
        assert (record.stored, record.committed, record.fanned_out) == (True, record.entities, record.ui_events)
    await app.usable()


async def test_retry_of_a_session_that_is_not_held() -> None:
    app, _ = app_on()
    assert (await app.hub.retry_timeline("s")).events == 0
    await app.publish("a")
    report = await app.hub.retry_timeline("s")
    assert (report.events, report.cursor) == (0, 1)


async def test_retry_applies_what_it_can() -> None:
    app, _ = app_on()
    await hold(app, "a", "b", "c", "d")
    app.broken["timeline"] = {"c"}
    with pytest.raises(ProjectionError) as failed:
        await app.hub.retry_timeline("s")
    assert failed.value.event.ordinal == 3
    assert await app.texts() == {"1": "ab"}
    assert app.recorder.ordinals() == [1, 2]
    with pytest.raises(SessionHeld) as held:
        await app.publish("e")
    assert (held.value.failed_ordinal, held.value.event.ordinal) == (3, 5)


async def test_the_record_of_a_held_event_that_fails_again_says_it_is_in_the_log() -> None:
    app, _ = app_on()
    await hold(app, "a")
    with pytest.raises(ProjectionError):
        await app.hub.retry_timeline("s")
    first, again = app.recorder.records
    assert (first.mode, first.stored, first.cursor_moved) == ("live", True, False)
    assert (again.mode, again.stored, again.cursor_moved) == ("retry", True, False)


async def test_a_hub_that_starts_with_a_held_session() -> None:
    app, store = app_on()
    await hold(app, "a", "b")
    again = App(store.inner, schemas=app.schemas)
    assert await again.publish("c") == [3]
    assert await again.texts() == {"1": "abc"}
    assert again.recorder.ordinals() == [1, 2, 3]


def enough_at(count: int) -> Callable[[int], None]:
    """Return a progress function that raises once so many events are applied."""

    def progress(events: int) -> None:
        if events >= count:
            raise Broken("enough")

    return progress


async def test_a_retry_says_how_many_events_it_has_applied() -> None:
    app, _ = app_on()
    await hold(app, "bad", "b", "c")
    applied: list[tuple[int, list[int]]] = []
    app.broken["timeline"].clear()
    await app.hub.retry_timeline("s", progress=lambda events: applied.append((events, app.recorder.ordinals())))
    assert applied == [(1, [1]), (2, [1, 2]), (3, [1, 2, 3])]


async def test_what_its_progress_raises_ends_a_retry_and_the_rest_stays_held() -> None:
    app, store = app_on()
    await hold(app, "bad", "b", "c")
    app.broken["timeline"].clear()
    with pytest.raises(Broken, match="enough"):
        await app.hub.retry_timeline("s", progress=enough_at(2))
    assert (await store.cursors("s")).timeline == 2
    assert (await app.hub.retry_timeline("s")).events == 1
    assert await app.texts() == {"1": "badbc"}
    assert app.recorder.ordinals() == [1, 2, 3]


@pytest.mark.parametrize("method", ["retry_timeline", "rebuild_timeline"])
async def test_progress_is_a_plain_function(method: str) -> None:
    async def told(events: int) -> None:
        raise AssertionError

    app, _ = app_on()
    await hold(app, "bad")
    for progress in (told, 3, lambda: None):
        with pytest.raises(TypeError, match="progress"):
            await getattr(app.hub, method)("s", progress=progress)
    app.broken["timeline"].clear()
    with pytest.raises(TypeError, match="progress returned a coroutine"):
        await getattr(app.hub, method)("s", progress=lambda events: told(events))


async def test_two_hubs_resume_one_session_once() -> None:
    app, store = app_on()
    await hold(app, "a", "b", "c")
    other = App(store.inner, schemas=app.schemas)
    app.broken["timeline"].clear()
    gate = store.stop_before("commit")
    task = asyncio.create_task(app.hub.retry_timeline("s"))
    await gate.reached()
    await other.hub.retry_timeline("s")
    gate.open()
    assert (await soon(task)).cursor == 3
    assert await app.texts() == {"1": "abc"}
    assert sorted([*app.recorder.ordinals(), *other.recorder.ordinals()]) == [1, 2, 3]


async def test_more_waiting_events_than_are_read_at_a_time() -> None:
    app, store = app_on()
    count = RESUME_BATCH * 2 + 5
    await hold(app, "a", *(["x"] * (count - 1)))
    app.broken["timeline"].clear()
    before = store.calls.count("events")
    task = asyncio.create_task(app.hub.retry_timeline("s"))
    assert (await soon(task)).events == count
    assert store.calls.count("events") - before == 3
    assert await app.texts() == {"1": "a" + "x" * (count - 1)}
    assert app.recorder.ordinals() == list(range(1, count + 1))


async def test_others_run_while_it_resumes_from_memory() -> None:
    app = App()
    await hold(app, "a", *(["x"] * (RESUME_BATCH * 3)))
    app.broken["timeline"].clear()
    task = asyncio.create_task(app.hub.retry_timeline("s"))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 3


@pytest.mark.parametrize("failing", ["ui", "timeline", "both"])
async def test_advance(failing: str) -> None:
    app, _ = app_on(policies=ProjectionPolicies(ui="advance", timeline="advance"))
    await app.publish("a")
    for family in ("ui", "timeline"):
        if failing in (family, "both"):
            app.broken[family].add("b")
    assert await app.publish("b", "c") == [2, 3]
    ui, timeline = failing != "timeline", failing != "ui"
    assert await app.texts() == {"1": "ac" if timeline else "abc"}
    assert app.recorder.ordinals() == ([1, 3] if ui else [1, 2, 3])
    assert app.recorder.kinds() == ["ui-projection"] * ui + ["timeline-projection"] * timeline
    assert (await app.hub.cursor("s"), await app.hub.event_cursor("s")) == (3, 3)
    record = app.recorder.records[1]
    assert (isinstance(record.ui_error, Broken), isinstance(record.timeline_error, Broken)) == (ui, timeline)
    assert record.cursor_moved
    assert (record.committed == ()) == timeline
    assert (record.fanned_out == ()) == ui


async def test_each_policy_is_its_own() -> None:
    app, _ = app_on(policies=ProjectionPolicies(ui="advance", timeline="fail"))
    app.broken["ui"].add("a")
    assert await app.publish("a") == [1]
    app.broken = {"ui": {"b"}, "timeline": {"b"}}
    with pytest.raises(ProjectionError, match="timeline b"):
        await app.publish("b")
    assert app.recorder.kinds() == ["ui-projection", "ui-projection", "timeline-projection"]
    app.broken = {"ui": {"b"}, "timeline": set()}
    report = await app.hub.retry_timeline("s")
    assert report.events == 1
    assert await app.texts() == {"1": "ab"}
    assert app.recorder.ordinals() == []


async def test_timeline_projections_are_not_asked_when_a_ui_projection_has_failed_for_good() -> None:
    app, _ = app_on()
    app.broken = {"ui": {"a"}, "timeline": {"a"}}
    with pytest.raises(ProjectionError, match="ui a"):
        await app.publish("a")
    assert app.recorder.kinds() == ["ui-projection"]
    assert app.recorder.records[0].timeline_error is None


async def test_nothing_of_a_failed_event_is_kept() -> None:
    app, _ = app_on()

    @app.hub.timeline_projection
    def fail_half_way(event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
        yield TimelineEntity("Text", "half", ChatMessageEntity(text="half"))
        if chunk(event) == "bad":
            raise Broken

    with pytest.raises(ProjectionError):
        await app.publish("bad")
    assert await app.texts() == {}


async def test_a_waiting_event_whose_message_vanished_holds_its_session() -> None:
    app, store = app_on()
    await hold(app, "a", "b")
    with pytest.raises(SessionHeld):
        await app.hub.publish(Event("Traced", InferenceTraceEvent(), "s"))
    later = SchemaRegistry()
    later.register_event("Said", type(said().payload))
    later.register_timeline_entity("Text", ChatMessageEntity)
    later.register_ui_event("Told", app.schemas.ui_event_schema("Told"))  # type: ignore[arg-type]
    assert isinstance(store.inner, MemoryStore)
    store.inner._registry = later
    store.inner._readable.clear()
    app.broken["timeline"].clear()
    with pytest.raises(SessionHeld) as held:
        await app.publish("c")
    assert (held.value.failed_ordinal, held.value.event.ordinal) == (3, 4)
    assert isinstance(held.value.__cause__, UnknownSchemaError)
    assert await app.texts() == {"1": "ab"}
    decode = [record for record in app.recorder.errors if record.kind == "decode"]
    assert [(record.ordinal, record.event_name) for record in decode] == [(3, "Traced")]
    assert "InferenceTraceEvent" in decode[0].error
    with pytest.raises(UnknownSchemaError):
        await app.hub.retry_timeline("s")
    later.register_event("Traced", InferenceTraceEvent)
    with pytest.raises(ProjectionError):
        await app.hub.retry_timeline("s")  # it is readable again; only these projections do not expect it
    assert await app.hub.cursor("s") == 2


async def test_a_store_that_lost_waiting_events_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "LONGEST_PAUSE", 0.0)
    app, store = app_on()
    await hold(app, "a")
    assert isinstance(store.inner, MemoryStore)
    lost = store.inner._by_id["s"]
    lost.log.clear()
    lost.times.clear()
    with pytest.raises(OrdinalConflict, match=r".") as raised:
        await soon(app.hub.retry_timeline("s"))
    assert "1000 attempts" in raised.value.__notes__[0]
    with pytest.raises(OrdinalConflict, match="found none"):
        await soon(app.publish("b"))
