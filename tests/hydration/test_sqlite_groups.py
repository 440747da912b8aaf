"""Changes of many sessions in one transaction, compared with MemoryStore, which carries them out one after the other.

Between and within the groups: refused commits, a second store on the same file, a lock held by another process, a full
disk, and statements that fail.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream.errors import EventConflict, OrdinalConflict, StoreError
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.sqlite import SQLiteStore, sessions
from sessionstream.hydration.sqlite.inspection import SQLiteFile
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.observe import ErrorRecord
from sessionstream.store import Commit, Cursors, HydrationStore, TimelineReplacement
from sessionstream.testing import SessionWriter, WallClock, put, sample_registry
from sessionstream.types import Event, TimelineEntity

from .hasty import HastyDatabase

REGISTRY = sample_registry()
SESSIONS = ("a", "b", "c")
EVENT = SessionWriter(MemoryStore(REGISTRY)).new_event(1)

Trouble = Literal["", "other store", "locked", "full", "statement"]


class Faults:
    """Fails the ``left``-th statement of the writer from now on; None fails none."""

    def __init__(self) -> None:
        self.left: int | None = None

    def connections(self) -> type[sqlite3.Connection]:
        faults = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                faults.count()
                return super().execute(sql, *parameters)

            def executemany(self, sql: str, rows: Any, /) -> sqlite3.Cursor:
                return super().executemany(sql, faults.counted(rows))

        return Connection

    def counted(self, rows: Iterable[Any]) -> Iterator[Any]:
        for row in rows:
            self.count()
            yield row

    def count(self) -> None:
        if self.left is None or not threading.current_thread().name.startswith("sessionstream writer"):
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            injected = sqlite3.OperationalError("injected")
            injected.sqlite_errorcode = sqlite3.SQLITE_ERROR
            raise injected


@dataclass(frozen=True)
class Change:
    """Something to be done to a session; commits continue what the changes before them in the group lead to.

    Attributes:
        gap: between the last ordinal and that of the event.
        entities: ids, with the sizes of their texts; None for a deletion.
        event_id: empty for a new one.
        wrong: what the commit expects and is not so.
    """

    what: Literal["commit", "hold", "prune", "delete", "claim", "error"]
    session: str
    gap: int = 1
    entities: tuple[tuple[str, int | None], ...] = ()
    event_id: str = ""
    wrong: Literal["", "cursor", "epoch", "last commit"] = ""


@dataclass(frozen=True)
class Round:
    """Changes that go into one transaction."""

    changes: list[Change]
    trouble: Trouble
    at: int
    minutes: int
    rebuilt: str


_sizes = st.sampled_from([None, 3, 600, 700])
_entities = st.dictionaries(st.sampled_from("xyz"), _sizes, max_size=2).map(lambda each: tuple(each.items()))
_whats = st.sampled_from(["commit"] * 8 + ["hold", "prune", "delete", "claim", "error"])
_wrongs = st.sampled_from([""] * 12 + ["cursor", "epoch", "last commit"])
_changes = st.builds(
    Change,
    what=_whats,
    session=st.sampled_from(SESSIONS),
    gap=st.sampled_from([1, 1, 3]),
    entities=_entities,
    event_id=st.sampled_from([""] * 8 + ["twice"]),
    wrong=_wrongs,
)
_rounds = st.builds(
    Round,
    changes=st.lists(_changes, min_size=1, max_size=8),
    trouble=st.sampled_from(["", "", "", "other store", "other store", "locked", "full", "statement"]),
    at=st.integers(0, 25),
    minutes=st.integers(-3, 3),
    rebuilt=st.sampled_from(["", "", "", *SESSIONS]),
)


def steps_of(changes: Sequence[Change], known: dict[str, Cursors]) -> list[Callable[..., Any]]:
    """Return what to do, as functions of a store and of the session's epoch in it when the round begins."""
    where, steps = dict(known), list[Callable[..., Any]]()
    for change in changes:
        at, name = where[change.session], change.session
        if change.what in ("commit", "hold"):
            moves = change.what == "commit" and not at.held
            ordinal = at.event + change.gap
            event_id = change.event_id or f"{ordinal} {at.epoch}"
            event = Event(EVENT.name, EVENT.payload, name, ordinal, event_id)
            entities = tuple(entity(key, size, ordinal) for key, size in change.entities) if moves else ()
            expected = at.event + 100 * (change.wrong == "cursor")
            if change.wrong == "cursor":
                event = replace(event, ordinal=expected + 1)
                moves, entities = False, ()
            commit = Commit(name, event, entities, expected, ordinal if moves else at.timeline, at.timeline)
            if change.wrong == "last commit":
                commit = replace(commit, expected_commit_id="another")
            steps.append(committing(commit, change.wrong == "epoch"))
            if not change.wrong and not change.event_id:
                where[name] = replace(at, event=ordinal, timeline=ordinal if moves else at.timeline)
        elif change.what == "prune":
            steps.append(lambda store, _, name=name, at=at: store.prune(name, before=at.event - 1 if at.event else 0))
        elif change.what == "delete":
            steps.append(lambda store, _, name=name: store.delete_session(name))
            where[name] = Cursors(at.event, at.event, at.epoch + 1)
        elif change.what == "claim":
            steps.append(lambda store, _, name=name: store.claim_command(name, "key", b"digest"))
        else:
            steps.append(lambda store, _, name=name: store.record_error(ErrorRecord("store", name, 1, "Delta", "x")))
    return steps


def entity(key: str, size: int | None, ordinal: int) -> TimelineEntity:
    payload = None if size is None else put(key, "so on, " * (size // 7) + str(ordinal)).payload
    return TimelineEntity("Message", key, payload, ordinal, ordinal, tombstone=size is None)


def committing(commit: Commit, wrong_epoch: bool) -> Callable[[HydrationStore, dict[str, int]], Any]:
    return lambda store, epochs: store.commit(
        replace(commit, expected_epoch=epochs[commit.session_id] + 1) if wrong_epoch else commit
    )


async def outcome(step: Callable[..., Any], store: HydrationStore, epochs: dict[str, int]) -> object:
    try:
        return await step(store, epochs)
    except StoreError as error:
        return error


def facts(answer: object) -> object:
    """Return what has to be equal."""
    if isinstance(answer, StoreError):
        return type(answer), getattr(answer, "session_id", ""), getattr(answer, "ordinal", 0)
    return answer


def is_failure(answer: object) -> bool:
    return isinstance(answer, StoreError) and not isinstance(answer, OrdinalConflict | EventConflict)


class Pair:
    """A SQLiteStore, another one on the same file, and the MemoryStore that says what they have to answer."""

    def __init__(self, path: Path, clock: WallClock) -> None:
        self.path, self.clock, self.faults = path, clock, Faults()
        self.model = MemoryStore(REGISTRY)

    def open(self) -> Opening:
        database = HastyDatabase(str(self.path), factory=self.faults.connections())
        return Opening(database, REGISTRY, self.clock)

    async def play(self, rounds: Sequence[Round]) -> None:
        async with AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(self.open()) for _ in range(2)]
            for each in rounds:
                self.clock.advance(timedelta(minutes=each.minutes))
                await self.play_round(each, stores)
                for store in stores:
                    await self.compare(store)
        async with SQLiteStore.open(self.path, REGISTRY) as store:
            await self.compare(store)
        for name in SESSIONS:
            events = SQLiteStore.look(self.path, partial(SQLiteFile.events, session_id=name))
            times = [event.recorded_at for event in events if event.recorded_at is not None]
            assert times == sorted(times)

    async def play_round(self, each: Round, stores: Sequence[SQLiteStore]) -> None:
        store = stores[each.trouble == "other store"]
        known = {name: await self.model.cursors(name) for name in SESSIONS}
        epochs = {name: (await store.cursors(name)).epoch for name in SESSIONS}
        steps = steps_of(each.changes, known)
        release = threading.Event()
        gate = store._writer.submit(lambda _: release.wait(30))
        going = [asyncio.ensure_future(outcome(step, store, epochs)) for step in steps]
        for _ in range(3):
            await asyncio.sleep(0)
        with self.trouble(each, release, store):
            got = [await each for each in going]
        await asyncio.wait([gate])
        for step, answer in zip(steps, got, strict=True):
            if not is_failure(answer):
                wanted = await outcome(step, self.model, {name: at.epoch for name, at in known.items()})
                assert facts(answer) == facts(wanted)
        assert each.trouble in ("locked", "full", "statement") or not any(map(is_failure, got))
        if each.rebuilt:
            for one in (store, self.model):
                at = await one.cursors(each.rebuilt)
                versions = [entity("r", 600, at.event)] if at.event else []
                await one.replace_timeline(TimelineReplacement(each.rebuilt, versions, at.event, at))

    @contextmanager
    def trouble(self, each: Round, release: threading.Event, store: SQLiteStore) -> Any:
        """Let the writer go on, in some trouble."""
        if each.trouble == "locked":
            release.set()
            with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield
            return
        writing = store._writer._writing
        assert writing is not None
        if each.trouble == "full":
            sqlite3.Connection.execute(writing.db, f"PRAGMA max_page_count = {each.at % 4 + 1}").fetchone()
        if each.trouble == "statement":
            self.faults.left = each.at
        release.set()
        yield
        self.faults.left = None
        writing = store._writer._writing
        if writing is not None:
            sqlite3.Connection.execute(writing.db, "PRAGMA max_page_count = 1000000").fetchone()

    async def compare(self, store: SQLiteStore) -> None:
        for name in SESSIONS:
            wanted, got = await self.model.cursors(name), await store.cursors(name)
            assert replace(got, epoch=0) == replace(wanted, epoch=0)
            assert await store.events(name) == await self.model.events(name)
            for ordinal in range(wanted.floor, wanted.event + 1):
                snapshots = [await one.snapshot(name, as_of=ordinal) for one in (store, self.model)]
                assert snapshots[0].entities == snapshots[1].entities
        assert await store.sessions() == await self.model.sessions()


@pytest.mark.parametrize("remembered", [sessions.REMEMBERED, 1], ids=["many remembered", "one remembered"])
@given(rounds=st.lists(_rounds, min_size=1, max_size=6))
@settings(max_examples=settings().max_examples // 2)
def test_a_group_does_what_its_changes_do_one_by_one(remembered: int, rounds: list[Round]) -> None:
    with TemporaryDirectory() as place, patch.object(sessions, "REMEMBERED", remembered):
        asyncio.run(Pair(Path(place) / "x.db", WallClock()).play(rounds))
