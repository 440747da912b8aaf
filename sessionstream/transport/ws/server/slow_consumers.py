"""Policies for slow consumers: which waiting UI events are dropped when an outbox is full, if any."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol


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
