"""A recorder for live events, and the stores that a chat is tried on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from sessionstream import HydrationStore, MemoryStore, SQLiteStore, UIEvent
from sessionstream.examples.chatdemo import chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate


class Recorder:
    """A fan-out that keeps what it gets, and wakes whoever waits for something."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, int, str, ChatMessageUpdate]] = []
        self._changed = asyncio.Event()

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        for event in events:
            assert isinstance(event.payload, ChatMessageUpdate)
            self.updates.append((session_id, ordinal, event.name, event.payload))
        self._changed.set()

    def names(self, session_id: str = "s-1") -> list[str]:
        return [name for session, _, name, _ in self.updates if session == session_id]

    def messages(self, session_id: str = "s-1") -> list[tuple[str, str]]:
        return [(name, update.message_id) for session, _, name, update in self.updates if session == session_id]

    async def until(self, name: str, session_id: str = "s-1") -> None:
        """Return once an event of this name has arrived."""
        async with asyncio.timeout(10):
            while name not in self.names(session_id):
                self._changed.clear()
                await self._changed.wait()


OpenStore = Callable[[], AbstractAsyncContextManager[HydrationStore]]


@pytest.fixture
async def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(params=["memory", "sqlite"])
async def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Open the same store again and again, as the processes of one application would, one after the other."""
    memory = MemoryStore(chat_schemas())

    @asynccontextmanager
    async def open_memory() -> AsyncIterator[HydrationStore]:
        yield memory

    @asynccontextmanager
    async def open_sqlite() -> AsyncIterator[HydrationStore]:
        async with SQLiteStore.open(tmp_path / "chat.db", chat_schemas()) as store:
            yield store

    yield open_memory if request.param == "memory" else open_sqlite
    await memory.close()
