"""Policies for slow consumers: which waiting UI events are dropped when an outbox is full, if any."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Overflow:
    """A full outbox, as a policy sees it.

    Attributes:
        frames: number of frames in it.
        size: their UTF-8 bytes.
        ui_sizes: for each session, the bytes of its UI events in it, including the frame that did not fit.
    """

    frames: int
    size: int
    ui_sizes: Mapping[str, int]


class SlowConsumerPolicy(Protocol):
    """Decides about a client that reads more slowly than its events arrive; may be a plain function.

    It is not called for a client that had no chance to read: see ``Limits.outbox_bytes``.
    """

    def __call__(self, overflow: Overflow, /) -> AbstractSet[str]:
        """Return the sessions whose waiting UI events are dropped; each gets a snapshot once all frames were sent.

        An empty set disconnects the client with 1013, and so does one that does not make enough room.
        """
        ...


def disconnect(overflow: Overflow, /) -> AbstractSet[str]:
    """Disconnect a slow client with 1013; it reconnects and gets a snapshot."""
    return frozenset()


def conflate(overflow: Overflow, /) -> AbstractSet[str]:
    """Drop the UI events of the sessions with the most waiting bytes, until half of the bytes are free."""
    dropped: set[str] = set()
    left = overflow.size
    for session_id, size in sorted(overflow.ui_sizes.items(), key=lambda item: (-item[1], item[0])):
        if dropped and left <= overflow.size // 2:
            break
        dropped.add(session_id)
        left -= size
    return dropped
