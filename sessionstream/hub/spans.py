"""Opens the spans of an instrumentation; what that raises is logged and does not reach the hub."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sessionstream.logs import SessionLog
from sessionstream.types import NO_METADATA, Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from sessionstream.observe import Instrumentation, Span

_log = SessionLog()


class opened:  # noqa: N801 - used as a function; a generator would take twice as long
    """Opens a span for as long as the context lasts; its value is the metadata that carries it, which may be empty."""

    __slots__ = ("_instrumentation", "_scope", "_span")

    def __init__(self, instrumentation: Instrumentation, span: Span) -> None:
        self._instrumentation = instrumentation
        self._span = span

    def __enter__(self) -> Mapping[str, str]:
        self._scope, entries = _entered(self._instrumentation, self._span)
        return entries

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _leave(self._scope, self._span, error)


def with_entries(metadata: Mapping[str, str], entries: Mapping[str, str]) -> Mapping[str, str]:
    """Return the metadata of an event with those that carry a span, unless it has some of them, or too little room."""
    if not entries or not entries.keys().isdisjoint(metadata):
        return metadata
    try:
        return Metadata({**metadata, **entries} if metadata else entries)
    except (TypeError, ValueError):
        return metadata


def _entered(
    instrumentation: Instrumentation, span: Span
) -> tuple[AbstractContextManager[Mapping[str, str]] | None, Mapping[str, str]]:
    try:
        scope = instrumentation.span(span)
        return scope, scope.__enter__()
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - logged, as errors of observers
        _log_failure("open", span)
        return None, NO_METADATA


def _leave(scope: AbstractContextManager[object] | None, span: Span, error: BaseException | None) -> None:
    if scope is None:
        return
    try:
        scope.__exit__(None if error is None else type(error), error, None if error is None else error.__traceback__)
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - as above
        _log_failure("end", span)


def _log_failure(verb: str, span: Span) -> None:
    what = "the instrumentation could not %s a span of %s"
    event = "" if span.operation == "command" else span.name
    _log.exception(what, verb, span.operation, session_id=span.session_id, ordinal=span.ordinal, event=event)
