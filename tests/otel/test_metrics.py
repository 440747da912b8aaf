"""Metrics of hubs, as an exporter gets them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from importlib.metadata import version
from pathlib import Path

import asyncpg
import pytest

from sessionstream import (
    ErrorRecord,
    Hub,
    HydrationStore,
    MemoryStore,
    PipelineRecord,
    PostgresStore,
    ProjectionError,
    ProjectionPolicies,
    SessionHeld,
    Span,
    SQLiteStore,
    UIEvent,
)
from sessionstream.testing import StoreProxy
from tests.servers.postgres import Postgres

from ..hub.support import App, Broken, Recorder, Store, registry, said
from ..hydration.following import Process, until
from ..transport import notes
from .exported import Exported


async def test_events_and_their_durations() -> None:
    app = App()
    exported = Exported(app.hub)
    await app.publish("a", "b")
    await app.hub.publish_many("s", [said(), said()])
    metrics = exported.metrics()
    assert metrics["events{event=Said,mode=live,outcome=applied}"] == 4
    assert len(app.recorder.records) == 4, "the hub's own observer gets them too"
    for part in ("publish", "projection", "commit", "fanout"):
        count, seconds = metrics[f"{part}.duration{{event=Said,mode=live}}"]
        assert count == 4
        of = "seconds" if part == "publish" else f"{part}_seconds"
        assert seconds > 0
        if part != "publish":
            assert seconds == pytest.approx(sum(getattr(record, of) for record in app.recorder.records))
        assert exported.boundaries[f"{part}.duration"][0] <= 0.001, "buckets are for seconds, not for milliseconds"
    assert exported.versions == {version("sessionstream")}
    scope = exported.spans("publish")[0].instrumentation_scope
    assert scope is not None
    assert scope.version == version("sessionstream")


async def test_what_fails() -> None:
    store = Store(MemoryStore(registry()))
    app = App(store)
    exported = Exported(app.hub)
    app.broken["timeline"] = {"bad"}
    await app.publish("a")
    with pytest.raises(ProjectionError):
        await app.publish("bad")
    with pytest.raises(SessionHeld):
        await app.publish("behind it")
    metrics = exported.metrics()
    assert metrics["events{event=Said,mode=live,outcome=not_applied}"] == 2
    assert metrics["errors{kind=timeline-projection}"] == 1
    assert metrics["sessions.held"] == 1
    assert metrics["publish.duration{event=Said,mode=live}"][0] == 1
    for raised in ("ProjectionError", "SessionHeld"):
        assert metrics[f"publish.duration{{error.type=sessionstream.errors.{raised},event=Said,mode=live}}"][0] == 1
    assert metrics["fanout.duration{event=Said,mode=live}"][0] == 1

    app.broken["timeline"].clear()
    await app.hub.retry_timeline("s")
    metrics = exported.metrics()
    assert metrics["events{event=Said,mode=retry,outcome=applied}"] == 2
    assert metrics["fanout.duration{event=Said,mode=retry}"][0] == 2
    assert metrics["sessions.held"] == 0

    await app.hub.rebuild_timeline("s")
    assert exported.metrics()["events{event=Said,mode=rebuild,outcome=applied}"] == 3

    for error in (Broken("one"), Broken("another"), OSError()):
        store.fail("commit", error)
        with pytest.raises(type(error)):
            await app.publish("c")
    metrics = exported.metrics()
    assert metrics["publish.duration{error.type=tests.hub.support.Broken,event=Said,mode=live}"][0] == 2
    assert metrics["publish.duration{error.type=OSError,event=Said,mode=live}"][0] == 1
    assert metrics["events{event=Said,mode=live,outcome=not_stored}"] == 3
    assert metrics["errors{kind=store}"] == 3


async def test_a_publish_whose_fan_out_or_ui_projection_fails_has_not_failed() -> None:
    class Refusing(Recorder):
        def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
            raise Broken

    app = App(policies=ProjectionPolicies(ui="advance"), recorder=Refusing())
    exported = Exported(app.hub)
    app.broken["ui"] = {"a"}
    await app.publish("a", "b")
    metrics = exported.metrics()
    assert metrics["errors{kind=ui-projection}"] == metrics["errors{kind=fanout}"] == 1
    assert [name for name in metrics if name.startswith("publish.")] == ["publish.duration{event=Said,mode=live}"]


async def test_the_cache() -> None:
    app = App(cache_entities=4)
    exported = Exported(app.hub)
    await app.publish("a", session_id="one")
    await app.publish("a", session_id="two")
    metrics = exported.metrics()
    assert (metrics["cache.sessions"], metrics["cache.entities"], metrics["cache.evictions"]) == (2, 2, 0)
    await app.publish("a", session_id="three")
    metrics = exported.metrics()
    assert (metrics["cache.sessions"], metrics["cache.entities"], metrics["cache.evictions"]) == (2, 2, 1)
    assert app.hub.statistics().evictions == 1
    adds_up = ("cache.sessions", "cache.entities", "sessions.held", "store.pending")
    assert {exported.kinds[each] for each in adds_up} == {"UpDownCounter"}
    assert exported.kinds["cache.evictions"] == "Counter"


async def test_a_session_that_another_process_holds_is_counted_once_it_is_read(tmp_path: Path) -> None:
    async with (
        SQLiteStore.open(tmp_path / "x.db", registry()) as one,
        SQLiteStore.open(tmp_path / "x.db", registry()) as two,
    ):
        there, here = App(one), App(two)
        there.broken["timeline"] = here.broken["timeline"] = {"bad"}
        await here.publish("a")
        with pytest.raises(ProjectionError):
            await there.publish("bad")
        assert here.hub.statistics().held == 0
        with pytest.raises(SessionHeld):
            await here.publish("b")
        assert here.hub.statistics().held == 1


@pytest.fixture(params=["sqlite", "postgres"])
async def durable(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres, postgres_schema: str
) -> AsyncIterator[HydrationStore]:
    if request.param == "sqlite":
        async with SQLiteStore.open(tmp_path / "x.db", registry()) as opened:
            yield opened
    else:
        async with PostgresStore.connect(postgres.dsn, registry(), schema=postgres_schema) as connected:
            yield connected


async def test_changes_that_wait_for_the_store(
    durable: HydrationStore, tmp_path: Path, postgres: Postgres, postgres_schema: str
) -> None:
    app = App(StoreProxy(durable))
    exported = Exported(app.hub)
    await app.publish("a")
    assert exported.metrics()["store.pending"] == 0

    async def wait_behind_a_lock() -> None:
        publishing = asyncio.create_task(app.publish("b"))
        await until(lambda: app.hub.statistics().pending == 1)
        assert exported.metrics()["store.pending"] == 1
        tasks.append(publishing)

    tasks: list[asyncio.Task[list[int]]] = []
    if isinstance(durable, SQLiteStore):
        with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            await wait_behind_a_lock()
            db.execute("ROLLBACK")
    else:
        connection = await asyncpg.connect(postgres.dsn)
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {postgres_schema}.sessions IN ACCESS EXCLUSIVE MODE")
            await wait_behind_a_lock()
        await connection.close()
    await tasks[0]
    assert exported.metrics()["store.pending"] == 0


async def test_how_far_a_hub_has_followed_other_processes(tmp_path: Path) -> None:
    alone = Exported(App().hub).metrics()
    assert not [name for name in alone if name.startswith("follower.")], "a memory store has no feed"
    async with (
        SQLiteStore.open(tmp_path / "x.db", notes.registry()) as one,
        SQLiteStore.open(tmp_path / "x.db", notes.registry()) as two,
        notes.application(one) as hub_here,
        notes.application(two) as hub_there,
    ):
        here, there = Process(one, hub_here), Process(two, hub_there)
        exported = Exported(here.hub)
        await here.watch()
        await there.tell("a")
        await until(lambda: here.fanout.told)
        metrics = exported.metrics()
        assert metrics["follower.behind"] in (0, 1)
        assert metrics["follower.lag"] < 30
        assert exported.kinds["follower.behind"] == "UpDownCounter"
        assert exported.kinds["follower.lag"] == "Gauge"
        assert metrics["follower.hints"] > 0
        assert metrics["follower.moves"] + metrics["follower.gaps"] == 1


class Faulty:
    """An instrumentation that raises."""

    def pipeline(self, record: PipelineRecord) -> None:
        raise Broken("pipeline")

    def error(self, record: ErrorRecord) -> None:
        raise Broken("error")

    def span(self, span: Span) -> AbstractContextManager[Mapping[str, str]]:
        return nullcontext({})


async def test_an_instrumentation_that_raises_is_logged_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.hub.instrument(Faulty())
    app.broken["timeline"] = {"bad"}
    with caplog.at_level(logging.ERROR, "sessionstream"):
        await app.publish("a")
        with pytest.raises(ProjectionError):
            await app.publish("bad")
    assert len(app.recorder.records) == 2
    assert app.recorder.kinds() == ["timeline-projection"]
    raised = [str(entry.exc_info[1]) for entry in caplog.records if entry.exc_info and entry.exc_info[1]]
    assert sorted(raised) == ["error", "pipeline", "pipeline", "timeline bad"]


async def test_a_hub_is_instrumented_once() -> None:
    hub = Hub(registry())
    Exported(hub)
    with pytest.raises(RuntimeError, match="instrumented already: call instrument once for each hub"):
        Exported(hub)


def test_importing_the_library_imports_no_telemetry() -> None:
    code = "import sys, sessionstream; print(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
