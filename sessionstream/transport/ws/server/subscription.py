"""What a conversation knows of one subscription: where it stands, and what is kept while its snapshot loads."""

from __future__ import annotations

from dataclasses import dataclass, field

from sessionstream.transport.ws.server.effects import Basis, Batch
from sessionstream.transport.ws.server.frames import Frame
from sessionstream.transport.ws.server.requests import Subscribe
from sessionstream.transport.ws.server.states import State


@dataclass(slots=True)
class Subscription:
    """One session on one connection.

    Attributes:
        request: what the client asked for last.
        token: of the question that is open; answers to older ones are void.
        joined: whether it is told of events.
        floor: the highest ordinal that was sent or dropped. An event at or below it is old; a snapshot below it
            is too old to stand for what was dropped.
        epoch: of the last snapshot that was sent, None before the first.
        held: what the client will hold when it has read what it was sent; None where no delta can start from it.
        loads: how many snapshots in a row were asked for; all but the last were too old.
        loading: whether the one that was asked for last has begun to load. Until then nothing has to be kept: it will
            hold whatever happens before it begins.
    """

    session_id: str
    request: Subscribe
    state: State = State.ABSENT
    token: int = 0
    joined: bool = False
    floor: int = 0
    epoch: int | None = None
    held: Basis | None = None
    loads: int = 0
    loading: bool = False
    _kept: list[Batch] = field(default_factory=list)
    _kept_frames: int = 0
    _kept_size: int = 0

    def keep(self, batch: Batch, max_frames: int, max_bytes: int) -> int:
        """Keep a batch until the snapshot is there; beyond either limit drop everything, return how many frames."""
        frames, size = self._kept_frames + len(batch.frames), self._kept_size + batch.size
        if frames > max_frames or size > max_bytes:
            self.drop()
            self.floor = batch.ordinal
            return frames
        self._kept.append(batch)
        self._kept_frames, self._kept_size = frames, size
        return 0

    def is_new(self, batch: Batch) -> bool:
        """Whether a batch is above everything that was sent, dropped or kept."""
        return batch.ordinal > (self._kept[-1].ordinal if self._kept else self.floor)

    def drop(self) -> None:
        """Drop what is kept; only a snapshot can stand for it now."""
        if self._kept:
            self.floor = self._kept[-1].ordinal
            self._kept = []
            self._kept_frames = self._kept_size = 0

    def hydrate(self, ordinal: int, epoch: int) -> tuple[Frame, ...]:
        """Go on from a snapshot; return the kept frames that come after it."""
        newer = tuple([frame for batch in self._kept if batch.ordinal > ordinal for frame in batch.frames])
        self.drop()
        self.floor = max(self.floor, ordinal)
        self.epoch = epoch
        self.held = Basis(ordinal, epoch) if ordinal else None
        return newer
