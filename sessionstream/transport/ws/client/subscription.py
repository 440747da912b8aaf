"""One session of a client: its state, its watchers, the timeline it holds, and how snapshots change that. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sessionstream.transport.ws.client.frames import SnapshotFrame
from sessionstream.transport.ws.client.states import State
from sessionstream.transport.ws.client.updates import JsonSnapshot
from sessionstream.types import in_snapshot_order

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


class DeltaGap(Exception):
    """A delta does not continue the timeline that the client holds."""


def apply_snapshot(held: JsonSnapshot | None, came: SnapshotFrame) -> JsonSnapshot:
    """Return the timeline after a snapshot frame.

    A full snapshot replaces the held timeline. A delta updates it; it must have the same epoch, start at or below the
    held ordinal, and not end below it.

    Raises:
        DeltaGap: the frame is a delta that does not meet these conditions.
    """
    if not came.since:
        living = tuple(entity for entity in came.entities if not entity.tombstone)
        return JsonSnapshot(came.session_id, came.ordinal, living, came.epoch)
    if held is None or held.epoch != came.epoch or not came.since <= held.snapshot_ordinal <= came.ordinal:
        raise DeltaGap(f"the server sent a delta of session {came.session_id!r} that does not follow")
    entities = {(entity.kind, entity.id): entity for entity in held.entities}
    for entity in came.entities:
        if entity.tombstone:
            entities.pop((entity.kind, entity.id), None)
        else:
            entities[entity.kind, entity.id] = entity
    return JsonSnapshot(came.session_id, came.ordinal, tuple(in_snapshot_order(entities.values())), came.epoch)
