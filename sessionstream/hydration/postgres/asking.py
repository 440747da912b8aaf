"""Asking: asks the server from plain code, without an event loop around it: for operators' tools."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from typing import Final, TypeVar

from asyncpg import InsufficientPrivilegeError

from sessionstream.errors import StoreError
from sessionstream.hydration.postgres.connections import Database, Link
from sessionstream.hydration.postgres.failures import DRIVER_ERRORS, store_error

T = TypeVar("T")

REACH_SECONDS: Final = 5.0
"""Seconds within which the server has to be reached."""

ANSWER_SECONDS: Final = 60.0
"""Seconds within which the server has to answer each part of a question."""

END_SECONDS: Final = 1.0
"""Seconds within which the connection has to be closed; then it is thrown away."""


class Asking:
    """A connection, and the event loop in which it is used.

    Args:
        denied: what to say if the user lacks a right.

    Attributes:
        name: of the database, in messages.
    """

    def __init__(self, database: Database, runner: asyncio.Runner, denied: str) -> None:
        self.link: Link = Link(database)
        self.name: str = database.name
        self._database = database
        self._links = [self.link]
        self._denied = denied
        self._runner = runner
        self._state = AsyncExitStack()

    def begin(self) -> None:
        """Connect, and begin to read one state of the tables.

        Raises:
            StoreError: the server cannot be reached, or refuses.
        """
        self.run(self._state.enter_async_context(self.link.one_state()), REACH_SECONDS)

    def end(self) -> None:
        """Close the connection; a transaction that was begun ends."""
        self._runner.run(self._end())

    async def _end(self) -> None:
        with suppress(*DRIVER_ERRORS):  # whatever becomes of it: nothing was changed
            async with asyncio.timeout(END_SECONDS):
                await self._state.aclose()
        await asyncio.gather(*(link.close(END_SECONDS) for link in self._links))

    def another(self) -> Link:
        """Return another connection, which is closed with the first."""
        self._links.append(Link(self._database))
        return self._links[-1]

    def run(self, work: Awaitable[T], seconds: float = ANSWER_SECONDS) -> T:
        """Run a part of the question to its end.

        Raises:
            StoreError: the server failed, or did not answer in time.
        """
        return self._runner.run(self._finished(work, seconds))

    async def _finished(self, work: Awaitable[T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except InsufficientPrivilegeError as error:
            raise StoreError(f"{self.name} {self._denied} ({error})") from error
        except TimeoutError as error:
            self._drop()
            raise StoreError(f"{self.name} has not answered within {seconds:g} seconds") from error
        except DRIVER_ERRORS as error:
            raise store_error(error, self.name) from error
        except asyncio.CancelledError:
            self._drop()  # the answer to what was asked does not come before the end
            raise

    def _drop(self) -> None:
        for link in self._links:
            link.drop()


def check_no_event_loop(what: str) -> None:
    """Check that no event loop runs in this thread; ``what`` would block it.

    Raises:
        RuntimeError: one does.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"an event loop runs in this thread, and {what} would block it: use await asyncio.to_thread(…)")
