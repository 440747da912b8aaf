"""Writes a rebuilt timeline beside the present one, and swaps it in.

The timeline is written by small statements that hold up nobody; only the last statement needs the session's row. If the
session has moved meanwhile, what is written stays for the next attempt, which adds the states that are new.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import is_
from typing import TYPE_CHECKING, Any, Final

from sessionstream.errors import OrdinalConflict, StoreError
from sessionstream.hydration.encoding import CodecOf, entity_rows
from sessionstream.hydration.versions import HistoryRow, history_pieces
from sessionstream.store import Cursors, TimelineReplacement

if TYPE_CHECKING:
    from sessionstream.hydration.postgres.connections import Link
    from sessionstream.hydration.postgres.payload_types import PayloadTypes
    from sessionstream.types import TimelineEntity

PIECE_BYTES: Final = 1_000_000
"""Bytes of a rebuilt timeline that are written in one statement."""

_ROW_BYTES: Final = 500

_BEGIN: Final = """WITH begun AS (SELECT nextval('{s}.timelines') AS number),
    noted AS (INSERT INTO {s}.discarded (what, number) SELECT 'building', number FROM begun)
    SELECT number FROM begun"""
_ENTITIES: Final = """INSERT INTO {s}.entities (timeline, kind, id, created, changed, type, payload, depth)
    SELECT $1, x.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::integer[], $7::bytea[],
        $8::integer[]) AS x
    ON CONFLICT (timeline, kind, id) DO UPDATE SET created = excluded.created, changed = excluded.changed,
        type = excluded.type, payload = excluded.payload, depth = excluded.depth"""
_VERSIONS: Final = """INSERT INTO {s}.entity_versions
    (timeline, kind, id, created, changed, superseded, type, encoding, payload)
    SELECT $1, x.* FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::integer[],
        $8::integer[], $9::bytea[]) AS x
    ON CONFLICT (timeline, kind, id, changed) DO UPDATE SET created = excluded.created,
        superseded = excluded.superseded, type = excluded.type, encoding = excluded.encoding,
        payload = excluded.payload"""
_SWAP: Final = """WITH old AS (
    SELECT sid, timeline FROM {s}.sessions WHERE session_id = $1
    AND (event_cursor, timeline_cursor, epoch, floor) = ($4, $5, $6, $7) FOR UPDATE),
kept AS (
    DELETE FROM {s}.discarded WHERE what = 'building' AND number = $2
    AND ($8 OR EXISTS (SELECT 1 FROM old)) RETURNING number),
begun AS (
    INSERT INTO {s}.sessions (session_id, event_cursor, timeline_cursor, epoch, timeline)
    SELECT $1, $4, $9, $3, number FROM kept WHERE $8
    ON CONFLICT (session_id) DO NOTHING RETURNING session_id),
swapped AS (
    UPDATE {s}.sessions s SET timeline = kept.number, timeline_cursor = $9, epoch = $3,
        changed = pg_current_xact_id()::text::bigint
    FROM old, kept WHERE s.sid = old.sid RETURNING old.timeline),
discarded AS (
    INSERT INTO {s}.discarded (what, number) SELECT 'timeline', timeline FROM swapped),
told AS (
    INSERT INTO {s}.ui_events (session_id, epoch, ordinal, before)
    SELECT $1, $3, $9, $9 WHERE EXISTS (SELECT 1 FROM swapped) OR EXISTS (SELECT 1 FROM begun))
SELECT (SELECT count(*) FROM swapped) + (SELECT count(*) FROM begun), (SELECT count(*) FROM kept)"""
_ABANDON: Final = "UPDATE {s}.discarded SET what = 'timeline' WHERE what = 'building' AND number = $1"


@dataclass(slots=True)
class _Rebuild:
    """A timeline that is being written: the states that are, and the last one of each entity."""

    timeline: int
    states: Sequence[TimelineEntity] = ()
    last: dict[tuple[str, str], TimelineEntity] = field(default_factory=dict)

    def begins(self, versions: Sequence[TimelineEntity]) -> bool:
        """Whether ``versions`` begins with the states that are written."""
        return len(self.states) <= len(versions) and all(map(is_, self.states, versions))


class Rebuilds:
    """The timelines that a store has written and not yet swapped in."""

    def __init__(
        self,
        types: PayloadTypes,
        codec_of: CodecOf,
        first_epoch: int,
        cursors_of: Callable[[Link, str], Awaitable[Cursors]],
    ) -> None:
        self._types = types
        self._codec_of = codec_of
        self._first_epoch = first_epoch
        self._cursors_of = cursors_of
        self._by_session: dict[str, _Rebuild] = {}

    async def swap_in(self, link: Link, replacement: TimelineReplacement, epoch: int) -> Cursors:
        """Write what is missing of a rebuilt timeline, and make it the session's timeline, under a new epoch.

        Raises:
            OrdinalConflict: the session is not where the rebuild was based. What is written stays for the next
                attempt, unless the session has another timeline by now.
        """
        session_id, expected = replacement.session_id, replacement.expected
        versions = tuple(replacement.versions)  # a list could grow meanwhile
        rebuild = self._by_session.pop(session_id, None)
        if rebuild is not None and not rebuild.begins(versions):
            await link.fetch(_ABANDON, rebuild.timeline)
            rebuild = None
        if rebuild is None:
            rebuild = _Rebuild((await link.fetch(_BEGIN))[0][0])
        self._by_session[session_id] = rebuild  # also where an attempt fails, and is repeated
        if len(versions) > len(rebuild.states):
            await self._write(link, rebuild, versions)
        cursors = (expected.event, expected.timeline, expected.epoch, expected.floor)
        unused = cursors == (0, 0, self._first_epoch, 0)
        values = (session_id, rebuild.timeline, epoch, *cursors, unused, replacement.timeline_cursor)
        swapped, kept = (await link.fetch(_SWAP, *values))[0]
        actual = await self._cursors_of(link, session_id)
        if swapped or actual.epoch == epoch:  # this epoch: of an attempt whose answer was lost
            del self._by_session[session_id]
            return Cursors(expected.event, replacement.timeline_cursor, epoch, expected.floor)
        if kept or actual.epoch != expected.epoch:
            del self._by_session[session_id]
            await link.fetch(_ABANDON, rebuild.timeline)
        if actual == expected:
            raise StoreError(
                f"the rebuilt timeline of session {session_id!r} took so long to write that it was removed as "
                f"abandoned; the present one stays: rebuild again"
            )
        raise OrdinalConflict(session_id, expected=expected, actual=actual)

    async def _write(self, link: Link, rebuild: _Rebuild, versions: Sequence[TimelineEntity]) -> None:
        """Write the states that are new, and again the last ones of the same entities: they are superseded now."""
        new = versions[len(rebuild.states) :]
        superseded = {key: rebuild.last[key] for each in new if (key := (each.kind, each.id)) in rebuild.last}
        rows = entity_rows([*superseded.values(), *new], self._codec_of)
        await self._types.insert(link, {row.message for row in rows if row.message is not None})
        for piece in history_pieces(rows, PIECE_BYTES, _ROW_BYTES):
            await self._insert(link, _VERSIONS, rebuild.timeline, map(self._version, piece))
            await self._insert(link, _ENTITIES, rebuild.timeline, map(self._present, piece))
        rebuild.states = versions
        rebuild.last.update({(each.kind, each.id): each for each in new})

    async def _insert(self, link: Link, sql: str, timeline: int, rows: Iterable[tuple[Any, ...] | None]) -> None:
        values = [row for row in rows if row is not None]
        if values:
            await link.fetch(sql, timeline, *(list(column) for column in zip(*values, strict=True)))

    def _version(self, row: HistoryRow) -> tuple[Any, ...] | None:
        kind, entity_id, created, changed, message, _ = row.state
        if row.superseded is None:
            return None
        number = None if message is None else self._types.numbers[message]
        return (kind, entity_id, created, changed, row.superseded, number, row.kept.encoding, row.kept.data)

    def _present(self, row: HistoryRow) -> tuple[Any, ...] | None:
        kind, entity_id, created, changed, message, payload = row.state
        if row.superseded is not None:
            return None
        number = None if message is None else self._types.numbers[message]
        return (kind, entity_id, created, changed, number, payload, row.kept.depth)
