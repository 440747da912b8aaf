"""Calls the connection observer; exceptions that it raises are logged and do not reach the transport."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from sessionstream.callables import plain_callback
from sessionstream.logs import BoundedLog
from sessionstream.transport.ws.server.records import ConnectionObserver, ConnectionRecord, Stage


class Reporter:
    """Passes records to the observer, if there is one.

    Attributes:
        enabled: whether there is an observer; callers may skip making a record if not.

    Raises:
        TypeError: the observer is not a plain (not async) function.
    """

    __slots__ = ("_log", "_observer", "enabled")

    def __init__(self, observer: ConnectionObserver | None) -> None:
        self._observer = None if observer is None else plain_callback("observer", "(record)", observer)
        self.enabled: bool = observer is not None
        self._log = BoundedLog()

    def report(self, stage: Stage, connection_id: str = "", session_id: str = "", **facts: Any) -> None:
        """Make a record and pass it to the observer."""
        if self.enabled:
            self.record(ConnectionRecord(stage, connection_id, session_id, **facts))

    def record(self, record: ConnectionRecord) -> None:
        """Pass a record to the observer."""
        if self._observer is not None:
            try:
                self._observer(record)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - observers cannot break anything
                line = f"the connection observer failed on {record.stage!r}"
                self._log.log(
                    "failures of the connection observer",
                    line,
                    error=error,
                    level=logging.ERROR,
                    session_id=record.session_id,
                    ordinal=record.ordinal,
                )
