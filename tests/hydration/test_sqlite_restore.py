"""Restoring a copy: in place of what, what is refused, and what a process leaves that is killed meanwhile."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream import StoreError
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.testing import SessionWriter, put, sample_registry

from .test_sqlite_backup import broken_pages, cut, empty, foreign, missing, names, newer, no_database
from .test_sqlite_database import as_nobody

REGISTRY = sample_registry()
ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys, time
from sessionstream.hydration.sqlite import SQLiteStore, backup
from pathlib import Path

copy, file, point = sys.argv[1:]
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
before = lambda call: lambda *args, **kwargs: (die(), call(*args, **kwargs))[1]
after = lambda call: lambda *args, **kwargs: (call(*args, **kwargs), die())[1]
if point == "while it is copied":
    backup._PAGES = 1
elif point == "before the old file is settled":
    backup._settle = before(backup._settle)
elif point == "when it is settled":
    backup._settle = after(backup._settle)
elif point == "after the rename":
    backup._sync = before(backup._sync)
SQLiteStore.restore(copy, file, replace=True, progress=die if point == "while it is copied" else None)
"""
WRITER = """
import asyncio, os, signal, sys
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.testing import SessionWriter, put, sample_registry

async def main():
    async with SQLiteStore.open(sys.argv[1], sample_registry()) as store:
        for number in range(5):
            await SessionWriter(store, f"new {number}").log(put("text", str(number) * 500))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def write(file: Path, *sessions: str) -> None:
    async with SQLiteStore.open(file, REGISTRY) as store:
        for session in sessions:
            await SessionWriter(store, session).log(put("text", session * 500))


def sessions(file: Path) -> list[str]:
    return SQLiteStore.look(file, lambda state: state.sessions())


@pytest.fixture
async def copy(tmp_path: Path) -> Path:
    """A backup with the sessions a and b."""
    live, copy = tmp_path / "live.db", tmp_path / "copy.db"
    await write(live, "a", "b")
    SQLiteStore.back_up(live, copy)
    live.unlink()
    return copy


def epoch(file: Path) -> int:
    session = SQLiteStore.look(file, lambda state: state.session("a"))
    assert session is not None
    return session.cursors.epoch


async def test_a_copy_is_restored_where_nothing_is(copy: Path, tmp_path: Path) -> None:
    file, before = tmp_path / "app.db", epoch(copy)
    SQLiteStore.restore(copy, file)
    assert sessions(file) == ["a", "b"]
    assert epoch(file) != before == epoch(copy)
    assert names(tmp_path) == ["app.db", "copy.db"]
    await write(file, "c")
    assert sessions(file) == ["a", "b", "c"]


async def test_a_file_is_replaced_only_if_that_is_asked_for(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    await write(file, "new")
    file.chmod(0o640)
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"cannot restore to .*app\.db: there is a file already: .*--replace"):
        SQLiteStore.restore(copy, file)
    assert file.read_bytes() == before
    assert names(tmp_path) == ["app.db", "copy.db"]
    pages: list[tuple[int, int]] = []
    SQLiteStore.restore(copy, file, replace=True, progress=lambda done, count: pages.append((done, count)))
    assert pages[-1][0] == pages[-1][1] > 0
    assert sessions(file) == ["a", "b"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["app.db", "copy.db"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files away")
async def test_the_owner_of_a_file_keeps_it(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    await write(file, "new")
    os.chown(file, 1234, 2345)
    SQLiteStore.restore(copy, file, replace=True)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 2345)


async def test_through_a_link_the_file_that_it_leads_to_is_replaced(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file, link = tmp_path / "data" / "app.db", tmp_path / "app.db"
    await write(file, "new")
    link.symlink_to(file)
    SQLiteStore.restore(copy, link, replace=True)
    assert link.is_symlink()
    assert sessions(file) == ["a", "b"]
    assert names(file.parent) == ["app.db"]


async def test_a_file_that_a_process_has_open_is_not_replaced(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    async with SQLiteStore.open(file, REGISTRY) as store:
        writer = SessionWriter(store, "new")
        await writer.log(put("text"))
        with pytest.raises(StoreError, match=r"app\.db: a process has it open: end every process"):
            SQLiteStore.restore(copy, file, replace=True)
        await writer.log(put("text"))
        assert sessions(file) == ["new"]
    assert names(tmp_path) == ["app.db", "copy.db"]
    SQLiteStore.restore(copy, file, replace=True)
    assert sessions(file) == ["a", "b"]


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
async def test_the_log_of_a_file_that_is_gone_is_not_taken_for_a_part_of_the_new_one(
    copy: Path, tmp_path: Path, ending: str
) -> None:
    (tmp_path / f"app.db{ending}").write_bytes(b"log")
    for replace in (False, True):
        with pytest.raises(StoreError, match=rf"there is a .*app\.db{ending} already: it is a part of a file .* gone"):
            SQLiteStore.restore(copy, tmp_path / "app.db", replace=replace)
    assert names(tmp_path) == [f"app.db{ending}", "copy.db"]


@pytest.mark.parametrize("harm", [empty, broken_pages, cut, newer])
async def test_a_file_that_is_damaged_or_newer_is_replaced(
    copy: Path, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    file = tmp_path / "app.db"
    await write(file, "new")
    harm(file)
    SQLiteStore.restore(copy, file, replace=True)
    assert sessions(file) == ["a", "b"]
    assert names(tmp_path) == ["app.db", "copy.db"]


async def test_what_is_no_store_is_not_replaced(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="another application's SQLite database"):
        SQLiteStore.restore(copy, file, replace=True)
    for text in ("import this\n", "import this\n" * 5_000):
        (tmp_path / "app.py").write_text(text)
        with pytest.raises(StoreError, match=r"app\.py: it is no SQLite file, or .*: correct the path"):
            SQLiteStore.restore(copy, tmp_path / "app.py", replace=True)
        assert (tmp_path / "app.py").read_text() == text
    (tmp_path / "app.py").unlink()
    with pytest.raises(StoreError, match="it is not a regular file"):
        SQLiteStore.restore(copy, tmp_path, replace=True)
    with pytest.raises(StoreError, match="to itself"):
        SQLiteStore.restore(copy, copy, replace=True)
    assert names(tmp_path) == ["app.db", "copy.db"]


async def test_a_file_whose_log_cannot_be_read_stays_with_it(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    await write(file, "new")
    (tmp_path / "app.db-wal").mkdir()
    with pytest.raises(StoreError, match=r"what is in the log beside it cannot be written to it .*: move it away"):
        SQLiteStore.restore(copy, file, replace=True)
    assert names(tmp_path) == ["app.db", "app.db-wal", "copy.db"]


@pytest.mark.parametrize("harm", [missing, empty, foreign, newer, no_database, broken_pages, cut])
async def test_a_copy_that_is_no_whole_store_replaces_nothing(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    file, copy = tmp_path / "app.db", tmp_path / "copy.db"
    await write(file, "new")
    await write(copy, *map(str, range(40)))
    harm(copy)
    before = names(tmp_path)
    with pytest.raises(StoreError):
        SQLiteStore.restore(copy, file, replace=True)
    assert sessions(file) == ["new"]
    assert names(tmp_path) == before


@pytest.mark.parametrize(
    ("point", "restored"),
    [
        ("while it is copied", False),
        ("before the old file is settled", False),
        ("when it is settled", False),
        ("after the rename", True),
    ],
)
def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(
    copy: Path, tmp_path: Path, point: str, restored: bool
) -> None:
    file = tmp_path / "app.db"
    killed = subprocess.run([sys.executable, "-c", WRITER, file], cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "app.db-wal").stat().st_size  # the last commits are only there
    killed = subprocess.run([sys.executable, "-c", KILLED, copy, file, point], cwd=ROOT, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert sessions(file) == (["a", "b"] if restored else [f"new {number}" for number in range(5)])
    SQLiteStore.restore(copy, file, replace=True)
    assert sessions(file) == ["a", "b"]


async def test_a_read_only_backup_is_restored_to_a_file_that_can_be_written() -> None:
    with as_nobody() as directory:
        live, copy, file = directory / "live.db", directory / "copy.db", directory / "app.db"
        await write(live, "a")
        live.chmod(0o444)
        SQLiteStore.back_up(live, copy)
        copy.chmod(0o440)
        SQLiteStore.restore(copy, file)
        assert [each.stat().st_mode & 0o777 for each in (live, copy, file)] == [0o444, 0o440, 0o640]
        await write(file, "b")
        assert sessions(file) == ["a", "b"]


async def test_a_file_that_is_in_use_is_no_backup(copy: Path, tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    async with SQLiteStore.open(file, REGISTRY) as store:
        await SessionWriter(store, "new").log(put("text"))
        with pytest.raises(StoreError, match=r"app\.db is no backup, as there is a .*app\.db-wal: a process has it"):
            SQLiteStore.restore(file, copy, replace=True)
    assert sessions(copy) == ["a", "b"]
    assert names(tmp_path) == ["app.db", "copy.db"]


def test_a_file_whose_process_was_killed_is_no_backup(copy: Path, tmp_path: Path) -> None:
    file, made, before = tmp_path / "app.db", tmp_path / "made.db", copy.read_bytes()
    subprocess.run([sys.executable, "-c", WRITER, file], cwd=ROOT, check=False, timeout=60)
    with pytest.raises(StoreError, match="make a backup of it first, and restore that"):
        SQLiteStore.restore(file, copy, replace=True)
    assert copy.read_bytes() == before
    SQLiteStore.back_up(file, made)
    SQLiteStore.restore(made, copy, replace=True)
    assert sessions(copy) == [f"new {number}" for number in range(5)]


async def test_a_file_that_may_not_be_written_is_not_replaced() -> None:
    with as_nobody() as directory:
        copy, file = directory / "copy.db", directory / "app.db"
        await write(file, "a")
        SQLiteStore.back_up(file, copy)
        file.chmod(0o444)
        with pytest.raises(StoreError, match=r"app\.db: the user of this process may not read and write it, .*: allow"):
            SQLiteStore.restore(copy, file, replace=True)
        assert names(directory) == ["app.db", "copy.db"]


async def test_a_place_that_cannot_be_looked_at_is_named() -> None:
    with as_nobody() as directory:
        copy, locked = directory / "copy.db", directory / "locked"
        await write(copy, "a")
        locked.mkdir(mode=0)
        with pytest.raises(StoreError, match=r"cannot restore .*copy\.db to .*locked/app\.db: .*[Pp]ermission"):
            SQLiteStore.restore(copy, locked / "app.db", replace=True)


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
async def test_a_name_that_sqlite_takes_for_a_part_of_another_file_is_refused(
    copy: Path, tmp_path: Path, ending: str
) -> None:
    file, part = tmp_path / "app.db", tmp_path / f"app.db{ending}"
    await write(file, "a")
    words = rf"app\.db{ending}: SQLite takes it for a part of .*app\.db: give another name"
    with pytest.raises(StoreError, match=words):
        SQLiteStore.restore(copy, part)
    with pytest.raises(StoreError, match=words):
        SQLiteStore.back_up(copy, part)
    assert names(tmp_path) == ["app.db", "copy.db"]
    SQLiteStore.back_up(copy, tmp_path / f"alone{ending}")
    assert sessions(tmp_path / f"alone{ending}") == ["a", "b"]
