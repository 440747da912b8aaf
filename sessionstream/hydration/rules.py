"""What every store decides alike, apart from how it keeps things: arguments, epochs, conflicts."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from secrets import randbelow
from typing import Final

from sessionstream.errors import HistoryPruned, OrdinalConflict
from sessionstream.observe import ErrorRecord
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Commit, Cursors, TimelineReplacement
from sessionstream.types import check_id

EPOCH_LIMIT: Final = 2**53
"""Epochs travel to browsers in JSON, whose numbers are exact below this."""

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


def new_epoch(previous: int = 0) -> int:
    """Return an epoch other than 0 and ``previous``.

    Epochs are random, not counted, so that a client's position of an earlier process or an earlier file is never
    mistaken for one in the present history. (A file that was copied by other means than ``SQLiteStore.back_up``
    carries the epochs it had.)
    """
    while True:
        epoch = randbelow(EPOCH_LIMIT)
        if epoch not in (0, previous):
            return epoch


def check_registry(registry: object) -> None:
    """Check what a store is to decode with.

    Raises:
        TypeError: it is no SchemaRegistry.
    """
    if not isinstance(registry, SchemaRegistry):
        raise TypeError(f"registry is a SchemaRegistry, not {registry!r}")


def check_number(name: str, value: object, *, optional: bool = False) -> None:
    """Check an ordinal, or a number of things, that somebody asks with.

    Raises:
        TypeError: it is no int; None is fine where it is ``optional``.
        ValueError: it is negative.
    """
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is an int{' or None' if optional else ''}, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} is never negative: {value}")


def check_text(name: str, value: object) -> None:
    """Check an id that somebody asks with. It may be one that nobody could use, such as an empty one.

    Raises:
        TypeError: it is no string.
        InvalidIdError: it is not valid Unicode, or holds a NUL character.
    """
    _check_instance(name, str, value)
    if isinstance(value, str) and value.strip():
        check_id(name, value)


def _check_instance(name: str, cls: type, value: object, *, optional: bool = False) -> None:
    if not isinstance(value, cls) and not (optional and value is None):
        raise TypeError(f"{name} is a {cls.__name__}{' or None' if optional else ''}, not {value!r}")


def check_commit(commit: object) -> None:
    """Check a step before a store looks into it.

    Raises:
        TypeError: it is no Commit, or its session id no string.
        InvalidIdError: its session id is not valid Unicode, or holds a NUL character.
    """
    _check_instance("commit", Commit, commit)
    check_text("session_id", commit.session_id)  # type: ignore[attr-defined]  # it is one


def check_replacement(replacement: object) -> None:
    """Check a rebuilt timeline before a store looks into it.

    Raises:
        TypeError: it is no TimelineReplacement, or its session id no string.
        InvalidIdError: its session id is not valid Unicode, or holds a NUL character.
    """
    _check_instance("replacement", TimelineReplacement, replacement)
    check_text("session_id", replacement.session_id)  # type: ignore[attr-defined]  # it is one


def check_known(session_id: object, known: object) -> None:
    """Check a question for a timeline.

    Raises:
        TypeError: an argument is of another type.
        InvalidIdError: the session id is not valid Unicode, or holds a NUL character.
    """
    check_text("session_id", session_id)
    _check_instance("known", Cursors, known, optional=True)


def check_deletion(session_id: object, expected: object) -> None:
    """Check which session is to be deleted.

    Raises:
        TypeError: an argument is of another type.
        InvalidIdError: the session id is not valid Unicode, or holds a NUL character.
    """
    check_text("session_id", session_id)
    _check_instance("expected", Cursors, expected, optional=True)


def check_snapshot(session_id: object, as_of: object, since: object) -> None:
    """Check a question for a snapshot.

    Raises:
        TypeError: an argument is of another type.
        ValueError: both ordinals are given, or one is negative.
    """
    check_text("session_id", session_id)
    check_number("as_of", as_of, optional=True)
    check_number("since", since, optional=True)
    if as_of is not None and since is not None:
        raise ValueError("a snapshot is either as_of an ordinal or since one, not both")


def check_events(session_id: object, after: object, limit: object) -> None:
    """Check a question for events.

    Raises:
        TypeError: an argument is of another type.
        ValueError: a number is negative.
    """
    check_text("session_id", session_id)
    check_number("after", after)
    check_number("limit", limit, optional=True)


def check_error_records(session_id: object, limit: object) -> None:
    """Check a question for error records; None stands for every session.

    Raises:
        TypeError: an argument is of another type.
        ValueError: the limit is negative.
    """
    if session_id is not None:
        check_text("session_id", session_id)
    check_number("limit", limit, optional=True)


def check_sessions(after: object, limit: object) -> None:
    """Check a question for the ids of sessions.

    Raises:
        TypeError: an argument is of another type.
        ValueError: the limit is negative.
    """
    check_text("after", after)
    check_number("limit", limit, optional=True)


def check_prune(session_id: object, before: object) -> None:
    """Check what is to be pruned.

    Raises:
        TypeError: an argument is of another type.
        ValueError: the ordinal is negative.
    """
    check_text("session_id", session_id)
    check_number("before", before)


def check_from_end(session_id: object, count: object) -> None:
    """Refuse a count of events that is none.

    Raises:
        TypeError: it is no integer, or the session id no string.
        ValueError: it is negative.
    """
    check_text("session_id", session_id)
    check_number("count", count)


def check_moment(session_id: object, moment: object) -> None:
    """Check a question for what was logged before a moment.

    Raises:
        TypeError: an argument is of another type.
        ValueError: the moment says no time zone.
    """
    check_text("session_id", session_id)
    check_time("moment", moment)


def check_time(name: str, value: object) -> None:
    """Check a point in time.

    Raises:
        TypeError: it is no datetime.
        ValueError: it says no time zone.
    """
    _check_instance(name, datetime, value)
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise ValueError(f"{name} needs a time zone, as datetime.now(UTC) has: {value!r}")


def check_clock(clock: object) -> None:
    """Check what a store is to take for the time of day.

    Raises:
        TypeError: it is no function.
    """
    if not callable(clock):
        raise TypeError(f"clock is a function that returns a datetime, not {clock!r}")


def time_of_day() -> datetime:
    """Return what this machine takes for the time of day, in UTC."""
    return _START + timedelta(microseconds=time.time_ns() // 1000)


def check_expected(session_id: str, expected: Cursors | None, actual: Cursors) -> None:
    """Refuse to change a session that is not where it was seen.

    Raises:
        OrdinalConflict: it is not.
    """
    if expected not in (None, actual):
        raise OrdinalConflict(session_id, expected=expected, actual=actual)


def check_claim(session_id: object, key: object, digest: object = b"") -> None:
    """Check an idempotency key that is claimed or released.

    Raises:
        TypeError: an argument is of another type.
    """
    check_text("session_id", session_id)
    check_text("key", key)
    if not isinstance(digest, bytes):
        raise TypeError(f"digest is bytes, not {digest!r}")


def check_record(record: object) -> None:
    """Check an error record that is to be kept.

    Raises:
        TypeError: it is none, or a text in it is no string.
    """
    if not isinstance(record, ErrorRecord):
        raise TypeError(f"record is an ErrorRecord, not {record!r}")
    for name in ("kind", "session_id", "event_name", "error", "where", "traceback"):
        _check_instance(name, str, getattr(record, name))  # whatever is in it: a record must never be refused


def check_floor(session_id: str, floor: int, *ordinals: int | None) -> None:
    """Refuse a question that reaches below the pruned floor.

    Raises:
        HistoryPruned: it does.
    """
    for ordinal in ordinals:
        if ordinal is not None and ordinal < floor:
            raise HistoryPruned(session_id, ordinal, floor)


def known_since(known: Cursors | None, actual: Cursors) -> int | None:
    """Return the ordinal since which a timeline has to be told to whoever knows it as of ``known``; None is all."""
    if known is None or known.epoch != actual.epoch or not actual.floor <= known.timeline <= actual.timeline:
        return None
    return known.timeline


def conflict(commit: Commit, actual: Cursors) -> OrdinalConflict:
    """Return the error for a commit that expected other cursors, another epoch or another last event than there are."""
    epoch = "any epoch" if commit.expected_epoch is None else f"epoch {commit.expected_epoch}"
    event_id = f" with id {commit.expected_event_id!r}" if commit.expected_event_id else ""
    return OrdinalConflict(
        commit.session_id,
        expected=f"event {commit.expected_ordinal}{event_id}, timeline {commit.timeline_before}, {epoch}",
        actual=f"event {actual.event}, timeline {actual.timeline}, epoch {actual.epoch}",
    )
