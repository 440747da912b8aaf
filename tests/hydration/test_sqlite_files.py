"""Which files SQLiteStore opens, which it refuses, and that it refuses without touching them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream.errors import StoreError
from sessionstream.hydration.sqlite import SQLiteStore, schema
from sessionstream.testing import SessionWriter, put, sample_registry

REGISTRY = sample_registry()


def make(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def refusal(path: Path) -> str:
    with pytest.raises(StoreError) as raised:
        await SQLiteStore.open(path, REGISTRY)
    assert str(path) in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("path", [":memory:", "", "file::memory:", "file::memory:?cache=shared", "file:x?mode=memory"])
def test_a_store_without_a_file_is_refused_with_the_way_out(path: str) -> None:
    with pytest.raises(StoreError, match="MemoryStore"):
        SQLiteStore.open(path, REGISTRY)


def test_a_uri_is_refused() -> None:
    with pytest.raises(StoreError, match="plain path"):
        SQLiteStore.open("file:sessions.db?mode=ro", REGISTRY)


def test_synchronous_is_normal_or_full(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'off'"):
        SQLiteStore.open(tmp_path / "x.db", REGISTRY, synchronous="off")  # type: ignore[arg-type]


@pytest.mark.parametrize(("synchronous", "level"), [("normal", 1), ("full", 2)])
async def test_synchronous_reaches_the_writer(tmp_path: Path, synchronous: str, level: int) -> None:
    opening = SQLiteStore.open(tmp_path / "x.db", REGISTRY, synchronous=synchronous)  # type: ignore[arg-type]
    async with opening as store:
        ask = store._writer.submit(lambda writing: writing.db.execute("PRAGMA synchronous").fetchone()[0])
        assert await ask == level


async def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "is a directory" in await refusal(tmp_path)


async def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in await refusal(tmp_path / "missing" / "x.db")
    assert files_in(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
async def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    make(path, "CREATE TABLE t (x)")
    path.chmod(0)
    assert "cannot open" in await refusal(path)


async def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"Dear diary, " * 500)
    assert "not a database" in await refusal(path)
    assert path.read_bytes() == b"Dear diary, " * 500


@pytest.mark.parametrize("statement", ["PRAGMA application_id = 1234", "CREATE TABLE t (x)", "PRAGMA user_version = 7"])
async def test_another_applications_database_is_refused_untouched(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "other.db"
    make(path, statement)
    before = path.read_bytes()
    assert "another application" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    async with SQLiteStore.open(path, REGISTRY) as store:
        await SessionWriter(store).log(put("a"))
    make(path, f"PRAGMA user_version = {schema.VERSION + 1}")
    before = path.read_bytes()
    assert "newer version" in await refusal(path)
    assert path.read_bytes() == before
    assert files_in(tmp_path) == ["newer.db"]


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    async with SQLiteStore.open(path, REGISTRY) as store:
        await SessionWriter(store).log(put("a"))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID
        assert db.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "what?.db", "#1.db", "ünï🧵.db", "a%20b.db"])
async def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    async with SQLiteStore.open(tmp_path / name, REGISTRY) as store:
        await SessionWriter(store).log(put("a"))
        assert (tmp_path / name).exists()
        assert (await store.snapshot("session")).snapshot_ordinal == 1
    assert files_in(tmp_path) == [name]


async def test_a_relative_path_is_kept_when_the_process_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with SQLiteStore.open("x.db", REGISTRY) as store:
        monkeypatch.chdir("/")
        await SessionWriter(store).log(put("a"))
        assert (await store.cursors("session")).event == 1


async def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    stores = await asyncio.gather(*[SQLiteStore.open(tmp_path / "x.db", REGISTRY)._open() for _ in range(6)])
    assert len({(await store.cursors("s")).epoch for store in stores}) == 1
    for store in stores:
        await store.close()


async def test_an_opening_that_is_cancelled_leaves_nothing_open(tmp_path: Path) -> None:
    task = asyncio.ensure_future(SQLiteStore.open(tmp_path / "x.db", REGISTRY)._open())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for thread in threading.enumerate():
        if str(tmp_path) in thread.name:
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()


async def test_a_damaged_file_is_a_store_error(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        for number in range(50):
            await writer.log(put("a", str(number) * 1000))
    data = bytearray(path.read_bytes())
    data[4096:] = b"\x5a" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError) as raised:
        async with SQLiteStore.open(path, REGISTRY) as store:
            await store.snapshot("session")
    assert isinstance(raised.value.__cause__, sqlite3.DatabaseError)
    assert str(path) in str(raised.value)
