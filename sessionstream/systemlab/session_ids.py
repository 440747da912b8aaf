"""The session ids that a reader types."""

from __future__ import annotations

from sessionstream import InvalidIdError
from sessionstream.ids import MAX_ID_BYTES, check_new_id
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field, Run


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


def session_action(default: str, run: Run) -> Action:
    """Return the action that gives a page another session."""
    return Action(
        "session",
        "Use this session",
        run,
        (session_field(default),),
        help="The page and its clients go on with this session; the others stay as they are.",
    )
