"""Which files SQLiteStore opens, which it refuses, and that it refuses without touching them."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sessionstream.errors import StoreError
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.sqlite import SQLiteStore, schema
from sessionstream.hydration.sqlite.database import Database
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.schema import SchemaRegistry
from sessionstream.testing import SessionWriter, put, sample_registry

REGISTRY = sample_registry()


def make(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


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


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A directory, and the rights of somebody to whom things can be forbidden."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o777)
        before = os.geteuid()
        try:
            if before == 0:
                os.seteuid(65534)
            yield directory
        finally:
            os.seteuid(before)


async def a_store_at(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        for number in range(50):
            await writer.log(put("a", str(number) * 1000))


async def test_what_may_not_be_written_is_refused_with_the_way_out() -> None:
    with as_nobody() as directory:
        path = directory / "inner" / "x.db"
        path.parent.mkdir()
        await a_store_at(path)
        path.chmod(0o444)
        assert "it writes to the file and beside it: allow both" in await refusal(path)
        path.chmod(0)
        assert "it writes to the file and beside it: allow both" in await refusal(path)
        path.chmod(0o644)
        path.parent.chmod(0o555)
        assert "it writes to the file and beside it: allow both" in await refusal(path)
        assert "it writes to the file and beside it: allow both" in await refusal(path.parent / "new.db")
        path.parent.chmod(0)
        assert "allow both" in await refusal(path)
        path.parent.chmod(0o755)
        async with SQLiteStore.open(path, REGISTRY) as store:
            assert len(await store.events("session")) == 50


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/null"), bind], ids=["fifo", "dev", "sock"]
)
async def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(path := tmp_path / "x.db")
    async with asyncio.timeout(10):
        assert "it is not a regular file: the store needs a file" in await refusal(path)


async def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (path := tmp_path / "x.db").symlink_to(tmp_path / "missing" / "y.db")
    words = await refusal(path)
    assert "is a symbolic link" in words
    assert f"{tmp_path / 'missing'} does not exist" in words
    (loop := tmp_path / "loop.db").symlink_to(loop)
    assert "symbolic link" in await refusal(loop)
    assert files_in(tmp_path) == ["loop.db", "x.db"]


async def test_a_link_to_a_file_that_can_be_created_is_followed(tmp_path: Path) -> None:
    (path := tmp_path / "x.db").symlink_to(tmp_path / "y.db")
    await a_store_at(path)
    assert files_in(tmp_path) == ["x.db", "y.db"]


async def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    words = await refusal(tmp_path / ("x" * 300))
    assert words.count("x" * 300) == 1
    assert "File name too long" in words


@pytest.mark.parametrize("version", [-1, -(2**31), 0])
async def test_a_version_that_never_was_is_refused_untouched(tmp_path: Path, version: int) -> None:
    await a_store_at(path := tmp_path / "x.db")
    make(path, f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    words = await refusal(path)
    assert f"schema {version}, which no version of sessionstream has written" in words
    assert "backup" in words
    assert path.read_bytes() == before


@pytest.mark.parametrize("table", ["meta", "sessions", "entities", "events", "errors", "payload_types"])
async def test_a_file_that_lost_a_table_is_refused_untouched(tmp_path: Path, table: str) -> None:
    await a_store_at(path := tmp_path / "x.db")
    make(path, f"DROP TABLE {table}")
    before = path.read_bytes()
    words = await refusal(path)
    assert f"lacks the table {table}: something else has changed it" in words
    assert "backup" in words
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", [50, 100, 5000])
async def test_a_file_that_was_cut_off_is_refused_untouched(tmp_path: Path, size: int) -> None:
    await a_store_at(path := tmp_path / "x.db")
    path.write_bytes(path.read_bytes()[:size])
    before = path.read_bytes()
    words = await refusal(path)
    assert "the file is damaged: restore its last whole backup (`sessionstream restore COPY FILE --replace`)" in words
    assert path.read_bytes() == before


async def test_a_table_that_vanishes_while_the_store_is_open(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        make(path, "ALTER TABLE errors RENAME TO gone")
        with pytest.raises(StoreError, match=r"no such table.*something else has changed it.*backup"):
            await store.error_records()
        make(path, "ALTER TABLE gone RENAME TO errors")
        assert await store.error_records() == []
        await writer.log(put("b"))
        assert (await store.snapshot("session")).entities == writer.at(2)


async def test_a_locked_file_names_the_way_out(tmp_path: Path) -> None:
    await a_store_at(path := tmp_path / "x.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        database = Database(str(path), patience=0.3)
        async with Opening(database, REGISTRY) as store:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=r"another process.*for more than 0\.05 seconds: end it, or try again"):
                await store.delete_session("session")
            other.execute("ROLLBACK")
            assert len(await store.events("session")) == 50
            await store.delete_session("session")


@pytest.mark.parametrize("path", [None, 5, ["x.db"]], ids=repr)
def test_what_is_no_path(path: Any) -> None:
    with pytest.raises(TypeError, match=r"path is a str or an os\.PathLike, not "):
        SQLiteStore.open(path, REGISTRY)


@pytest.mark.parametrize("registry", [None, SchemaRegistry, {}], ids=repr)
def test_what_is_no_registry(tmp_path: Path, registry: Any) -> None:
    for make_store in (lambda: SQLiteStore.open(tmp_path / "x.db", registry), lambda: MemoryStore(registry)):
        with pytest.raises(TypeError, match="registry is a SchemaRegistry, not "):
            make_store()
    assert files_in(tmp_path) == []


async def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"Dear diary, " * 500)
    assert "not a database: give the store a file of its own" in await refusal(path)
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


async def test_opening_a_file_that_another_is_just_filling(tmp_path: Path) -> None:
    async def arrive(path: Path, wait: float) -> SQLiteStore:
        await asyncio.sleep(wait)
        return await SQLiteStore.open(path, REGISTRY)

    for number in range(20):
        path = tmp_path / f"{number}.db"
        stores = await asyncio.gather(*[arrive(path, 0.002 * (step % 3)) for step in range(8)])
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


async def test_an_opening_that_is_cancelled_has_let_go_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for rounds in range(30):
        folder.mkdir()
        task = asyncio.ensure_future(SQLiteStore.open(folder / "x.db", REGISTRY)._open())
        for _ in range(1 + rounds % 3):
            await asyncio.sleep(0)
        await asyncio.sleep(0.0005 * (rounds % 7))
        task.cancel()
        try:
            store = await task
        except asyncio.CancelledError:
            shutil.rmtree(folder)
        else:
            await store.close()
            shutil.rmtree(folder)
        assert not folder.exists()


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
