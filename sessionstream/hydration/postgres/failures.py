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
_SOCKET_OPTION: Final = re.compile(r"\bhost=(?:/|%2F)[^&]*", re.IGNORECASE)
"""Where the folder of the server's socket is named."""

_AGAIN: Final = "try again"
_LATER: Final = "try again once it is back"
_BACKUP: Final = "look at the server's log, and restore the database from a backup"
_MEANINGS: Final = {
    "08": f"the connection to the server has failed: {_LATER}",
    "25": f"the server has ended the transaction: {_AGAIN}",
    "25006": (
        "the server takes no changes: it is a replica, or default_transaction_read_only is on: connect to the primary, "
        "or turn that off"
    ),
    "26": "a pooler stands between this process and the server: give the store listen_dsn",
    "28": "the server refuses the user or its password: correct the URL, or what pg_hba.conf says of the user",
    "3D000": "there is no such database: create it first",
    "3F000": "the schema is missing: something else has dropped it: restore it from a backup",
    "40": f"others have changed the same rows: {_AGAIN}",
    "42501": "the user may not do this: grant it CREATE on the database, or have its owner open the store once",
    "42P01": "a table is missing: something else has dropped it, or the schema: restore it from a backup",
    "42703": "a column is missing: something else has changed the table: restore it from a backup",
    "53": f"the server lacks what it needs for this, as its log says: {_AGAIN}",
    "53100": "nothing of this was written: the server's disk is full: make room there, and try again",
    "53200": "nothing of this was written: the server is out of memory: give it more, and try again",
    "53300": (
        "the server, the database or the user has no connection left: end some, raise max_connections or the "
        "CONNECTION LIMIT, or use a pooler"
    ),
    "53400": "nothing of this was written: a limit is used up, such as temp_file_limit: raise it, and try again",
    "55": f"something else holds what this needs, such as a lock: end that, or {_AGAIN}",
    "57": f"the server has ended this: {_LATER}",
    "57014": (
        "the server has cancelled this, for an operator or by a statement_timeout of the user or the database: raise "
        "that for this user, and try again"
    ),
    "57P01": f"an administrator has ended the connection, or the server is shut down: {_LATER}",
    "57P03": f"the server starts, or recovers from a crash: {_LATER}",
    "57P04": "the database was dropped: restore it from a backup",
    "58": "the server's disk, or its system, has failed: look at its log, and try again once that is repaired",
    "XX001": f"a page of a table is damaged: {_BACKUP}",
    "XX002": "an index is damaged: look at the server's log, and REINDEX the table",
    "XX": "the server has failed in itself: look at its log",
    "F0": "the server's configuration is wrong: look at its log",
}
"""What has happened, and what to do, by how the code begins; the longest beginning counts."""


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
        return StoreError(f"{name} cannot be reached: {words}: check that it runs, and host and port of its URL")
    code = _code(error)
    if code.startswith(_TOO_LARGE):
        return Unstorable(f"{name} cannot store this: {words}")
    meaning = _MEANINGS.get(max(filter(code.startswith, _MEANINGS), key=len, default=""))
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
    """Return what messages call a database: its name, and its host or the folder of its socket; nothing else.

    Nothing of a password is in it, also where it contains what would have to be in percent-encoding.
    """
    rest = _PASSWORD_OPTION.sub("", dsn.partition("://")[2])
    place, _, options = rest.rpartition("@")[2].partition("#")[0].partition("?")
    socket = _SOCKET_OPTION.search(options)
    return f"postgres://{place}" + (f"?{socket[0]}" if socket else "")


def _code(error: exceptions.PostgresError) -> str:
    return error.sqlstate or ""
