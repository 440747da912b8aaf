"""Many writers of one session: each waits a little longer, at random, before it tries again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sessionstream import Commit, MemoryStore, OrdinalConflict, SQLiteStore
from sessionstream.hub import turn
from sessionstream.testing import StoreProxy

from .support import App, registry, said, soon, until


class Contended(StoreProxy):
    """Loses the race for so many commits."""

    losses = 0

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        if self.losses:
            self.losses -= 1
            raise OrdinalConflict(commit.session_id, expected=1, actual=2)
        return super().commit(commit)


async def test_the_third_attempt_waits_and_each_later_one_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    sleep = asyncio.sleep

    async def noting(seconds: float) -> None:
        if seconds:
            waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", noting)
    monkeypatch.setattr(turn, "random", lambda: 1.0)
    schemas = registry()
    store = Contended(MemoryStore(schemas))
    app = App(store, schemas=schemas)
    for losses, pauses in ((0, []), (1, []), (2, [0.001]), (9, [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05])):
        waited.clear()
        store.losses = losses
        await app.publish("x")
        assert waited == pauses
    assert await app.log() == ["x"] * 4


async def test_a_cancellation_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(turn, "LONGEST_PAUSE", 3600.0)
    schemas = registry()
    store = Contended(MemoryStore(schemas))
    store.losses = 2
    app = App(store, schemas=schemas)
    task = asyncio.create_task(app.publish("x"))
    await until(lambda: not store.losses)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert await app.log() == []
    await app.usable()


async def test_many_writers_of_a_file_all_succeed(tmp_path: Path) -> None:
    schemas = registry()
    async with AsyncExitStack() as stack:
        apps = []
        for _ in range(8):
            store = await stack.enter_async_context(SQLiteStore.open(tmp_path / "x.db", schemas))
            apps.append(App(store, schemas=schemas))

        async def write(number: int, app: App) -> None:
            for each in range(10):
                await app.hub.publish(said(f"{number}.{each} ", event_id=f"{number}.{each}"))

        async with asyncio.timeout(120):
            await asyncio.gather(*[write(number, app) for number, app in enumerate(apps)])
        log = await apps[0].log()
        assert sorted(log) == sorted(f"{number}.{each} " for number in range(8) for each in range(10))
        for number in range(8):
            assert [each for each in log if each.startswith(f"{number}.")] == [
                f"{number}.{each} " for each in range(10)
            ]
        for app in apps:
            assert await app.texts() == {"1": "".join(log)}
