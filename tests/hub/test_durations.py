"""How long an event took, as pipeline observers get it; without one, nothing is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import perf_counter

import pytest

from sessionstream import Event, MemoryStore, PipelineRecord, ProjectionError, Session, TimelineView, UIEvent
from sessionstream.hub import pipeline, projecting, replay, step, turn

from .support import App, Broken, Gate, Recorder, Store, registry, said, told

PROJECTION, COMMIT, FANOUT = 0.01, 0.02, 0.03


def spend(seconds: float) -> None:
    end = perf_counter() + seconds
    while perf_counter() < end:
        pass


class SlowRecorder(Recorder):
    """Takes its time for the fan-out."""

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        spend(FANOUT)
        super().publish_ui(session_id, ordinal, events)


class SlowApp(App):
    """Takes its time for projections, and can be stopped in one."""

    gate: Gate | None = None

    def __init__(self, store: Store) -> None:
        super().__init__(store, recorder=SlowRecorder())
        self.hub.register_ui_projection(self.project_slowly)

    async def project_slowly(self, event: Event, session: Session, view: TimelineView) -> Iterable[UIEvent]:
        spend(PROJECTION)
        if self.gate is not None:
            await self.gate.stop()
        return told(event, session, view)


async def commit_slowly() -> None:
    spend(COMMIT)


def slow_app() -> tuple[SlowApp, Store]:
    store = Store(MemoryStore(registry()))
    return SlowApp(store), store


def assert_adds_up(record: PipelineRecord) -> None:
    parts = record.projection_seconds, record.commit_seconds, record.fanout_seconds
    assert record.seconds >= sum(parts)


async def test_each_step_has_its_own_time() -> None:
    app, store = slow_app()
    store.first("commit", commit_slowly)
    began = perf_counter()
    await app.hub.publish(said())
    took = perf_counter() - began
    (record,) = app.recorder.records
    assert record.projection_seconds >= PROJECTION
    assert record.commit_seconds >= COMMIT
    assert record.fanout_seconds >= FANOUT
    assert_adds_up(record)
    assert record.seconds <= took


async def test_of_many_events_the_later_ones_waited_for_the_earlier() -> None:
    app, _ = slow_app()
    await app.hub.publish_many("s", [said(), said(), said()])
    times = [record.seconds for record in app.recorder.records]
    assert times == sorted(times)
    for record in app.recorder.records:
        assert_adds_up(record)
        assert record.projection_seconds >= PROJECTION
        assert record.fanout_seconds >= FANOUT
    assert times[2] >= 3 * (PROJECTION + FANOUT)


async def test_waiting_for_the_lane_counts() -> None:
    app, _ = slow_app()
    app.gate = Gate()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(app.hub.publish(said()))
        await app.gate.reached()
        began = perf_counter()
        tasks.create_task(app.hub.publish(said()))
        await asyncio.sleep(0)
        spend(COMMIT)
        app.gate.open()
    waited = perf_counter() - began
    assert COMMIT <= app.recorder.records[1].seconds <= waited


async def test_what_did_not_happen_took_no_time() -> None:
    app, store = slow_app()
    app.broken["timeline"] = {"bad"}
    store.fail("commit", Broken())
    with pytest.raises(Broken):
        await app.hub.publish(said())
    with pytest.raises(ProjectionError):
        await app.hub.publish(said("bad"))
    with pytest.raises(Exception, match="held"):
        await app.hub.publish(said())
    failed, bad, _, behind = app.recorder.records  # the third is an attempt to resume
    assert failed.commit_seconds > 0
    assert failed.fanout_seconds == bad.fanout_seconds == 0
    assert bad.projection_seconds >= PROJECTION
    assert behind.projection_seconds == behind.fanout_seconds == 0
    assert behind.commit_seconds > 0


async def test_retries_and_rebuilds() -> None:
    app, _ = slow_app()
    app.broken["timeline"] = {"bad"}
    with pytest.raises(ProjectionError):
        await app.hub.publish(said("bad"))
    app.broken["timeline"].clear()
    app.recorder.records.clear()
    await app.hub.retry_timeline("s")
    await app.hub.rebuild_timeline("s")
    retry, rebuild = app.recorder.records
    assert (retry.mode, rebuild.mode) == ("retry", "rebuild")
    assert retry.projection_seconds >= PROJECTION
    assert retry.fanout_seconds >= FANOUT
    assert rebuild.fanout_seconds == rebuild.commit_seconds == 0
    assert_adds_up(retry)
    assert 0 < rebuild.projection_seconds <= rebuild.seconds


@pytest.mark.parametrize("module", [pipeline, projecting, replay, step, turn])
async def test_without_an_observer_no_clock_is_read(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> float:
        raise AssertionError("a clock was read")

    monkeypatch.setattr(module, "perf_counter", read)
    app = App(pipeline_observer=None)
    app.broken["timeline"] = {"bad"}
    await app.hub.publish(said())
    await app.hub.publish_many("s", [said(), said()])
    with pytest.raises(ProjectionError):
        await app.hub.publish(said("bad"))
    app.broken["timeline"].clear()
    assert (await app.hub.retry_timeline("s")).events == 1
    await app.hub.rebuild_timeline("s")
