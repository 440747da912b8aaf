"""The Hints port: a fast and unreliable way to tell other processes which sessions have moved.

A store that several processes share passes hints on beside what it stores. A hint that is lost costs a second, because
stores compare positions as well; so an implementation never raises for a connection that is broken, and repairs it by
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol, TypeAlias

Heard: TypeAlias = Callable[[Collection[str] | None], None]
"""Receives the ids of sessions that may have moved; None stands for every session."""


class Hints(Protocol):
    """Carries hints between processes. A store starts it, in its event loop, and closes it."""

    async def start(self, channel: str, heard: Heard, /) -> None:
        """Begin to listen. It returns at once if there is no connection yet, and makes one as soon as it can.

        ``heard`` is called in this event loop, also with hints of this process; after a gap it gets None.

        Args:
            channel: what processes share that use the same tables: ASCII letters, digits and ``_``, at most 60.
        """
        ...

    def send(self, session_ids: Collection[str], /) -> None:
        """Tell the other processes that sessions have moved, soon. It may be called before there is a connection."""
        ...

    @property
    def works(self) -> bool:
        """Whether hints of this process have come back to it lately, as far as is known."""
        ...

    async def close(self) -> None:
        """End everything that was started. Closing twice is allowed."""
        ...
