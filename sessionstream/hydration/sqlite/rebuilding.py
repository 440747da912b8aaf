"""Writes rebuilt timelines beside the present ones, piece by piece, and swaps them in.

A rebuild that loses a race against another process is tried again with a few more states. If every attempt wrote all
states again, it could never win against a process that does not pause: so what is written stays for the next attempt,
and only the last states are written in the transaction that swaps the timeline in. A timeline that no attempt comes
back for counts as abandoned after a while, and is removed (see discarded.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import is_
from typing import Final, Protocol, TypeVar

from sessionstream.errors import OrdinalConflict, StoreError
from sessionstream.hydration.encoding import CodecOf, entity_rows
from sessionstream.hydration.sqlite import writes
from sessionstream.hydration.versions import HistoryRow, history_pieces
from sessionstream.store import Cursors, TimelineReplacement
from sessionstream.types import TimelineEntity

T = TypeVar("T")

PIECE_BYTES: Final = 250_000
"""Bytes of a rebuilt timeline that are written in one transaction."""

LAST_STATES: Final = 100
"""States at most that are written in the transaction that swaps the timeline in."""

_ROW_BYTES: Final = 1_000  # a row takes as long as this many bytes of payload, in addition to its own


class _Write(Protocol):
    def __call__(self, change: Callable[..., T], /) -> Awaitable[T]: ...


class _Run(Protocol):
    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(slots=True)
class _Rebuild:
    """A timeline that is being written.

    Attributes:
        states: the states that are written.
    """

    timeline: int
    states: Sequence[TimelineEntity] = ()

    def begins(self, versions: Sequence[TimelineEntity]) -> bool:
        """Whether ``versions`` begins with the states that are written."""
        return len(self.states) <= len(versions) and all(map(is_, self.states, versions))


class Rebuilds:
    """The timelines that a store has written and not yet swapped in."""

    def __init__(self, run: _Run, codec_of: CodecOf) -> None:
        self._run = run
        self._codec_of = codec_of
        self._by_session: dict[str, _Rebuild] = {}

    async def swap_in(self, replacement: TimelineReplacement, write: _Write) -> Cursors:
        """Write what is missing of a rebuilt timeline, and make it the session's timeline.

        Raises:
            OrdinalConflict: the session is not where the rebuild was based. What is written stays for the next
                attempt, unless the session has another timeline by now: then it is abandoned.
        """
        versions = tuple(replacement.versions)  # a list could grow meanwhile
        rebuild = await self._all_but_the_last(replacement.session_id, versions, write)
        last = entity_rows(versions[len(rebuild.states) :], self._codec_of)
        swap = partial(writes.replace_timeline, replacement=replacement, timeline=rebuild.timeline, last=last)
        try:
            return await write(swap)
        except OrdinalConflict as conflict:
            if isinstance(conflict.actual, Cursors) and conflict.actual.epoch == replacement.expected.epoch:
                self._by_session[replacement.session_id] = rebuild
            else:
                await _abandon(rebuild, write)
            raise

    async def _all_but_the_last(self, session_id: str, versions: Sequence[TimelineEntity], write: _Write) -> _Rebuild:
        rebuild = self._by_session.pop(session_id, None)
        if rebuild is not None and not rebuild.begins(versions):
            await _abandon(rebuild, write)
            rebuild = None
        if rebuild is None:
            pieces = await self._run(partial(_history_pieces, versions, self._codec_of))
            rebuild = _Rebuild(await write(writes.begin_timeline))
            for piece in pieces:
                await write(partial(writes.write_history, timeline=rebuild.timeline, rows=piece))
            rebuild.states = versions
        while len(versions) - len(rebuild.states) > LAST_STATES:
            end = len(rebuild.states) + LAST_STATES
            more = entity_rows(versions[len(rebuild.states) : end], self._codec_of)
            await write(partial(writes.extend_timeline, timeline=rebuild.timeline, rows=more))
            rebuild.states = versions[:end]
        return rebuild


async def _abandon(rebuild: _Rebuild, write: _Write) -> None:
    """Schedule a timeline for removal at once; where that fails, it counts as abandoned after a while."""
    with suppress(StoreError):
        await write(partial(writes.abandon_timeline, timeline=rebuild.timeline))


def _history_pieces(versions: Sequence[TimelineEntity], codec_of: CodecOf) -> list[list[HistoryRow]]:
    """Return the rows of a rebuilt timeline in pieces, one for each transaction, so that other commits pass."""
    return history_pieces(entity_rows(versions, codec_of), PIECE_BYTES, _ROW_BYTES)
