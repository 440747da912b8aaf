"""Checks ids of sessions, events and entities."""

from __future__ import annotations

from typing import Final

from sessionstream.errors import InvalidIdError

MAX_ID_BYTES: Final = 1024
"""Bytes of UTF-8 that a new id may have: every store can index as many."""


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


def check_new_id(what: str, value: object, most: int = MAX_ID_BYTES) -> str:
    """Return ``value`` if something that is new may have it as its id; what is stored may have a longer one.

    Raises:
        InvalidIdError: ``check_id`` refuses it, or it has more than ``most`` bytes of UTF-8.
    """
    text = check_id(what, value)
    if is_long(text, most):
        raise InvalidIdError(what, text, f"it has {len(text.encode())} bytes of UTF-8, and at most {most} fit")
    return text


def is_long(value: str, most: int = MAX_ID_BYTES) -> bool:
    """Return whether a valid id has more than ``most`` bytes of UTF-8."""
    return len(value) > most // 4 and len(value.encode()) > most
