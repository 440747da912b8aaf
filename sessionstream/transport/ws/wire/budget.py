"""How many frames a client may send: the budget that a server tells, and what holds before it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WINDOW: Final = 8
"""Requests that may wait for an answer while the server's budget is not known; frames at once after it said stop."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a connection may send and watch.

    Attributes:
        frames_burst: frames at once, above 0.
        frames_per_second: frames in the long run, above 0.
        subscriptions: sessions at the same time; None if that is not known.
    """

    frames_burst: int
    frames_per_second: float
    subscriptions: int | None = None
