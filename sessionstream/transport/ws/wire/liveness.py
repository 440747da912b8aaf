"""Time, as a conversation is told of it: how fast a client may speak, how long it may be silent. No clock in here."""

from __future__ import annotations

import math
from typing import Final

FRESH: Final = 1.0
"""Seconds; a peer that said something so short ago is there."""


class Heartbeat:
    """Pings a peer that has been silent for ``interval`` seconds, and counts it gone ``patience`` seconds later."""

    __slots__ = ("_gone_at", "_heard_at", "_interval", "_patience", "_pings", "_probing")

    def __init__(self, interval: float | None, patience: float, now: float) -> None:
        self._interval = interval
        self._patience = patience
        self._heard_at = now
        self._gone_at: float | None = None  # a ping is open
        self._probing = False
        self._pings = 0

    @property
    def deadline(self) -> float:
        """When silence will be of importance: ``silent`` or ``due`` are to be asked then."""
        if self._gone_at is not None:
            return self._gone_at
        return self._heard_at + self._interval if self._interval is not None else math.inf

    def heard(self, now: float) -> None:
        """The peer said something; what, does not matter."""
        self._heard_at = now
        self._gone_at = None
        self._probing = False

    def silent(self, now: float) -> bool:
        """Whether a ping has gone unanswered for too long."""
        return self._gone_at is not None and now >= self._gone_at

    def due(self, now: float) -> str:
        """Return the nonce of a ping that is to be sent now, or an empty text."""
        if self._interval is None or self._gone_at is not None or now < self._heard_at + self._interval:
            return ""
        return self._ping(now + self._patience)

    def probe(self, now: float, patience: float) -> str:
        """Return the nonce of a ping that is to be sent now, with that patience; empty if it was heard just now.

        A probe that is open already is not repeated, and not extended.
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
