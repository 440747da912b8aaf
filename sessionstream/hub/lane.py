"""Lanes: the events of a session pass one at a time, in the order of arrival; sessions do not wait for each other."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final, Self

from sessionstream.errors import LaneReentryError

# asyncio's lock is fair (first come, first served) and does not suspend when it is free.
Lane = asyncio.Lock


class CallbackScope:
    """A context manager around projections, or the metadata function, of a session; it marks calls from inside them.

    It includes the tasks that they await. Tasks that they start inherit a reference to it, and may enter lanes once it
    has ended; therefore it has ``active``.
    """

    __slots__ = ("active", "session_id")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.active = True

    def __enter__(self) -> Self:
        current_callback.set(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.active = False
        # Not reset with a token: an abandoned coroutine may be closed in another context.
        current_callback.set(None)


current_callback: Final[ContextVar[CallbackScope | None]] = ContextVar("sessionstream_callback", default=None)
"""The scope of the projection or metadata function that runs in this context; it may have ended."""


def refuse_reentry(call: str) -> None:
    """Check that a call that enters a lane does not come from inside one.

    Raises:
        LaneReentryError: a projection or metadata function that is still running made the call.
    """
    scope = current_callback.get()
    if scope is not None and scope.active:
        raise LaneReentryError(scope.session_id, call)
