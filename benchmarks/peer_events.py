"""An event that a hub publishes, and one that the package ``eventsourcing`` saves: in memory, and on disk in SQLite.

Each event replaces a text of 200 bytes: an attribute of an aggregate there, an entity of a session here.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.figures import Figure, best
from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection
from benchmarks.publish_sqlite import Scratch
from sessionstream import Event, Hub, SQLiteStore
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent

IN_MEMORY = 500
ROUNDS = 25
ON_DISK = 200
ROUNDS_ON_DISK = 8
SESSIONS = 50
FULL = 2


class Message(Aggregate):
    """An aggregate with a text."""

    def __init__(self) -> None:
        self.text = ""

    @event("Streamed")
    def stream(self, text: str) -> None:
        """Replace the text."""
        self.text = text


def _application(file: Path | None = None) -> Application[UUID]:
    """Make an application that caches its aggregates, and does not look for events of other processes."""
    env = {"AGGREGATE_CACHE_MAXSIZE": "0", "AGGREGATE_CACHE_FASTFORWARD": "n"}
    if file is not None:
        env |= {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(file)}
    return Application(env)


async def _save(app: Application[UUID], events: int, aggregates: int) -> float:
    """Save the events, spread over the aggregates; return microseconds per event."""
    with app:
        ids = []
        for _ in range(aggregates):
            message = Message()
            app.save(message)
            ids.append(message.id)
        start = time.perf_counter()
        for number in range(events):
            message = app.repository.get(ids[number % aggregates])
            message.stream(CHUNK)
            app.save(message)
        return (time.perf_counter() - start) / events * 1e6


async def _publish(hub: Hub, events: int, sessions: int) -> float:
    """Publish the events, spread over the sessions, each session one after the other; return microseconds per event."""
    hub.register_timeline_projection(timeline_projection)

    async def publish(session: str, count: int) -> None:
        for _ in range(count):
            await hub.publish(Event("Delta", TokensDeltaEvent(message_id="m", chunk=CHUNK), session))

    async def all_at_once(count: int) -> None:
        await asyncio.gather(*(publish(f"s{number}", count) for number in range(sessions)))

    await all_at_once(1)
    start = time.perf_counter()
    await all_at_once(events // sessions)
    return (time.perf_counter() - start) / events * 1e6


async def _publish_to_disk(scratch: Scratch, sessions: int) -> float:
    schemas = new_schemas()
    async with SQLiteStore.open(scratch.file(), schemas, synchronous="full") as store:
        return await _publish(Hub(schemas, store=store), ON_DISK, sessions)


async def _save_to_disk(scratch: Scratch, aggregates: int) -> float:
    file = scratch.file()
    took = await _save(_application(file), ON_DISK, aggregates)
    with closing(sqlite3.connect(file)) as db:  # eventsourcing leaves it at what SQLite was built with
        assert db.execute("PRAGMA synchronous").fetchone() == (FULL,)
    return took


async def main() -> list[Figure]:
    """Measure, and return microseconds per event."""
    ours, theirs = await best(
        ROUNDS, lambda: _publish(Hub(new_schemas()), IN_MEMORY, 1), lambda: _save(_application(), IN_MEMORY, 1)
    )
    with TemporaryDirectory() as directory:
        scratch = Scratch(directory)
        one, one_saved, many, many_saved = await best(
            ROUNDS_ON_DISK,
            partial(_publish_to_disk, scratch, 1),
            partial(_save_to_disk, scratch, 1),
            partial(_publish_to_disk, scratch, SESSIONS),
            partial(_save_to_disk, scratch, SESSIONS),
        )
    disk, peer = "log an event, SQLite, synchronous = FULL", "eventsourcing"
    return [
        Figure("log an event, in memory", ours, peer, theirs, "µs"),
        Figure(f"{disk}, one session", one, peer, one_saved, "µs"),
        Figure(f"{disk}, {SESSIONS} sessions at once", many, peer, many_saved, "µs"),
    ]
