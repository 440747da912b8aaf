"""Checks ids of sessions, events and entities."""

from __future__ import annotations

from sessionstream.errors import InvalidIdError


def check_id(what: str, value: object) -> str:
    """Return ``value`` if every store can keep it as an id.

    Raises:
        InvalidIdError: it is not a string, is empty or blank, contains NUL, or cannot be encoded as UTF-8.
    """
    if not isinstance(value, str):
        raise InvalidIdError(what, value, f"it is a {type(value).__name__}, not a string")
    if not value or value.isspace():
        raise InvalidIdError(what, value, "it is empty")
    if "\0" in value:
        raise InvalidIdError(what, value, "it holds a NUL character, which not every store can keep")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidIdError(what, value, f"it is not valid Unicode: {error.reason}") from None
    return value
