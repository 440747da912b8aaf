"""Reader threads: questions run in read transactions, on connections that never wait for the writer."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from sessionstream.errors import StoreClosed
from sessionstream.hydration.sqlite import schema
from sessionstream.hydration.sqlite.database import Database
from sessionstream.hydration.sqlite.watch import Watch

T = TypeVar("T")

READERS: Final = 4
"""Threads, and as many connections."""

AT_ONCE: Final = 8
"""Questions of one transaction: a short one waits for no more than seven others, which may be long."""


class _Question:
    """A question that was asked, and later its answer."""

    __slots__ = ("answer", "ask", "error", "future")

    def __init__(self, ask: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        self.ask = ask
        self.future = future
        self.answer: Any = None
        self.error: BaseException | None = None


class Reader:
    """A few threads and as many connections, opened when they are first needed.

    The questions of one round of an event loop are passed to the threads together, at the end of the round: most are
    so short that a transaction and a switch of threads for each would take longer than the answer.
    """

    def __init__(self, database: Database, watch: Watch) -> None:
        self._database = database
        self._watch = watch
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="sessionstream reader")
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._asked: dict[asyncio.AbstractEventLoop, list[_Question]] = {}

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Answer a question from one state of the file, which has every commit that was acknowledged before.

        Raises:
            StoreLost: the file is not the one that was opened.
            StoreUpgraded: it is of another version by now.
            StoreClosed: the store was closed meanwhile.
            StoreError: SQLite failed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if loop not in self._asked:
            self._asked[loop] = []
            loop.call_soon(self._pass_on, loop)
        self._asked[loop].append(_Question(question, future))
        return await future

    async def run(self, work: Callable[[], T]) -> T:
        """Run work that does not use the file in a thread, so that it does not block the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Finish the questions that were asked and close the connections. It blocks: the writer thread calls it."""
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get().close()

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Pass the questions of a round of an event loop to the threads."""
        asked = self._asked.pop(loop)
        for first in range(0, len(asked), AT_ONCE):
            some = asked[first : first + AT_ONCE]
            try:
                self._threads.submit(self._answer, some, loop)
            except RuntimeError:  # the threads have ended
                for question in some:
                    question.error = StoreClosed(self._database.path)
                _deliver(some)

    def _answer(self, asked: list[_Question], loop: asyncio.AbstractEventLoop) -> None:
        left = iter(asked)
        for question in left:
            if not question.future.done():
                self._transact(question, left)
        try:
            loop.call_soon_threadsafe(_deliver, asked)
        except RuntimeError:  # the loop is closed, so no task waits for them
            return

    def _transact(self, question: _Question, others: Iterator[_Question]) -> None:
        """Answer a question, and others in the same transaction until one fails."""
        try:
            self._watch.check(log_too=False)
            db = self._connection()
            try:
                db.execute("BEGIN")
                schema.check_version(db, self._database.path)
                for question in chain((question,), others):  # noqa: B020 - the one that an error belongs to
                    question.answer = question.ask(db)
                db.execute("COMMIT")
            except BaseException:
                db.close()  # its state is unknown
                raise
            self._idle.put(db)
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            question.error = self._database.failure(error)
            question.error.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - raised where the question was asked
            question.error = error

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except Empty:
            self._watch.check()  # a new connection could be to another file or log
            return self._database.connect_reader()


def _deliver(answered: Iterable[_Question]) -> None:
    for question in answered:
        if question.future.done():  # cancelled
            continue
        if question.error is None:
            question.future.set_result(question.answer)
        else:
            question.future.set_exception(question.error)
