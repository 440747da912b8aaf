"""A process that does one thing to a file and kills itself before one of its SQL statements.

    python -m tests.durability.suicide FILE THING --at N [--synchronous full]

It ends by itself, with status 0, when there are fewer statements.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import count
from typing import Any, get_args

from sessionstream import Event, Hub, SQLiteStore
from sessionstream.hydration.sqlite.database import Database, Synchronous
from sessionstream.hydration.sqlite.store import Opening

from .app import PLAIN, PRUNED, REBUILT, Said, new_hub, registry
from .child import tell

Thing = Callable[[Hub, SQLiteStore], Awaitable[object]]


async def _publish(hub: Hub, session: str) -> None:
    for how in ("append", "delete"):
        said = Said(f"last-{how}", "t1", "last;", how)
        event: Event = await hub.publish(said.event(session))
        tell("published", session=session, ordinal=event.ordinal, said=vars(said))


async def publish(hub: Hub, store: SQLiteStore) -> None:
    """Publish to three sessions at once, so that they share a transaction."""
    await asyncio.gather(*(_publish(hub, session) for session in PLAIN))


async def publish_one_by_one(hub: Hub, store: SQLiteStore) -> None:
    """Publish to three sessions, one event after the other."""
    for session in PLAIN:
        await _publish(hub, session)


async def rebuild(hub: Hub, store: SQLiteStore) -> None:
    tell("begin", session=REBUILT, operation="rebuild")
    await hub.rebuild_timeline(REBUILT)


async def prune(hub: Hub, store: SQLiteStore) -> None:
    await store.prune(PRUNED, before=4)
    tell("done", session=PRUNED, operation="prune")


async def only_open(hub: Hub, store: SQLiteStore) -> None:
    """Creating the tables, or bringing them to the present version, is what opening does."""


THINGS: dict[str, Thing] = {
    "open": only_open,
    "publish": publish,
    "one-by-one": publish_one_by_one,
    "rebuild": rebuild,
    "prune": prune,
}


def killing_at(at: int, armed: threading.Event) -> type[sqlite3.Connection]:
    """Return a class of connections that kill the process before the ``at``-th statement of the writer.

    A statement for many rows counts once for each.
    """
    number = count(1)

    def die() -> None:
        if armed.is_set() and "writer" in threading.current_thread().name and next(number) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(rows: Iterable[Any]) -> Iterator[Any]:
        for row in rows:
            die()
            yield row

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            die()
            return super().execute(sql, *parameters)

        def executemany(self, sql: str, rows: Any, /) -> sqlite3.Cursor:
            return super().executemany(sql, dying(rows))

    return Connection


async def main(file: str, thing: str, at: int, synchronous: Synchronous) -> None:
    armed, schemas = threading.Event(), registry()
    if thing == "open":
        armed.set()
    async with Opening(Database(file, synchronous, killing_at(at, armed)), schemas) as store:
        hub = new_hub(schemas, store, shaky=False, tell=tell)
        armed.set()
        await THINGS[thing](hub, store)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("thing", choices=THINGS)
    parser.add_argument("--at", type=int, required=True)
    parser.add_argument("--synchronous", choices=get_args(Synchronous), default="normal")
    options = parser.parse_args()
    asyncio.run(main(options.file, options.thing, options.at, options.synchronous))
