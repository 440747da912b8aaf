"""Derives and assigns ordinals, which rise within a session. (Reference: Ordinal semantics.)"""

from __future__ import annotations

import re
from typing import Final

from sessionstream.errors import OrdinalExhausted

MAX_ORDINAL: Final = 2**64 - 1
"""Ordinals are unsigned 64-bit integers."""

SEQUENCE_LIMIT: Final = 10**6
"""How many events one millisecond of a stream can have before derived ordinals would collide."""

# Every 64-bit number has at most twenty digits.
_STREAM_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})", re.ASCII)


def derive_ordinal(stream_id: str) -> int | None:
    """Return the ordinal of a stream id ``<milliseconds>-<sequence>``, or None if it has none.

    It has none if its form is another, its sequence is a million or more, or the result exceeds 64 bits.

    Raises:
        TypeError: the stream id is not a string.

    >>> derive_ordinal("1700000000000-2")
    1700000000000000002
    >>> derive_ordinal("1700000000000-1000000") is None
    True
    """
    if not isinstance(stream_id, str):
        raise TypeError(f"a stream id is a string, not {stream_id!r}")
    match = _STREAM_ID.fullmatch(stream_id)
    if match is None:
        return None
    milliseconds, sequence = int(match[1]), int(match[2])
    ordinal = milliseconds * SEQUENCE_LIMIT + sequence
    return ordinal if sequence < SEQUENCE_LIMIT and ordinal <= MAX_ORDINAL else None


def assign_ordinal(cursor: int, stream_id: str = "", *, session_id: str = "", limit: int = MAX_ORDINAL) -> int:
    """Return the ordinal of the event after ``cursor``: the derived one if it is higher, else cursor + 1.

    A derived ordinal above ``limit``, the highest ordinal that the store can hold, is ignored.

    Raises:
        OrdinalExhausted: ``cursor`` is already the highest ordinal. ``session_id`` is used only in this error.
        TypeError: the cursor is not an int, or the stream id is not a string.

    >>> assign_ordinal(7)
    8
    >>> assign_ordinal(7, "1700000000000-2")
    1700000000000000002
    >>> assign_ordinal(1700000000000000002, "1700000000000-1")
    1700000000000000003
    """
    if type(cursor) is not int and (isinstance(cursor, bool) or not isinstance(cursor, int)):
        raise TypeError(f"a cursor is an ordinal, an integer, not {cursor!r}")
    derived = None if stream_id == "" else derive_ordinal(stream_id)
    if derived is not None and cursor < derived <= limit:
        return derived
    if cursor >= limit:
        raise OrdinalExhausted(session_id, cursor)
    return cursor + 1
