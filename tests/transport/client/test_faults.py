"""The Python client behind a proxy that breaks things: when that is over, it has what the store has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from sessionstream import Snapshot
from sessionstream.transport.ws import connect
from sessionstream.transport.ws.client.client import Client

from .. import notes
from ..faults import HEARTBEAT, SESSIONS, Watcher, World, schedule, text_of

CLIENTS = 2


class PythonWatcher(Watcher):
    """A task that iterates over one subscription."""

    def __init__(self, client: Client, session_id: str) -> None:
        super().__init__(session_id)
        self._willing = asyncio.Event()
        self._willing.set()
        self._task = asyncio.create_task(self._watch(client))
        self._task.add_done_callback(self._ended)

    async def _watch(self, client: Client) -> None:
        async for update in client.subscribe(self.session_id):
            if isinstance(update, Snapshot):
                state = {entity.id: text_of(entity.payload) for entity in update.entities}
                self.snapshot(update.snapshot_ordinal, state)
            else:
                self.event(update.ordinal, text_of(update.payload))
            await self._willing.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.fail(task.exception() or AssertionError("the subscription ended"))

    def hold(self) -> None:
        self._willing.clear()

    def let(self) -> None:
        self._willing.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


@asynccontextmanager
async def watching(made: World, address: str) -> AsyncIterator[list[Watcher]]:
    watchers: list[PythonWatcher] = []
    async with AsyncExitStack() as clients:
        for _ in range(CLIENTS):
            client = connect(
                address,
                schemas=notes.registry(),
                clock=made.clock,
                draw=made.rng.random,
                buffered_updates=made.rng.choice([1, 256]),
                heartbeat_seconds=HEARTBEAT,
                patience_seconds=HEARTBEAT,
            )
            await clients.enter_async_context(client)
            watchers += [PythonWatcher(client, session_id) for session_id in SESSIONS]
        try:
            yield [*watchers]
        finally:
            for watcher in watchers:
                await watcher.close()


@pytest.mark.parametrize("seed", range(12))
async def test_after_healing_every_client_has_what_the_store_has(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    await schedule(seed, watching)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(100, 1_200))
async def test_after_healing_every_client_has_what_the_store_has_again_and_again(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    await schedule(seed, watching)
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
