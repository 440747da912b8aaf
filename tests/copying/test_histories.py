"""A copy answers every question as the file does, whatever has happened in the file."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sessionstream.errors import EventConflict
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.hydration import stores
from sessionstream.hydration.copying import copy
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.observe import ErrorRecord
from sessionstream.store import Commit, HydrationStore, TimelineReplacement
from sessionstream.testing import drop, put, sample_registry
from sessionstream.testing.sessions import EVENT, OTHER_KIND
from sessionstream.types import Event, Metadata, TimelineEntity
from tests.servers.postgres import Postgres

from .answers import answers, same_lists

REGISTRY = sample_registry()
SESSIONS = ("a", "会话", "🧵 x")
KEYS = ("k", "schlüssel")

_OPERATIONS = (
    *("grow",) * 8,
    *("drop", "label", "hold", "hold", "resume", "resume", "prune", "prune", "rebuild", "claim", "end", "error"),
    *("delete", "copy"),
)
operations = st.lists(
    st.tuples(st.sampled_from(_OPERATIONS), st.sampled_from(SESSIONS), st.integers(0, 90)), min_size=15, max_size=40
)


@dataclass
class History:
    """Carries operations out on a store; ``number`` of each says how."""

    store: HydrationStore
    event_ids: set[str] = field(default_factory=set)

    async def apply(self, operation: str, session_id: str, number: int) -> None:
        cursors = await self.store.cursors(session_id)
        changed: TimelineEntity | None = None
        match operation:
            case "grow":
                changed = put(f"text {number % 2}", "and so on, " * number)
            case "drop":
                changed = drop(f"text {number % 2}")
            case "label":
                changed = put("ä", str(number), kind=OTHER_KIND)
            case "hold":
                await self._log(session_id, number, None)
            case "resume":
                if cursors.held:
                    (waiting,) = await self.store.events(session_id, after=cursors.timeline, limit=1)
                    await self._move(session_id, None, waiting.ordinal, put("text 0", "and so on, " * number))
            case "prune":
                await self.store.prune(session_id, before=max(cursors.event - number % 4, 0))
            case "delete":
                await self.store.delete_session(session_id)
            case "rebuild":
                states = [
                    replace(put("text 0", "rebuilt, " * n * 20), created_ordinal=n, last_event_ordinal=n)
                    for n in range(1, cursors.event + 1, 1 + number % 3)
                ]
                await self.store.replace_timeline(TimelineReplacement(session_id, states, cursors.event, cursors))
            case "claim":
                await self.store.claim_command(session_id, KEYS[number % 2], b"digest")
            case "end":
                await self.store.end_command(session_id, KEYS[number % 2], finished=number > 45)
            case "error":
                belongs = "" if number > 80 else session_id
                facts = {"who": "Ada\0"}
                await self.store.record_error(ErrorRecord("store", belongs, number, "Delta", "\0", b"raw", facts))
        if changed is not None and cursors.held:
            await self._log(session_id, number, None)
        elif changed is not None:
            await self._log(session_id, number, changed)

    async def _log(self, session_id: str, number: int, changed: TimelineEntity | None) -> None:
        cursors = await self.store.cursors(session_id)
        ordinal = cursors.event + 1 + (number > 85)
        event_id = f"event {ordinal}"
        self.event_ids.add(event_id)
        metadata = Metadata({"where": "Köln"}) if number % 3 else Metadata({})
        event = Event(EVENT, TokensDeltaEvent(chunk="é" * number), session_id, ordinal, event_id, metadata)
        await self._move(session_id, event, None if changed is None else ordinal, changed)

    async def _move(
        self, session_id: str, event: Event | None, ordinal: int | None, changed: TimelineEntity | None
    ) -> None:
        cursors = await self.store.cursors(session_id)
        placed = []
        if changed is not None and ordinal is not None:
            present = (await self.store.timeline(session_id)).entities
            created = [each.created_ordinal for each in present if (each.kind, each.id) == (changed.kind, changed.id)]
            placed = [replace(changed, created_ordinal=(created or [ordinal])[0], last_event_ordinal=ordinal)]
        moved = cursors.timeline if ordinal is None else ordinal
        await self.store.commit(Commit(session_id, event, tuple(placed), cursors.event, moved, cursors.timeline))


@given(history=operations)
@settings(max_examples=8, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_copy_answers_as_the_file_does(postgres: Postgres, history: list[tuple[str, str, int]]) -> None:
    url = f"{postgres.dsn}&schema=test_{secrets.token_hex(8)}"
    with TemporaryDirectory() as directory:
        path = Path(directory) / "sessions.db"
        async with SQLiteStore.open(path, REGISTRY) as store:
            written = History(store)
            for operation, session_id, number in history:
                if operation == "copy":  # what is copied and grows later
                    await asyncio.to_thread(copy, path, url)
                else:
                    await written.apply(operation, session_id, number)
        report = await asyncio.to_thread(copy, path, url)
        assert report.left == []
        again = await asyncio.to_thread(copy, path, url)
        assert (again.unchanged, again.copied, again.updated, again.left) == (report.sessions, 0, 0, [])
        async with SQLiteStore.open(path, REGISTRY) as file, stores.open(url, REGISTRY) as copied:
            assert await same_lists(copied, file)
            for session_id in ("", *SESSIONS):
                ids = written.event_ids
                assert await answers(copied, session_id, ids) == await answers(file, session_id, ids)
                if session_id:
                    await check_repeats(file, copied, session_id)
            for session_id in SESSIONS:  # both go on alike
                if (await file.cursors(session_id)).event == 0:
                    continue  # it would begin with the epoch of its store
                for each in (file, copied):
                    going = History(each)
                    for operation in ("resume", "grow", "drop", "grow"):
                        await going.apply(operation, session_id, 60)
                found, expected = [await answers(each, session_id, timed=False) for each in (copied, file)]
                assert found == expected


async def check_repeats(file: HydrationStore, copied: HydrationStore, session_id: str) -> None:
    """Check that both refuse events and commands that come again."""
    cursors = await file.cursors(session_id)
    for logged in await file.events(session_id):
        event = replace(logged, ordinal=cursors.event + 1, recorded_at=None)
        commit = Commit(session_id, event, (), cursors.event, cursors.timeline, cursors.timeline)
        conflicts = []
        for store in (file, copied):
            with pytest.raises(EventConflict) as refused:
                await store.commit(commit)
            conflicts.append((refused.value.ordinal, refused.value.digest))
        assert conflicts[0] == conflicts[1]
    for key in KEYS:
        claims = [await store.claim_command(session_id, key, b"again") for store in (file, copied)]
        ended = [each and (each.digest, each.state == "finished") for each in claims]
        assert ended[0] == ended[1]  # the file may take the process for one that still runs
