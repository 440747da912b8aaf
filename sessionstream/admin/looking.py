"""Looking into a store: what cannot be looked at is refused, a session that is not there is a failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sessionstream.admin.outcome import Failed, Refused
from sessionstream.errors import HistoryPruned, StoreError
from sessionstream.hydration import stores
from sessionstream.hydration.stored import StoredSession, StoredState

T = TypeVar("T")


def look(location: str, question: Callable[[StoredState], T]) -> T:
    """Answer a question from one state of a store; see ``stores.look``.

    Raises:
        Refused: there is no such store, or it cannot be read, is damaged, or of a newer version.
    """
    try:
        return stores.look(location, question)
    except HistoryPruned:  # an answer to the question, not to what it was asked of
        raise
    except StoreError as error:
        raise Refused(explained(location, error)) from error


def explained(location: str, error: StoreError) -> str:
    """Return the message of an error; it says also how much of the file is missing, which SQLite does not say.

    A store that is open in this process loses its locks on a damaged file: this is for commands, which have none open
    while they look.
    """
    if stores.is_url(location) or not stores.is_damage(error):
        return str(error)
    with Path(location).open("rb") as file:
        header, size = file.read(100), file.seek(0, 2)
    page = int.from_bytes(header[16:18])
    whole = (65_536 if page == 1 else page) * int.from_bytes(header[28:32])  # the count of pages
    missing = f"; the last {whole - size:,} of its {whole:,} bytes are missing" if whole > size else ""
    return f"{error}{missing}"


def one_session(state: StoredState, session_id: str) -> StoredSession:
    """Return where a session stands.

    Raises:
        Failed: the store has no such session.
    """
    session = state.session(session_id)
    if session is None:
        raise Failed(f"the store has no session {session_id!r}")
    return session


def all_sessions(state: StoredState) -> list[StoredSession]:
    """Return every session that holds anything, by id."""
    return [one_session(state, session_id) for session_id in state.sessions()]


def held_sessions(state: StoredState) -> list[StoredSession]:
    """Return every session that is held, by id."""
    return [one_session(state, session_id) for session_id in state.held_sessions()]
