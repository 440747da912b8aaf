"""The heartbeat of a connection. Pure: callers pass the time."""

from __future__ import annotations

import math
from typing import Final

FRESH: Final = 1.0
"""Seconds after a message within which the peer counts as alive and is not probed."""


class Heartbeat:
    """Decides when to ping a peer and when to give it up.

    A peer that was silent for ``interval`` seconds is pinged; after ``patience`` more seconds of silence it is gone.
    ``interval`` None never pings.
    """

    __slots__ = ("_gone_at", "_heard_at", "_interval", "_patience", "_pings", "_probing")

    def __init__(self, interval: float | None, patience: float, now: float) -> None:
        self._interval = interval
        self._patience = patience
        self._heard_at = now
        self._gone_at: float | None = None  # None: no ping is unanswered
        self._probing = False
        self._pings = 0

    @property
    def deadline(self) -> float:
        """When to call ``silent`` and ``due`` next, if nothing is received before."""
        if self._gone_at is not None:
            return self._gone_at
        return self._heard_at + self._interval if self._interval is not None else math.inf

    def heard(self, now: float) -> None:
        """Record that any message was received."""
        self._heard_at = now
        self._gone_at = None
        self._probing = False

    def silent(self, now: float) -> bool:
        """Whether a ping was not answered in time."""
        return self._gone_at is not None and now >= self._gone_at

    def due(self, now: float) -> str:
        """Return the nonce of a ping to send now; empty if none is due."""
        if self._interval is None or self._gone_at is not None or now < self._heard_at + self._interval:
            return ""
        return self._ping(now + self._patience)

    def probe(self, now: float, patience: float) -> str:
        """Return the nonce of a ping to send now; empty if the peer was heard within the last ``FRESH`` seconds.

        The peer is gone after ``patience`` seconds of silence. While a probe is unanswered, another call changes
        nothing.
        """
        if self._probing or now - self._heard_at <= FRESH:
            return ""
        self._probing = True
        gone_at = now + patience
        return self._ping(gone_at if self._gone_at is None else min(gone_at, self._gone_at))

    def _ping(self, gone_at: float) -> str:
        self._gone_at = gone_at
        self._pings += 1
        return str(self._pings)
