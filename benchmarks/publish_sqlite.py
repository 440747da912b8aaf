"""Publishing to SQLite, compared with bare loops that execute the same statements.

    python -m benchmarks.publish_sqlite

For one session, with one event after the other, one bare loop passes each transaction to a writer thread and awaits it;
another executes it on its own thread, which would block an event loop. For a hundred sessions at once, a bare loop
executes fifty events in a transaction on its own thread, with the statements that the store executes for one event.
``publish_many`` to one session is compared with such a loop too. ``synchronous`` is ``"normal"``, and there are both
projections. The same commits without a hub show the part of the store.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, best, report
from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection, ui_projection
from benchmarks.sqlite_loops import Recording, Transaction, by_thread, directly
from sessionstream import Commit, Event, Hub, SchemaRegistry, SQLiteStore, TimelineEntity
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent
from sessionstream.hydration.sqlite.database import Database
from sessionstream.hydration.sqlite.store import Opening

EVENTS = 1_000
SESSIONS = 100
GROUP = 50
IN_A_CALL = 100
ROUNDS = 12


class Scratch:
    """Names of new files in a directory."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._number = 0

    def file(self) -> Path:
        """Return the next file."""
        self._number += 1
        return self._directory / f"{self._number}.db"


def _hub(schemas: SchemaRegistry, store: SQLiteStore) -> Hub:
    hub = Hub(schemas, store=store, fanout=lambda session_id, ordinal, events: None)
    hub.register_ui_projection(ui_projection)
    hub.register_timeline_projection(timeline_projection)
    return hub


def _event(session: str, number: int) -> Event:
    return Event("Delta", TokensDeltaEvent(message_id=f"m{number % 100}", chunk=CHUNK), session)


async def _publish_to(hub: Hub, session: str, number: int) -> None:
    await hub.publish(_event(session, number))


async def _publish(scratch: Scratch, sessions: int) -> float:
    """Publish the events, spread over the sessions, each session one after the other; return seconds."""
    schemas = new_schemas()
    async with SQLiteStore.open(scratch.file(), schemas) as store:
        hub = _hub(schemas, store)

        async def one(session: str) -> None:
            for number in range(EVENTS // sessions):
                await _publish_to(hub, session, number)

        await store.cursors("s0")  # the file is open, and so is the reader's connection
        start = time.perf_counter()
        await asyncio.gather(*(one(f"s{session}") for session in range(sessions)))
        return time.perf_counter() - start


async def _publish_many(scratch: Scratch) -> float:
    """Publish the events to one session, so many in a call; return seconds."""
    schemas = new_schemas()
    async with SQLiteStore.open(scratch.file(), schemas) as store:
        hub = _hub(schemas, store)
        await store.cursors("s0")
        start = time.perf_counter()
        for first in range(0, EVENTS, IN_A_CALL):
            numbers = range(first, first + IN_A_CALL)
            await hub.publish_many("s0", [_event("s0", number) for number in numbers])
        return time.perf_counter() - start


async def _record(scratch: Scratch, sessions: int) -> list[Transaction]:
    """Publish the same events one by one; return the statements that the store executed for each."""
    recording, schemas = Recording(), new_schemas()
    async with Opening(Database(str(scratch.file()), factory=recording.connections()), schemas) as store:
        hub = _hub(schemas, store)
        recording.changes.clear()  # of opening the file
        for number in range(EVENTS // sessions):
            for session in range(sessions):
                await _publish_to(hub, f"s{session}", number)
    assert len(recording.changes) == EVENTS
    return recording.changes


async def _commit(scratch: Scratch, sessions: int) -> float:
    """Pass the commits of as many events to the store, each session's in order, without waiting; return seconds."""
    message = ChatMessageEntity(text=CHUNK)
    async with SQLiteStore.open(scratch.file(), new_schemas()) as store:
        await store.cursors("s0")
        start, outcomes = time.perf_counter(), []
        for ordinal in range(1, EVENTS // sessions + 1):
            name = f"m{ordinal % 100}"
            delta = TokensDeltaEvent(message_id=name, chunk=CHUNK)
            for session in range(sessions):
                event = Event("Delta", delta, f"s{session}", ordinal, f"{ordinal:036}")
                entity = TimelineEntity("Message", name, message, ordinal, ordinal)
                outcomes.append(store.commit(Commit(event.session_id, event, (entity,), ordinal - 1, ordinal)))
        await asyncio.gather(*outcomes)
        return time.perf_counter() - start


async def _directly(scratch: Scratch, changes: list[Transaction], at_once: int) -> float:
    return directly(scratch.file(), changes, at_once)


async def main() -> list[Figure]:
    """Measure, and return events per second."""
    with tempfile.TemporaryDirectory() as directory:
        scratch = Scratch(directory)
        changes = await _record(scratch, 1)
        ours, in_calls, thread, direct, together = await best(
            ROUNDS,
            partial(_publish, scratch, 1),
            partial(_publish_many, scratch),
            lambda: by_thread(scratch.file(), changes),
            partial(_directly, scratch, changes, 1),
            partial(_directly, scratch, changes, GROUP),
        )
        many = await _record(scratch, SESSIONS)
        at_once, committed, grouped = await best(
            ROUNDS,
            partial(_publish, scratch, SESSIONS),
            partial(_commit, scratch, SESSIONS),
            partial(_directly, scratch, many, GROUP),
        )
    one, all_ = "publish, SQLite, one session", f"publish, SQLite, {SESSIONS} sessions at once"
    calls = f"publish_many, SQLite, one session, {IN_A_CALL} events a call"
    return [
        _figure(one, ours, "the same statements, handed to a thread one by one", thread, "≥ 0.62"),
        _figure(one, ours, "the same statements, without a thread", direct),
        _figure(calls, in_calls, f"the same statements, {GROUP} events a transaction", together, "≥ 0.3"),
        _figure(all_, at_once, f"the same statements, {GROUP} events a transaction", grouped),
        _figure(f"{all_}, the store's part", committed, f"the same statements, {GROUP} a transaction", grouped),
    ]


def _figure(what: str, ours: float, against: str, bare: float, goal: str = "") -> Figure:
    return Figure(what, EVENTS / ours, against, EVENTS / bare, "events/s", goal)


if __name__ == "__main__":
    report(asyncio.run(main()))
