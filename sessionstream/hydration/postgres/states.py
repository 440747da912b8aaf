"""The present states of entities as this process wrote them last, so that a commit need not read what it supersedes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Key: TypeAlias = tuple[str, str]
"""Kind and id of an entity."""

State: TypeAlias = tuple[bytes | None, int]
"""A payload, and the number of deltas in a row before it."""

MAX_BYTES: Final = 16_000_000
"""Bytes of payloads that are kept; those of the sessions that were written longest ago are forgotten first."""

_STATE_BYTES: Final = 200


@dataclass(slots=True)
class _Session:
    epoch: int
    ordinal: int
    size: int = 0
    states: dict[Key, State] = field(default_factory=dict)


class WrittenStates:
    """States by session. Those of a session are valid while its timeline is where it was when they were written.

    A commit that succeeds proves that, because it compares the cursor.
    """

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._size = 0

    def of(self, session_id: str, epoch: int, ordinal: int) -> dict[Key, State]:
        """Return the states that are known of a timeline at an ordinal; the caller must not change them."""
        found = self._sessions.get(session_id)
        return found.states if found is not None and (found.epoch, found.ordinal) == (epoch, ordinal) else {}

    def put(self, session_id: str, epoch: int, before: int, ordinal: int, states: dict[Key, State]) -> None:
        """Note that a commit has moved a timeline, and the states that it has written."""
        session = self._sessions.get(session_id)
        if session is None or (session.epoch, session.ordinal) != (epoch, before):
            self.forget(session_id)
            session = self._sessions[session_id] = _Session(epoch, ordinal)
        session.ordinal = ordinal
        self._size -= session.size
        for key, state in states.items():
            session.size += _size(state) - _size(session.states.get(key))
            session.states[key] = state
        self._size += session.size
        self._sessions.move_to_end(session_id)
        while self._size > MAX_BYTES:
            _, oldest = self._sessions.popitem(last=False)
            self._size -= oldest.size

    def forget(self, session_id: str) -> None:
        """Forget a session, because what became of a commit is not known."""
        found = self._sessions.pop(session_id, None)
        if found is not None:
            self._size -= found.size


def _size(state: State | None) -> int:
    return 0 if state is None else _STATE_BYTES + len(state[0] or b"")
