"""Time, as a conversation is told of it: how fast a client may speak, how long it may be silent. No clock in here."""

from __future__ import annotations


class Allowance:
    """A token bucket: ``rate`` messages a second in the long run, ``burst`` at once.

    Attributes:
        refused: messages in a row that were beyond it.
    """

    __slots__ = ("_burst", "_filled_at", "_left", "_rate", "refused")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._filled_at = now
        self.refused = 0

    def take(self, now: float) -> bool:
        """Take one message's share; return whether there was one."""
        self._left = min(self._burst, self._left + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._left < 1.0:
            self.refused += 1
            return False
        self._left -= 1.0
        self.refused = 0
        return True


class Heartbeat:
    """Pings a client that has been silent for ``interval`` seconds, and counts it gone ``patience`` seconds later."""

    __slots__ = ("_heard_at", "_interval", "_patience", "_pinged_at", "_pings")

    def __init__(self, interval: float | None, patience: float, now: float) -> None:
        self._interval = interval
        self._patience = patience
        self._heard_at = now
        self._pinged_at: float | None = None
        self._pings = 0

    def heard(self, now: float) -> None:
        """The client said something; what, does not matter."""
        self._heard_at = now
        self._pinged_at = None

    def silent(self, now: float) -> bool:
        """Whether a ping has gone unanswered for too long."""
        return self._pinged_at is not None and now - self._pinged_at >= self._patience

    def due(self, now: float) -> str:
        """Return the nonce of a ping that is to be sent now, or an empty text."""
        if self._interval is None or self._pinged_at is not None or now - self._heard_at < self._interval:
            return ""
        self._pinged_at = now
        self._pings += 1
        return str(self._pings)
