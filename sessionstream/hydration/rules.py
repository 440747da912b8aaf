"""Rules that all stores share: checks of arguments, epochs, conflicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from secrets import randbelow
from typing import Final

from sessionstream.errors import HistoryPruned, OrdinalConflict
from sessionstream.ids import check_id
from sessionstream.observe import ErrorRecord
from sessionstream.store import Commit, Cursors
from sessionstream.tracebacks import storable

EPOCH_LIMIT: Final = 2**53
"""Epochs travel to browsers in JSON, whose numbers are exact below this."""


def new_epoch(previous: int = 0) -> int:
    """Return an epoch other than 0 and ``previous``.

    Epochs are random, so that the position of a client in an earlier process or file is never taken for one in the
    present history. (A file that was copied by other means than ``SQLiteStore.back_up`` keeps its epochs.)
    """
    while True:
        epoch = randbelow(EPOCH_LIMIT)
        if epoch not in (0, previous):
            return epoch


def check_number(name: str, value: object, *, optional: bool = False) -> None:
    """Check an ordinal or a count.

    Raises:
        TypeError: it is not an int; None is fine where it is ``optional``.
        ValueError: it is negative.
    """
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is an int{' or None' if optional else ''}, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} is never negative: {value}")


def check_text(name: str, value: object) -> None:
    """Check an id in a question. It may be one that no session can have, such as an empty one.

    Raises:
        TypeError: it is not a string.
        InvalidIdError: it is not valid Unicode, or holds a NUL character.
    """
    if type(value) is str and value.isascii() and "\0" not in value:
        return
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {value!r}")
    if value.strip():
        check_id(name, value)


def check_instance(name: str, cls: type, value: object, *, optional: bool = False) -> None:
    """Check the class of an argument.

    Raises:
        TypeError: it is of another class; None is fine where it is ``optional``.
    """
    if not isinstance(value, cls) and not (optional and value is None):
        article = "an" if cls.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"{name} is {article} {cls.__name__}{' or None' if optional else ''}, not {value!r}")


def check_snapshot(session_id: object, as_of: object, since: object) -> None:
    """Check the arguments of a question for a snapshot.

    Raises:
        TypeError: an argument is of another type.
        InvalidIdError: the session id is not valid Unicode, or holds a NUL character.
        ValueError: both ordinals are given, or one is negative.
    """
    check_text("session_id", session_id)
    check_number("as_of", as_of, optional=True)
    check_number("since", since, optional=True)
    if as_of is not None and since is not None:
        raise ValueError("a snapshot is either as_of an ordinal or since one, not both")


def check_time(name: str, value: object) -> None:
    """Check a point in time.

    Raises:
        TypeError: it is not a datetime.
        ValueError: it has no time zone.
    """
    check_instance(name, datetime, value)
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise ValueError(f"{name} needs a time zone, as datetime.now(UTC) has: {value!r}")


def check_clock(clock: object) -> None:
    """Check the clock of a store.

    Raises:
        TypeError: it is not a function.
    """
    if not callable(clock):
        raise TypeError(f"clock is a function that returns a datetime, not {clock!r}")


time_of_day: Final[Callable[[], datetime]] = partial(datetime.now, UTC)
"""Returns the time of this machine's clock, in UTC."""


def check_expected(session_id: str, expected: Cursors | None, actual: Cursors) -> None:
    """Check that a session is where the caller expects it; None expects nothing.

    Raises:
        OrdinalConflict: it is elsewhere.
    """
    if expected not in (None, actual):
        raise OrdinalConflict(session_id, expected=expected, actual=actual)


def check_floor(session_id: str, floor: int, *ordinals: int | None) -> None:
    """Check that the ordinals of a question are not below the pruned floor.

    Raises:
        HistoryPruned: one is.
    """
    for ordinal in ordinals:
        if ordinal is not None and ordinal < floor:
            raise HistoryPruned(session_id, ordinal, floor)


def known_since(known: Cursors | None, actual: Cursors) -> int | None:
    """Return the ordinal since which a caller who knows the timeline at ``known`` needs changes; None for all of it."""
    if known is None or known.epoch != actual.epoch or not actual.floor <= known.timeline <= actual.timeline:
        return None
    return known.timeline


def conflict(commit: Commit, actual: Cursors) -> OrdinalConflict:
    """Return the error for a commit that expected other cursors, another epoch or another last commit."""
    epoch = "any epoch" if commit.expected_epoch is None else f"epoch {commit.expected_epoch}"
    last = f", the commit {commit.expected_commit_id!r}" if commit.expected_commit_id else ""
    return OrdinalConflict(
        commit.session_id,
        expected=f"event {commit.expected_ordinal}, timeline {commit.timeline_before}, {epoch}{last}",
        actual=f"event {actual.event}, timeline {actual.timeline}, epoch {actual.epoch}",
    )


def storable_record(record: ErrorRecord) -> ErrorRecord:
    """Return an error record whose texts every store can keep: it must never be refused for them."""
    return replace(
        record,
        session_id=storable(record.session_id),
        event_name=storable(record.event_name),
        error=storable(record.error),
        metadata={storable(key): storable(value) for key, value in record.metadata.items()},
        where=storable(record.where),
        traceback=storable(record.traceback),
    )
