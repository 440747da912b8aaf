"""Rows to values, each checked: what a column may hold, and the store does not write there, is a StoreDamaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from reprlib import repr as shortly
from typing import TYPE_CHECKING, Any, NoReturn

from sessionstream.hydration.encoding import error_facts, texts
from sessionstream.hydration.postgres.failures import damaged
from sessionstream.observe import ErrorRecord
from sessionstream.store import Cursors
from sessionstream.types import NO_METADATA, Metadata

if TYPE_CHECKING:
    from sessionstream.errors import StoreDamaged


class Rows:
    """Checks the rows of one store.

    The methods raise StoreDamaged if a row holds a value that the store did not write.

    Args:
        store: what messages call it.
    """

    def __init__(self, store: str) -> None:
        self._store = store

    def cursors(self, session_id: str, values: Sequence[int]) -> Cursors:
        """Return where a session stands, from its event cursor, timeline cursor, epoch and floor."""
        cursors = Cursors(*values)
        if min(values) < 0:
            names = ("event_cursor", "timeline_cursor", "epoch", "floor")
            wrong = next(name for name, value in zip(names, values, strict=True) if value < 0)
            self._damaged("sessions", f"session_id {session_id!r}", wrong, f"{min(values)}, which is below 0")
        return cursors

    def check_event(self, session_id: str, ordinal: int, name: object, payload: object) -> None:
        """Check the name and the payload of an event that has no digest."""
        for column, value in (("name", name), ("payload", payload)):
            if value is None:
                self._damaged("events", _event(session_id, ordinal), column, "NULL, and the event has no digest")

    def event_metadata(self, session_id: str, ordinal: int, metadata: str) -> Mapping[str, str]:
        """Return the metadata of an event."""
        if not metadata:
            return NO_METADATA
        try:
            return Metadata(texts(metadata))
        except ValueError:
            self._damaged("events", _event(session_id, ordinal), "metadata", _not_texts(metadata))

    def check_state(self, table: str, session_id: str, state: Sequence[Any]) -> None:
        """Check that a state which is no deletion has a payload; it begins with kind, id, created, changed, type."""
        kind, entity_id, _, changed, number, payload = state[:6]
        if number is not None and payload is None:
            row = f"kind {kind!r}, id {entity_id!r}, changed {changed}"
            self._damaged(table, f"{row} of session {session_id!r}", "payload", "NULL, and the row has a type")

    def error_record(self, row: Sequence[Any]) -> ErrorRecord:
        """Return an error record from all columns of its row but the token."""
        seq, session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at = row
        place = f"seq {seq} of session {session_id!r}"
        try:
            number = int(ordinal)
        except ValueError:
            self._damaged("errors", place, "ordinal", f"{shortly(ordinal)}, not an ordinal")
        try:
            facts, where, text = error_facts(metadata)
        except ValueError:
            self._damaged("errors", place, "metadata", _not_texts(metadata))
        moment = recorded_at.astimezone(UTC)
        return ErrorRecord(kind, session_id, number, event_name, error, raw_message, facts, moment, where, text)

    def unknown_job(self, what: str, number: int) -> StoreDamaged:
        """Return the error for a row of the table ``discarded`` that this version does not know."""
        return damaged(self._store, "discarded", f"what {what!r}, number {number}", "", "not a job of this store")

    def _damaged(self, table: str, row: str, column: str, wrong: str) -> NoReturn:
        raise damaged(self._store, table, row, column, wrong)


def _event(session_id: str, ordinal: int) -> str:
    return f"ordinal {ordinal} of session {session_id!r}"


def _not_texts(metadata: str) -> str:
    return f"{shortly(metadata)}, not a JSON object of texts"
