"""Reads rows of the file and checks each value against its column.

SQLite stores any value in any column, so another program could have written anything. Every read goes through a
``Query``: its rows have values of the right types, within their bounds; else it raises ``Damage`` with the table, the
row and the column.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from reprlib import Repr
from typing import Any, Final, NoReturn, TypeAlias

from sessionstream.hydration.encoding import MAX_STORED
from sessionstream.hydration.sqlite.failures import Damage

Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column holds.

    Attributes:
        description: for error messages.
        cls: class of its values in Python.
        nullable: whether it may hold NULL instead.
        bounds: lowest and highest value of a number; None for any.
    """

    description: str
    cls: type
    nullable: bool = False
    bounds: tuple[int, int] | None = None

    def holds(self, value: object) -> bool:
        """Whether the column may hold this value."""
        if value is None:
            return self.nullable
        if value.__class__ is not self.cls:
            return False
        return self.bounds is None or self.bounds[0] <= value <= self.bounds[1]  # type: ignore[operator]  # an int


MAX_MOMENT: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999, the highest that a datetime can hold."""

START: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TEXT: Final = Kind("a text", str)
_BLOB: Final = Kind("bytes", bytes)
_NUMBER: Final = Kind("an integer", int)
_ORDINAL: Final = Kind("an ordinal", int, bounds=(0, MAX_STORED))
_EPOCH: Final = Kind("an epoch", int, bounds=(1, MAX_STORED))
_FLAG: Final = Kind("0 or 1", int, bounds=(0, 1))
_MOMENT: Final = Kind("microseconds since 1970", int, bounds=(-62_135_596_800_000_000, MAX_MOMENT))
_CHANGED: Final = Kind("the number of a change", int, bounds=(1, MAX_MOMENT))


def moment(recorded_at: int) -> datetime:
    """Return a moment that the file keeps, in UTC."""
    return START + timedelta(microseconds=recorded_at)


def _or_null(kind: Kind) -> Kind:
    return Kind(kind.description, kind.cls, nullable=True, bounds=kind.bounds)


COLUMNS: Final[dict[str, dict[str, Kind]]] = {
    "meta": {"key": _TEXT, "value": _EPOCH},
    "sessions": {
        "sid": _NUMBER,
        "session_id": _TEXT,
        "event_cursor": _ORDINAL,
        "timeline_cursor": _ORDINAL,
        "epoch": _EPOCH,
        "floor": _ORDINAL,
        "timeline": _NUMBER,
        "changed": _CHANGED,
    },
    "timelines": {"timeline": _NUMBER, "sid": _NUMBER},
    "payload_types": {"type": _NUMBER, "name": _TEXT, "digest": _BLOB, "descriptors": _BLOB},
    "events": {
        "sid": _NUMBER,
        "ordinal": _ORDINAL,
        "event_id": _TEXT,
        "name": _or_null(_TEXT),
        "type": _or_null(_NUMBER),
        "payload": _or_null(_BLOB),
        "digest": _or_null(_BLOB),
        "recorded_at": _MOMENT,
        "metadata": _TEXT,
    },
    "entities": {
        "timeline": _NUMBER,
        "kind": _TEXT,
        "id": _TEXT,
        "created": _ORDINAL,
        "changed": _ORDINAL,
        "tombstone": _FLAG,
        "type": _or_null(_NUMBER),
        "payload": _or_null(_BLOB),
        "depth": _ORDINAL,
    },
    "entity_versions": {
        "timeline": _NUMBER,
        "kind": _TEXT,
        "id": _TEXT,
        "created": _ORDINAL,
        "changed": _ORDINAL,
        "superseded": _ORDINAL,
        "tombstone": _FLAG,
        "type": _or_null(_NUMBER),
        "encoding": _FLAG,
        "payload": _or_null(_BLOB),
    },
    "command_claims": {
        "session_id": _TEXT,
        "key": _TEXT,
        "digest": _BLOB,
        "claimed_at": _MOMENT,
        "node": _TEXT,
        "finished": _FLAG,
    },
    "errors": {
        "seq": _NUMBER,
        "session_id": _TEXT,
        "kind": _TEXT,
        "ordinal": _TEXT,
        "event_name": _TEXT,
        "error": _TEXT,
        "raw_message": _BLOB,
        "metadata": _TEXT,
        "recorded_at": _MOMENT,
    },
    "discarded": {
        "what": _TEXT,
        "number": _NUMBER,
        "below": _ORDINAL,
        "after": _NUMBER,
        "kind": _TEXT,
        "id": _TEXT,
    },
    "nodes": {"node": _TEXT, "until": _MOMENT},
    "ui_events": {
        "position": _NUMBER,
        "session_id": _TEXT,
        "ordinal": _ORDINAL,
        "before": _ORDINAL,
        "epoch": _EPOCH,
        "node": _TEXT,
        "data": _or_null(_BLOB),
        "at": _MOMENT,
    },
}
"""What the columns of each table hold; see schema.py for what they mean."""

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "meta": ("key",),
    "sessions": ("sid", "session_id"),
    "payload_types": ("type",),
    "events": ("sid", "ordinal"),
    "entities": ("timeline", "kind", "id"),
    "entity_versions": ("timeline", "kind", "id", "changed"),
    "command_claims": ("session_id", "key"),
    "errors": ("seq",),
    "discarded": ("what", "number"),
    "nodes": ("node",),
    "ui_events": ("position",),
}
"""The columns that identify a row of a table."""

_repr: Final = Repr()
_repr.maxstring = _repr.maxother = 60


def shortly(value: object) -> str:
    """Return the repr of a value, shortened in the middle if it is long."""
    return _repr.repr(value)


class Query:
    """A SELECT whose rows are checked against the columns of a table."""

    __slots__ = ("_bounded", "_classes", "_kinds", "_names", "_sql", "table")

    def __init__(self, table: str, columns: str, rest: str, *, required: Iterable[str] = ()) -> None:
        """Select columns, by their names and commas.

        Args:
            rest: the SQL behind the name of the table; or the whole statement, if it begins with SELECT.
            required: columns that may not be NULL in these rows.
        """
        self.table: str = table
        self._names = tuple(columns.split(", "))
        kinds = COLUMNS[table]
        self._kinds = [
            Kind(kind.description, kind.cls, kind.nullable and name not in required, kind.bounds)
            for name, kind in ((name, kinds[name]) for name in self._names)
        ]
        self._bounded = [(index, kind.bounds) for index, kind in enumerate(self._kinds) if kind.bounds is not None]
        self._classes: set[tuple[type, ...]] = set()  # of the rows that were right
        self._sql = rest if rest.startswith("SELECT") else f"SELECT {columns} FROM {table} {rest}"  # noqa: S608 - our own

    def all(self, db: sqlite3.Connection, parameters: Any = ()) -> list[Row]:
        """Return every row.

        Raises:
            Damage: a value in one of them is not valid in its column.
        """
        rows = self._fetch(db, parameters)
        classes, bounded = self._classes, self._bounded
        for row in rows:
            if tuple(map(type, row)) not in classes:
                self._check(row)
            for index, (low, high) in bounded:
                if row[index] is not None and not low <= row[index] <= high:
                    self._check(row)
        return rows

    def first(self, db: sqlite3.Connection, parameters: Any = ()) -> Row | None:
        """Return the first row, or None where there is none.

        Raises:
            Damage: a value in it is not valid in its column.
        """
        rows = self.all(db, parameters)
        return rows[0] if rows else None

    def damaged(self, row: Row, column: str, wrong: str) -> NoReturn:
        """Report a value that contradicts others.

        Raises:
            Damage: always.
        """
        raise Damage(self.table, self._row(row), column, wrong)

    def _fetch(self, db: sqlite3.Connection, parameters: Any) -> list[Row]:
        try:
            return db.execute(self._sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
        # A text is not valid UTF-8. Read again, with that one as bytes, which the check then reports.
        before = db.text_factory
        db.text_factory = _text_or_bytes
        try:
            return db.execute(self._sql, parameters).fetchall()
        finally:
            db.text_factory = before

    def _check(self, row: Row) -> None:
        for name, kind, value in zip(self._names, self._kinds, row, strict=True):
            if not kind.holds(value):
                self.damaged(row, name, f"{shortly(value)}, not {kind.description}")
        self._classes.add(tuple(map(type, row)))

    def _row(self, row: Row) -> str:
        values = dict(zip(self._names, row, strict=True))
        return ", ".join(f"{key} {shortly(values[key])}" for key in KEYS[self.table] if key in values)


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
