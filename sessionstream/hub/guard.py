"""The body of ``async with hub`` ends when the hub cannot go on."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Guard:
    """Cancels a task, once, and takes its cancellation back."""

    __slots__ = ("_fired", "_task")

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._fired = False

    def enter(self) -> None:
        """Begin to guard the current task."""
        self._task = asyncio.current_task()

    def fire(self) -> None:
        """Cancel the task that is guarded, if one is."""
        if self._task is not None and not self._fired:
            self._fired = True
            self._task.cancel()

    async def leave(self, error: BaseException | None) -> bool:
        """Guard no longer; return whether ``error``, which the task brings along, is this cancellation alone."""
        task, self._task = self._task, None
        if task is None or not self._fired:
            return False
        ours = isinstance(error, asyncio.CancelledError)
        if not ours:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # it finished before the cancellation reached it, which comes out here
        return task.uncancel() == 0 and ours
