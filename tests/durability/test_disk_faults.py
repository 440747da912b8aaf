"""The disk itself fails under a hub that many publish to: a full one, one that refuses to write, a damaged file.

What was acknowledged stays, what was refused is a StoreError, every lane is free, and when the disk is well again so is
the hub.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sessionstream import Event, Hub, SQLiteStore, StoreError

from .app import PLAIN, REBUILT, Said, line, new_hub, registry
from .model import Model

SESSIONS = (*PLAIN, REBUILT)


class Publishing:
    """A hub that is published to, and what it acknowledged."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.printed: list[dict[str, Any]] = []
        self.hub: Hub = new_hub(registry(), store, shaky=False, tell=self.tell)
        self.number = 0

    def tell(self, what: str, **details: Any) -> None:
        self.printed.append(json.loads(line(what, details)))

    async def publish(self, session: str) -> Event:
        self.number += 1
        said = Said(f"event-{self.number}", f"t{self.number % 3}", f"{self.number}{'.' * 500};")
        event = await self.hub.publish(said.event(session))
        self.tell("published", session=session, ordinal=event.ordinal, said=vars(said))
        return event

    async def once_each(self) -> list[Event | BaseException]:
        """Publish to all sessions at once; return what became of each."""
        return await asyncio.gather(*map(self.publish, SESSIONS), return_exceptions=True)

    async def until_it_fails(self) -> list[StoreError]:
        """Publish to all sessions at once, until that fails; return how."""
        for _ in range(10_000):
            if failed := [each for each in await self.once_each() if not isinstance(each, Event)]:
                assert all(isinstance(each, StoreError) for each in failed)
                return [each for each in failed if isinstance(each, StoreError)]
        raise AssertionError("it never failed")


async def look(file: Path, *publishing: Publishing) -> None:
    """Compare the file with everything that was acknowledged."""
    model = Model()
    for each in publishing:
        model.hear(each.printed)
    async with SQLiteStore.open(file, registry()) as store:
        await model.check(store, Random(0), thorough=True)
    assert all(model.cursors[session] for session in SESSIONS)


async def test_a_disk_that_is_full(small_disk: Path) -> None:
    file, ballast = small_disk / "store.db", small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    async with SQLiteStore.open(file, registry()) as store:
        publishing = Publishing(store)
        assert any("make room on the disk" in str(error) for error in await publishing.until_it_fails())
        assert all(isinstance(each, StoreError) for each in await publishing.once_each())
        for session in SESSIONS:
            assert len(await store.events(session)) == (await store.cursors(session)).event
        ballast.unlink()
        assert all(isinstance(each, Event) for each in await publishing.once_each())
    await look(file, publishing)


def fill_up(ballast: Path) -> None:
    """Write to a file until its disk is full."""
    with ballast.open("wb") as opened, suppress(OSError):
        while True:
            os.write(opened.fileno(), b"x" * 4096)


async def test_a_disk_that_is_full_when_the_file_is_opened(small_disk: Path) -> None:
    file, ballast = small_disk / "store.db", small_disk / "ballast"
    async with SQLiteStore.open(file, registry()) as store:
        publishing = Publishing(store)
        await publishing.once_each()
    fill_up(ballast)
    new = small_disk / "new.db"
    with pytest.raises(StoreError):
        await SQLiteStore.open(new, registry())
    ballast.unlink()
    async with SQLiteStore.open(new, registry()) as store:
        another = Publishing(store)
        assert all(isinstance(each, Event) for each in await another.once_each())
    await look(new, another)
    await look(file, publishing)


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let writing beyond that fail, in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_writing_that_fails(tmp_path: Path) -> None:
    file, log = tmp_path / "store.db", tmp_path / "store.db-wal"
    async with SQLiteStore.open(file, registry()) as store:
        publishing = Publishing(store)
        await publishing.once_each()
        for more in (0, 100, 5_000, 40_000):
            with no_file_longer_than(log.stat().st_size + more):
                assert any("disk" in str(error) for error in await publishing.until_it_fails())
                assert all(isinstance(each, StoreError) for each in await publishing.once_each())
            assert all(isinstance(each, Event) for each in await publishing.once_each())
    await look(file, publishing)


def garble(file: Path) -> None:
    """Write nonsense over all of the file but its first page, and over its log."""
    for path in (file, Path(f"{file}-wal")):
        with path.open("r+b") as opened:
            size = path.stat().st_size
            opened.seek(4096)
            opened.write(b"\x5a" * max(size - 4096, 0))


def cut(file: Path) -> None:
    """Cut the file and its log off in the middle."""
    for path in (file, Path(f"{file}-wal")):
        os.truncate(path, path.stat().st_size // 2)


async def read(file: Path) -> None:
    """Open the file and read all that can be read."""
    async with SQLiteStore.open(file, registry()) as store:
        for session in SESSIONS:
            await store.events(session)
            await store.snapshot(session)


@pytest.mark.parametrize("damage", [garble, cut], ids=lambda damage: damage.__name__)
async def test_a_file_that_is_damaged_while_it_is_open(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    file = tmp_path / "store.db"
    async with SQLiteStore.open(file, registry()) as store:
        publishing = Publishing(store)
        for _ in range(50):
            await publishing.once_each()
    async with SQLiteStore.open(file, registry()) as store:
        publishing = Publishing(store)
        publishing.number = 1_000
        await publishing.once_each()
        damage(file)
        # SQLite may notice, or not yet: it has pages in memory. Nobody waits for ever, and nothing else is raised.
        async with asyncio.timeout(20):
            outcomes = [each for _ in range(10) for each in await publishing.once_each()]
        assert all(isinstance(each, Event | StoreError) for each in outcomes)
    with pytest.raises(StoreError, match=str(file)):
        await read(file)
