"""Reader threads: each question runs in one read transaction, on a connection that never waits for the writer."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Final, TypeVar

from sessionstream.hydration.sqlite import schema
from sessionstream.hydration.sqlite.database import Database
from sessionstream.hydration.sqlite.watch import Watch

T = TypeVar("T")

READERS: Final = 4
"""Questions that are answered at the same time."""


class Reader:
    """A few threads and as many connections, opened when they are first needed."""

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._watch = watch
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="sessionstream reader")
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Answer a question from one state of the file, which has every commit that was acknowledged before.

        Raises:
            StoreLost: the file is not the one that was opened.
            StoreUpgraded: it is of another version by now.
            StoreError: SQLite failed.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)

    async def run(self, work: Callable[[], T]) -> T:
        """Run work that does not use the file in a thread, so that it does not block the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Finish the questions that were asked and close the connections. It blocks: the writer thread calls it."""
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().close()

    def _answer(self, question: Callable[[sqlite3.Connection], T]) -> T:
        self._watch.check(log_too=False)
        try:
            db = self._connection()
            try:
                db.execute("BEGIN")
                schema.check_version(db, self._database.path)
                answer = question(db)
                db.execute("COMMIT")
            except BaseException:
                db.close()  # its state is unknown
                raise
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise self._database.failure(error) from error
        self._idle.put(db)
        return answer

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            self._watch.check()  # a new connection could be to another file or log
            return self._database.connect_reader()
