"""Awaiting what must not be given up half-way, and remembering that cancellation was asked for meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")


class Completion:
    """One operation's promise: what was begun is finished, and only then CancelledError goes on its way."""

    __slots__ = ("_cancelled",)

    def __init__(self) -> None:
        self._cancelled: asyncio.CancelledError | None = None

    async def finish(self, awaitable: Awaitable[T]) -> T:
        """Await to the end, whatever cancellation arrives meanwhile; return the result or raise the error.

        An awaitable that is a finished future costs nothing; any other future costs no task.
        """
        future = asyncio.ensure_future(awaitable)
        while not future.done():
            try:
                await asyncio.shield(future)
            except asyncio.CancelledError as error:
                # Either we were cancelled, or the future itself was: then it is done, and says so below.
                self._cancelled = error
            except Exception:  # noqa: BLE001 - the future's own failure, raised from result() below
                break
        return future.result()

    def checkpoint(self) -> None:
        """Raise the CancelledError that arrived meanwhile, if one did."""
        if self._cancelled is not None:
            raise self._cancelled
