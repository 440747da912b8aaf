"""Passes records of errors and events to observers, the store and the log. Errors of observers are only logged."""

from __future__ import annotations

import asyncio
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sessionstream.callables import plain_callback
from sessionstream.errors import StoreError, error_text
from sessionstream.logs import BoundedLog, SessionLog
from sessionstream.observe import ErrorKind, ErrorObserver, ErrorRecord, PipelineObserver, PipelineRecord
from sessionstream.tracebacks import formatted, where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessionstream.hub.completion import Completion
    from sessionstream.observe import Instrumentation
    from sessionstream.store import HydrationStore

_log = SessionLog()

MAX_UNRECORDED: Final = 1_000
"""How many error records are kept until the store can write them; beyond that, the oldest are never written."""

PAUSE_SECONDS: Final = 5.0
"""Seconds between a failed attempt to write a kept record and the next attempt."""

_OUTAGE: Final = "errors of the store"
"""Of which only some are logged in full: while a disk is full, each call has one."""

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
    """Return the record of an exception, with its text, its place and its traceback.

    ``projector`` names the projection that failed; it is the place if the traceback has no frame of the application.
    """
    place, text = where(error, projector), formatted(error)
    return ErrorRecord(
        kind,
        session_id,
        ordinal,
        event_name,
        error_text(error),
        raw_message,
        dict(metadata),
        where=place,
        traceback=text,
    )


class Reporter:
    """Passes records to the observers, and error records to the store before that.

    Attributes:
        observes_pipeline: whether there is a pipeline observer; without one, pipeline records are not made.
        unrecorded: error records that the store could not write yet.

    Raises:
        TypeError: an observer is not a plain function.
    """

    __slots__ = (
        "_again_at", "_bounded", "_error_observers", "_pipeline_observers", "_store", "observes_pipeline", "unrecorded",
    )  # fmt: skip

    def __init__(
        self,
        store: HydrationStore,
        pipeline_observer: PipelineObserver | None,
        error_observer: ErrorObserver | None,
    ) -> None:
        self._store = store
        self._pipeline_observers = _observers("pipeline_observer", pipeline_observer)
        self._error_observers = _observers("error_observer", error_observer)
        self.observes_pipeline: bool = pipeline_observer is not None
        self.unrecorded: deque[ErrorRecord] = deque(maxlen=MAX_UNRECORDED)
        self._bounded = BoundedLog()
        self._again_at = 0.0  # on the clock of the event loop

    def add(self, instrumentation: Instrumentation) -> None:
        """Pass records to an instrumentation first: the other observers may change them.

        Raises:
            TypeError: one of its methods is not a plain function.
        """
        pipeline = _observers("pipeline", instrumentation.pipeline)
        self._error_observers = _observers("error", instrumentation.error) + self._error_observers
        self._pipeline_observers = pipeline + self._pipeline_observers
        self.observes_pipeline = True

    def pipeline(self, record: PipelineRecord) -> None:
        """Pass a pipeline record to the observers."""
        for observer in self._pipeline_observers:
            try:
                observer(record)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - logged; it must not affect the pipeline
                event = record.event
                _log.exception(
                    "the pipeline observer failed on event %r (session %r, ordinal %d)",
                    event.name,
                    event.session_id,
                    event.ordinal,
                    session_id=event.session_id,
                    ordinal=event.ordinal,
                    event=event.name,
                )

    async def error(self, record: ErrorRecord, cause: BaseException, completion: Completion) -> None:
        """Write an error record to the store, log it, and pass it to the observers.

        If the store cannot write it, that error is logged and passed to them first, unless the record itself says that
        the store does not work; the record is kept, and written when the store works again.
        """
        try:
            await completion.finish(self._store.record_error(record))
        except Exception as failure:  # noqa: BLE001 - both errors are reported
            facts = {"originalKind": record.kind}
            lost = record_of("store", record.session_id, record.ordinal, record.event_name, failure, metadata=facts)
            if record.kind != "store" or not isinstance(failure, StoreError):
                self._notify(lost, failure)
            self.unrecorded.append(record)
        self._notify(record, cause)

    async def catch_up(self, completion: Completion) -> None:
        """Write the kept records, unless the last attempt failed less than ``PAUSE_SECONDS`` ago."""
        if asyncio.get_running_loop().time() >= self._again_at:
            await self.write_unrecorded(completion)

    async def write_unrecorded(self, completion: Completion) -> None:
        """Write the kept records now, until one fails; ``catch_up`` then pauses for ``PAUSE_SECONDS``.

        Once all are written, the log says how many errors of the store it left out.
        """
        while self.unrecorded:
            record = self.unrecorded.popleft()
            try:
                await completion.finish(self._store.record_error(record))
            except Exception as failure:  # noqa: BLE001 - logged; the observer has the record already
                self.unrecorded.appendleft(record)
                self._again_at = asyncio.get_running_loop().time() + PAUSE_SECONDS
                _log.warning("error records are still not written, %d: %s", len(self.unrecorded), error_text(failure))
                return
        self._bounded.flush(now=True)

    async def close(self, completion: Completion) -> None:
        """Write the kept records if the store works, and log how many errors of the store were left out."""
        await self.write_unrecorded(completion)
        self._bounded.flush(now=True)

    def _notify(self, record: ErrorRecord, cause: BaseException) -> None:
        if record.kind != "store" or self._bounded.admits(_OUTAGE):
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
                session_id=record.session_id,
                ordinal=record.ordinal,
                event=record.event_name,
            )
        for observer in self._error_observers:
            try:
                observer(record)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - as above
                _log.exception(
                    "the error observer failed on: %s",
                    record.error,
                    session_id=record.session_id,
                    ordinal=record.ordinal,
                    event=record.event_name,
                )


def _observers(name: str, observer: object) -> tuple[Callable[..., None], ...]:
    return () if observer is None else (plain_callback(name, "(record)", observer),)
