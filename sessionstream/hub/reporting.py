"""Telling observers, in a way that nothing they do can reach the pipeline."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from sessionstream.callables import told_of
from sessionstream.errors import words
from sessionstream.observe import ErrorObserver, ErrorRecord, PipelineObserver, PipelineRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionstream.hub.completion import Completion
    from sessionstream.store import HydrationStore

_log = logging.getLogger("sessionstream")


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
                _log.exception("the pipeline observer failed on %r", record.event.name)

    async def error(self, record: ErrorRecord, completion: Completion) -> None:
        """Record an error and tell the observer. If it cannot be recorded, the observer hears of that first."""
        try:
            await completion.finish(self._store.record_error(record))
        except Exception as failure:  # noqa: BLE001 - reported, and the original is reported all the same
            self._tell(
                ErrorRecord(
                    "store",
                    record.session_id,
                    record.ordinal,
                    record.event_name,
                    words(failure),
                    metadata={"originalKind": record.kind},
                )
            )
        self._tell(record)

    def _tell(self, record: ErrorRecord) -> None:
        if self._error_observer is None:
            _log.error("%s of session %r: %s", record.kind, record.session_id, record.error)
            return
        try:
            self._error_observer(record)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001 - as above
            _log.exception("the error observer failed on: %s", record.error)


def _observer(name: str, observer: object) -> Callable[..., None] | None:
    return None if observer is None else told_of(name, "(record)", observer)
