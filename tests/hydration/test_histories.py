"""Any history of long texts, at every ordinal: what a store tells is the plain fold of what it was given."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.errors import StoreError
from sessionstream.hydration import versions
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.store import HydrationStore, TimelineReplacement
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.testing.contract.retention import check_above_floor
from sessionstream.testing.sessions import KIND, OTHER_KIND
from sessionstream.types import TimelineEntity

REGISTRY = sample_registry()
WORDS = "".join(f"{number} green bottles, " for number in range(40))

_texts = st.one_of(
    st.integers(0, len(WORDS)).map(lambda size: WORDS[:size]),
    st.tuples(st.integers(0, len(WORDS)), st.text(max_size=30)).map(lambda cut: WORDS[: cut[0]] + cut[1] + WORDS),
)
_changes = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from([KIND, KIND, OTHER_KIND]), st.none() | _texts, st.just("")),
    max_size=3,
    unique_by=lambda change: change[:2],
)
_histories = st.lists(_changes, min_size=1, max_size=14)


def entities(changes: Iterable[tuple[str, str, str | None, str]]) -> list[TimelineEntity]:
    return [drop(name, kind=kind) if text is None else put(name, text, kind=kind) for name, kind, text, _ in changes]


@given(keyframe=st.sampled_from([1, 3, versions.KEYFRAME]), history=_histories, more=_histories, data=st.data())
def test_as_of_is_the_plain_fold(keyframe: int, history: list[Any], more: list[Any], data: st.DataObject) -> None:
    async def check(path: Path) -> None:
        writer = SessionWriter(None)  # type: ignore[arg-type]
        async with SQLiteStore.open(path, REGISTRY) as writer.store:
            for changes in history:
                await writer.log(*entities(changes))
            await check_above_floor(writer, 0)
            floor = data.draw(st.integers(0, len(history)))
            await writer.store.prune("session", before=floor)
            await check_above_floor(writer, floor)
        async with SQLiteStore.open(path, REGISTRY) as writer.store:
            await check_above_floor(writer, floor)
            for changes in more:
                await writer.log(*entities(changes))
            await check_above_floor(writer, floor)
            await rebuilt(writer)
            await check_above_floor(writer, floor)

    with TemporaryDirectory() as directory, mock.patch.object(versions, "KEYFRAME", keyframe):
        asyncio.run(check(Path(directory) / "x.db"))


async def rebuilt(writer: SessionWriter) -> None:
    """Replace the timeline by one with the same states."""
    states: list[TimelineEntity] = []
    for ordinal in sorted(writer.states)[1:]:
        now = writer.states[ordinal]
        states += [entity for entity in now.values() if entity.last_event_ordinal == ordinal]
        for key, entity in writer.states[ordinal - 1].items():
            if key not in now:
                states.append(TimelineEntity(*key, None, entity.created_ordinal, ordinal, tombstone=True))
    cursors = await writer.cursors()
    await writer.store.replace_timeline(TimelineReplacement("session", states, writer.timeline, cursors))


def kept(path: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT encoding, length(payload) FROM entity_versions ORDER BY changed").fetchall()


async def streamed(store: HydrationStore, chunks: int) -> SessionWriter:
    writer = SessionWriter(store)
    for number in range(1, chunks + 1):
        await writer.log(put("answer", WORDS + "and so on, " * number))
    return writer


async def test_a_growing_text_is_kept_as_deltas_with_a_full_state_every_so_often(tmp_path: Path) -> None:
    async with SQLiteStore.open(path := tmp_path / "x.db", REGISTRY) as store:
        writer = await streamed(store, 200)
        await check_above_floor(writer, 0)
        streamed_rows = kept(path)
        await rebuilt(writer)
        assert kept(path) == streamed_rows
    full = [at for at, (encoding, _) in enumerate(streamed_rows) if encoding == versions.FULL]
    assert full == list(range(versions.KEYFRAME, 199, versions.KEYFRAME + 1))
    assert max(size for encoding, size in streamed_rows if encoding == versions.DELTA) < 20


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE entity_versions SET payload = x'FF' WHERE changed = 3", "damaged"),
        ("UPDATE entity_versions SET payload = NULL, encoding = 0 WHERE changed = 4", "lacks what it is a delta"),
        ("UPDATE entities SET payload = x'00'", "damaged"),
        ("UPDATE entities SET payload = NULL", "lacks what it is a delta"),
    ],
)
async def test_a_damaged_history_is_a_store_error(tmp_path: Path, damage: str, words: str) -> None:
    async with SQLiteStore.open(path := tmp_path / "x.db", REGISTRY) as store:
        await streamed(store, 5)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute(damage)
        with pytest.raises(StoreError, match=words):
            await store.snapshot("session", as_of=2)
        assert (await store.snapshot("session", as_of=0)).entities == ()


async def test_what_is_asked_costs_by_what_is_there(tmp_path: Path) -> None:
    """The number of steps that SQLite takes for one entity of many versions, and for many entities of one."""
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        steps = {}
        for versions_before in (20, 400):
            writer = SessionWriter(store, f"{versions_before} versions")
            for number in range(versions_before):
                await writer.log(put("one", str(number)))
            steps[versions_before] = await counted(store, writer.session_id, versions_before // 2)
        assert steps[400] < 1.5 * steps[20]


async def counted(store: SQLiteStore, session_id: str, ordinal: int) -> int:
    def count(db: sqlite3.Connection) -> int:
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        db.set_progress_handler(step, 1)
        store._reading.snapshot(db, session_id, ordinal, None)
        db.set_progress_handler(None, 1)
        return steps

    return await store._reader.ask(count)
