"""An answer that fails: its error is seen, the others and the session go on."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

import pytest

from sessionstream import Commit, MemoryStore, StoreError
from sessionstream.examples.chatdemo import Chat, chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity

if TYPE_CHECKING:
    from tests.examples.conftest import Recorder


class BrokenStore(MemoryStore):
    """Refuses the commits of one session from an ordinal on, while it is broken."""

    def __init__(self, session_id: str, ordinal: int) -> None:
        super().__init__(chat_schemas())
        self.broken = True
        self._where = session_id, ordinal

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        session_id, ordinal = self._where
        if self.broken and commit.session_id == session_id and commit.event_cursor >= ordinal:
            refused = asyncio.get_running_loop().create_future()
            refused.set_exception(StoreError("the disk is full"))
            return refused
        return super().commit(commit)


def status_of(entity_payload: object) -> str:
    return cast("ChatMessageEntity", entity_payload).status


async def test_a_failed_answer_is_logged_raised_to_who_waits_and_settled_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = BrokenStore("s-1", 4)
    async with Chat(store=store, delay=0) as chat:
        await chat.start("s-1", "Explain ordinals")
        for _ in range(2):  # it can be asked for until the next start
            with pytest.raises(StoreError, match="disk is full"):
                await chat.wait("s-1")
        failures = [record for record in caplog.records if record.name == "sessionstream.examples.chatdemo"]
        assert [record.levelno for record in failures] == [logging.ERROR]
        assert "s-1" in failures[0].getMessage()
        assert "chat-msg-1" in failures[0].getMessage()

        store.broken = False
        await chat.start("s-1", "again")
        await chat.wait("s-1")
        entities = (await chat.hub.snapshot("s-1")).entities
    assert [status_of(entity.payload) for entity in entities] == ["", "stopped", "", "finished"]


async def test_a_start_that_fails_tells_who_submitted_it(caplog: pytest.LogCaptureFixture) -> None:
    store = BrokenStore("s-1", 2)
    async with Chat(store=store, delay=0) as chat:
        with pytest.raises(StoreError, match="disk is full"):
            await chat.start("s-1", "Explain ordinals")
        store.broken = False
        await chat.start("s-1", "again")
        await chat.wait("s-1")
        ids = [entity.id for entity in (await chat.hub.snapshot("s-1")).entities]
    assert ids == ["chat-msg-1-user", "chat-msg-2-user", "chat-msg-2"]


async def test_closing_gets_over_a_session_that_cannot_be_stopped(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    store = BrokenStore("s-1", 4)
    async with Chat(store=store, fanout=recorder, delay=3600) as chat:
        for session_id in ("s-1", "s-2"):
            await chat.start(session_id, "Explain ordinals")
            await recorder.until("ChatMessageAppended", session_id)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert status_of((await store.snapshot("s-2")).entities[1].payload) == "stopped"
    assert "could not be stopped" in caplog.text
