"""Faults at every statement: whatever fails, a change is true as a whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

from sessionstream.errors import StoreError
from sessionstream.hydration import sweeper
from sessionstream.hydration.sqlite import SQLiteStore, discarded, rebuilding
from sessionstream.hydration.sqlite.database import Database
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.hydration.sqlite.writes import Writing
from sessionstream.observe import ErrorRecord
from sessionstream.store import Cursors, TimelineReplacement
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.types import TimelineEntity

from ..pairs import pairs

REGISTRY = sample_registry()

Damage = Literal["before", "after", "lost", "interrupted", "full"]
DAMAGES = get_args(Damage)
DUMPS = sorted(Path(__file__).parent.glob("version_*.sql"))


@dataclass
class Fault:
    """Fails one statement of the writer, the ``at``-th after it was armed.

    Before it is executed, after it was, or so that SQLite rolls the whole transaction back: by raising. Or by SQLite
    itself: it is interrupted at the first step of the statement, or cannot have another page, if the statement needs
    one.
    """

    damage: Damage
    at: int = 0
    armed: bool = False
    seen: list[str] = field(default_factory=list)
    fired: bool = False

    @property
    def words(self) -> str:
        """What an error says that comes of it."""
        return {"interrupted": "interrupted", "full": "full"}.get(self.damage, "injected")

    def connections(self) -> type[sqlite3.Connection]:
        fault = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                return fault.run(self, sql, lambda: super(Connection, self).execute(sql, *parameters))

            def executemany(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                return fault.run(self, sql, lambda: super(Connection, self).executemany(sql, *parameters))

        return Connection

    def run(self, db: sqlite3.Connection, sql: str, execute: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        if not self.armed or threading.current_thread().name.startswith("sessionstream reader"):
            return execute()
        self.seen.append(sql.split()[0])
        if len(self.seen) - 1 != self.at:
            return execute()
        self.fired, self.armed = True, False
        if self.damage == "interrupted":
            db.set_progress_handler(lambda: 1, 1)
            try:
                return execute()
            finally:
                db.set_progress_handler(None, 1)
        if self.damage == "full":
            sqlite3.Connection.execute(db, "PRAGMA max_page_count = 1").fetchone()  # as many as there are
            try:
                return execute()
            finally:
                sqlite3.Connection.execute(db, "PRAGMA max_page_count = 1000000").fetchone()
        if self.damage == "after" and sql != "COMMIT":  # after that, it would be true
            execute()
        if self.damage == "lost" and db.in_transaction:
            sqlite3.Connection.execute(db, "ROLLBACK")
        injected = sqlite3.OperationalError("injected")
        injected.sqlite_errorcode = sqlite3.SQLITE_ERROR  # as those of SQLite have one
        raise injected


async def prepare(store: SQLiteStore) -> list[SessionWriter]:
    writers = [SessionWriter(store, name) for name in ("one", "two", "three")]
    for writer in writers[:2]:
        await writer.log(put("a", "1"), put("b", "1"))
        await writer.log(put("a", "2"), drop("b"))
    await store.claim_command("one", "claimed", b"digest")
    await store.record_error(ErrorRecord("store", "one", 1, "Delta", "what"))
    return writers


def faults(damage: Damage, count: int = 60) -> list[Fault]:
    """More faults than any change here has statements; a test asserts that the last ones found none."""
    return [Fault(damage, at) for at in range(count)]


@pytest.mark.parametrize(("damage", "refused"), pairs(DAMAGES, [False, True]))
async def test_commits_of_a_group_are_each_all_or_nothing(tmp_path: Path, damage: Damage, refused: bool) -> None:
    hit = 0
    for fault in faults(damage):
        path = tmp_path / f"{fault.at}.db"
        async with Opening(Database(str(path), factory=fault.connections()), REGISTRY) as store:
            writers = await prepare(store)
            other = SessionWriter(store, "other")
            await other.log()
            steps = [writer.step(put("a", "next"), put("c", "n" * 9_000), drop("b")) for writer in writers]
            release = threading.Event()
            gate = store._writer.submit(partial(waiting, release))

            def arm(_: object, fault: Fault = fault) -> None:
                fault.armed = True

            armed = store._writer.submit(arm)
            outcomes = [store.commit(step) for step in steps]
            if refused:  # then they are carried out again, one by one
                outcomes.append(store.commit(other.step(event_id="event-1")))
            release.set()
            results = await asyncio.gather(*outcomes, gate, armed, return_exceptions=True)
            fault.armed = False
            for writer, step, result in zip(writers, steps, results[:3], strict=True):
                if result is None:
                    writer.remember(step)
                else:
                    assert isinstance(result, StoreError)
                    assert fault.words in str(result)
                await matches(store, writer)
                await writer.log(put("d", "afterwards"))
                await matches(store, writer)
        async with SQLiteStore.open(path, REGISTRY) as store:
            for writer in writers:
                await matches(store, writer)
        if not fault.fired:
            break
        hit += 1
    assert 10 < hit < 60


def waiting(release: threading.Event, _: object) -> None:
    release.wait(30)


async def matches(store: SQLiteStore, writer: SessionWriter) -> None:
    cursors = await store.cursors(writer.session_id)
    assert cursors == Cursors(writer.event, writer.timeline, cursors.epoch)
    assert await store.events(writer.session_id) == writer.events
    for ordinal in range(writer.timeline + 1):
        assert (await store.snapshot(writer.session_id, as_of=ordinal)).entities == writer.at(ordinal)


async def rebuild(store: SQLiteStore) -> object:
    versions = [TimelineEntity("Message", "z", put("z", str(at)).payload, 1, at) for at in (1, 2)]
    return await store.replace_timeline(TimelineReplacement("one", versions, 2, await store.cursors("one")))


LATER = datetime.max.replace(tzinfo=UTC)
CHANGES: dict[str, Callable[[SQLiteStore], Awaitable[object]]] = {
    "rebuild": rebuild,
    "prune": lambda store: store.prune("one", before=2),
    "delete": lambda store: store.delete_session("one"),
    "claim": lambda store: store.claim_command("one", "new", b"digest"),
    "release": lambda store: store.release_command("one", "claimed"),
    "record": lambda store: store.record_error(ErrorRecord("store", "one", 1, "Delta", "again")),
    "forget errors": lambda store: store.forget_errors("one", LATER),
    "end": lambda store: store.end_command("one", "claimed", finished=True),
    "forget claims": lambda store: store.forget_claims("one", LATER),
}
SWEPT = {"rebuild", "prune", "delete"}
"""Those that are true before all that they discarded is removed; the next one removes what is left."""


async def answers(path: Path) -> list[object]:
    """Everything that can be asked, but for epochs, of which only those that changed are told."""
    found: list[object] = []
    async with SQLiteStore.open(path, REGISTRY) as store:
        first_epoch = (await store.cursors("nobody")).epoch
        for name in ("one", "two", "three"):
            cursors = await store.cursors(name)
            found += [replace(cursors, epoch=0), cursors.epoch == first_epoch, await store.events(name)]
            for ordinal in range(cursors.floor, cursors.timeline + 1):
                found += [await store.snapshot(name, as_of=ordinal), await store.snapshot(name, since=ordinal)]
            found += [await store.find_event(name, f"event-{number}") for number in range(1, 4)]
            found.append([replace(record, recorded_at=None) for record in await store.error_records(name)])
        found += [await store.sessions(), rows(path, "SELECT session_id, key, digest, finished FROM command_claims")]
    return found


def sizes(path: Path) -> list[tuple[str, int]]:
    """Count the rows of each table, without those that depend on which stores were open meanwhile."""
    tables = [row[0] for row in rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = [table for table in tables if table not in ("nodes", "ui_events", "sqlite_sequence")]
    return [(table, rows(path, f"SELECT count(*) FROM {table}")[0][0]) for table in tables]


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


@pytest.mark.parametrize(
    ("change", "damage"),
    pairs([*CHANGES], [each for each in DAMAGES if each != "full"]),  # little of this needs a page
)
async def test_every_other_change_is_all_or_nothing(
    tmp_path: Path, change: str, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discarded, "ABANDONED", -(10**9))  # what is being built goes away at the next opportunity
    monkeypatch.setattr(sweeper, "FIRST_REST", 0.0)
    monkeypatch.setattr(rebuilding, "PIECE_BYTES", 1)
    before: list[object] = []
    wanted: list[object] = []
    kept: list[tuple[str, int]] = []
    hit, swept_later = 0, 0
    for fault in [Fault(damage, 10**9), *faults(damage, 200)]:
        path = tmp_path / f"{fault.at}.db"
        async with Opening(Database(str(path), factory=fault.connections()), REGISTRY) as store:
            await prepare(store)
            before = before or await answers(path)
            fault.armed = True
            try:
                await CHANGES[change](store)
            except StoreError as error:
                assert fault.fired
                assert await answers(path) == before
                assert fault.words in str(error)
                await CHANGES[change](store)
            fault.armed = False
            if not wanted:
                wanted, kept = await answers(path), sizes(path)
                assert wanted != before
            assert await answers(path) == wanted
            failures = await store.error_records("")  # of the sweep
            swept_later += len(failures)
            assert all(fault.words in failure.error for failure in failures)
            await store.prune("nobody", before=1)
            assert sizes(path) == [(table, rows + len(failures) * (table == "errors")) for table, rows in kept]
        hit += fault.fired
        if fault.at < 10**9 and not fault.fired:
            break
    assert 3 <= hit < 200  # BEGIN, one statement, COMMIT
    assert (swept_later > 0) == (change in SWEPT)


@pytest.mark.parametrize(
    ("dump", "damage"),
    pairs(
        [None, *DUMPS], ["before", "after", "lost", "interrupted"], ids=lambda each: getattr(each, "stem", str(each))
    ),
)
async def test_creating_or_upgrading_a_file_is_all_or_nothing(
    tmp_path: Path, dump: Path | None, damage: Damage
) -> None:
    older = None if dump is None else await asyncio.to_thread(dump.read_text)
    for fault in faults(damage, 200):
        path = tmp_path / f"{fault.at}.db"
        if older is not None:
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.executescript(older)
        fault.armed = True
        database = Database(str(path), factory=fault.connections())
        try:
            async with Opening(database, REGISTRY):
                pass
        except StoreError as error:
            assert fault.words in str(error)
        fault.armed = False
        async with SQLiteStore.open(path, REGISTRY) as store:
            writer = SessionWriter(store, "new")
            await writer.log(put("a"))
            await matches(store, writer)
            assert len(await store.sessions()) == (1 if older is None else 4)
        if not fault.fired:
            break
    assert 5 < fault.at < 199


async def test_a_full_disk_is_a_store_error_and_no_harm(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        writers = await prepare(store)
        pages = "PRAGMA page_count"
        limit = await store._writer.submit(lambda writing: writing.db.execute(pages).fetchone()[0])
        await store._writer.submit(lambda writing: writing.db.execute(f"PRAGMA max_page_count = {limit}").fetchone())
        big = [writer.step(put("big", "x" * 100_000)) for writer in writers]
        for result in await asyncio.gather(*[store.commit(step) for step in big], return_exceptions=True):
            assert isinstance(result, StoreError)
            assert "full" in str(result)
        for writer in writers:
            await matches(store, writer)
        await store._writer.submit(lambda writing: writing.db.execute("PRAGMA max_page_count = 100000").fetchone())
        for writer, step in zip(writers, big, strict=True):
            await writer.commit(step)
            await matches(store, writer)


async def test_an_interrupted_commit_is_a_store_error_and_no_harm(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        (writer, *_) = await prepare(store)
        interrupting = threading.Event()

        def handle(every: int) -> Callable[[Writing], None]:
            return lambda writing: writing.db.set_progress_handler(interrupting.is_set, every)

        for every in (1, 5, 20, 50):
            await store._writer.submit(handle(every))
            interrupting.set()
            outcome = store.commit(writer.step(put("a", "interrupted"), put("c")))
            with pytest.raises(StoreError, match="interrupted"):
                await outcome
            interrupting.clear()
            await matches(store, writer)
            await writer.log(put("a", "well"))


async def test_a_bug_in_a_change_reaches_its_caller_and_nobody_else(tmp_path: Path) -> None:
    def broken(_: object) -> None:
        raise KeyError("a bug")

    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        outcome = store._writer.submit(broken)
        writer = SessionWriter(store)
        await writer.log(put("a"))
        with pytest.raises(KeyError):
            await outcome
        await matches(store, writer)


async def test_nobody_waits_for_a_writer_that_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaths: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", deaths.append)

    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        entered, release = threading.Event(), threading.Event()

        def dies(_: object) -> None:
            entered.set()
            release.wait(30)
            raise GeneratorExit  # nothing that a change may raise

        begun = [store._writer.submit(dies)]
        await asyncio.to_thread(entered.wait, 30)
        step = SessionWriter(store).step(put("a"))
        begun.append(store.commit(step))
        await asyncio.sleep(0)  # passed on, while the writer is busy with the first
        gathered = store.commit(step)  # not even that, when the writer dies
        release.set()
        store._writer._thread.join(30)
        results = await asyncio.gather(*begun, gathered, return_exceptions=True)
        assert all(isinstance(result, StoreError) for result in results)
        with pytest.raises(StoreError):
            await store.commit(SessionWriter(store).step(put("a")))
    assert [death.exc_type for death in deaths] == [GeneratorExit]
