"""The session ids that a reader types."""

from __future__ import annotations

from typing import Final

from sessionstream import InvalidIdError
from sessionstream.ids import MAX_ID_BYTES, check_new_id
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field, Run

SHOWN: Final = 40
"""The maximum number of characters of an id in a heading or a sentence."""


def shortened(session_id: str) -> str:
    """Return a session id for a heading or a sentence, cut off if it is long."""
    return session_id if len(session_id) <= SHOWN else f"{session_id[: SHOWN - 1]}…"


def session_field(default: str, name: str = "session", label: str = "Session") -> Field:
    """Return a field for the id of a session."""
    return Field(name, label, default, longest=MAX_ID_BYTES)


def chosen(arguments: Arguments, name: str = "session") -> str:
    """Return the session id in a field.

    Raises:
        BadRequest: it is not a valid id; the message says why.
    """
    try:
        return check_new_id("session id", arguments.text(name))
    except InvalidIdError as error:
        raise BadRequest(str(error)) from error


def session_action(session_id: str, run: Run) -> Action:
    """Return the action that gives a page another session than this one."""
    return Action(
        "session",
        "Use this session",
        run,
        (session_field(session_id),),
        help="The page and its clients go on with this session; the others stay as they are.",
    )
