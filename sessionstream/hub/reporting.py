"""Telling observers, in a way that nothing they do can reach the pipeline."""

from __future__ import annotations

import asyncio
import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sessionstream.callables import told_of
from sessionstream.errors import words
from sessionstream.observe import ErrorKind, ErrorObserver, ErrorRecord, PipelineObserver, PipelineRecord
from sessionstream.tracebacks import formatted, where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessionstream.hub.completion import Completion
    from sessionstream.store import HydrationStore

_log = logging.getLogger("sessionstream")

_NO_FACTS: Final[Mapping[str, str]] = MappingProxyType({})


def record_of(
    kind: ErrorKind,
    session_id: str,
    ordinal: int,
    event_name: str,
    error: BaseException,
    *,
    projector: str = "",
    raw_message: bytes = b"",
    metadata: Mapping[str, str] = _NO_FACTS,
) -> ErrorRecord:
    """Return the record of an exception: what it says, where it was raised, and its traceback.

    ``projector`` names the projection that failed, for where nothing of it is in the traceback.
    """
    place, text = where(error, projector), formatted(error)
    return ErrorRecord(
        kind, session_id, ordinal, event_name, words(error), raw_message, dict(metadata), where=place, traceback=text
    )


class Reporter:
    """Passes records to the observers, and errors to the store first.

    Raises:
        TypeError: an observer is no plain function.
    """

    __slots__ = ("_error_observer", "_pipeline_observer", "_store")

    def __init__(
        self,
        store: HydrationStore,
        pipeline_observer: PipelineObserver | None,
        error_observer: ErrorObserver | None,
    ) -> None:
        self._store = store
        self._pipeline_observer = _observer("pipeline_observer", pipeline_observer)
        self._error_observer = _observer("error_observer", error_observer)

    @property
    def observes_pipeline(self) -> bool:
        """Whether somebody wants pipeline records, so that none is made for nobody."""
        return self._pipeline_observer is not None

    def pipeline(self, record: PipelineRecord) -> None:
        """Pass on what became of one event."""
        if self._pipeline_observer is not None:
            try:
                self._pipeline_observer(record)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - logged with its traceback; observers cannot break anything
                event = record.event
                _log.exception(
                    "the pipeline observer failed on event %r (session %r, ordinal %d)",
                    event.name,
                    event.session_id,
                    event.ordinal,
                )

    async def error(self, record: ErrorRecord, cause: BaseException, completion: Completion) -> None:
        """Record an error, log it, and tell the observer. If it cannot be recorded, that is told first."""
        try:
            await completion.finish(self._store.record_error(record))
        except Exception as failure:  # noqa: BLE001 - reported, and the original is reported all the same
            facts = {"originalKind": record.kind}
            lost = record_of("store", record.session_id, record.ordinal, record.event_name, failure, metadata=facts)
            self._tell(lost, failure)
        self._tell(record, cause)

    def _tell(self, record: ErrorRecord, cause: BaseException) -> None:
        _log.error(
            "%s error in session %r, event %r, ordinal %d%s: %s",
            record.kind,
            record.session_id,
            record.event_name,
            record.ordinal,
            f", at {record.where}" if record.where else "",
            record.error,
            exc_info=cause,
            extra={"error_record": record},
        )
        if self._error_observer is None:
            return
        try:
            self._error_observer(record)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - as above
            _log.exception("the error observer failed on: %s", record.error)


def _observer(name: str, observer: object) -> Callable[..., None] | None:
    return None if observer is None else told_of(name, "(record)", observer)
