"""Lanes: within a session one event at a time, in the order of arrival; sessions never wait for each other."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from sessionstream.errors import LaneReentryError

if TYPE_CHECKING:
    from collections.abc import Iterator

# asyncio's lock is fair (first come, first served) and does not suspend when it is free.
Lane = asyncio.Lock


class _Projecting:
    """A projection that is running; tasks it starts inherit a reference and must not be refused for ever."""

    __slots__ = ("active", "session_id")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.active = True


_projecting: Final[ContextVar[_Projecting | None]] = ContextVar("sessionstream_projecting", default=None)


@contextmanager
def projecting(session_id: str) -> Iterator[None]:
    """Mark the time in which the projections of a session run, whatever tasks they await."""
    marker = _Projecting(session_id)
    token = _projecting.set(marker)
    try:
        yield
    finally:
        marker.active = False
        _projecting.reset(token)


def refuse_reentry() -> None:
    """Refuse to enter a lane from inside a projection.

    Raises:
        LaneReentryError: a projection that is still running called, directly or through a task it started.
    """
    marker = _projecting.get()
    if marker is not None and marker.active:
        raise LaneReentryError(marker.session_id)
