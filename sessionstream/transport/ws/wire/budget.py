"""How many frames a client may send: the budget that a server announces, and the rule before it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WINDOW: Final = 8
"""Requests that may be unanswered while the budget is unknown; frames a client sends at once after ``rate_limited``."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much one connection may send and watch.

    Attributes:
        frames_burst: frames that may be sent at once, above 0.
        frames_per_second: frames per second in the long run, above 0.
        subscriptions: sessions that may be watched at the same time; None if unknown.
    """

    frames_burst: int
    frames_per_second: float
    subscriptions: int | None = None
