"""Lanes: within a session one event at a time, in the order of arrival; sessions never wait for each other."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final

from sessionstream.errors import LaneReentryError

# asyncio's lock is fair (first come, first served) and does not suspend when it is free.
Lane = asyncio.Lock


class Inside:
    """The time in which projections, or the metadata function, of a session run inside its lane; a context manager.

    It covers whatever tasks they await. Tasks that they start inherit a reference to it, and must not be refused
    for ever after: hence ``active``.
    """

    __slots__ = ("active", "session_id")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.active = True

    def __enter__(self) -> None:
        _inside.set(self)

    def __exit__(self, *exc_info: object) -> None:
        self.active = False
        # Not reset with a token: whoever closes a coroutine that was left behind does so from another context.
        _inside.set(None)


_inside: Final[ContextVar[Inside | None]] = ContextVar("sessionstream_inside", default=None)


def inside() -> Inside | None:
    """Return the running projection or metadata function that is calling, directly or through a task it started."""
    marker = _inside.get()
    return marker if marker is not None and marker.active else None


def refuse_reentry(call: str) -> None:
    """Refuse a call that would enter a lane from inside one.

    Raises:
        LaneReentryError: a projection or metadata function that is still running called.
    """
    marker = inside()
    if marker is not None:
        raise LaneReentryError(marker.session_id, call)
