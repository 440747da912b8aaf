"""Failures of the server and of the way to it: which of them pass by themselves, and what callers are told."""

from __future__ import annotations

import re
from typing import Final

from asyncpg import exceptions

from sessionstream.errors import StoreDamaged, StoreError, Unstorable

DRIVER_ERRORS: Final = (
    exceptions.PostgresError,
    exceptions.InterfaceError,
    exceptions.InternalClientError,  # also where a server restarts
    OSError,
    TimeoutError,
)
"""What the driver raises because of the server or the network."""

_PASSING: Final = (
    "08",  # the connection failed
    "25006",  # the server is a replica: this one is about to be promoted, or the name soon leads to another
    "26000",  # a pooler has changed the server connection between two messages
    "40",  # deadlock, serialization
    "53300",  # too many connections
    "55P03",  # a lock was not available
    "57014",  # cancelled, also by a statement_timeout of the server's
    "57P",  # the server is shut down, has crashed, or starts
)
"""How the codes of failures begin that may pass: the statement is repeated."""

_TOO_LARGE: Final = ("22", "54", "23502", "23514")
"""How the codes begin that say that a value cannot be stored, at any time."""

_OF_ROWS: Final = ("22", "23", "XX")
"""How the codes begin that the server raises because of some rows: wrong values, damaged pages."""

_PASSWORD_OPTION: Final = re.compile(r"(?<=[?&])(?:ssl)?password=[^&]*", re.IGNORECASE)

_MEANINGS: Final = {
    "28": "the server refuses the user or its password",
    "3D000": "there is no such database: create it first",
    "42501": "the user may not do this: grant it CREATE on the database, or have its owner open the store once",
    "42P01": "a table is missing: something else has dropped it, or the schema",
    "3F000": "the schema is missing: something else has dropped it",
    "53100": "the server's disk is full",
    "53200": "the server is out of memory",
}


def passes(error: Exception) -> bool:
    """Return whether one of ``DRIVER_ERRORS`` may pass by itself, so that the statement is worth repeating."""
    if isinstance(error, exceptions.InvalidCachedStatementError):
        return True
    if isinstance(error, exceptions.PostgresError):
        return _code(error).startswith(_PASSING)
    return True


def is_certain(error: Exception) -> bool:
    """Return whether a failed statement has surely changed nothing: the server has refused it."""
    return isinstance(error, exceptions.PostgresError) and not _code(error).startswith(("08", "57P"))


def store_error(error: Exception, name: str) -> StoreError:
    """Return a failure of the driver or the server as a StoreError."""
    words = str(error) or type(error).__name__
    if not isinstance(error, exceptions.PostgresError):
        return StoreError(f"{name} cannot be reached: {words}")
    code = _code(error)
    if code.startswith(_TOO_LARGE):
        return Unstorable(f"{name} cannot store this: {words}")
    meaning = next((text for begin, text in _MEANINGS.items() if code.startswith(begin)), "")
    return StoreError(f"{name} failed: {meaning} ({words})" if meaning else f"{name} failed: {words}")


def damaged(name: str, table: str, row: str, column: str, wrong: str) -> StoreDamaged:
    """Return the error for a row that holds a value that the store did not write.

    Args:
        name: of the store.
        row: what identifies the row.
        column: empty if the whole row is wrong.
        wrong: the value, or what is wrong with it.
    """
    place = f"{column and column + ' of '}the row with {row} in table {table}"
    words = f"{name} is damaged: {place} is {wrong}: something else has changed it, so restore it from a backup"
    return StoreDamaged(name, words, table=table, row=row, column=column)


def is_of_rows(error: StoreError) -> bool:
    """Whether the store failed because of some rows, so that other rows may work."""
    cause = error.__cause__
    return isinstance(error, StoreDamaged) or (
        isinstance(cause, exceptions.PostgresError) and _code(cause).startswith(_OF_ROWS)
    )


def shown(dsn: str) -> str:
    """Return what messages call a database: its host and name, without user, password and options.

    Nothing of a password is in it, also where it contains what would have to be in percent-encoding.
    """
    rest = _PASSWORD_OPTION.sub("", dsn.partition("://")[2])
    return f"postgres://{re.split('[?#]', rest.rpartition('@')[2])[0]}"


def _code(error: exceptions.PostgresError) -> str:
    return error.sqlstate or ""
