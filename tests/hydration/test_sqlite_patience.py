"""A disk that does not answer: every change has an outcome in time, and the store can be closed."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionstream import CommitUnknown, ErrorRecord, Hub, SQLiteStore, StoreError
from sessionstream.hydration.sqlite.database import Database
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.testing import RecordingObserver, SessionWriter, put, sample_registry

from .test_sqlite_locked import delta

REGISTRY = sample_registry()
PATIENCE = 1.0


class Disk:
    """Hangs at each COMMIT of the writer until it is released."""

    def __init__(self) -> None:
        self.hangs = False
        self.released = threading.Event()

    def connections(self) -> type[sqlite3.Connection]:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                writes = threading.current_thread().name.startswith("sessionstream writer")
                if sql == "COMMIT" and writes and disk.hangs:
                    disk.released.wait(60)
                return super().execute(sql, *parameters)

        return Connection


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.released.set()


def opened(path: Path, disk: Disk) -> Opening:
    return Opening(Database(str(path), factory=disk.connections(), patience=PATIENCE), REGISTRY)


async def test_every_commit_has_an_outcome_in_time(tmp_path: Path, disk: Disk) -> None:
    loop = asyncio.get_running_loop()
    async with opened(tmp_path / "x.db", disk) as store:
        writers = [SessionWriter(store, f"s{number}") for number in range(3)]
        for writer in writers:
            await writer.log(put("a"))
        disk.hangs, began = True, loop.time()
        steps = [writer.step(put("a", "b")) for writer in writers]
        outcomes = [store.commit(steps[0])]
        await asyncio.sleep(PATIENCE / 4)
        outcomes += [store.commit(step) for step in steps[1:]]
        errors = await asyncio.gather(*outcomes, return_exceptions=True)
        assert [type(each) for each in errors] == [CommitUnknown] * 3
        assert isinstance(errors[0], CommitUnknown)
        assert (errors[0].name, errors[0].seconds) == (str(tmp_path / "x.db"), PATIENCE)
        assert PATIENCE / 2 < loop.time() - began < 1.25 * PATIENCE + 2
        with pytest.raises(CommitUnknown):  # nothing waits again to say so
            await asyncio.wait_for(store.record_error(ErrorRecord("store", "s", 1, "", "")), PATIENCE / 4)
        disk.hangs = False
        disk.released.set()
        await store.release_command("s", "key")  # which comes after them
        for writer, step in zip(writers, steps, strict=True):
            writer.remember(step)
            await writer.log(put("a", "c"))
            assert (await store.snapshot(writer.session_id)).entities == writer.at(3)
        await store.record_error(ErrorRecord("store", "s", 1, "", ""))


async def test_a_publish_says_so_once_and_can_be_repeated(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    observer = RecordingObserver()
    async with (
        opened(tmp_path / "x.db", disk) as store,
        Hub(REGISTRY, store=store, error_observer=observer.error) as hub,
    ):
        disk.hangs = True
        with caplog.at_level(logging.ERROR, "sessionstream"), pytest.raises(CommitUnknown) as raised:
            await hub.publish(delta())
        (record,) = observer.errors
        assert (record.kind, record.ordinal, record.error) == ("store", 1, f"CommitUnknown: {raised.value}")
        (entry,) = caplog.records  # the record of it cannot be stored either, for the same reason
        assert entry.exc_info is not None
        assert entry.exc_info[1] is raised.value
        disk.hangs = False
        disk.released.set()
        await store.release_command("s", "key")  # which comes after it
        assert len(await store.events("session")) == 1
        assert (await hub.publish(delta())).ordinal == 2
        assert await store.error_records() == [record]


async def test_closing_ends_too(tmp_path: Path, disk: Disk) -> None:
    store = await opened(tmp_path / "x.db", disk)
    writer = SessionWriter(store)
    disk.hangs = True
    outcome, step = store.commit(writer.step(put("a"))), writer.step(put("a"))
    with pytest.raises(StoreError, match="could not be closed within 1 seconds"):
        await store.close()
    with pytest.raises(CommitUnknown):
        await outcome
    disk.released.set()
    await store.close()
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as again:
        writer.store = again
        writer.remember(step)
        assert (await again.snapshot("session")).entities == writer.at(1)


async def test_a_quiet_store_has_no_timer(tmp_path: Path, disk: Disk) -> None:
    async with opened(tmp_path / "x.db", disk) as store:
        writer = SessionWriter(store)
        for _ in range(50):
            await writer.log(put("a"))
        (undelivered,) = store._writer._undelivered.values()
        assert not undelivered
        await asyncio.sleep(PATIENCE / 4)  # its timer comes before this one
        assert not store._writer._undelivered


@pytest.mark.parametrize("patience", [0, -1, float("inf"), float("nan")])
def test_patience_is_above_zero(tmp_path: Path, patience: float) -> None:
    with pytest.raises(ValueError, match="patience is a number of seconds above 0"):
        SQLiteStore.open(tmp_path / "x.db", REGISTRY, patience=patience)


@pytest.mark.parametrize("patience", [True, "30", None])
def test_patience_is_a_number(tmp_path: Path, patience: Any) -> None:
    with pytest.raises(TypeError, match="patience is a number of seconds"):
        SQLiteStore.open(tmp_path / "x.db", REGISTRY, patience=patience)
