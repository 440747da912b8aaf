"""Rebuilding a timeline from the first event on, during live traffic, and replacing it atomically."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import (
    Event,
    HistoryPruned,
    Hub,
    MemoryStore,
    OrdinalConflict,
    ProjectionError,
    ProjectionPolicies,
    ReplayReport,
    SchemaRegistry,
    Session,
    StoreError,
    TimelineEntity,
    TimelineView,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity
from sessionstream.hub import turn
from sessionstream.hub.replay import REBUILD_BATCH

from .support import App, Broken, Gate, Store, chunk, registry, said, settle, soon, text, texts


def app_on(**options: object) -> tuple[App, Store]:
    schemas = registry()
    store = Store(MemoryStore(schemas))
    return App(store, schemas=schemas, **options), store


def shouting(app: App) -> Hub:
    """Another version of the same application on the same store: what it writes is in capitals, under version 2."""
    hub = Hub(app.schemas, store=app.store.inner if isinstance(app.store, Store) else app.store)

    @hub.timeline_projection
    def write(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        before = view.get("Text", "loud")
        old = "" if before is None else text(before)
        return [TimelineEntity("Text", "loud", ChatMessageEntity(text=old + chunk(event).upper()))]

    return hub


async def test_it_projects_everything_anew_and_fans_nothing_out() -> None:
    app, store = app_on()
    await app.publish("a", "b")
    await app.hub.publish(said("", status="delete"))
    await app.publish("c")
    before = await store.cursors("s")
    told = list(app.recorder.sent)
    report = await app.hub.rebuild_timeline("s")
    after = await store.cursors("s")
    assert report == ReplayReport("s", events=4, cursor=4, epoch=after.epoch)
    assert (after.event, after.timeline, after.floor) == (before.event, before.timeline, 0)
    assert after.epoch != before.epoch
    assert app.recorder.sent == told
    assert await app.texts() == {"1": "c"}
    (entity,) = (await app.hub.snapshot("s")).entities
    assert (entity.created_ordinal, entity.last_event_ordinal) == (4, 4)
    assert [texts(await app.hub.snapshot("s", as_of=n)) for n in range(5)] == [
        {},
        {"1": "a"},
        {"1": "ab"},
        {},
        {"1": "c"},
    ]
    await app.usable()


async def test_observers_see_its_mode() -> None:
    app, _ = app_on()
    await app.publish("a", "b")
    await app.hub.rebuild_timeline("s")
    records = app.recorder.records[2:]
    assert [(record.mode, record.event.ordinal, record.view_ordinal) for record in records] == [
        ("rebuild", 1, 0),
        ("rebuild", 2, 1),
    ]
    for record in records:
        assert record.stored
        assert record.cursor_moved
        assert record.committed == record.entities
        assert (record.ui_events, record.fanned_out, record.error) == ((), (), None)
    assert text(records[1].entities[0]) == "ab"


async def test_a_session_nobody_has_used() -> None:
    app, _ = app_on()
    report = await app.hub.rebuild_timeline("s")
    assert (report.events, report.cursor) == (0, 0)
    assert await app.texts() == {}
    await app.usable()


async def test_a_new_version_of_a_projection() -> None:
    app, _ = app_on()
    await app.publish("a", "b")
    await shouting(app).rebuild_timeline("s")
    assert await app.texts() == {"loud": "AB"}


async def test_another_hub_s_cache_learns_of_the_new_epoch_when_it_publishes() -> None:
    app, store = app_on()
    await app.publish("a", "b")  # cached
    await shouting(app).rebuild_timeline("s")
    await app.publish("c")
    assert await app.texts() == {"1": "c", "loud": "AB"}
    assert store.calls.count("timeline") == 2


async def test_and_when_it_is_asked_for_a_snapshot() -> None:
    app, _ = app_on()
    await app.publish("a", "b")
    await shouting(app).rebuild_timeline("s")
    assert texts(await app.hub.snapshot("s")) == {"loud": "AB"}


async def test_publishing_goes_on_meanwhile() -> None:
    app, store = app_on()
    await app.publish("a", "b")
    gate = store.stop_after("events")
    task = asyncio.create_task(app.hub.rebuild_timeline("s"))
    await gate.reached()
    assert await soon(app.publish("c", "d")) == [3, 4]
    assert await app.texts() == {"1": "abcd"}
    gate.open()
    report = await soon(task)
    assert (report.events, report.cursor) == (4, 4)
    assert await app.texts() == {"1": "abcd"}
    assert app.recorder.ordinals() == [1, 2, 3, 4]
    await app.usable()


async def test_readers_see_old_or_new_while_it_is_swapped_in() -> None:
    app, store = app_on()
    await app.publish("a", "b")
    old = await app.hub.snapshot("s")
    gate = store.stop_before("replace_timeline")
    task = asyncio.create_task(app.hub.rebuild_timeline("s"))
    await gate.reached()
    waiting = asyncio.create_task(app.hub.publish(said("c")))
    await settle()
    seen = await app.hub.snapshot("s")
    assert (seen, seen.epoch) == (old, old.epoch)
    gate.open()
    report = await soon(task)
    await soon(waiting)
    assert await app.texts() == {"1": "abc"}
    assert (await app.hub.snapshot("s")).epoch == report.epoch


@pytest.mark.parametrize("method", ["cursors", "events", "replace_timeline"])
async def test_traffic_of_another_hub(method: str) -> None:
    app, store = app_on()
    other = App(store.inner, schemas=app.schemas)
    await app.publish("a", "b")
    for number in range(5):
        store.first(method, lambda number=number: other.publish(str(number)))  # type: ignore[misc]
    report = await soon(app.hub.rebuild_timeline("s"))
    store.calm()
    log = await app.log()
    assert len(log) >= 4
    assert report.events == report.cursor == len(log)
    assert await app.texts() == {"1": "".join(log)}
    await app.usable()
    await other.usable()


async def test_traffic_that_does_not_end_while_the_bulk_is_built() -> None:
    """Something is published whenever the rebuild looks where the session stands, and whenever it reads events."""
    app, store = app_on()
    await app.publish("a")

    async def publish() -> None:
        if not app.hub._sessions.pin("s").lane._taken:
            await app.publish("x")

    for method in ("cursors", "events"):
        for _ in range(1000):
            store.first(method, publish)
    report = await soon(app.hub.rebuild_timeline("s"))
    store.calm()
    assert report.cursor == len(await app.log())
    assert len(await app.log()) < 100
    await app.usable()


async def test_two_rebuilds_at_once() -> None:
    app, store = app_on()
    await app.publish("a", "b")
    gate = store.stop_after("events")
    slow = asyncio.create_task(app.hub.rebuild_timeline("s"))
    await gate.reached()
    await shouting(app).rebuild_timeline("s")
    gate.open()
    report = await soon(slow)
    assert report.events == 2
    assert await app.texts() == {"1": "ab"}
    assert (await store.cursors("s")).epoch == report.epoch
    await app.usable()


async def test_a_rebuild_that_always_loses_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "FIRST_PAUSE", 0.0)
    app, store = app_on()
    await app.publish("a")
    store.fail("replace_timeline", OrdinalConflict("s", expected=1, actual=2), times=1000)
    with pytest.raises(OrdinalConflict, match=r".") as raised:
        await soon(app.hub.rebuild_timeline("s"))
    assert "1000 attempts" in raised.value.__notes__[0]
    await app.usable()


async def test_a_failure_leaves_the_old_timeline() -> None:
    app, store = app_on()
    await app.publish("a", "b")
    before = await store.cursors("s")
    app.broken["timeline"].add("b")
    with pytest.raises(ProjectionError) as failed:
        await app.hub.rebuild_timeline("s")
    error = failed.value
    assert (error.event.ordinal, chunk(error.event)) == (2, "b")
    assert error.projector.endswith("App.project_timeline")
    assert isinstance(error.__cause__, Broken)
    assert await store.cursors("s") == before
    assert await app.texts() == {"1": "ab"}
    assert app.recorder.kinds() == ["timeline-projection"]
    last = app.recorder.records[-1]
    assert (last.mode, last.cursor_moved, last.committed, last.stored) == ("rebuild", False, (), True)
    assert isinstance(last.timeline_error, Broken)
    await app.usable()


async def test_under_advance_it_goes_on_without_the_event_s_entities() -> None:
    app, _ = app_on(policies=ProjectionPolicies(timeline="advance"))
    await app.publish("a", "b", "c")
    app.broken["timeline"].add("b")
    report = await app.hub.rebuild_timeline("s")
    assert report.events == 3
    assert await app.texts() == {"1": "ac"}
    assert app.recorder.kinds() == ["timeline-projection"]


async def test_ui_projections_do_not_run() -> None:
    app, _ = app_on()
    await app.publish("a")
    app.broken["ui"].add("a")
    await app.hub.rebuild_timeline("s")
    assert await app.texts() == {"1": "a"}


async def test_it_releases_a_held_session() -> None:
    app, _ = app_on()
    app.broken["ui"].add("a")
    for each in "ab":
        with pytest.raises(Exception, match=r"failed|held"):
            await app.publish(each)
    report = await app.hub.rebuild_timeline("s")
    assert (report.events, report.cursor) == (2, 2)
    assert await app.texts() == {"1": "ab"}
    assert app.recorder.ordinals() == []
    await app.usable()


async def test_a_store_that_fails() -> None:
    app, store = app_on()
    await app.publish("a")
    before = await store.cursors("s")
    for method in ("cursors", "events", "replace_timeline"):
        store.fail(method, StoreError("the disk is full"))
        with pytest.raises(StoreError, match="full"):
            await app.hub.rebuild_timeline("s")
        assert await store.inner.cursors("s") == before
    await app.usable()


async def test_pruned_history() -> None:
    app, _ = app_on()
    await app.publish("a", "b", "c")
    await app.store.prune("s", before=2)
    with pytest.raises(HistoryPruned) as caught:
        await app.hub.rebuild_timeline("s")
    assert (caught.value.session_id, caught.value.ordinal, caught.value.floor) == ("s", 0, 2)
    assert await app.texts() == {"1": "abc"}
    await app.usable()


async def test_a_deleted_session() -> None:
    app, store = app_on()
    await app.publish("a", "b")
    await store.delete_session("s")
    report = await soon(app.hub.rebuild_timeline("s"))
    assert (report.events, report.cursor) == (0, 2)
    assert await app.publish("c") == [3]
    assert await app.texts() == {"1": "c"}
    assert (await app.hub.rebuild_timeline("s")).events == 1
    assert await app.texts() == {"1": "c"}


@pytest.mark.parametrize("method", ["cursors", "events", "replace_timeline"])
async def test_a_session_deleted_meanwhile(method: str) -> None:
    app, store = app_on()
    await app.publish("a", "b")
    store.first(method, lambda: store.inner.delete_session("s"))
    report = await soon(app.hub.rebuild_timeline("s"))
    assert (report.events, report.cursor) == (0, 2)
    assert await app.texts() == {}
    assert await app.publish("c") == [3]


async def test_an_event_whose_message_vanished() -> None:
    app, store = app_on()
    await app.publish("a")
    schemas = SchemaRegistry()
    schemas.register_event("Said", ChatMessageEntity)
    store.inner._registry = schemas  # type: ignore[attr-defined]
    store.inner._readable.clear()  # type: ignore[attr-defined]
    before = await store.cursors("s")
    with pytest.raises(UnknownSchemaError, match="TokensDeltaEvent"):
        await app.hub.rebuild_timeline("s")
    assert await store.cursors("s") == before


async def test_more_events_than_one_batch() -> None:
    app, store = app_on(fanout=None, pipeline_observer=None)
    count = REBUILD_BATCH + 10
    await app.publish(*(["x"] * count))
    applied: list[int] = []
    report = await app.hub.rebuild_timeline("s", progress=applied.append)
    assert report.events == count
    assert await app.texts() == {"1": "x" * count}
    assert store.calls.count("events") == 2
    assert applied == [REBUILD_BATCH, count]


async def test_what_its_progress_raises_leaves_the_old_timeline() -> None:
    def enough(events: int) -> None:
        raise Broken(f"{events} are enough")

    app, store = app_on()
    await app.publish("a", "b")
    before = await store.cursors("s")
    with pytest.raises(Broken, match="2 are enough"):
        await app.hub.rebuild_timeline("s", progress=enough)
    assert await store.cursors("s") == before
    await app.usable()


async def test_others_run_while_it_reads_from_memory() -> None:
    """A store in memory never waits for anything, so it is the rebuild that has to let others run."""
    app = App(fanout=None, pipeline_observer=None)
    await app.publish(*(["x"] * (REBUILD_BATCH * 2)))
    gate = Gate()
    bystander = asyncio.create_task(gate.stop())
    task = asyncio.create_task(app.hub.rebuild_timeline("s"))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 2
    gate.open()
    await bystander
