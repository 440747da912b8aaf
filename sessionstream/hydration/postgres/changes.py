"""Changes other than commits. Each can be repeated: what an earlier attempt has changed is recognised."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import UUID

from sessionstream.errors import OrdinalConflict
from sessionstream.store import CommandClaim, Cursors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sessionstream.hydration.encoding import ErrorRow
    from sessionstream.hydration.postgres.connections import Link

    CursorsOf: TypeAlias = Callable[[Link, str], Awaitable[Cursors]]
    """Returns where a session stands."""

# The time of a claim or of an error record is not earlier than the session's last event, and the last of its kind.
_CLAIM: Final = """WITH claimed AS (
    INSERT INTO {s}.command_claims (session_id, key, digest, node, token, claimed_at)
    VALUES ($1, $2, $3, $4, $5, greatest(clock_timestamp(),
        (SELECT last_time FROM {s}.sessions WHERE session_id = $1),
        (SELECT max(claimed_at) FROM {s}.command_claims WHERE session_id = $1)))
    ON CONFLICT (session_id, key) DO NOTHING RETURNING 1)
    SELECT count(*) FROM claimed"""
_CLAIMED: Final = """SELECT c.digest, c.token, c.finished,
        c.node = $3 OR EXISTS (SELECT 1 FROM {s}.nodes n WHERE n.node = c.node AND n.until > clock_timestamp())
    FROM {s}.command_claims c WHERE c.session_id = $1 AND c.key = $2"""
_END: Final = "UPDATE {s}.command_claims SET node = '', finished = $3 WHERE session_id = $1 AND key = $2"
_RELEASE: Final = "DELETE FROM {s}.command_claims WHERE session_id = $1 AND key = $2"
_ERROR: Final = """INSERT INTO {s}.errors
    (token, session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, greatest(clock_timestamp(),
        (SELECT last_time FROM {s}.sessions WHERE session_id = $2),
        (SELECT recorded_at FROM {s}.errors WHERE session_id = $2 ORDER BY seq DESC LIMIT 1)))
    ON CONFLICT (token) DO NOTHING"""
_FORGET_ERRORS: Final = """WITH forgotten AS (
    DELETE FROM {s}.errors WHERE session_id = $1 AND recorded_at < $2 RETURNING 1) SELECT count(*) FROM forgotten"""
_FORGET_CLAIMS: Final = """WITH forgotten AS (
    DELETE FROM {s}.command_claims WHERE session_id = $1 AND claimed_at < $2 RETURNING 1)
    SELECT count(*) FROM forgotten"""
_PRUNE: Final = """WITH pruned AS (
    UPDATE {s}.sessions SET floor = least($2, timeline_cursor)
    WHERE session_id = $1 AND least($2, timeline_cursor) > floor RETURNING sid, timeline, floor)
    INSERT INTO {s}.discarded (what, number, below)
    SELECT 'events', sid, floor FROM pruned UNION ALL SELECT 'versions', timeline, floor FROM pruned
    ON CONFLICT (what, number) DO UPDATE SET below = excluded.below"""
# Under a new number the session has no events, and under a new timeline no entities. If it has the new epoch already,
# an attempt whose answer was lost has deleted it.
_DELETE: Final = """WITH old AS (
    SELECT sid, timeline FROM {s}.sessions WHERE session_id = $1 AND epoch <> $2
    AND ($3::bigint IS NULL OR (event_cursor, timeline_cursor, epoch, floor) = ($3, $4, $5, $6)) FOR UPDATE),
deleted AS (
    UPDATE {s}.sessions s SET sid = nextval('{s}.sids'),
        timeline = nextval('{s}.timelines'), timeline_cursor = s.event_cursor, epoch = $2, floor = 0, last_commit = '',
        changed = pg_current_xact_id()::text::bigint
    FROM old WHERE s.sid = old.sid
    RETURNING s.event_cursor, old.sid, old.timeline),
discarded AS (
    INSERT INTO {s}.discarded (what, number)
    SELECT 'session', sid FROM deleted UNION ALL SELECT 'timeline', timeline FROM deleted),
told AS (
    INSERT INTO {s}.ui_events (session_id, epoch, ordinal, before)
    SELECT $1, $2, event_cursor, event_cursor FROM deleted)
SELECT count(*) FROM deleted"""
_DELETE_RECORDS: Final = """WITH claims AS (DELETE FROM {s}.command_claims WHERE session_id = $1)
    DELETE FROM {s}.errors WHERE session_id = $1"""


async def claim_command(
    link: Link, session_id: str, key: str, digest: bytes, node: str, token: UUID
) -> CommandClaim | None:
    """Claim an idempotency key for a process; return None, or the earlier claim."""
    while True:
        if (await link.fetch(_CLAIM, session_id, key, digest, node, token))[0][0]:
            return None
        rows = await link.fetch(_CLAIMED, session_id, key, node)
        if rows:
            break  # else it was released meanwhile
    earlier, owner, finished, runs = rows[0]
    if owner == token:  # an attempt whose answer was lost
        return None
    if finished:
        return CommandClaim(earlier, "finished")
    return CommandClaim(earlier, "running" if runs else "unfinished")


async def end_command(link: Link, session_id: str, key: str, finished: bool) -> None:
    """Note that the command of a claim runs no more: then the claim has no process."""
    await link.fetch(_END, session_id, key, finished)


async def release_command(link: Link, session_id: str, key: str) -> None:
    """Give a claim back."""
    await link.fetch(_RELEASE, session_id, key)


async def record_error(link: Link, row: ErrorRow, token: UUID) -> None:
    """Keep an error record."""
    await link.fetch(_ERROR, token, *row)


async def forget_errors(link: Link, session_id: str, moment: datetime) -> int:
    """Forget the error records of a session that are older than a moment; return how many."""
    return int((await link.fetch(_FORGET_ERRORS, session_id, moment))[0][0])


async def forget_claims(link: Link, session_id: str, moment: datetime) -> int:
    """Forget the keys of a session that were claimed before a moment; return how many."""
    return int((await link.fetch(_FORGET_CLAIMS, session_id, moment))[0][0])


async def prune(link: Link, session_id: str, before: int) -> None:
    """Raise the floor, and discard what only questions below it need."""
    await link.fetch(_PRUNE, session_id, before)


async def delete_session(
    link: Link, session_id: str, epoch: int, expected: Cursors | None, cursors_of: CursorsOf
) -> None:
    """Forget all of a session but its event cursor; it gets a new epoch.

    Raises:
        OrdinalConflict: the session is not where it is expected.
    """
    given = (None,) * 4 if expected is None else (expected.event, expected.timeline, expected.epoch, expected.floor)
    if not (await link.fetch(_DELETE, session_id, epoch, *given))[0][0] and expected is not None:
        actual = await cursors_of(link, session_id)
        if actual.epoch != epoch and actual != expected:  # this epoch: of an attempt whose answer was lost
            raise OrdinalConflict(session_id, expected=expected, actual=actual)
    await link.fetch(_DELETE_RECORDS, session_id)
