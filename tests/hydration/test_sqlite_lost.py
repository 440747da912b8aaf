"""A file that goes away under an open store, and a store that nobody closes."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionstream.errors import StoreError, StoreLost, StoreUpgraded
from sessionstream.hydration.sqlite import SQLiteStore, schema
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.hydration.sqlite.writes import Writing
from sessionstream.testing import SessionWriter, put, sample_registry

REGISTRY = sample_registry()


def delete(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def replace(path: Path) -> None:
    shutil.copy(path, path.with_name("copy.db"))
    path.with_name("copy.db").replace(path)


def move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def directory_becomes_file(path: Path) -> None:
    move_directory(path)
    path.parent.touch()


def there(path: Path) -> bool:
    return path.exists()


GOES = [delete, move, replace, move_directory, directory_becomes_file]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    return tmp_path / "inner" / "x.db"


@pytest.mark.parametrize("go", GOES)
async def test_nothing_is_acknowledged_once_the_file_is_gone(path: Path, go: Callable[[Path], None]) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        await store.cursors("session")
        go(path)
        results = await asyncio.gather(
            *[store.commit(SessionWriter(store, name).step(put("a"))) for name in "abc"], return_exceptions=True
        )
        for result in results:
            assert isinstance(result, StoreLost)
            assert result.name == str(path)
        await refused(store, writer)


@pytest.mark.parametrize("go", GOES)
async def test_questions_notice_it_as_well(path: Path, go: Callable[[Path], None]) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        go(path)
        with pytest.raises(StoreLost, match="close the store, put the file back"):
            await store.snapshot("session")
        await refused(store, writer)


async def refused(store: SQLiteStore, writer: SessionWriter) -> None:
    for call in (
        store.cursors("session"),
        store.events("session"),
        store.prune("session", before=1),
        store.delete_session("session"),
        store.commit(writer.step(put("b"))),
    ):
        with pytest.raises(StoreLost):
            await call


def log_of(path: Path) -> Path:
    return Path(f"{path}-wal")


@pytest.mark.parametrize("go", [delete, move, replace])
async def test_a_log_that_is_gone_is_noticed_and_closing_saves_what_was_acknowledged(
    path: Path, go: Callable[[Path], None]
) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        assert log_of(path).stat().st_size
        go(log_of(path))
        with pytest.raises(StoreLost, match=r"x\.db-wal was deleted.* close the store, which writes"):
            await store.commit(writer.step(put("b")))
        await refused(store, writer)
    for each in path.parent.iterdir():
        if each != path:
            each.unlink()
    async with SQLiteStore.open(path, REGISTRY) as store:
        assert (await store.snapshot("session", as_of=1)).entities == writer.at(1)


async def test_a_new_connection_is_not_opened_to_another_log(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        delete(log_of(path))
        with pytest.raises(StoreLost):
            await store.cursors("session")


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("commits", [1, 3])
async def test_a_log_that_was_emptied_is_noticed(path: Path, commits: int, checkpointed: bool) -> None:
    if checkpointed:
        async with SQLiteStore.open(path, REGISTRY) as store:
            await SessionWriter(store, "earlier").log(put("a"))
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        for number in range(commits):
            await writer.log(put("a", str(number)))
        empty(log_of(path))
        with pytest.raises(StoreLost, match=r"x\.db-wal was emptied") as raised:
            await store.commit(writer.step(put("b")))
        assert raised.value.emptied
        await refused(store, writer)


async def test_a_log_that_sqlite_empties_is_no_loss(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        for number in range(3):
            await writer.log(put("a", str(number)))
            await asyncio.to_thread(sql_in_another_process, path, "PRAGMA wal_checkpoint(TRUNCATE)")
            assert log_of(path).stat().st_size == 0
            await store.release_command("session", "a change that writes nothing")
        await writer.log(put("b"))
        assert (await store.snapshot("session")).entities == writer.at(4)


async def test_nothing_is_asked_of_or_told_to_a_file_that_another_process_upgraded(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        await asyncio.to_thread(sql_in_another_process, path, f"PRAGMA user_version = {schema.VERSION + 1}")
        for call in (
            store.commit(writer.step(put("b"))),
            store.snapshot("session"),
            store.claim_command("session", "key", b""),
            store.prune("session", before=1),
            store.error_records(),
        ):
            with pytest.raises(StoreUpgraded, match="close the store, update this program") as raised:
                await call
            assert (raised.value.version, raised.value.known) == (schema.VERSION + 1, schema.VERSION)
        await asyncio.to_thread(sql_in_another_process, path, f"PRAGMA user_version = {schema.VERSION}")
        await writer.log(put("b"))
        assert (await store.snapshot("session")).entities == writer.at(2)


def sql_in_another_process(path: Path, sql: str) -> None:
    code = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]).fetchall(); db.close()"
    subprocess.run([sys.executable, "-c", code, str(path), sql], check=True)


def read_in_another_process(path: Path) -> None:
    sql_in_another_process(path, "SELECT * FROM events")


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
async def test_a_log_that_another_process_removes_once_this_one_has_copied_the_file(path: Path) -> None:
    """Closing any handle on the file drops SQLite's locks of the whole process, so that the other takes itself for the
    last that has it open."""
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        shutil.copy(path, path.with_name("copy.db"))
        await asyncio.to_thread(read_in_another_process, path)
        assert not there(log_of(path))
        with pytest.raises(StoreLost):
            await store.commit(writer.step(put("b")))


async def test_a_log_that_goes_with_the_last_connection_is_not_missed(path: Path) -> None:
    """The writer gives a connection up that it cannot roll back; if no reader has one, SQLite removes the log."""
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        before = log_of(path).stat().st_ino

        def broken(writing: Writing) -> None:
            writing.db.close()
            raise sqlite3.OperationalError("injected")

        path.with_name("another name").hardlink_to(log_of(path))  # so that its number is not used again
        with pytest.raises(StoreError):
            await store._writer.submit(broken)
        assert not there(log_of(path))
        await writer.log(put("b"))
        assert (await store.snapshot("session")).entities == writer.at(2)
        assert log_of(path).stat().st_ino != before


async def test_a_file_that_was_put_back_is_opened_again(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        move(path)
        with pytest.raises(StoreLost):
            await store.commit(writer.step(put("lost")))
        path.with_name("moved.db").rename(path)
        with pytest.raises(StoreLost):
            await store.cursors("session")
    async with SQLiteStore.open(path, REGISTRY) as store:
        assert (await store.snapshot("session", as_of=1)).entities == writer.at(1)


async def test_no_file_is_created_in_the_place_of_a_lost_one(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        connection = await store._writer.submit(lambda writing: writing.db)
        delete(path)
        store._writer._writing = None
        with pytest.raises(StoreLost):
            await store.commit(SessionWriter(store).step(put("a")))
        assert not there(path)
        connection.close()


async def test_a_store_that_may_not_look_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: str) -> tuple[int, int]:
        raise PermissionError

    async with SQLiteStore.open(path, REGISTRY) as store:
        monkeypatch.setattr("sessionstream.hydration.sqlite.watch._identity", forbidden)
        writer = SessionWriter(store)
        await writer.log(put("a"))
        assert (await store.snapshot("session")).entities == writer.at(1)


async def test_a_store_that_nobody_closes_is_a_warning_and_its_thread_ends(path: Path) -> None:
    stores = [await SQLiteStore.open(path, REGISTRY)]
    await SessionWriter(stores[0]).log(put("a"))
    thread = stores[0]._writer._thread
    with pytest.warns(ResourceWarning, match=r"unclosed SQLiteStore of .*x\.db"):
        stores.clear()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
    async with SQLiteStore.open(path, REGISTRY) as store:
        assert (await store.cursors("session")).event == 1


async def test_a_store_that_was_closed_is_none(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opening = SQLiteStore.open(path, REGISTRY)
        assert isinstance(opening, Opening)
        store = await opening
        await store.close()
        del store, opening
        gc.collect()
    assert not [thread for thread in threading.enumerate() if str(path) in thread.name]
