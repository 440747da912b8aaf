"""What waits to be sent to one connection: bounded, filled without waiting, emptied by its writer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sessionstream.transport.ws.server.frames import Frame


@dataclass(frozen=True, slots=True)
class Overflow:
    """An outbox that cannot take another frame.

    Attributes:
        frames: how many wait.
        size: their UTF-8 bytes.
        ui_sizes: by session, the bytes of its UI events among them, that of the new frame included.
    """

    frames: int
    size: int
    ui_sizes: Mapping[str, int]


class SlowConsumerPolicy(Protocol):
    """Decides about a client that reads more slowly than its sessions' events come; a plain function serves as well.

    It is not asked about one that had no chance to read: see ``Limits.outbox_bytes``.
    """

    def __call__(self, overflow: Overflow, /) -> AbstractSet[str]:
        """Return the sessions whose waiting UI events are dropped, and made good by a snapshot once the rest is sent.

        None at all: the client is sent away (1013), to come back. So it is when what is dropped does not suffice.
        """
        ...


def disconnect(overflow: Overflow, /) -> AbstractSet[str]:
    """Send a slow client away with 1013: it reconnects, and gets what it missed as a snapshot."""
    return frozenset()


def conflate(overflow: Overflow, /) -> AbstractSet[str]:
    """Keep a slow client: drop the UI events of the sessions that have most of them waiting, until half is free."""
    dropped: set[str] = set()
    left = overflow.size
    for session_id, size in sorted(overflow.ui_sizes.items(), key=lambda item: (-item[1], item[0])):
        if dropped and left <= overflow.size // 2:
            break
        dropped.add(session_id)
        left -= size
    return dropped


BURST: Final = 4
"""How many times its limits an outbox takes while its client had no chance to read."""


class Outbox:
    """Frames in order, with a limit on their number and on their bytes together.

    Snapshots are always taken and do not count towards the limit, because what a client asked for has to come, however
    large. They are kept few in another way: who fills the outbox asks ``has_room`` before it lets one load.

    Attributes:
        size: UTF-8 bytes of the frames that wait, snapshots included.
        goodbye: the close message that comes after them; None while there is none.
    """

    __slots__ = ("_frames", "_max_bytes", "_max_frames", "_snapshots", "_snapshots_size", "goodbye", "size")

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._snapshots = 0
        self._snapshots_size = 0
        self.size = 0
        self.goodbye: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def has_room(self) -> bool:
        """Whether at least half of it is free."""
        return len(self._frames) * 2 <= self._max_frames and self.size * 2 <= self._max_bytes

    def offer(self, frame: Frame, *, burst: bool = False) -> bool:
        """Take a frame; return whether it was taken. In a ``burst`` there is room for ``BURST`` times as much."""
        if self.goodbye is not None:
            return True  # nobody will read it, and that is nobody's fault any more
        if frame.kind == "snapshot":
            self._snapshots += 1
            self._snapshots_size += frame.size
        else:
            count, size = len(self._frames) - self._snapshots, self.size - self._snapshots_size
            times = BURST if burst else 1
            if count and (count >= self._max_frames * times or size + frame.size > self._max_bytes * times):
                return False
        self._frames.append(frame)
        self.size += frame.size
        return True

    def take(self) -> Frame | None:
        """Take the next frame out; None, if nothing waits."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self.size -= frame.size
        if frame.kind == "snapshot":
            self._snapshots -= 1
            self._snapshots_size -= frame.size
        return frame

    def overflow(self, by: Frame) -> Overflow:
        """Return what a policy has to know; ``by`` is the frame that was not taken."""
        sizes: dict[str, int] = {}
        for frame in (*self._frames, by):
            if frame.kind == "ui":
                sizes[frame.session_id] = sizes.get(frame.session_id, 0) + frame.size
        return Overflow(len(self._frames), self.size, sizes)

    def drop_ui(self, sessions: AbstractSet[str]) -> int:
        """Drop the UI events of some sessions; return how many."""
        return self._drop(lambda frame: frame.kind == "ui" and frame.session_id in sessions)

    def drop(self, sessions: AbstractSet[str]) -> int:
        """Drop everything that shows some sessions, or says that it was shown; return how many frames."""
        return self._drop(lambda frame: frame.session_id in sessions)

    def _drop(self, goes: Callable[[Frame], bool]) -> int:
        before = len(self._frames)
        self._frames = deque(frame for frame in self._frames if not goes(frame))
        snapshots = [frame.size for frame in self._frames if frame.kind == "snapshot"]
        self._snapshots, self._snapshots_size = len(snapshots), sum(snapshots)
        self.size = sum(frame.size for frame in self._frames)
        return before - len(self._frames)

    def close(self, code: int, reason: str, *, flush: bool = False) -> None:
        """End it with a close message, after what waits (``flush``) or instead of it. The first close counts."""
        if self.goodbye is None:
            self.goodbye = {"type": "websocket.close", "code": code, "reason": reason}
            if not flush:
                self._frames.clear()
                self.size = self._snapshots = self._snapshots_size = 0
