"""The chat in two processes on one file: each store stands for a process of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sessionstream import SQLiteStore
from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.schemas import INFERENCE_STOPPED, chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity

PATIENCE = 30.0


async def test_stop_works_in_another_process_than_the_one_that_streams(tmp_path: Path) -> None:
    path, schemas = tmp_path / "chat.db", chat_schemas()
    async with (
        SQLiteStore.open(path, schemas) as one,
        SQLiteStore.open(path, schemas) as two,
        Chat(store=one, delay=0.01) as streams,
        Chat(store=two) as stops,
    ):
        await streams.start("s", "a word " * 2_000)
        async with stops.hub.session_events("s", after=0) as events, asyncio.timeout(PATIENCE):
            async for event in events:
                if event.ordinal > 5:
                    break
        await stops.stop("s")
        async with asyncio.timeout(PATIENCE):
            await streams.wait("s")
        logged = await two.events("s")
        assert [event.name for event in logged].count(INFERENCE_STOPPED) == 1
        answer = (await stops.hub.snapshot("s")).entities[-1].payload
        assert isinstance(answer, ChatMessageEntity)
        assert (answer.status, answer.streaming) == ("stopped", False)
        assert len(logged) < 1_000, "the answer went on to its end"
