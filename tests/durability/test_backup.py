"""A file is backed up while another process writes to it: it ends, holds nobody up, and the copy is whole."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from sessionstream import Event, Hub, SchemaRegistry, SQLiteStore, StoreError

from .app import PLAIN, SESSIONS, registry
from .killing import PATIENCE, ROOT, Killing, story
from .test_disk_faults import SESSIONS as PUBLISHED
from .test_disk_faults import Publishing, fill_up

MIB = 1 << 20


class Traffic:
    """A process that publishes to a file for ever.

    Attributes:
        printed: what it has acknowledged so far.
    """

    def __init__(self, file: Path, name: str, random: Random) -> None:
        command = [sys.executable, "-m", "tests.durability.child", str(file), "--name", name]
        command += ["--seed", str(random.getrandbits(32))]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.printed: list[dict[str, Any]] = []
        self._more = threading.Condition()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for each in self.process.stdout:
            with suppress(json.JSONDecodeError), self._more:  # it is killed in the end, perhaps in the midst of a line
                self.printed.append(json.loads(each))
                self._more.notify_all()

    def published(self) -> int:
        return sum(each["what"] == "published" for each in self.printed)

    def wait_for(self, events: int) -> None:
        """Return when it has published so many events more."""
        until = self.published() + events
        with self._more:
            assert self._more.wait_for(lambda: self.published() >= until, PATIENCE), "it publishes nothing more"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def traffic(file: Path, random: Random, processes: int) -> Iterator[list[Traffic]]:
    running = [Traffic(file, f"writer-{n}", random) for n in range(processes)]
    try:
        yield running
    finally:
        for each in running:
            each.end()


async def fatten(file: Path, size: int) -> None:
    """Give the file so many bytes, in sessions that nobody looks at: a backup in steps then takes many."""
    schemas = SchemaRegistry()
    schemas.register_event("Ballast", BytesValue)
    async with SQLiteStore.open(file, schemas) as store:
        hub = Hub(schemas, store=store)
        for number in range(size // MIB):
            await hub.publish(Event("Ballast", BytesValue(value=bytes(MIB)), f"ballast-{number}"))
        await hub.shutdown()


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


def backed_up(file: Path, copy: Path) -> str:
    """Run the command that the manual shows; return what it prints."""
    command = [sys.executable, "-m", "sessionstream", "backup", str(file), str(copy)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=PATIENCE, text=True).stdout


def back_up_under_traffic(place: Path, name: str, *, processes: int, size: int, times: int) -> None:
    file = place / "store.db"
    with story(name) as random:
        asyncio.run(fatten(file, size))
        copies: list[tuple[Path, list[list[dict[str, Any]]]]] = []
        with traffic(file, random, processes) as running:
            for number in range(times):
                for each in running:
                    each.wait_for(20)
                before = [list(each.printed) for each in running]
                copy = place / f"copy-{number}.db"
                assert "checked" in backed_up(file, copy)
                for each, printed in zip(running, before, strict=True):
                    assert len(each.printed) > len(printed), "it was held up all the time"
                copies.append((copy, before))
        for copy, acknowledged in copies:
            restored = Killing(copy, random)
            for printed in acknowledged:
                restored.model.hear(printed)
            asyncio.run(restored.check(thorough=times > 1))
            restored.round()  # and it goes on


def test_a_backup_ends_while_another_writes_and_what_was_acknowledged_is_in_it(tmp_path: Path) -> None:
    back_up_under_traffic(tmp_path, "backup", processes=1, size=20 * MIB, times=1)


@pytest.mark.torture
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_many_backups_while_others_write(tmp_path: Path, processes: int) -> None:
    back_up_under_traffic(tmp_path, f"backups {processes}", processes=processes, size=60 * MIB, times=8)


def test_a_copy_is_restored_in_place_of_a_file_whose_process_was_killed(tmp_path: Path) -> None:
    file, copy = tmp_path / "store.db", tmp_path / "copy.db"
    with story("restore") as random:
        with traffic(file, random, 1) as (writer,):
            writer.wait_for(50)
            acknowledged = list(writer.printed)
            backed_up(file, copy)
        assert Path(f"{file}-wal").exists()
        file.unlink()
        with pytest.raises(StoreError, match=r"store\.db-wal already"):
            SQLiteStore.back_up(copy, file)
        for beside in ("-wal", "-shm"):
            Path(f"{file}{beside}").unlink()
        backed_up(copy, file)
        restored = Killing(file, random)
        restored.model.hear(acknowledged)
        asyncio.run(restored.check())
        restored.round()


async def test_every_copy_is_in_epochs_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    epochs: dict[str, set[int]] = {session: set() for session in SESSIONS}
    async with SQLiteStore.open(file, registry()) as store:
        await Publishing(store).once_each()
        for session in SESSIONS:  # some of them were never used
            epochs[session].add((await store.cursors(session)).epoch)
    for copy in (tmp_path / "1.db", tmp_path / "2.db"):
        SQLiteStore.back_up(file, copy)
        async with SQLiteStore.open(copy, registry()) as store:
            for session in SESSIONS:
                epochs[session].add((await store.cursors(session)).epoch)
    assert {session: len(each) for session, each in epochs.items()} == dict.fromkeys(SESSIONS, 3)
    assert set(PLAIN) < set(PUBLISHED) < set(SESSIONS)


async def test_a_backup_to_a_disk_that_is_full_says_so_and_leaves_nothing(tmp_path: Path, small_disk: Path) -> None:
    file, copy, ballast = tmp_path / "store.db", small_disk / "copy.db", small_disk / "ballast"
    async with SQLiteStore.open(file, registry()) as store:
        publishing = Publishing(store)
        await publishing.once_each()
        fill_up(ballast)
        with pytest.raises(StoreError, match=r"cannot copy .*store\.db to .*copy\.db: .* make room on the disk"):
            SQLiteStore.back_up(file, copy)
        assert names(small_disk) == ["ballast"]
        ballast.unlink()
        SQLiteStore.back_up(file, copy)
