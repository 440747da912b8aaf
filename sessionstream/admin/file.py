"""Looking into a file: what cannot be looked at is refused, a session that is not there is a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sessionstream.admin.outcome import Failed, Refused
from sessionstream.errors import HistoryPruned, StoreError
from sessionstream.hydration.sqlite import SQLiteFile, SQLiteStore, StoredSession

T = TypeVar("T")


def look(path: str, question: Callable[[SQLiteFile], T]) -> T:
    """Answer a question from one state of the file; see ``SQLiteStore.look``.

    Raises:
        Refused: there is no such file, or it cannot be read, is damaged, not a store's, or of a newer version.
    """
    try:
        return SQLiteStore.look(path, question)
    except HistoryPruned:  # an answer to the question, not to what it was asked of
        raise
    except StoreError as error:
        raise Refused(str(error)) from error


def one_session(file: SQLiteFile, session_id: str) -> StoredSession:
    """Return where a session stands.

    Raises:
        Failed: the file has no such session.
    """
    session = file.session(session_id)
    if session is None:
        raise Failed(f"the file has no session {session_id!r}")
    return session


def all_sessions(file: SQLiteFile) -> list[StoredSession]:
    """Return every session that holds anything, by id."""
    return [one_session(file, session_id) for session_id in file.sessions()]
