"""Paces the frames of a client, within the budget that the server announces. Pure: callers pass the time."""

from __future__ import annotations

from typing import Final

from sessionstream.transport.ws.wire.budget import WINDOW, Budget

SHARE: Final = 0.8
"""The share of the budget that is used, because a network may deliver frames closer together than they were sent."""

_ENOUGH: Final = 1.0 - 1e-6  # of a token, allowing for rounding


DEFAULT: Final = Budget(200, 50.0)
"""The budget of a server that announces none: the default limits of older servers."""


class Pacer:
    """A token bucket with ``SHARE`` of the budget. It is kept across connections.

    Attributes:
        told: whether the server has announced a budget, or answered without one.
        subscriptions: sessions that may be watched; None if unknown.
    """

    __slots__ = ("_burst", "_filled_at", "_left", "_rate", "_window", "subscriptions", "told")

    def __init__(self) -> None:
        self.told: bool = False
        self._set(DEFAULT)
        self.begin(0.0)

    @property
    def ready_at(self) -> float:
        """When the next frame may be sent."""
        return self._filled_at + max(0.0, 1.0 - self._left) / self._rate

    @property
    def window(self) -> int:
        """How many requests may be unanswered: ``WINDOW`` before the budget is known, then fewer than its burst.

        A network may delay these and deliver them together, so they must fit into one burst.
        """
        return self._window if self.told else WINDOW

    def begin(self, now: float) -> None:
        """Start on a new connection, on which nothing was sent yet."""
        self._left, self._filled_at = float(self._burst), now

    def tell(self, budget: Budget | None, now: float) -> None:
        """Apply a budget; None is the default. Frames sent so far count, except before a pause that still lasts."""
        self._fill(now)
        paused, left, sent = now < self._filled_at, self._left, self._burst - self._left
        self._set(budget or DEFAULT)
        self._left = min(left, self._burst) if paused else self._burst - sent
        self.told = True

    def take(self, now: float) -> bool:
        """Take one token; return whether there was one."""
        self._fill(now)
        if now < self._filled_at or self._left < _ENOUGH:
            return False
        self._left -= 1.0
        return True

    def pause(self, until: float) -> None:
        """Allow no frame before that time, and at most ``WINDOW`` at once after it."""
        self._left, self._filled_at = min(self._left, float(WINDOW)), until

    def _set(self, budget: Budget) -> None:
        """Apply a budget."""
        self._burst = max(1, int(budget.frames_burst * SHARE))
        self._window = max(1, budget.frames_burst - 1)
        self._rate = budget.frames_per_second * SHARE
        self.subscriptions: int | None = budget.subscriptions

    def _fill(self, now: float) -> None:
        """Add the tokens for the time since the last call."""
        if now > self._filled_at:
            self._left = min(self._burst, self._left + (now - self._filled_at) * self._rate)
            self._filled_at = now
