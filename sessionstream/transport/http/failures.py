"""What the client of a command is told of each error that ``submit`` raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sessionstream.errors import (
    BusError,
    CommandConflict,
    CommandUnfinished,
    CommitUnknown,
    EventConflict,
    HubClosed,
    InvalidIdError,
    OrdinalExhausted,
    ProjectionError,
    SessionHeld,
    StoreError,
    UnknownCommandError,
    Unstorable,
)
from sessionstream.transport.http.problems import REFUSALS, SHUTTING_DOWN, Problem

UNKNOWN: Final = "unknown_command"
"""The code for a command that the application does not have."""

FAILED: Final = "command_failed"
"""The code for an error that is nobody's but the application's, and which is logged with its traceback."""

_STORED: Final = "what the command has done is stored, and will be shown when the server is repaired: do not repeat it"
_FAILURES: Final[tuple[tuple[type[Exception], int, str, str], ...]] = (
    (HubClosed, 503, SHUTTING_DOWN, "the server is shutting down; try again in a moment"),
    (ProjectionError, 500, "projection_failed", _STORED),
    (SessionHeld, 500, "session_held", _STORED),
    (EventConflict, 409, "event_conflict", "an event with this id is there already, and is another one"),
    (OrdinalExhausted, 409, "session_full", "this session can have no more events: continue in a new one"),
    (Unstorable, 422, "unstorable", "the server cannot keep this: it is too large, or has a value that cannot be kept"),
    (
        CommitUnknown,
        503,
        "outcome_unknown",
        "whether the command took effect is not known: repeat it with the same Idempotency-Key",
    ),
    (StoreError, *REFUSALS["busy"]),
    (BusError, *REFUSALS["busy"]),
)
"""Of errors that a handler may cause as well: class, status, code and message. The first class that fits counts."""


def problem_of(
    error: Exception, session_id: str, name: str, key: str | None, shown: Mapping[type[Any], int]
) -> Problem:
    """Return what the client is told.

    Args:
        error: what ``submit`` raised.
        session_id, name, key: what was submitted. An error that names others is one of the handler, and is not told.
        shown: the application's own errors that are told with their text, by class, and their status.
    """
    for cls, status in shown.items():
        if isinstance(error, cls):
            return Problem(status, type(error).__name__, str(error))
    match error:
        case UnknownCommandError() if error.name == name:
            return unknown_command(name)
        case CommandConflict() if (error.session_id, error.key) == (session_id, key):
            return Problem(409, "command_conflict", "this Idempotency-Key was used for another command: use a new one")
        case CommandUnfinished() if (error.session_id, error.key) == (session_id, key):
            message = "the command with this Idempotency-Key has begun, and was interrupted before it had finished"
            return Problem(409, "command_unfinished", message)
        case InvalidIdError() if error.value == session_id or (key is not None and error.value == key):
            return Problem(400, "invalid_id", str(error))
    for cls, status, code, message in _FAILURES:
        if isinstance(error, cls):
            return Problem(status, code, message)
    return command_failed()


def command_failed() -> Problem:
    """Return what the client is told of an error that is the application's."""
    return Problem(500, FAILED, "the command failed; the server's log says why")


def unknown_command(name: str) -> Problem:
    """Return what the client is told of a command that the application does not have."""
    return Problem(404, UNKNOWN, f"there is no command {name!r}")
