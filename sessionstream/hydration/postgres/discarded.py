"""The table ``discarded``: rows of other tables that no question reads any more, and their removal.

Pruning, deleting and rebuilding change one row of ``sessions``, which hides the old rows at once, and add a job for
their removal. Any process may carry it out, also after a crash; removal changes no answer.

=============  ===============  ====================================================================
``what``       ``number``       what is no longer visible
=============  ===============  ====================================================================
``session``    former sid       the events of a deleted session
``timeline``   timeline         a timeline that was replaced
``events``     sid              name, payload and metadata of its events below ``below``
``versions``   timeline         states superseded before ``below``
``building``   timeline         a timeline that is being built; abandoned after a while
=============  ===============  ====================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from sessionstream.digests import stored_digest

if TYPE_CHECKING:
    from sessionstream.hydration.postgres.connections import Link
    from sessionstream.hydration.postgres.payload_types import PayloadTypes

PIECE: Final = 1_000
"""Rows that one statement removes."""

DIGESTED: Final = 100
"""Events that are digested at once: a digest of a large ``Struct`` takes a millisecond."""

ABANDONED_SECONDS: Final = 600.0
"""After this time a timeline that is still being built counts as abandoned."""

_JOBS: Final = """SELECT what, number, below FROM {s}.discarded
    WHERE what <> 'building' OR at < clock_timestamp() - make_interval(secs => $1) ORDER BY at LIMIT 100"""
_DONE: Final = "DELETE FROM {s}.discarded WHERE what = $1 AND number = $2 AND below = $3"
_SESSION: Final = """WITH picked AS (SELECT ordinal FROM {s}.events WHERE sid = $1 LIMIT $2), gone AS (
    DELETE FROM {s}.events e USING picked WHERE e.sid = $1 AND e.ordinal = picked.ordinal RETURNING 1)
    SELECT count(*) FROM gone"""
_STATES: Final = """WITH picked AS (SELECT kind, id FROM {s}.entities WHERE timeline = $1 LIMIT $2), gone AS (
    DELETE FROM {s}.entities e USING picked
    WHERE e.timeline = $1 AND e.kind = picked.kind AND e.id = picked.id RETURNING 1)
    SELECT count(*) FROM gone"""
_VERSIONS: Final = """WITH picked AS (SELECT kind, id, changed FROM {s}.entity_versions WHERE timeline = $1 LIMIT $2),
    gone AS (DELETE FROM {s}.entity_versions v USING picked
    WHERE v.timeline = $1 AND v.kind = picked.kind AND v.id = picked.id AND v.changed = picked.changed RETURNING 1)
    SELECT count(*) FROM gone"""
_OLD_VERSIONS: Final = """WITH picked AS (SELECT kind, id, changed FROM {s}.entity_versions
    WHERE timeline = $1 AND changed <= $2 AND (superseded <= $2 OR type IS NULL) LIMIT $3),
    gone AS (DELETE FROM {s}.entity_versions v USING picked
    WHERE v.timeline = $1 AND v.kind = picked.kind AND v.id = picked.id AND v.changed = picked.changed RETURNING 1)
    SELECT count(*) FROM gone"""
_OLD_TOMBSTONES: Final = "DELETE FROM {s}.entities WHERE timeline = $1 AND type IS NULL AND changed <= $2"
_UNDIGESTED: Final = """SELECT ordinal, name, type, payload FROM {s}.events
    WHERE sid = $1 AND ordinal < $2 AND digest IS NULL AND ordinal > $3 ORDER BY ordinal LIMIT $4"""
_DIGEST: Final = """UPDATE {s}.events e SET digest = d.digest, name = NULL, payload = NULL, metadata = ''
    FROM unnest($2::bigint[], $3::bytea[]) AS d (ordinal, digest) WHERE e.sid = $1 AND e.ordinal = d.ordinal"""


async def jobs(link: Link) -> Sequence[Any]:
    """Return what there is to be removed: what, number, below."""
    return await link.fetch(_JOBS, ABANDONED_SECONDS)


async def carry_out(link: Link, types: PayloadTypes, what: str, number: int, below: int) -> None:
    """Remove what a job says, and the job."""
    match what:
        case "session":
            await _remove(link, _SESSION, number)
        case "timeline" | "building":
            await _remove(link, _VERSIONS, number)
            await _remove(link, _STATES, number)
        case "versions":
            await _remove(link, _OLD_VERSIONS, number, below)
            await link.fetch(_OLD_TOMBSTONES, number, below)
        case "events":
            await _digest(link, types, number, below)
    await link.fetch(_DONE, what, number, below)


async def _remove(link: Link, sql: str, *place: int) -> None:
    while (await link.fetch(sql, *place, PIECE))[0][0] == PIECE:
        pass


async def _digest(link: Link, types: PayloadTypes, sid: int, below: int) -> None:
    """Replace name and payload of pruned events by a digest, so that a repeated event is still recognised."""
    after = 0
    while rows := await link.fetch(_UNDIGESTED, sid, below, after, DIGESTED):
        await types.load(link, (row[2] for row in rows))
        digests = []
        for _, name, number, payload in rows:
            payload_type, descriptors = types.described(number)
            digests.append(stored_digest(name, payload_type, payload, descriptors))
        await link.fetch(_DIGEST, sid, [row[0] for row in rows], digests)
        after = rows[-1][0]
