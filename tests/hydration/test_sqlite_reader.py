"""Questions of one round of the event loop share a read transaction, and not their errors."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sessionstream.errors import StoreClosed, UnknownSchemaError
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.hydration.sqlite.reader import AT_ONCE
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Cursors
from sessionstream.testing import SessionWriter, put, sample_registry


async def test_one_transaction_answers_several_questions_of_a_round(tmp_path: Path) -> None:
    statements: list[str] = []
    async with SQLiteStore.open(tmp_path / "x.db", sample_registry()) as store:
        await store._reader.ask(lambda db: db.set_trace_callback(statements.append))
        statements.clear()
        answers = await asyncio.gather(*(store._reader.ask(id) for _ in range(AT_ONCE)))
    assert len(set(answers)) == 1
    assert statements.count("BEGIN") == 1


async def test_a_question_that_fails_leaves_the_others_of_its_round_their_answers(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", sample_registry()) as store:
        for session in ("a", "b"):
            await SessionWriter(store, session).log(put("e"))
    async with SQLiteStore.open(tmp_path / "x.db", SchemaRegistry()) as store:
        asked = (store.cursors("a"), store.snapshot("a"), store.cursors("b"), store.events("b"), store.sessions())
        first, snapshot, second, events, sessions = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(snapshot, UnknownSchemaError)
    assert isinstance(events, UnknownSchemaError)
    assert isinstance(first, Cursors)
    assert (first.event, second, sessions) == (1, first, ["a", "b"])


async def test_a_question_whose_asker_has_gone_is_not_answered(tmp_path: Path) -> None:
    answered: list[str] = []
    async with SQLiteStore.open(tmp_path / "x.db", sample_registry()) as store:
        gone = asyncio.ensure_future(store._reader.ask(lambda _: answered.append("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        await store._reader.ask(lambda _: answered.append("there"))
    assert answered == ["there"]
    assert gone.cancelled()


async def test_a_question_that_comes_after_the_threads_have_ended_is_refused(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", sample_registry()) as store:
        reader = store._reader
        reader.close()
        with pytest.raises(StoreClosed):
            await reader.ask(lambda _: None)
