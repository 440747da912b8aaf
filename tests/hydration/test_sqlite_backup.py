"""Copying a file: what is in the copy, and what is refused without leaving anything behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sessionstream import StoreError
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.sqlite import SQLiteStore, backup, schema
from sessionstream.hydration.sqlite.database import Database
from sessionstream.testing import SessionWriter, put, sample_registry
from sessionstream.testing.contract.retention import check_above_floor

from .test_sqlite_upgrades import DUMPS, VERSIONS, fill, path

__all__ = ["path"]  # the fixture: a file as an earlier version wrote it

REGISTRY = sample_registry()
ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys
from sessionstream.hydration.sqlite import SQLiteStore, backup

file, copy, point = sys.argv[1:]
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if point != "while it is copied":
    setattr(backup, point, die)
backup._PAGES = 1
SQLiteStore.back_up(file, copy, progress=die if point == "while it is copied" else None)
"""


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    async with SQLiteStore.open(tmp_path / "live.db", REGISTRY) as opened:
        writer = SessionWriter(opened)
        for number in range(5):
            await writer.log(put("text", f"{number} " * 500))
        yield opened


async def test_a_copy_holds_what_the_open_file_holds_and_goes_on(store: SQLiteStore, tmp_path: Path) -> None:
    live, copy = tmp_path / "live.db", tmp_path / "copy.db"
    live.chmod(0o640)
    SQLiteStore.back_up(live, copy)
    assert [name for name in names(tmp_path) if "copy" in name] == ["copy.db"]
    assert copy.stat().st_mode & 0o777 == 0o640
    async with SQLiteStore.open(copy, REGISTRY) as opened:
        assert await opened.events("session") == await store.events("session")
        assert await opened.snapshot("session") == await store.snapshot("session")
        for ordinal in range(6):
            assert await opened.snapshot("session", as_of=ordinal) == await store.snapshot("session", as_of=ordinal)
        before, after = await store.cursors("session"), await opened.cursors("session")
        assert (before.event, before.timeline, before.floor) == (after.event, after.timeline, after.floor)
        assert before.epoch != after.epoch
    with pytest.raises(StoreError, match=r"there is a .*copy\.db already"):
        SQLiteStore.back_up(live, copy)


async def test_a_copy_in_steps_does_not_see_what_is_committed_meanwhile(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAGES", 2)
    live, copy = tmp_path / "live.db", tmp_path / "copy.db"
    done: list[tuple[int, int]] = []

    def told(pages: int, count: int) -> None:
        done.append((pages, count))
        with closing(sqlite3.connect(live)) as db, db:
            db.execute("UPDATE events SET name = 'Changed'")

    SQLiteStore.back_up(live, copy, told)
    count = done[-1][1]
    assert done == [(min(each, count), count) for each in range(2, count + 2, 2)]
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT count(*) FROM events WHERE name = 'Changed'").fetchone() == (0,)


async def test_what_open_processes_tell_each_other_is_not_in_the_copy(store: SQLiteStore, tmp_path: Path) -> None:
    live, copy = tmp_path / "live.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(live, isolation_level=None)) as db:
        db.execute("INSERT INTO nodes VALUES ('node', 1)")
        db.execute("INSERT INTO ui_events VALUES (1, 'session', 1, 0, 1, 'node', x'00', 253402300799999999)")
    SQLiteStore.back_up(live, copy)
    for file, nodes, ui_events in ((live, 2, 1), (copy, 0, 0)):  # the store that is open is a node as well
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("SELECT count(*) FROM nodes").fetchone() == (nodes,)
            assert db.execute("SELECT count(*) FROM ui_events").fetchone() == (ui_events,)


@pytest.mark.parametrize("path", DUMPS, indirect=True, ids=VERSIONS)
async def test_an_older_file_is_copied_as_it_is_and_is_upgraded_when_it_is_opened(path: Path) -> None:
    copy = path.with_name("copy.db")
    SQLiteStore.back_up(path, copy)
    for file in (path, copy):
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("PRAGMA user_version").fetchone()[0] < schema.VERSION
    for writer, floor in zip(await fill(MemoryStore(REGISTRY)), (0, 0, 5), strict=True):
        async with SQLiteStore.open(copy, REGISTRY) as opened:
            writer.store = opened
            await check_above_floor(writer, floor)
            if writer.event > writer.timeline:
                await writer.commit(writer.resumption())
            await writer.log(put("text", "and so on"))
            await check_above_floor(writer, floor)


@pytest.mark.parametrize("beside", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda place: place.symlink_to("nowhere")])
async def test_nothing_is_overwritten(
    store: SQLiteStore, tmp_path: Path, beside: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / f"copy.db{beside}")
    before = names(tmp_path)
    with pytest.raises(StoreError, match=rf"cannot copy to .*copy\.db: there is a .*copy\.db{beside} already: give"):
        SQLiteStore.back_up(tmp_path / "live.db", tmp_path / "copy.db")
    assert names(tmp_path) == before


def missing(file: Path) -> None:
    file.unlink()


def empty(file: Path) -> None:
    file.write_bytes(b"")


def foreign(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA application_id = 5")


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")


def no_database(file: Path) -> None:
    file.write_bytes(b"no database at all" * 500)


def broken_pages(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for page in range(8, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    file.write_bytes(data)


def cut(file: Path) -> None:
    os.truncate(file, 4096 * 5)


def wrong_index(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_master SET sql = replace(sql, '(sid, event_id)', '(event_id, sid)') "
            "WHERE name = 'events_by_id'"
        )


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (missing, "there is no such file"),
        (empty, "no store has written to it yet"),
        (foreign, "another application's"),
        (newer, "newer version of sessionstream"),
        (no_database, "file is not a database"),
        (broken_pages, "is damaged"),
        (cut, "is damaged|malformed"),
        (wrong_index, "is damaged"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_what_is_no_whole_store_is_not_copied(tmp_path: Path, harm: Callable[[Path], None], words: str) -> None:
    file = tmp_path / "live.db"
    async with SQLiteStore.open(file, REGISTRY) as opened:
        writer = SessionWriter(opened)
        for number in range(40):
            await writer.log(put("text", f"{number} " * 500))
    harm(file)
    with pytest.raises(StoreError, match=words):
        SQLiteStore.back_up(file, tmp_path / "copy.db")
    assert not [name for name in names(tmp_path) if "copy" in name]


def test_a_copy_to_where_there_is_no_directory(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "live.db")):
        (tmp_path / "live.db").touch()
    with pytest.raises(StoreError, match=r"its directory .*nowhere does not exist"):
        SQLiteStore.back_up(tmp_path / "live.db", tmp_path / "nowhere" / "copy.db")
    with pytest.raises(StoreError, match=r"cannot copy .* to .*: File name too long"):
        SQLiteStore.back_up(tmp_path / "live.db", tmp_path / ("x" * 300))
    with pytest.raises(StoreError, match="use MemoryStore"):
        SQLiteStore.back_up(tmp_path / "live.db", ":memory:")
    with pytest.raises(TypeError, match="path is a str"):
        SQLiteStore.back_up(tmp_path / "live.db", 5)  # type: ignore[arg-type]


async def test_an_interrupted_copy_is_taken_away(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Database, "look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SQLiteStore.back_up(tmp_path / "live.db", tmp_path / "copy.db")
    assert not [name for name in names(tmp_path) if "copy" in name]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("point", "made"), [("while it is copied", False), ("_finish", False), ("new_epoch", False), ("_sync", True)]
)
def test_a_process_that_is_killed_leaves_a_whole_copy_or_none(
    store: SQLiteStore, tmp_path: Path, point: str, made: bool
) -> None:
    live, copy = tmp_path / "live.db", tmp_path / "copy.db"
    killed = subprocess.run([sys.executable, "-c", KILLED, live, copy, point], cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert copy.exists() == made
    if not made:
        assert [name for name in names(tmp_path) if name.startswith("copy.db.copying-")]
        SQLiteStore.back_up(live, copy)
    found, kept = (SQLiteStore.look(file, lambda state: state.session("session")) for file in (copy, live))
    assert found is not None
    assert kept is not None
    assert (found.cursors.event, found.entities) == (kept.cursors.event, kept.entities)
    assert found.cursors.epoch != kept.cursors.epoch


async def test_what_comes_to_be_there_meanwhile_is_not_overwritten(store: SQLiteStore, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with pytest.raises(StoreError, match=r"there is a .*copy\.db already"):
        SQLiteStore.back_up(tmp_path / "live.db", copy, lambda *_: copy.write_bytes(b"other"))
    assert copy.read_bytes() == b"other"
    assert [name for name in names(tmp_path) if "copy" in name] == ["copy.db"]
