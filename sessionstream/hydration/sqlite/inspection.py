"""SQLiteFile: the ``StoredState`` of a SQLite file, for operators' tools."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Final, TypeVar

from sessionstream.digests import stored_digest
from sessionstream.errors import StoreError
from sessionstream.hydration.encoding import MAX_STORED, bounded
from sessionstream.hydration.rules import check_floor, check_number, check_snapshot, check_text
from sessionstream.hydration.sqlite import contradictions, history, reads, schema
from sessionstream.hydration.sqlite.columns import Query, moment
from sessionstream.hydration.sqlite.database import Database, check_length
from sessionstream.hydration.sqlite.event_ids import check_complete
from sessionstream.hydration.sqlite.failures import code_of
from sessionstream.hydration.sqlite.history import STATE, check_states
from sessionstream.hydration.sqlite.payload_types import PAYLOAD_TYPE, ReadTypes
from sessionstream.hydration.sqlite.reads import Reading
from sessionstream.hydration.sqlite.rows import ERROR, error_record, event_metadata
from sessionstream.hydration.sqlite.sessions import stored
from sessionstream.hydration.stored import (
    PayloadType,
    Problem,
    PrunedEvent,
    StoredClaim,
    StoredEntity,
    StoredError,
    StoredEvent,
    StoredPayload,
    StoredSession,
    StoredSnapshot,
    StoredVersion,
)
from sessionstream.hydration.versions import FULL
from sessionstream.observe import ErrorRecord
from sessionstream.schema import SchemaRegistry
from sessionstream.types import snapshot_order

T = TypeVar("T")

_TIMED: Final = 2
"""The first schema version that keeps the time of an event."""

_WITH_TIMED_CLAIMS: Final = 3
"""The first schema version that keeps the time of a claim."""

_WITH_METADATA: Final = 4
"""The first schema version that keeps the metadata of an event."""

_WITH_OWNED_CLAIMS: Final = 4
"""The first schema version that keeps whether the command of a claim has finished."""

_WITH_CHANGES: Final = 5
"""The first schema version that keeps the order in which sessions changed."""


def _events_of(version: int) -> Query:
    """Return the query for events of a file of that schema version; what it does not keep is 0 or empty."""
    recorded_at = "recorded_at" if version >= _TIMED else "0"
    metadata = "metadata" if version >= _WITH_METADATA else "''"
    query = f"SELECT {reads.EVENT}, {recorded_at}, {metadata} FROM events {reads.LOG}"  # noqa: S608 - our own names
    return Query("events", f"{reads.EVENT}, recorded_at, metadata", query, required=reads.LOGGED)


def _pruned_of(version: int) -> Query:
    recorded_at = "recorded_at" if version >= _TIMED else "0"
    query = f"""SELECT sid, ordinal, event_id, name, type, payload, digest, {recorded_at} FROM events
        WHERE sid = ? AND ordinal > ? AND ordinal < ? ORDER BY ordinal LIMIT ?"""  # noqa: S608 - our own names
    return Query("events", "sid, ordinal, event_id, name, type, payload, digest, recorded_at", query)


def _claims_of(version: int) -> Query:
    claimed_at = "claimed_at" if version >= _WITH_TIMED_CLAIMS else "0"
    finished = "finished" if version >= _WITH_OWNED_CLAIMS else "1"
    query = f"""SELECT session_id, key, digest, {claimed_at}, {finished} FROM command_claims
        WHERE session_id = ? AND key > ? ORDER BY key LIMIT ?"""  # noqa: S608 - our own names
    return Query("command_claims", "session_id, key, digest, claimed_at, finished", query)


_VERSIONS: Final = range(1, schema.VERSION + 1)
_EVENTS: Final = {version: _events_of(version) for version in _VERSIONS}
_PRUNED: Final = {version: _pruned_of(version) for version in _VERSIONS}
_CLAIMS: Final = {version: _claims_of(version) for version in _VERSIONS}
_ERRORS: Final = Query("errors", ERROR, "WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?")
_USED: Final = Query("sessions", "sid, session_id", "ORDER BY sid")
_USED_BY_CHANGE: Final = Query("sessions", "sid, session_id", "ORDER BY changed, sid")
_HELD: Final = Query("sessions", "sid, session_id", "WHERE timeline_cursor < event_cursor")
# States that a question at the floor or above it needs.
_PRESENT: Final = Query(
    "entities",
    STATE,
    """WHERE timeline = :timeline AND (kind, id, changed) > (:kind, :id, :changed)
    AND NOT (tombstone AND changed <= :floor) ORDER BY kind, id LIMIT :limit""",
)
_PAST: Final = Query(
    "entity_versions",
    f"{STATE}, superseded, encoding",
    """WHERE timeline = :timeline AND (kind, id, changed) > (:kind, :id, :changed)
    AND NOT (changed <= :floor AND (superseded <= :floor OR tombstone)) ORDER BY kind, id, changed LIMIT :limit""",
)


_FINDINGS: Final = (10, 1)
"""How many damages are looked for. SQLite may stop at a page that it cannot read, with an error in place of what it has
found; after its first finding it goes no further."""


class SQLiteFile:
    """The ``StoredState`` of a file. It can be used only within the function that ``SQLiteStore.look`` was given."""

    def __init__(self, db: sqlite3.Connection, version: int, path: str) -> None:
        """Not for callers: use ``SQLiteStore.look``."""
        first_epoch = schema.first_epoch(db, path)
        self._db = db
        self._version = version
        self._written = ReadTypes()
        self._reading = Reading(SchemaRegistry(), self._written, first_epoch)
        self._types: dict[int, PayloadType] = {}

    @property
    def version(self) -> int:
        """The schema version of the file, which may be an older one."""
        return self._version

    @property
    def first_epoch(self) -> int:
        """The epoch of sessions that nobody has used."""
        return self._reading.first_epoch

    def processes(self) -> int:
        """Return how many processes have the file open, or were killed with it open; 0 if its version does not know."""
        if self._version < schema.FIRST_WITH_NODES:
            return 0
        return int(self._db.execute("SELECT count(*) FROM nodes").fetchone()[0])

    def damages(self) -> list[str]:
        """Return what SQLite finds damaged in the file, at most ten findings."""
        error: sqlite3.Error | None = None
        for limit in _FINDINGS:
            try:
                found = [str(row[0]) for row in self._db.execute(f"PRAGMA integrity_check({limit})")]
            except sqlite3.Error as failure:
                if code_of(failure) & 0xFF != sqlite3.SQLITE_CORRUPT:
                    raise
                error = failure
            else:
                return [] if found == ["ok"] and error is None else found
        return [str(error)]

    def problems(self) -> list[Problem]:
        """Return what is wrong with the tables, and between them."""
        return contradictions.found(self._db, self._version)

    def used_sessions(self) -> list[str]:
        """Return the ids of all sessions that were ever used, in the order of their last changes."""
        query = _USED_BY_CHANGE if self._version >= _WITH_CHANGES else _USED
        return [session_id for _, session_id in query.all(self._db)]

    def sessions(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """Return the ids of the sessions that hold anything, sorted, above ``after``, at most ``limit``."""
        check_text("after", after)
        check_number("limit", limit, optional=True)
        return reads.sessions(self._db, after, limit)

    def held_sessions(self) -> list[str]:
        """Return the ids of the sessions that are held, sorted."""
        return sorted(session_id for _, session_id in _HELD.all(self._db))

    def session(self, session_id: str) -> StoredSession | None:
        """Return where a session stands, None if the file does not know it."""
        check_text("session_id", session_id)
        db, session = self._db, self._reading.session(self._db, session_id)
        last = reads.error_records(db, session_id, 1)
        if stored(db, session_id) is None and not last and not self._has_claims(session_id):
            return None
        waiting = self.count_events(session_id, after=session.cursors.timeline)
        entities = db.execute(
            "SELECT count(*) FROM entities WHERE timeline = ? AND NOT tombstone", (session.timeline,)
        ).fetchone()[0]
        return StoredSession(session_id, session.cursors, waiting, entities, last[0] if last else None)

    def timeline(self, session_id: str, *, as_of: int | None = None) -> StoredSnapshot:
        """Return the timeline now, or right after an ordinal; beyond the cursor that means the cursor.

        Raises:
            HistoryPruned: the ordinal is below the floor.
        """
        check_snapshot(session_id, as_of, None)
        session = self._reading.session(self._db, session_id)
        check_floor(session_id, session.cursors.floor, as_of)
        ordinal = session.cursors.timeline if as_of is None else min(as_of, session.cursors.timeline)
        entities = [
            StoredEntity(kind, entity_id, created, changed, self._payload(number, data))
            for _, kind, entity_id, created, changed, _, number, data in history.as_of(
                self._db, session.timeline, ordinal
            )
        ]
        return StoredSnapshot(ordinal, session.cursors.epoch, tuple(sorted(entities, key=snapshot_order)))

    def events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Return logged events above ``after`` that were not pruned, in order, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("limit", limit, optional=True)
        session = self._reading.session(self._db, session_id)
        query = _EVENTS[self._version]
        events = []
        for row in reads.log(self._db, query, session, after, limit):
            _, ordinal, event_id, name, number, data, recorded_at, metadata = row
            at = moment(recorded_at) if self._version >= _TIMED else None
            facts = event_metadata(query, row, metadata)
            events.append(StoredEvent(ordinal, event_id, name, at, self._payload(number, data), facts))
        return events

    def count_events(self, session_id: str, *, after: int = 0, below: int | None = None) -> int:
        """Return how many events there are above ``after``, and below an ordinal, that were not pruned."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("below", below, optional=True)
        session = self._reading.session(self._db, session_id)
        found = self._db.execute(
            "SELECT count(*) FROM events WHERE sid = ? AND ordinal > ? AND ordinal <= ?",
            (
                session.sid,
                bounded(max(after, session.cursors.floor - 1)),
                session.cursors.event if below is None else bounded(below) - 1,
            ),
        )
        return int(found.fetchone()[0])

    def ordinal_from_end(self, session_id: str, count: int) -> int:
        """Return the ordinal of the ``count``-th last event, 0 where there are fewer; pruned ones do not count."""
        check_text("session_id", session_id)
        check_number("count", count)
        return self._reading.ordinal_from_end(self._db, session_id, count)

    def error_records(self, session_id: str | None = None, *, limit: int | None = None) -> list[ErrorRecord]:
        """Return the last ``limit`` error records of one session, or of all, in the order they came."""
        if session_id is not None:
            check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        return reads.error_records(self._db, session_id, limit)

    def pruned_events(self, session_id: str, *, after: int = 0, limit: int | None = None) -> list[PrunedEvent]:
        """Return events above ``after`` that were pruned, in order, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("after", after)
        check_number("limit", limit, optional=True)
        session = self._reading.session(self._db, session_id)
        query, events = _PRUNED[self._version], []
        for row in query.all(self._db, (session.sid, bounded(after), session.cursors.floor, reads.row_limit(limit))):
            _, ordinal, event_id, name, number, payload, digest, recorded_at = row
            if digest is None:  # the floor has risen, and the rest of the event is still there
                check_complete(query, row, name, number, payload)
                payload_type, descriptors = self._written.described(self._db, number)
                digest = stored_digest(name, payload_type, payload, descriptors)
            at = moment(recorded_at) if self._version >= _TIMED else None
            events.append(PrunedEvent(ordinal, event_id, at, self._type(number), digest))
        return events

    def versions(
        self, session_id: str, *, after: tuple[str, str, int] = ("", "", 0), limit: int | None = None
    ) -> list[StoredVersion]:
        """Return the states from which questions about the timeline are answered, above ``after``, in order."""
        check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        session = self._reading.session(self._db, session_id)
        place: dict[str, object] = dict(zip(("kind", "id", "changed"), after, strict=True))
        place |= {"timeline": session.timeline, "floor": session.cursors.floor, "limit": reads.row_limit(limit)}
        found = []
        for query in (_PAST, _PRESENT):
            rows = query.all(self._db, place)
            check_states(query, rows, session.cursors.timeline)
            found += [(*row[:8], *(row[8:] or (None, FULL))) for row in rows]
        return [
            StoredVersion(
                *(kind, entity_id, created, changed, superseded),
                None if tombstone else self._payload(number, data),
                encoding,
            )
            for _, kind, entity_id, created, changed, tombstone, number, data, superseded, encoding in sorted(
                found, key=itemgetter(1, 2, 4)
            )[:limit]
        ]

    def claims(self, session_id: str, *, after: str = "", limit: int | None = None) -> list[StoredClaim]:
        """Return the keys that are claimed in a session, sorted, above ``after``, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        rows = _CLAIMS[self._version].all(self._db, (session_id, after, reads.row_limit(limit)))
        timed = self._version >= _WITH_TIMED_CLAIMS
        return [
            StoredClaim(key, digest, bool(finished), moment(claimed_at) if timed else None)
            for _, key, digest, claimed_at, finished in rows
        ]

    def numbered_errors(
        self, session_id: str, *, after: int | None = None, limit: int | None = None
    ) -> list[StoredError]:
        """Return the error records of a session in the order they came, after a number, at most ``limit``."""
        check_text("session_id", session_id)
        check_number("limit", limit, optional=True)
        rows = _ERRORS.all(self._db, (session_id, -MAX_STORED if after is None else after, reads.row_limit(limit)))
        return [StoredError(row[0], error_record(_ERRORS, row)) for row in rows]

    def _has_claims(self, session_id: str) -> bool:
        query = "SELECT 1 FROM command_claims WHERE session_id = ?"
        return self._db.execute(query, (session_id,)).fetchone() is not None

    def _payload(self, number: int, data: bytes) -> StoredPayload:
        return StoredPayload(self._type(number), data)

    def _type(self, number: int | None) -> PayloadType:
        if number is None:  # of an event that an earlier version has pruned
            return PayloadType(0, "", b"")
        found = self._types.get(number)
        if found is None:
            row = PAYLOAD_TYPE.first(self._db, (number,))
            _, name, _, descriptors = row or (number, "", b"", b"")
            found = self._types[number] = PayloadType(number, name, descriptors)
        return found


def look(path: str | os.PathLike[str], question: Callable[[SQLiteFile], T]) -> T:
    """Answer a question from one state of a file; see ``SQLiteStore.look``."""
    if not callable(question):
        raise TypeError(f"question is a function of a SQLiteFile, not {question!r}")
    database = Database.at(path)

    def ask(db: sqlite3.Connection) -> T:
        version = schema.check_identity(db, database.path)
        if version == 0:
            raise StoreError(f"{database.path} is an empty database: no store has written to it yet")
        return question(SQLiteFile(db, version, database.path))

    try:
        check_readable(database.path)
        return database.look(ask, settled=True)
    except (sqlite3.Error, OSError, UnicodeError) as error:
        raise database.failure(error, "cannot read") from error


def check_readable(path: str) -> None:
    """Check that there is a regular file at a path, which may be read.

    Raises:
        StoreError: there is not.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"cannot read {path}: there is no such file") from None
    if stat.S_ISDIR(mode):
        raise StoreError(f"cannot read {path}: it is a directory, the store is a file")
    if not stat.S_ISREG(mode):  # opening a pipe would wait for its other end
        raise StoreError(f"cannot read {path}: it is not a regular file")
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError(f"cannot read {path}: the user of this process may not")
    check_length(path, "read")
