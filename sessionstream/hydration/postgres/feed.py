"""What other processes do to sessions: hints, and the moves that the table ``ui_events`` keeps for a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from sessionstream.feed import Move, Moves, Position
from sessionstream.hydration.recorded import recorded_move

if TYPE_CHECKING:
    from sessionstream.feed import Hint
    from sessionstream.hints import Hints
    from sessionstream.hydration.postgres.connections import Link, Links
    from sessionstream.schema import SchemaRegistry

SWEEP_SECONDS: Final = 1.0
"""How often the positions of all watched sessions are compared, so that every lost hint is made up for."""

BLIND_SECONDS: Final = 0.2
"""How often they are while hints do not work."""

MARK: Final = 8
"""Characters of the mark in a hint that says which process sends it."""

MOVES_AT_ONCE: Final = 1_000
"""A watcher that lacks more moves than this gets a snapshot instead."""

_MOVES: Final = """SELECT c.session_id, c.cursor, c.epoch, m.before, m.ordinal, m.data
    FROM (
        SELECT k.session_id, k.ordinal AS known, k.epoch AS known_epoch,
            coalesce(s.timeline_cursor, 0) AS cursor, coalesce(s.epoch, $4) AS epoch
        FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS k (session_id, ordinal, epoch)
        LEFT JOIN {s}.sessions s ON s.session_id = k.session_id
        WHERE (coalesce(s.timeline_cursor, 0), coalesce(s.epoch, $4)) <> (k.ordinal, k.epoch)) c
    LEFT JOIN LATERAL (
        SELECT * FROM {s}.ui_events u WHERE u.session_id = c.session_id AND u.epoch = c.epoch
        AND u.epoch = c.known_epoch AND u.ordinal > c.known ORDER BY u.ordinal LIMIT $5) m ON true
    ORDER BY c.session_id, m.ordinal"""


class PostgresFeed:
    """The Feed of a PostgresStore, in its event loop.

    A hint is the id of a session behind a mark of the process that sends it, which ignores its own hints.

    Args:
        node: identifies the process.
    """

    def __init__(self, links: Links, hints: Hints, registry: SchemaRegistry, first_epoch: int, node: str) -> None:
        self._mark = node[:MARK]
        self._links = links
        self._hints = hints
        self._registry = registry
        self._first_epoch = first_epoch
        self._followers: dict[object, Hint] = {}
        self._sweeper: asyncio.Task[None] | None = None

    def follow(self, hint: Hint, /) -> Callable[[], None]:
        """Call ``hint`` in the running event loop, whenever other processes may have moved sessions."""
        key = object()
        self._followers[key] = hint
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="sessionstream sweeper")

        def stop() -> None:
            self._followers.pop(key, None)
            if not self._followers:
                self.close()

        return stop

    def send(self, session_ids: Collection[str]) -> None:
        """Tell other processes that this one has moved sessions."""
        self._hints.send([self._mark + session_id for session_id in session_ids])
        if len(self._followers) > 1:  # several hubs in this process
            self._tell(session_ids)

    def heard(self, marked: Collection[str] | None) -> None:
        """Pass hints of other processes on."""
        if marked is None:
            self._tell(None)
        elif others := [each[MARK:] for each in marked if not each.startswith(self._mark)]:
            self._tell(others)

    def _tell(self, session_ids: Collection[str] | None) -> None:
        for hint in list(self._followers.values()):
            hint(session_ids)

    def close(self) -> None:
        """Stop comparing positions."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def moves(self, known: Mapping[str, Position], /) -> Sequence[Moves]:
        """Return what happened to sessions after a known position of each."""
        ids = list(known)
        ordinals, epochs = [known[each].ordinal for each in ids], [known[each].epoch for each in ids]

        async def ask(link: Link) -> list[Moves]:
            found: dict[str, tuple[Position, list[Move]]] = {}
            for session_id, cursor, epoch, before, ordinal, data in await link.fetch(
                _MOVES, ids, ordinals, epochs, self._first_epoch, MOVES_AT_ONCE
            ):
                _, moves = found.setdefault(session_id, (Position(cursor, epoch), []))
                if ordinal is not None:
                    moves.append(recorded_move(before, ordinal, epoch, data, self._registry))
            return [Moves(session_id, position, moves) for session_id, (position, moves) in found.items()]

        return await self._links.read(ask)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS if self._hints.works else BLIND_SECONDS)
            self._tell(None)
