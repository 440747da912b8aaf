"""Rows to values: the metadata of events, error records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sessionstream.hydration.encoding import error_facts, texts
from sessionstream.hydration.sqlite.columns import Query, Row, moment, shortly
from sessionstream.observe import ErrorRecord
from sessionstream.types import NO_METADATA, Metadata

ERROR: Final = "seq, session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at"
"""The columns that ``error_record`` takes."""


def event_metadata(query: Query, row: Row, metadata: str) -> Mapping[str, str]:
    """Return the metadata of an event, whose row a query has returned.

    Raises:
        Damage: it is none: something else has written there.
    """
    if not metadata:
        return NO_METADATA
    try:
        facts = texts(metadata)
    except ValueError:
        query.damaged(row, "metadata", _not_texts(metadata))
    try:
        return Metadata(facts)
    except ValueError as error:
        query.damaged(row, "metadata", str(error))


def _not_texts(metadata: str) -> str:
    return f"{shortly(metadata)}, not a JSON object of texts"


def error_record(query: Query, row: Row) -> ErrorRecord:
    """Return the error record of a row that a query for the columns ``ERROR`` has returned.

    Raises:
        Damage: it is none: something else has written there.
    """
    _, session_id, kind, ordinal, event_name, error, raw_message, metadata, recorded_at = row
    try:
        number = int(ordinal)
    except ValueError:
        query.damaged(row, "ordinal", f"{shortly(ordinal)}, not an ordinal")
    try:
        facts, place, text = error_facts(metadata)
    except ValueError:
        query.damaged(row, "metadata", _not_texts(metadata))
    time = moment(recorded_at)
    return ErrorRecord(kind, session_id, number, event_name, error, raw_message, facts, time, place, text)
