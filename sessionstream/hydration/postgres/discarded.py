"""The table ``discarded``: rows of other tables that no question reads any more, and their removal.

Pruning, deleting and rebuilding change one row of ``sessions``, which hides the old rows at once, and add a job for
their removal. Any process may carry it out (see upkeep.py), also after a crash; removal changes no answer.

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
    from sessionstream.hydration.postgres.rows import Rows
    from sessionstream.hydration.sweeper import Job

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


async def step(link: Link, types: PayloadTypes, rows: Rows, job: Job, place: int) -> int | None:
    """Do a part of a job; return the place at which to go on, None if the job is done and removed.

    Raises:
        StoreDamaged: it is no job of this store, or a row that it removes holds a value that the store did not write.
    """
    what, number, below = job
    match what:
        case "session":
            more = await _removed(link, _SESSION, number)
        case "timeline" | "building":
            more = await _removed(link, _VERSIONS, number) or await _removed(link, _STATES, number)
        case "versions":
            more = await _removed(link, _OLD_VERSIONS, number, below)
            if not more:
                await link.fetch(_OLD_TOMBSTONES, number, below)
        case "events":
            place = await _digest(link, types, rows, number, below, place)
            more = place > 0
        case _:
            raise rows.unknown_job(what, number)
    if not more:
        await link.fetch(_DONE, what, number, below)
    return place if more else None


async def _removed(link: Link, sql: str, *place: int) -> bool:
    """Remove some rows; return whether there may be more."""
    return bool((await link.fetch(sql, *place, PIECE))[0][0] == PIECE)


async def _digest(link: Link, types: PayloadTypes, rows: Rows, sid: int, below: int, after: int) -> int:
    """Replace name and payload of some pruned events by a digest, so that a repeated event is still recognised.

    Returns the ordinal after which there may be more; 0 if there are none.
    """
    events = await link.fetch(_UNDIGESTED, sid, below, after, DIGESTED)
    if not events:
        return 0
    await types.load(link, (row[2] for row in events))
    digests = []
    for ordinal, name, number, payload in events:
        rows.check_event(f"number {sid}", ordinal, name, payload)
        payload_type, descriptors = types.described(number)
        digests.append(stored_digest(name, payload_type, payload, descriptors))
    await link.fetch(_DIGEST, sid, [row[0] for row in events], digests)
    return int(events[-1][0])
