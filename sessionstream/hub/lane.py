"""Lanes: the events of a session pass one at a time, in the order of arrival; sessions do not wait for each other."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar
from typing import Final

from sessionstream.errors import LaneReentryError


class Lane:
    """A lock that whoever waits longest gets next. Taking it while it is free needs no coroutine."""

    __slots__ = ("_taken", "_waiting")

    def __init__(self) -> None:
        self._taken = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take the lane if it is free; return whether it was."""
        if self._taken:
            return False
        self._taken = True
        return True

    async def wait(self) -> None:
        """Wait for the lane and take it."""
        passed_on = asyncio.get_running_loop().create_future()
        self._waiting.append(passed_on)
        try:
            await passed_on
        except BaseException:
            if passed_on in self._waiting:
                self._waiting.remove(passed_on)
            elif not passed_on.cancelled():  # this task was cancelled after it got the lane
                self.leave()
            raise

    def leave(self) -> None:
        """Pass the lane on to whoever waits longest, or leave it free."""
        while self._waiting:
            passed_on = self._waiting.popleft()
            if not passed_on.done():
                passed_on.set_result(None)
                return
        self._taken = False


class CallbackScope:
    """Marks calls from inside the projections, or the metadata function, of a session, until it is ended.

    It includes the tasks that they await. Tasks that they start inherit a reference to it, and may enter lanes once it
    has ended; therefore it has ``active``.
    """

    __slots__ = ("active", "session_id")

    def __init__(self, session_id: str) -> None:
        self.session_id: str = session_id
        self.active: bool = True
        current_callback.set(self)

    def end(self) -> None:
        """End the scope. Always call it, in the context in which the scope was made."""
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
