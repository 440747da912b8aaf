"""The open streams of an endpoint: how many there may be, and what ends them from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from sessionstream.transport.access import Admitted
from sessionstream.transport.http.problems import Problem

LONGEST_TIMER: Final = 86_400.0
"""In seconds: a stream ends after a day at the latest, and its client asks again."""


class Streams:
    """The open streams of one endpoint.

    Args:
        limit: how many there may be.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[asyncio.Event, tuple[object, str]] = {}
        self._empty = asyncio.Event()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def stream(self, admitted: Admitted, session_id: str) -> Iterator[asyncio.Event]:
        """Count a stream while the context is open; yield the event that says that it has to end.

        It is set when the admission expires, the right is revoked, or the endpoint shuts down.

        Raises:
            Problem: with 503, there are too many, or the endpoint shuts down.
        """
        self.check_room()
        ending = asyncio.Event()
        self._open[ending] = (admitted.principal, session_id)
        self._empty.clear()
        left = LONGEST_TIMER
        if admitted.until is not None:
            left = min(left, (admitted.until - datetime.now(UTC)).total_seconds())
        timer = asyncio.get_running_loop().call_later(left, ending.set)
        try:
            yield ending
        finally:
            timer.cancel()
            del self._open[ending]
            if not self._open:
                self._empty.set()

    def check_room(self) -> None:
        """Check that one more stream may begin.

        Raises:
            Problem: as ``stream``.
        """
        if self._stopping:
            raise Problem(503, "shutting_down", "the server is shutting down; try again in a moment")
        if len(self._open) >= self._limit:
            raise Problem(503, "busy", "the server has too many open streams; try again in a moment")

    def revoke(self, principal: object, session_id: str | None = None) -> int:
        """End the streams of one principal, of a session or of all; return how many."""
        found = [
            ending
            for ending, (whose, watched) in self._open.items()
            if whose == principal and session_id in (None, watched)
        ]
        for ending in found:
            ending.set()
        return len(found)

    async def shutdown(self) -> None:
        """Refuse new streams, end all, and wait until they have ended."""
        self._stopping = True
        for ending in self._open:
            ending.set()
        if self._open:
            await self._empty.wait()
