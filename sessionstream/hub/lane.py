"""Lanes: within a session one event at a time, in the order of arrival; sessions never wait for each other."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, Token
from typing import Final

from sessionstream.errors import LaneReentryError

# asyncio's lock is fair (first come, first served) and does not suspend when it is free.
Lane = asyncio.Lock


class Projecting:
    """The time in which projections of a session run, whatever tasks they await; a context manager.

    Tasks that a projection starts inherit a reference to it, and must not be refused for ever after: hence
    ``active``.
    """

    __slots__ = ("_token", "active", "session_id")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.active = True

    def __enter__(self) -> None:
        self._token: Token[Projecting | None] = _projecting.set(self)

    def __exit__(self, *exc_info: object) -> None:
        self.active = False
        _projecting.reset(self._token)


_projecting: Final[ContextVar[Projecting | None]] = ContextVar("sessionstream_projecting", default=None)


def refuse_reentry() -> None:
    """Refuse to enter a lane from inside a projection.

    Raises:
        LaneReentryError: a projection that is still running called, directly or through a task it started.
    """
    marker = _projecting.get()
    if marker is not None and marker.active:
        raise LaneReentryError(marker.session_id)
