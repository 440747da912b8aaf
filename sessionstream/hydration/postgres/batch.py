"""Commits of several sessions as one statement.

A session is in a batch once: its commits, if there are several, follow each other and are made true together. The
statement compares the cursors of each session, and changes those that are where they are expected; it returns which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sessionstream.hydration.versions import FULL, kept

if TYPE_CHECKING:
    from sessionstream.hydration.encoding import CommitRows
    from sessionstream.hydration.postgres.payload_types import PayloadTypes
    from sessionstream.hydration.postgres.states import Key, State, WrittenStates

Columns: TypeAlias = Sequence[Sequence[Any]]


@dataclass(slots=True)
class Chain:
    """Commits of one session that follow each other.

    Attributes:
        epoch: that the session must have.
        commit_id: names the last of them in the table ``sessions``.
    """

    commits: list[CommitRows]
    epoch: int
    commit_id: str
    states: dict[Key, State] = field(default_factory=dict)

    @property
    def session_id(self) -> str:
        """The session."""
        return self.commits[0].step.session_id

    def is_followed_by(self, rows: CommitRows) -> bool:
        """Whether a commit expects what these leave."""
        step, last = rows.step, self.commits[-1].step
        return (
            step.expected_ordinal == last.event_cursor
            and step.timeline_before == last.timeline_cursor
            and step.expected_epoch in (None, self.epoch)
            and step.expected_commit_id in ("", last.commit_id)
        )


class Batch:
    """The statement for some chains, each of another session, and its values."""

    def __init__(self, chains: Sequence[Chain], types: PayloadTypes, written: WrittenStates, first_epoch: int) -> None:
        self.chains = chains
        self._numbers = types.numbers
        self._written = written
        self._first_epoch = first_epoch
        self._sessions: list[tuple[Any, ...]] = []
        self._events: list[tuple[Any, ...]] = []
        self._entities: list[tuple[Any, ...]] = []
        self._versions: list[tuple[Any, ...]] = []
        self._moves: list[tuple[Any, ...]] = []
        for number, chain in enumerate(chains):
            self._add(number, chain)

    def statement(self) -> tuple[str, list[object]]:
        """Return the statement and its values. It returns the numbers of the chains that became true."""
        tables = [("sessions", self._sessions)]
        tables += [(name, rows) for name, rows in self._optional() if rows]
        sql = _statement(tuple(name for name, _ in tables[1:]), len(self.chains) > 1)
        values: list[object] = [self._first_epoch]
        for _, rows in tables:
            values += [list(column) for column in zip(*rows, strict=True)]
        return sql, values

    def _optional(self) -> list[tuple[str, list[tuple[Any, ...]]]]:
        return [
            ("events", self._events),
            ("entities", self._entities),
            ("versions", self._versions),
            ("moves", self._moves),
        ]

    def _add(self, number: int, chain: Chain) -> None:
        first, last = chain.commits[0].step, chain.commits[-1].step
        cursors = (first.expected_ordinal, first.timeline_before)
        begins = cursors == (0, 0) and chain.epoch == self._first_epoch and not first.expected_commit_id
        after = (last.event_cursor, last.timeline_cursor)
        self._sessions.append(
            (number, chain.session_id, *cursors, chain.epoch, first.expected_commit_id, *after, chain.commit_id, begins)
        )
        known = self._written.of(chain.session_id, chain.epoch, first.timeline_before)
        stored: dict[Key, tuple[Any, ...]] = {}
        for step, event, entities, ui_events in chain.commits:
            if event is not None:
                ordinal, event_id, name, message, payload, metadata = event
                self._events.append((number, ordinal, event_id, name, self._numbers[message], payload, metadata or ""))
            for row in entities:
                key = (row.kind, row.id)
                state = chain.states.get(key) or known.get(key)
                encoding, past, depth = (FULL, None, 0) if state is None else kept(state[0], row.payload, state[1])
                kind = None if row.message is None else self._numbers[row.message]
                earlier = stored.get(key)
                if earlier is None:  # the state in the table is superseded: by a delta, or by a copy in full
                    superseded, delta = row.changed, past if encoding else None
                else:  # a state of this batch is superseded
                    superseded, delta = earlier[7], earlier[8]
                    self._versions.append((number, *earlier[1:5], row.changed, earlier[5], encoding, past))
                created = (number, row.kind, row.id, row.created, row.changed, kind, row.payload)
                stored[key] = (*created, superseded, delta, depth)
                chain.states[key] = row.payload, depth
            if step.timeline_cursor != step.timeline_before:
                self._moves.append((number, step.timeline_cursor, step.timeline_before, ui_events or b""))
        self._entities += stored.values()


_COLUMNS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "sessions": (
        ("number", "integer"),
        ("session_id", "text"),
        ("event_before", "bigint"),
        ("timeline_before", "bigint"),
        ("epoch", "bigint"),
        ("commit_before", "text"),
        ("event_after", "bigint"),
        ("timeline_after", "bigint"),
        ("commit_after", "text"),
        ("begins", "boolean"),
    ),
    "events": (
        ("number", "integer"),
        ("ordinal", "bigint"),
        ("event_id", "text"),
        ("name", "text"),
        ("type", "integer"),
        ("payload", "bytea"),
        ("metadata", "text"),
    ),
    "entities": (
        ("number", "integer"),
        ("kind", "text"),
        ("id", "text"),
        ("created", "bigint"),
        ("changed", "bigint"),
        ("type", "integer"),
        ("payload", "bytea"),
        ("superseded", "bigint"),
        ("delta", "bytea"),
        ("depth", "integer"),
    ),
    "versions": (
        ("number", "integer"),
        ("kind", "text"),
        ("id", "text"),
        ("created", "bigint"),
        ("changed", "bigint"),
        ("superseded", "bigint"),
        ("type", "integer"),
        ("encoding", "integer"),
        ("payload", "bytea"),
    ),
    "moves": (("number", "integer"), ("ordinal", "bigint"), ("before", "bigint"), ("data", "bytea")),
}

_LOCKED: Final = """locked AS (
    SELECT s.sid FROM asked a JOIN {s}.sessions s USING (session_id) ORDER BY a.session_id FOR UPDATE OF s)"""

_BEGUN: Final = """begun AS (
    INSERT INTO {s}.sessions (session_id, event_cursor, timeline_cursor, epoch, last_commit, last_time)
    SELECT session_id, event_after, timeline_after, $1::bigint, commit_after, clock_timestamp()
    FROM asked WHERE begins ORDER BY session_id
    ON CONFLICT (session_id) DO NOTHING
    RETURNING session_id, sid, timeline, epoch, last_time)"""

_MOVED: Final = """moved AS (
    UPDATE {s}.sessions s SET event_cursor = a.event_after, timeline_cursor = a.timeline_after,
        last_commit = a.commit_after, last_time = greatest(s.last_time, clock_timestamp()),
        changed = pg_current_xact_id()::text::bigint
    FROM asked a WHERE s.session_id = a.session_id {locks}
    AND s.event_cursor = a.event_before AND s.timeline_cursor = a.timeline_before AND s.epoch = a.epoch
    AND a.commit_before IN ('', s.last_commit)
    RETURNING s.session_id, s.sid, s.timeline, s.epoch, s.last_time)"""

_DONE: Final = """done AS (
    SELECT a.number, d.* FROM (SELECT * FROM begun UNION ALL SELECT * FROM moved) d JOIN asked a USING (session_id))"""

_INSERTS: Final = {
    "events": """logged AS (
    INSERT INTO {s}.events (sid, ordinal, event_id, name, type, payload, metadata, recorded_at)
    SELECT d.sid, e.ordinal, e.event_id, e.name, e.type, e.payload, e.metadata, d.last_time
    FROM events e JOIN done d USING (number))""",
    "entities": """superseded AS (
    INSERT INTO {s}.entity_versions (timeline, kind, id, created, changed, superseded, type, encoding, payload)
    SELECT p.timeline, p.kind, p.id, p.created, p.changed, e.superseded, p.type,
        CASE WHEN e.delta IS NULL THEN 0 ELSE 1 END, coalesce(e.delta, p.payload)
    FROM entities e JOIN done d USING (number)
    JOIN {s}.entities p ON p.timeline = d.timeline AND p.kind = e.kind AND p.id = e.id),
present AS (
    INSERT INTO {s}.entities (timeline, kind, id, created, changed, type, payload, depth)
    SELECT d.timeline, e.kind, e.id, e.created, e.changed, e.type, e.payload, e.depth
    FROM entities e JOIN done d USING (number)
    ON CONFLICT (timeline, kind, id) DO UPDATE SET created = excluded.created, changed = excluded.changed,
        type = excluded.type, payload = excluded.payload, depth = excluded.depth)""",
    "versions": """past AS (
    INSERT INTO {s}.entity_versions (timeline, kind, id, created, changed, superseded, type, encoding, payload)
    SELECT d.timeline, v.kind, v.id, v.created, v.changed, v.superseded, v.type, v.encoding, v.payload
    FROM versions v JOIN done d USING (number))""",
    "moves": """told AS (
    INSERT INTO {s}.ui_events (session_id, epoch, ordinal, before, data)
    SELECT d.session_id, d.epoch, m.ordinal, m.before, m.data FROM moves m JOIN done d USING (number))""",
}


@lru_cache(maxsize=64)
def _statement(tables: tuple[str, ...], many: bool) -> str:
    """Return the statement for rows of these tables, of one session or of ``many``."""
    place = 1

    def given(name: str) -> str:
        nonlocal place
        columns = _COLUMNS[name]
        values = [f"${place + n}::{kind}[]" for n, (_, kind) in enumerate(columns, 1)]
        place += len(columns)
        return f"unnest({', '.join(values)})"

    names = {name: ", ".join(column for column, _ in columns) for name, columns in _COLUMNS.items()}
    parts = [f"asked AS (SELECT * FROM {given('sessions')} AS a ({names['sessions']}))"]  # noqa: S608 - our own names
    parts += [f"{name} AS (SELECT * FROM {given(name)} AS x ({names[name]}))" for name in tables]  # noqa: S608
    if many:
        parts.append(_LOCKED)
    locks = "AND s.sid IN (SELECT sid FROM locked)" if many else ""
    parts += [_BEGUN, _MOVED.replace("{locks}", locks), _DONE]
    parts += [_INSERTS[name] for name in tables]
    return f"WITH {', '.join(parts)}\nSELECT number FROM done"
