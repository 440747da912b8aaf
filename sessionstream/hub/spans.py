"""Opens the spans of an instrumentation; what that raises is logged and does not reach the hub."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sessionstream.logs import SessionLog
from sessionstream.types import NO_METADATA, Metadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from sessionstream.observe import Instrumentation, Span

_log = SessionLog()


@contextmanager
def opened(instrumentation: Instrumentation, span: Span) -> Iterator[Mapping[str, str]]:
    """Open a span for as long as the context lasts; return the metadata that carries it, which may be empty."""
    scope, entries = _entered(instrumentation, span)
    try:
        yield entries
    except BaseException as error:
        _leave(scope, span, error)
        raise
    _leave(scope, span, None)


def with_entries(metadata: Mapping[str, str], entries: Mapping[str, str]) -> Mapping[str, str]:
    """Return the metadata of an event with those that carry a span, unless it has some of them, or too little room."""
    if not entries or not entries.keys().isdisjoint(metadata):
        return metadata
    try:
        return Metadata({**metadata, **entries})
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
