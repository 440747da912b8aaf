"""Errors in the application's code are logged once, with traceback, and their records have the place of the error."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionstream import (
    ErrorRecord,
    Event,
    MemoryBus,
    MemoryStore,
    ProjectionError,
    ProjectionPolicies,
    Session,
    SessionHeld,
    SQLiteStore,
    StoreError,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.logs import LINES
from tests.hub.support import App, Broken, Store, registry, said, say, until

HERE = "tests/hub/test_failures_told.py"


@pytest.fixture
def log() -> Iterator[list[logging.LogRecord]]:
    """What the library logs from WARNING on."""
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler, logger = Kept(logging.WARNING), logging.getLogger("sessionstream")
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def failing(*_: Any) -> Any:
    raise Broken("here")


async def failing_later(*_: Any) -> Any:
    await asyncio.sleep(0)
    raise Broken("here")


def failing_in_the_middle(*_: Any) -> Any:
    yield from ()
    raise Broken("here")


async def failing_in_a_group(*_: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(failing_later())


class Projector:
    def project(self, event: Event, session: Session, view: TimelineView) -> Any:
        return failing()


def line_of(function: Callable[..., Any]) -> int:
    code = function.__code__
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(n for n in range(code.co_firstlineno, len(source)) if "raise Broken" in source[n - 1])


KINDS = [
    (failing, f"{HERE}:{line_of(failing)} in failing"),
    (failing_later, f"{HERE}:{line_of(failing_later)} in failing_later"),
    (failing_in_the_middle, f"{HERE}:{line_of(failing_in_the_middle)} in failing_in_the_middle"),
    (failing_in_a_group, f"{HERE}:{line_of(failing_later)} in failing_later"),
    (Projector(), f"{HERE}:{line_of(failing)} in failing"),
]


def check(log: list[logging.LogRecord], record: ErrorRecord, where: str) -> None:
    """The one entry of the log, and the record, say where, what and of which event."""
    (entry,) = log
    assert (entry.name, entry.levelno) == ("sessionstream", logging.ERROR)
    assert entry.exc_info is not None
    assert entry.__dict__["error_record"] == record
    told = entry.getMessage()
    assert f"session {record.session_id!r}, event {record.event_name!r}, ordinal {record.ordinal}" in told
    assert where in told
    assert record.error in told
    assert record.where == where
    assert record.traceback.startswith(("Traceback (most recent call last):", "  + Exception Group Traceback"))
    assert "Broken: here" in record.traceback


@pytest.mark.parametrize("observed", [True, False], ids=["with an error observer", "without"])
@pytest.mark.parametrize("policy", ["fail", "advance"])
@pytest.mark.parametrize("family", ["ui", "timeline"])
@pytest.mark.parametrize(("projection", "where"), KINDS, ids=lambda each: getattr(each, "__name__", "object"))
async def test_a_projection_that_fails_says_where(
    projection: Any, where: str, family: str, policy: Any, observed: bool, log: list[logging.LogRecord]
) -> None:
    policies = ProjectionPolicies(ui=policy, timeline=policy)
    app = App(policies=policies) if observed else App(policies=policies, error_observer=None)
    register = app.hub.register_ui_projection if family == "ui" else app.hub.register_timeline_projection
    register(projection)
    if policy == "advance":
        await app.publish("a")
    else:
        with pytest.raises(ProjectionError, match=re.escape(f"failed at {where} on event 'Said'")) as caught:
            await app.publish("a")
        assert caught.value.where == where
    (record,) = await app.store.error_records()
    assert (record.kind, record.ordinal, record.event_name) == (f"{family}-projection", 1, "Said")
    check(log, record, where)


def exhausted(*_: Any) -> Any:
    return [next(iter(()))]


async def exhausted_later(*_: Any) -> Any:
    await asyncio.sleep(0)
    return [next(iter(()))]


async def cancelled(*_: Any) -> Any:
    raise asyncio.CancelledError


@pytest.mark.parametrize("projection", [exhausted, exhausted_later, cancelled], ids=lambda each: each.__name__)
async def test_a_projection_whose_exception_becomes_another_says_where(
    projection: Any, log: list[logging.LogRecord]
) -> None:
    """Python makes a RuntimeError of a StopIteration that leaves a coroutine, and the hub one of a cancellation."""
    app = App()
    app.hub.register_timeline_projection(projection)
    with pytest.raises(ProjectionError) as caught:
        await app.publish("a")
    (record,) = app.recorder.errors
    assert re.fullmatch(rf"{HERE}:\d+ in {projection.__name__}", record.where), record.where
    assert caught.value.where == record.where
    assert record.where in log[0].getMessage()


@pytest.mark.parametrize("answer", [5, [UIEvent("Nothing", None)], ["x"]], ids=repr)  # type: ignore[arg-type]
async def test_a_projection_that_returns_what_cannot_be_used_is_named(
    answer: Any, log: list[logging.LogRecord]
) -> None:
    app = App()

    def project(event: Event, session: Session, view: TimelineView) -> Any:
        return answer

    app.hub.register_ui_projection(project)
    with pytest.raises(ProjectionError) as caught:
        await app.publish("a")
    name = f"UI projection {__name__}.{project.__qualname__}"
    (record,) = app.recorder.errors
    assert [record.where, caught.value.where, caught.value.projector] == [name] * 3
    assert str(caught.value).count(name) == 1
    assert name in log[0].getMessage()


@pytest.mark.parametrize("method", ["publish_ui", "resync"])
async def test_a_fan_out_that_fails_says_where(method: str, log: list[logging.LogRecord]) -> None:
    app = App()

    class Fanout:
        publish_ui = staticmethod(failing if method == "publish_ui" else lambda *_: None)
        resync = staticmethod(failing if method == "resync" else lambda *_: None)

    app.hub.set_fanout(Fanout())
    await app.publish("a")
    if method == "resync":
        await app.hub.rebuild_timeline("s")
    (record,) = await app.store.error_records()
    assert (record.kind, record.ordinal) == ("fanout", 1)
    check(log, record, f"{HERE}:{line_of(failing)} in failing")


async def test_a_rebuild_that_fails_says_where(log: list[logging.LogRecord]) -> None:
    app = App()
    await app.publish("a")
    app.hub.register_timeline_projection(failing)
    with pytest.raises(ProjectionError, match=f"at {HERE}:{line_of(failing)} in failing") as raised:
        await app.hub.rebuild_timeline("s")
    assert "holds its session" not in str(raised.value)
    assert "retry_timeline" not in str(raised.value)
    assert str(raised.value).endswith("The timeline is as before; fix the projection and rebuild again")
    assert not (await app.store.cursors("s")).held
    (record,) = await app.store.error_records()
    check(log, record, f"{HERE}:{line_of(failing)} in failing")


@pytest.mark.parametrize("durable", [True, False])
async def test_a_held_session_says_it_once_however_often_it_is_tried(
    durable: bool, tmp_path: Path, log: list[logging.LogRecord]
) -> None:
    for start in range(2):  # the second one is the process after a restart
        store = await SQLiteStore.open(tmp_path / "app.db", registry()) if durable else MemoryStore(registry())
        app = App(store)
        app.hub.register_timeline_projection(failing)
        for _ in range(3):
            with pytest.raises(SessionHeld if app.recorder.errors or (durable and start) else ProjectionError):
                await app.publish("a")
            with pytest.raises(ProjectionError):
                await app.hub.retry_timeline("s")
        (record,) = await store.error_records()
        check(log, record, f"{HERE}:{line_of(failing)} in failing")
        await app.hub.shutdown()
        await store.close()
        if not durable:
            break


async def test_the_same_words_from_another_place_are_told(log: list[logging.LogRecord]) -> None:
    app = App()
    place: list[object] = [failing]

    def project(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        if place[0] is failing:
            failing()
        raise Broken("here")

    app.hub.register_timeline_projection(project)
    with pytest.raises(ProjectionError):
        await app.publish("a")
    place.clear()
    place.append(say)
    for _ in range(3):
        with pytest.raises(ProjectionError):
            await app.hub.retry_timeline("s")
    assert [record.where.rpartition(" ")[2] for record in app.recorder.errors] == ["failing", "project"]
    assert len(log) == 2


@pytest.mark.parametrize("which", ["pipeline_observer", "error_observer"])
async def test_an_observer_that_fails_is_logged_with_its_traceback(which: str, log: list[logging.LogRecord]) -> None:
    observer: dict[str, Any] = {which: failing}
    app = App(**observer)
    if which == "error_observer":
        app.hub.set_fanout(failing)
    await app.publish("a")
    entry = log[-1]
    assert "observer failed on" in entry.getMessage()
    assert entry.exc_info is not None
    assert isinstance(entry.exc_info[1], Broken)
    if which == "pipeline_observer":
        assert "event 'Said' (session 's', ordinal 1)" in entry.getMessage()
    assert len(log) == (1 if which == "pipeline_observer" else 2)


async def test_what_is_raised_to_the_caller_is_the_caller_s_to_log(log: list[logging.LogRecord]) -> None:
    app = App(session_metadata=failing)
    for call in (lambda: app.publish("a"), lambda: app.hub.session("s")):
        with pytest.raises(Broken):
            await call()
    other = App()
    other.hub.register_command("Say", failing)
    with pytest.raises(Broken):
        await other.hub.submit("s", "Say", say())
    assert log == []
    assert await app.store.error_records() == []


async def test_behind_a_bus_metadata_that_fails_says_where_once(log: list[logging.LogRecord]) -> None:
    ready = asyncio.Event()

    async def metadata(session_id: str) -> None:
        if not ready.is_set():
            failing()

    app = App(bus=MemoryBus(), session_metadata=metadata)
    async with app.hub:
        await app.hub.publish(said("a"))
        await until(lambda: len(app.recorder.errors) == 1)
        ready.set()
        await until(lambda: len(app.recorder.records) == 1)
    (record,) = app.recorder.errors
    check(log, record, f"{HERE}:{line_of(failing)} in failing")


async def test_a_consumer_that_cannot_go_on_says_so(log: list[logging.LogRecord]) -> None:
    app_bus = MemoryBus()
    app = App(bus=app_bus)
    await app.hub.run()
    await app_bus.close()
    await until(lambda: app.hub.consumer is not None and app.hub.consumer.state == "failed")
    await app.hub.shutdown()
    (entry,) = log
    assert entry.levelno == logging.ERROR
    assert "the consumer of the bus failed: the memory bus was closed" in entry.getMessage()


async def test_an_error_that_cannot_be_recorded_is_logged_all_the_same(log: list[logging.LogRecord]) -> None:
    store = Store(MemoryStore(registry()))
    app = App(store)
    app.hub.set_fanout(failing)
    store.fail("record_error", Broken("full"))
    await app.publish("a")
    assert [entry.getMessage().split(" error in ")[0] for entry in log] == ["store", "fanout"]
    assert [record.metadata for record in app.recorder.errors] == [{"originalKind": "fanout"}, {}]


@pytest.mark.parametrize("ends", ["the store works again", "the hub ends"])
async def test_a_store_that_does_not_work_does_not_flood_the_log(log: list[logging.LogRecord], ends: str) -> None:
    """A full disk fails every publish, and the log may be on it."""
    store = Store(MemoryStore(registry()))
    app = App(store)
    for method in ("commit", "record_error"):
        store.fail(method, StoreError("the disk is full"), times=LINES + 7)
    for _ in range(LINES + 7):
        with pytest.raises(StoreError, match="full"):
            await app.publish("a")
    errors = [entry for entry in log if entry.levelno == logging.ERROR]
    assert [(type(entry.error_record), bool(entry.exc_info)) for entry in errors] == [(ErrorRecord, True)] * LINES  # type: ignore[attr-defined]
    assert len(app.recorder.errors) == LINES + 7
    if ends == "the store works again":
        await app.publish("a")
    await app.hub.shutdown()
    assert [entry.getMessage() for entry in log[LINES:]] == ["errors of the store: 7 more"]
    assert await store.error_records() == app.recorder.errors


async def test_a_store_that_fails_now_and_then_is_bounded_too(log: list[logging.LogRecord]) -> None:
    store = Store(MemoryStore(registry()))
    app = App(store)
    for _ in range(2 * LINES):
        for method in ("commit", "record_error"):
            store.fail(method, StoreError("the disk is full"))
        with pytest.raises(StoreError, match="full"):
            await app.publish("a")
        await app.publish("a")
    assert [entry.levelno for entry in log] == [logging.ERROR] * LINES + [logging.WARNING] * LINES
    assert {entry.getMessage() for entry in log[LINES:]} == {"errors of the store: 1 more"}


async def test_other_errors_are_all_logged(log: list[logging.LogRecord]) -> None:
    app = App(policies=ProjectionPolicies(timeline="advance"))
    app.broken["timeline"] = {"bad"}
    for _ in range(LINES + 7):
        await app.publish("bad")
    assert len(log) == LINES + 7
