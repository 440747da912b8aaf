"""Another process holds the lock, or reads for long: nobody waits twice, nothing is lost, the log shrinks again."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionstream import Event, Hub, SQLiteStore, StoreError
from sessionstream.hydration.sqlite import writer
from sessionstream.hydration.sqlite.failures import is_busy
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.testing import RecordingObserver, SessionWriter, put, sample_registry

from .hasty import BUSY, HastyDatabase

REGISTRY = sample_registry()


class Waits:
    """Notes how long SQLite waited for the lock, in vain, at each BEGIN of the writer."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.began = threading.Event()
        self.may_wait = threading.Event()
        self.may_wait.set()

    def connections(self) -> type[sqlite3.Connection]:
        waits = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if sql != "BEGIN IMMEDIATE":
                    return super().execute(sql, *parameters)
                patience = super().execute("PRAGMA busy_timeout").fetchone()[0] / 1000
                waits.began.set()
                waits.may_wait.wait(30)
                try:
                    return super().execute(sql, *parameters)
                except sqlite3.OperationalError as error:
                    assert is_busy(error)
                    waits.seconds.append(patience)
                    raise

        return Connection


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


def delta(session_id: str = "session") -> Event:
    event = SessionWriter(None, session_id).new_event()  # type: ignore[arg-type]  # it is not written to
    return Event(event.name, event.payload, session_id)


async def test_a_publish_waits_once_for_a_lock_and_its_error_is_recorded_later(tmp_path: Path) -> None:
    path, waits, observer = tmp_path / "x.db", Waits(), RecordingObserver()
    database = HastyDatabase(str(path), factory=waits.connections())
    async with Opening(database, REGISTRY) as store, Hub(REGISTRY, store=store, error_observer=observer.error) as hub:
        await hub.publish(delta())
        with locked(path):
            for number in range(1, 4):
                with pytest.raises(StoreError, match="another process"):
                    await hub.publish(delta())
                assert waits.seconds == [BUSY, 0.0] * number
                assert [(each.kind, each.metadata) for each in observer.errors] == [("store", {})] * number
        assert await store.error_records() == []
        await hub.publish(delta("another session"))
        assert waits.seconds == [BUSY, 0.0] * 3
        assert await store.error_records() == observer.errors
        await hub.publish(delta())
        assert len(await store.error_records()) == 3


async def test_many_sessions_that_fail_of_a_lock_wait_once_each(tmp_path: Path) -> None:
    """The records of some arrive while the writer waits for the lock for others."""
    path, waits, observer = tmp_path / "x.db", Waits(), RecordingObserver()
    database = HastyDatabase(str(path), factory=waits.connections())
    async with Opening(database, REGISTRY) as store, Hub(REGISTRY, store=store, error_observer=observer.error) as hub:
        for number in range(6):
            await hub.publish(delta(f"{number}"))  # from now on nothing has to be read before a commit
        with locked(path):
            waits.began.clear()
            waits.may_wait.clear()
            first = asyncio.create_task(hub.publish(delta("0")))
            await asyncio.to_thread(waits.began.wait, 30)  # the others come too late for its transaction
            others = [asyncio.create_task(hub.publish(delta(f"{number}"))) for number in range(1, 6)]
            for _ in range(30):
                await asyncio.sleep(0)
            waits.may_wait.set()
            outcomes = await asyncio.gather(first, *others, return_exceptions=True)
            assert all(isinstance(each, StoreError) for each in outcomes)
            assert sum(waits.seconds) <= 2 * BUSY + 1e-9
        await hub.publish(delta())
        records = await store.error_records()
        assert sorted(each.session_id for each in records) == list("012345")


async def test_a_commit_that_waits_behind_another_waits_no_longer_than_that(tmp_path: Path) -> None:
    """Its time begins when it is handed over, not when the other one has failed."""
    path, waits = tmp_path / "x.db", Waits()
    database = HastyDatabase(str(path), factory=waits.connections())
    async with Opening(database, REGISTRY) as store:
        sessions = [SessionWriter(store, name) for name in "abc"]
        for session in sessions:
            await session.log(put("a"))
        steps = [session.step(put("a", "b")) for session in sessions]
        with locked(path):
            waits.began.clear()
            waits.may_wait.clear()
            commits = [asyncio.ensure_future(store.commit(steps[0]))]
            await asyncio.to_thread(waits.began.wait, 30)
            commits += [asyncio.ensure_future(store.commit(step)) for step in steps[1:]]
            for _ in range(3):
                await asyncio.sleep(0)
            waits.may_wait.set()
            outcomes = await asyncio.gather(*commits, return_exceptions=True)
        assert all(isinstance(each, StoreError) for each in outcomes)
        assert waits.seconds == [BUSY, 0.0]
        await sessions[0].commit(steps[0])
        assert database.busy_seconds * 1000 == store._writer._writing.db.execute("PRAGMA busy_timeout").fetchone()[0]  # type: ignore[union-attr]


async def test_what_delayed_a_commit_before_is_no_wait_for_the_lock(tmp_path: Path) -> None:
    """The thread was busy for longer than a commit waits for the lock, and only then another process has it."""
    path, waits = tmp_path / "x.db", Waits()
    database = HastyDatabase(str(path), factory=waits.connections())
    async with Opening(database, REGISTRY) as store:
        session = SessionWriter(store)
        await session.log(put("a"))
        busy, begun = threading.Event(), threading.Event()

        def works(_: object) -> None:
            begun.set()
            busy.wait(30)

        working = store._writer.submit(works)
        await asyncio.to_thread(begun.wait, 30)
        commit = store.commit(session.step(put("a", "b")))
        await asyncio.sleep(2 * BUSY)
        waits.may_wait.clear()
        waits.began.clear()
        busy.set()
        await working
        await asyncio.to_thread(waits.began.wait, 30)
        with locked(path):
            waits.may_wait.set()
            with pytest.raises(StoreError, match="another process"):
                await commit
        assert waits.seconds == [BUSY]


async def test_what_a_mixed_group_records_waits_for_nobody(tmp_path: Path) -> None:
    path, waits = tmp_path / "x.db", Waits()
    database = HastyDatabase(str(path), factory=waits.connections())
    async with Opening(database, REGISTRY) as store:
        session = SessionWriter(store)
        await session.log(put("a"))
        step = session.step(put("a", "b"))
        with locked(path):
            with pytest.raises(StoreError):
                await store.commit(step)
            done: list[str] = []

            def note(name: str) -> Any:
                return lambda _: done.append(name)

            record = store._writer.submit(lambda _: None, patient=False)
            commit = store.commit(step)
            record.add_done_callback(note("record"))
            commit.add_done_callback(note("commit"))
            outcomes = await asyncio.gather(record, commit, return_exceptions=True)
            assert all(isinstance(each, StoreError) for each in outcomes)
            assert done == ["record", "commit"]
            *hasty, patient = waits.seconds[1:]
            assert hasty in ([0.0], [0.0, 0.0])
            assert 0.0 < patient <= BUSY
        await session.commit(step)


async def test_records_that_could_not_be_written_are_when_the_hub_ends(tmp_path: Path) -> None:
    path, observer = tmp_path / "x.db", RecordingObserver()
    async with Opening(HastyDatabase(str(path)), REGISTRY) as store:
        async with Hub(REGISTRY, store=store, error_observer=observer.error) as hub:
            with locked(path), pytest.raises(StoreError, match="another process"):
                await hub.publish(delta())
        assert await store.error_records() == observer.errors


async def test_records_that_still_cannot_be_written_are_told_of_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, observer = tmp_path / "x.db", RecordingObserver()
    async with Opening(HastyDatabase(str(path)), REGISTRY) as store:
        hub = Hub(REGISTRY, store=store, error_observer=observer.error)
        with locked(path):
            for _ in range(2):
                with pytest.raises(StoreError, match="another process"):
                    await hub.publish(delta())
            await hub.shutdown()
            assert "error records are still not written, 2: " in caplog.text
        await hub.shutdown()
        assert await store.error_records() == observer.errors


async def test_the_log_shrinks_once_a_reader_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sessionstream.hydration.sqlite.database._LOG_BYTES", 400_000)
    monkeypatch.setattr("sessionstream.hydration.sqlite.database._CHECKPOINT_PAGES", 50)
    path, log = tmp_path / "x.db", tmp_path / "x.db-wal"

    def size() -> int:
        return log.stat().st_size

    async with SQLiteStore.open(path, REGISTRY) as store:
        session = SessionWriter(store)
        await session.log(put("a"))
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM events").fetchone()
            for number in range(20):
                await session.log(put("a", f"{number}" * 50_000))
            assert size() > 1_000_000
        for _ in range(3):  # one copies what is in the log to the file, the next begins it anew
            await session.log(put("a"))
        assert size() <= 400_000
        await session.log(put("b"))
        assert (await store.snapshot("session")).entities == session.at(session.timeline)


async def test_the_log_is_not_cut_in_ordinary_use(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:

        def asked(writing: Any) -> list[int]:
            names = ("journal_size_limit", "wal_autocheckpoint", "page_size")
            return [writing.db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        limit, pages, page = await store._write(asked)
        assert limit >= 2 * pages * page


@pytest.mark.parametrize("opens", [True, False])
async def test_no_thread_is_left_when_a_store_is_closed_or_could_not_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opens: bool
) -> None:
    threads: list[threading.Thread] = []
    run = writer.Writer._main

    def slowly(self: writer.Writer) -> None:
        threads.append(threading.current_thread())
        run(self)
        threading.Event().wait(0.2)  # as where other threads are busy

    monkeypatch.setattr(writer.Writer, "_main", slowly)
    path = tmp_path / "x.db" if opens else tmp_path
    try:
        async with SQLiteStore.open(path, REGISTRY) as store:
            await SessionWriter(store).log(put("a"))
            await store.snapshot("session")
    except StoreError:
        assert not opens
    (thread,) = threads
    assert not thread.is_alive()
    assert not [each for each in threading.enumerate() if each.name.startswith("sessionstream")]
