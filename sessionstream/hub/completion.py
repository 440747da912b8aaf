"""Awaits operations to their end, and keeps a cancellation that arrives meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context

T = TypeVar("T")


class _Unyielding:
    """Wraps a future that a task awaits, so that cancelling the task does not cancel the future.

    ``asyncio.shield`` uses a second future, which needs one more iteration of the event loop, and wakes the task when
    it is cancelled. Here the task wakes once, when the future is done, with CancelledError if it was cancelled.
    """

    __slots__ = ("_asyncio_future_blocking", "_future")

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def __await__(self) -> Generator[_Unyielding, None, None]:
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._future.get_loop()

    def add_done_callback(
        self, callback: Callable[[asyncio.Future[Any]], object], *, context: Context | None = None
    ) -> None:
        self._future.add_done_callback(callback, context=context)

    def cancel(self, msg: object = None) -> bool:
        return False  # the task keeps its cancellation until it wakes


class Completion:
    """Awaits the steps of an operation to their end; a cancellation that arrives meanwhile is raised afterwards.

    Attributes:
        cancelled: the cancellation that arrived, if one did.
    """

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled: asyncio.CancelledError | None = None

    async def finish(self, awaitable: Awaitable[T]) -> T:
        """Await to the end, even if the task is cancelled meanwhile; return the result or raise the error.

        A future is awaited without creating a task, and a finished one without suspending.
        """
        future = awaitable if type(awaitable) is asyncio.Future else asyncio.ensure_future(awaitable)
        while not future.done():
            try:
                await _Unyielding(future)
            except asyncio.CancelledError as error:
                # The task was cancelled, or the future was; in the second case `result` raises it below.
                self.cancelled = error
            except Exception:  # noqa: BLE001 - the future's exception, which result() raises below
                break
        return future.result()

    def checkpoint(self) -> None:
        """Raise the CancelledError that arrived meanwhile, if one did."""
        if self.cancelled is not None:
            raise self.cancelled
