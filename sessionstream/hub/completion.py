"""Awaits what must not be given up half-way, and remembers a cancellation that arrives meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context

T = TypeVar("T")


class _Unyielding:
    """Stands before a future when a task awaits it: cancelling the task does not cancel the future.

    ``asyncio.shield`` does so with a second future, which takes the loop one more round to hear of the first, and
    wakes the task at once. Here the task wakes once, when the future is done, with the CancelledError if one is due.
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
    """Awaits what an operation has begun to its end; a cancellation that arrives meanwhile is raised afterwards.

    Attributes:
        cancelled: the cancellation that arrived, if one did.
    """

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled: asyncio.CancelledError | None = None

    async def finish(self, awaitable: Awaitable[T]) -> T:
        """Await to the end, whatever cancellation arrives meanwhile; return the result or raise the error.

        An awaitable that is a finished future costs nothing; any other future costs no task.
        """
        future = asyncio.ensure_future(awaitable)
        while not future.done():
            try:
                await _Unyielding(future)
            except asyncio.CancelledError as error:
                # Either we were cancelled, or the future itself was: then it is done, and says so below.
                self.cancelled = error
            except Exception:  # noqa: BLE001 - the future's own failure, raised from result() below
                break
        return future.result()

    def checkpoint(self) -> None:
        """Raise the CancelledError that arrived meanwhile, if one did."""
        if self.cancelled is not None:
            raise self.cancelled
