"""Files of every earlier version are brought to the present one, with all they hold.

``version_N.sql`` is a dump of a file as that version wrote it. A new version adds the dump of the one before.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream import StoreError
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.sqlite import SQLiteStore, Upgrade, schema
from sessionstream.observe import ErrorRecord
from sessionstream.store import CommandClaim, HydrationStore
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.testing.contract.retention import check_above_floor
from sessionstream.testing.contract.timelines import eventful

DUMPS = sorted(Path(__file__).parent.glob("version_*.sql"))
VERSIONS = [int(path.stem.removeprefix("version_")) for path in DUMPS]
REGISTRY = sample_registry()


def test_there_is_a_file_of_every_earlier_version() -> None:
    assert list(range(1, schema.VERSION)) == VERSIONS


async def fill(store: HydrationStore) -> list[SessionWriter]:
    """Do what was done to the dumped files."""
    session, long = await eventful(store), SessionWriter(store, "long")
    for n in range(1, 9):
        await long.log(put("text", "a word and " * n), put("label", str(n), kind="Label"))
    await long.log(drop("text"))
    await long.commit(long.waiting())
    pruned = await eventful(store, "pruned")
    await store.prune("pruned", before=5)
    await eventful(store, "deleted")
    await store.delete_session("deleted")
    await store.claim_command("session", "key", b"digest")
    await store.end_command("session", "key", finished=True)
    await store.record_error(ErrorRecord("store", "session", 1, "Delta", "what", b"raw", {"a": "b"}))
    return [session, long, pruned]


@pytest.fixture
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(request.param.read_text())
        assert db.execute("PRAGMA user_version").fetchone() == (int(request.param.stem.removeprefix("version_")),)
        assert db.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
    return path


@pytest.mark.parametrize("path", DUMPS, indirect=True, ids=VERSIONS)
async def test_an_older_file_keeps_all_it_holds_and_goes_on(path: Path) -> None:
    model = MemoryStore(REGISTRY)
    for writer, floor in zip(await fill(model), (0, 0, 5), strict=True):
        async with SQLiteStore.open(path, REGISTRY) as store:
            writer.store = store
            await check_above_floor(writer, floor)
            assert await store.sessions() == await model.sessions()
            deleted = await store.cursors("deleted")
            assert (deleted.event, deleted.timeline) == (11, 11)
            (record,) = await store.error_records()
            assert (record.error, record.raw_message, record.metadata) == ("what", b"raw", {"a": "b"})
            assert await store.claim_command("session", "key", b"other") == CommandClaim(b"digest", "finished")
        async with SQLiteStore.open(path, REGISTRY) as store:
            writer.store = store
            if writer.event > writer.timeline:
                await writer.commit(writer.resumption())
            for n in range(1, 9):
                await writer.log(put("text", "a word and so on, " * 20 * n))
            await check_above_floor(writer, floor)
            await store.prune(writer.session_id, before=writer.timeline - 3)
            await check_above_floor(writer, writer.timeline - 3)


@pytest.mark.parametrize("path", DUMPS, indirect=True, ids=VERSIONS)
async def test_the_sessions_of_an_older_file_have_changed_in_their_order(path: Path) -> None:
    model = MemoryStore(REGISTRY)
    session, *_ = await fill(model)
    async with SQLiteStore.open(path, REGISTRY) as store:
        changes = await store.changes()
        assert [(each.session_id, each.deleted) for each in changes] == [
            (each.session_id, each.deleted) for each in await model.changes()
        ]
        session.store = store
        await session.log()
        (changed,) = await store.changes(after=changes[-1].position)
        assert changed.session_id == "session"


@pytest.mark.parametrize("path", DUMPS, indirect=True, ids=VERSIONS)
async def test_an_upgraded_file_has_the_tables_of_a_new_one(path: Path, tmp_path: Path) -> None:
    tables = []
    for each in (path, tmp_path / "new.db"):
        async with SQLiteStore.open(each, REGISTRY):
            pass
        with closing(sqlite3.connect(each)) as db:
            found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql NOTNULL ORDER BY name").fetchall()
            tables.append([(name, re.sub(r"DEFAULT \d{9,}", "", sql)) for name, sql in found])
            assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert tables[0] == tables[1]


def everything(path: Path) -> tuple[set[str], int]:
    """Return the tables, columns and indexes of a file, and its version."""
    with closing(sqlite3.connect(path)) as db:
        names = db.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
        columns = {
            f"column {name}.{row[1]}"
            for kind, name in names
            if kind == "table"
            for row in db.execute(f"PRAGMA table_info({name})")
        }
        return {f"{kind} {name}" for kind, name in names} | columns, db.execute("PRAGMA user_version").fetchone()[0]


@pytest.mark.parametrize("path", DUMPS, indirect=True, ids=VERSIONS)
def test_a_dry_run_says_what_an_upgrade_would_add_and_changes_nothing(path: Path) -> None:
    before, version = everything(path)
    data = path.read_bytes()
    planned = SQLiteStore.upgrade(path, dry_run=True)
    assert path.read_bytes() == data
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert SQLiteStore.upgrade(path) == planned == Upgrade(version, schema.VERSION, planned.changes)
    after, now = everything(path)
    assert now == schema.VERSION
    added = after - before
    new_tables = {each.split()[1] for each in added if each.startswith("table ")}
    assert set(planned.changes) == {
        each for each in added if not (each.startswith("column ") and each.split()[1].split(".")[0] in new_tables)
    }
    assert SQLiteStore.upgrade(path) == Upgrade(schema.VERSION, schema.VERSION, ())


@pytest.mark.parametrize("path", DUMPS[:1], indirect=True, ids=VERSIONS[:1])
def test_what_cannot_be_upgraded_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TABLE command_claims")
    for dry_run in (True, False):
        with pytest.raises(StoreError, match=r"no such table: command_claims: something else has changed it"):
            SQLiteStore.upgrade(path, dry_run=dry_run)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(StoreError, match="newer version"):
        SQLiteStore.upgrade(path)
    with pytest.raises(StoreError, match="there is no such file"):
        SQLiteStore.upgrade(path.with_name("missing.db"))
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="no store has written to it yet"):
        SQLiteStore.upgrade(path)
