"""What a client knows of one session: what the server was told, who watches, what it holds to show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sessionstream.transport.ws.client.states import State
from sessionstream.transport.ws.client.updates import JsonSnapshot

REPLAY_EVENTS: Final = 256
REPLAY_CHARACTERS: Final = 1_048_576


class Replay:
    """The event frames since the last snapshot, as text, for those who begin to watch later. Bounded."""

    __slots__ = ("_size", "_texts")

    def __init__(self) -> None:
        self.begin()

    @property
    def texts(self) -> list[str] | None:
        """The frames in order; None if there were too many to keep."""
        return self._texts

    def begin(self) -> None:
        """Start anew: there is a snapshot that holds whatever was before."""
        self._texts: list[str] | None = []
        self._size = 0

    def keep(self, text: str) -> None:
        """Keep a frame; with one too many, none."""
        if self._texts is not None:
            self._texts.append(text)
            self._size += len(text)
            if len(self._texts) > REPLAY_EVENTS or self._size > REPLAY_CHARACTERS:
                self._texts = None


@dataclass(slots=True)
class Subscription:
    """One session, for as long as anybody watches it or the server believes so.

    Attributes:
        state: what the server was told.
        watchers: who watches, in the order in which they came, and whether they were given a snapshot.
        held: the last snapshot with every delta put over it: a new connection begins from it, and a new watcher.
        replay: the events since.
        reached: ordinal of the last update that was given.
        refusals: how often in a row the server could not make a snapshot.
        retry_at: when it is asked again after that; None if it need not be waited for.
        crowded: the server has no room until another session is left.
        again: what was said last may have had no effect, and is to be said again.
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
