"""Lanes: within a session one event at a time, in the order of arrival; sessions never wait for each other."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final

from sessionstream.errors import LaneReentryError

# asyncio's lock is fair (first come, first served) and does not suspend when it is free.
Lane = asyncio.Lock


class CallbackScope:
    """The time during which projections, or the metadata function, of a session run in its lane; a context manager.

    It covers whatever tasks they await. Tasks that they start inherit a reference to it, and may enter lanes once it
    has ended: hence ``active``.
    """

    __slots__ = ("active", "session_id")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.active = True

    def __enter__(self) -> None:
        current_callback.set(self)

    def __exit__(self, *exc_info: object) -> None:
        self.active = False
        # Not reset with a token: whoever closes a coroutine that was left behind does so from another context.
        current_callback.set(None)


current_callback: Final[ContextVar[CallbackScope | None]] = ContextVar("sessionstream_callback", default=None)
"""The projection or metadata function that calls, directly or through a task it started; it may have ended."""


def refuse_reentry(call: str) -> None:
    """Refuse a call that would enter a lane from inside one.

    Raises:
        LaneReentryError: called by a projection or metadata function that is still running.
    """
    scope = current_callback.get()
    if scope is not None and scope.active:
        raise LaneReentryError(scope.session_id, call)
