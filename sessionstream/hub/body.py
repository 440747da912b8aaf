"""Cancels the body of ``async with hub`` when the hub's consumer fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class BodyCanceller:
    """Cancels the task that runs the body, at most once, and undoes the cancellation when the task leaves the body."""

    __slots__ = ("_cancelled", "_task")

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._cancelled = False

    def enter(self) -> None:
        """Take the current task as the one that runs the body."""
        self._task = asyncio.current_task()

    def cancel(self) -> None:
        """Cancel the task if it is in the body."""
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    async def leave(self, error: BaseException | None) -> bool:
        """Release the task; return whether ``error``, with which it leaves the body, is only this cancellation."""
        task, self._task = self._task, None
        if task is None or not self._cancelled:
            return False
        ours = isinstance(error, asyncio.CancelledError)
        if not ours:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # the body ended before the cancellation was delivered: it is raised here
        return task.uncancel() == 0 and ours
