"""Bare loops over SQLite: the statements that the store executes, without the store.

They are recorded while a hub publishes to an empty file, and executed again on another empty file. So the loops build
no rows, encode no payloads, compute no deltas, and make no decisions.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias

from sessionstream.hydration.sqlite.database import Database

Statement: TypeAlias = tuple[str, Sequence[Any]]
Transaction: TypeAlias = list[Statement]

_FRAME = ("BEGIN", "COMMIT", "PRAGMA")


class Recording:
    """The statements of a store's writer, one list for each transaction, without BEGIN and COMMIT."""

    def __init__(self) -> None:
        self.changes: list[Transaction] = []

    def connections(self) -> type[sqlite3.Connection]:
        """Return the class of connections for opening the store."""
        changes = self.changes

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
                if "writer" in threading.current_thread().name:
                    if sql.startswith("BEGIN"):
                        changes.append([])
                    elif changes and not sql.startswith(_FRAME):
                        changes[-1].append((sql, parameters))
                return super().execute(sql, parameters)

            def executemany(self, sql: str, parameters: Any, /) -> sqlite3.Cursor:
                rows = list(parameters)
                if "writer" in threading.current_thread().name and changes:
                    changes[-1] += [(sql, row) for row in rows]
                return super().executemany(sql, rows)

        return Connection


def _execute(db: sqlite3.Connection, changes: Sequence[Transaction]) -> None:
    db.execute("BEGIN IMMEDIATE")
    for change in changes:
        for sql, parameters in change:
            db.execute(sql, parameters).fetchone()
    db.execute("COMMIT")


def directly(file: Path, changes: Sequence[Transaction], at_once: int = 1) -> float:
    """Execute the changes on this thread, ``at_once`` in a transaction; return seconds."""
    with closing(Database(str(file)).connect_writer()) as db:
        start = time.perf_counter()
        for first in range(0, len(changes), at_once):
            _execute(db, changes[first : first + at_once])
        return time.perf_counter() - start


async def by_thread(file: Path, changes: Sequence[Transaction]) -> float:
    """Pass each change to a writer thread as a separate transaction, and await it; return seconds."""
    loop = asyncio.get_running_loop()
    queue: SimpleQueue[tuple[Transaction, asyncio.Future[None]] | None] = SimpleQueue()

    def write() -> None:
        with closing(Database(str(file)).connect_writer()) as db:
            loop.call_soon_threadsafe(ready.set)
            while (handed := queue.get()) is not None:
                _execute(db, [handed[0]])
                loop.call_soon_threadsafe(handed[1].set_result, None)

    ready = asyncio.Event()
    writer = threading.Thread(target=write)
    writer.start()
    await ready.wait()
    start = time.perf_counter()
    for change in changes:
        done: asyncio.Future[None] = loop.create_future()
        queue.put((change, done))
        await done
    seconds = time.perf_counter() - start
    queue.put(None)
    writer.join()
    return seconds
