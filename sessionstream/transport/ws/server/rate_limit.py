"""A token bucket for the messages of a client. Pure: callers pass the time."""

from __future__ import annotations


class TokenBucket:
    """Allows ``rate`` messages per second in the long run, and ``burst`` at once.

    Attributes:
        refused: messages refused in a row.
    """

    __slots__ = ("_burst", "_filled_at", "_left", "_rate", "refused")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._filled_at = now
        self.refused: int = 0

    def take(self, now: float) -> bool:
        """Take one token; return whether there was one."""
        self._left = min(self._burst, self._left + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._left < 1.0:
            self.refused += 1
            return False
        self._left -= 1.0
        self.refused = 0
        return True
