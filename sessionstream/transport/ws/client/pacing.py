"""How fast a client may speak: the budget that a server tells, and the share of it that our client uses. Pure."""

from __future__ import annotations

from typing import Final

from sessionstream.transport.ws.wire.budget import WINDOW, Budget

SHARE: Final = 0.8
"""How much of the budget is used. The network moves frames closer together than they were sent."""

_ENOUGH: Final = 1.0 - 1e-6  # of a token: seconds are floats


DEFAULT: Final = Budget(200, 50.0)
"""That of a server that tells none: the default limits of those before there were budgets."""


class Pacer:
    """A token bucket of somewhat less than the budget. It outlives connections.

    Attributes:
        told: whether a server has told its budget, or answered without one.
        subscriptions: how many sessions may be watched; None if that is not known.
    """

    __slots__ = ("_burst", "_filled_at", "_left", "_rate", "_window", "subscriptions", "told")

    def __init__(self) -> None:
        self.told = False
        self._set(DEFAULT)
        self.begin(0.0)

    @property
    def ready_at(self) -> float:
        """When the next frame may be sent."""
        return self._filled_at + max(0.0, 1.0 - self._left) / self._rate

    @property
    def window(self) -> int:
        """How many requests may have no answer.

        With a budget, fewer than the server takes at once: a network may hold them up and deliver them together.
        """
        return self._window if self.told else WINDOW

    def begin(self, now: float) -> None:
        """Start on a new connection, where nothing was sent yet."""
        self._left, self._filled_at = float(self._burst), now

    def tell(self, budget: Budget | None, now: float) -> None:
        """Go by a budget from now on, None for a server that tells none; what was sent already counts.

        But for what was sent before a pause that lasts: waiting pays for it.
        """
        self._fill(now)
        paused, left, sent = now < self._filled_at, self._left, self._burst - self._left
        self._set(budget or DEFAULT)
        self._left = min(left, self._burst) if paused else self._burst - sent
        self.told = True

    def take(self, now: float) -> bool:
        """Take the share of one frame; return whether there was one."""
        self._fill(now)
        if now < self._filled_at or self._left < _ENOUGH:
            return False
        self._left -= 1.0
        return True

    def pause(self, until: float) -> None:
        """Let nothing pass before that moment, and little at once after it."""
        self._left, self._filled_at = min(self._left, float(WINDOW)), until

    def _set(self, budget: Budget) -> None:
        self._burst = max(1, int(budget.frames_burst * SHARE))
        self._window = max(1, budget.frames_burst - 1)
        self._rate = budget.frames_per_second * SHARE
        self.subscriptions = budget.subscriptions

    def _fill(self, now: float) -> None:
        if now > self._filled_at:
            self._left = min(self._burst, self._left + (now - self._filled_at) * self._rate)
            self._filled_at = now
