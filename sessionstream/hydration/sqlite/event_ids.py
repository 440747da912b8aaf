"""Finds events by their ids, also those that were pruned."""

from __future__ import annotations

import sqlite3
from typing import Final

from sessionstream.descriptors import descriptor_set
from sessionstream.digests import stored_digest
from sessionstream.hydration.sqlite.columns import Query, Row
from sessionstream.hydration.sqlite.payload_types import ReadTypes
from sessionstream.schema import SchemaRegistry
from sessionstream.store import LoggedEvent

_EVENT: Final = Query(
    "events",
    "sid, ordinal, name, type, payload, digest",
    "WHERE event_id = ? AND sid = (SELECT sid FROM sessions WHERE session_id = ?)",
)


def find_event(
    db: sqlite3.Connection, types: ReadTypes, registry: SchemaRegistry, session_id: str, event_id: str
) -> LoggedEvent | None:
    """Return what is known of the event with this id, or None."""
    row = _EVENT.first(db, (event_id, session_id))
    if row is None:
        return None
    _, ordinal, name, number, payload, digest = row
    if digest is None:
        check_complete(_EVENT, row, name, number, payload)
    elif number is None:  # pruned by an earlier version, which forgot the type
        return LoggedEvent(ordinal, digest)
    payload_type, descriptors = types.described(db, number)
    if digest is None:
        present = registry.stored_as(payload_type)
        known = [descriptors] if present is None else [descriptors, descriptor_set(present)]
        digest = stored_digest(name, payload_type, payload, *known)
    return LoggedEvent(ordinal, digest, descriptors)


def check_complete(query: Query, row: Row, name: str | None, number: int | None, payload: bytes | None) -> None:
    """Check that an event without a digest, which a query has returned, has not been pruned.

    Raises:
        Damage: something of it is missing.
    """
    for column, value in (("name", name), ("type", number), ("payload", payload)):
        if value is None:
            query.damaged(row, column, "missing, as in an event that was pruned, and so is its digest")
