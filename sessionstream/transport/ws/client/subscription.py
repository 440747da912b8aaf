"""One session of a client: its state, its watchers, and the timeline it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sessionstream.transport.ws.client.states import State
from sessionstream.transport.ws.client.updates import JsonSnapshot

REPLAY_EVENTS: Final = 256
REPLAY_CHARACTERS: Final = 1_048_576


class Replay:
    """The event frames since the last snapshot, as text, for later watchers. Bounded."""

    __slots__ = ("_size", "_texts")

    def __init__(self) -> None:
        self.begin()

    @property
    def texts(self) -> list[str] | None:
        """The frames in order; None if there were too many."""
        return self._texts

    def begin(self) -> None:
        """Empty it, because a new snapshot covers the frames."""
        self._texts: list[str] | None = []
        self._size = 0

    def keep(self, text: str) -> None:
        """Keep a frame; above a limit, drop all."""
        if self._texts is not None:
            self._texts.append(text)
            self._size += len(text)
            if len(self._texts) > REPLAY_EVENTS or self._size > REPLAY_CHARACTERS:
                self._texts = None


@dataclass(slots=True)
class Subscription:
    """One session, as long as it has watchers or the server has the subscription.

    Attributes:
        state: see states.py.
        watchers: whether each watcher was given a snapshot, in the order of their arrival.
        held: the last snapshot with all deltas applied; new watchers, and subscribes after a reconnect, start from it.
        replay: the events since that snapshot.
        reached: the ordinal of the last update that was given.
        refusals: failed snapshots in a row.
        retry_at: when to subscribe again after that; None if no wait is due.
        crowded: whether it waits until another session is left.
        again: whether the last request may have been refused, and must be repeated.
    """

    session_id: str
    state: State = State.ABSENT
    watchers: dict[int, bool] = field(default_factory=dict)
    held: JsonSnapshot | None = None
    replay: Replay = field(default_factory=Replay)
    reached: int = 0
    refusals: int = 0
    retry_at: float | None = None
    crowded: bool = False
    again: bool = False
