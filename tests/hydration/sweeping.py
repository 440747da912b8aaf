"""A clock for the tests of sweepers, which stands still until a test moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream.hydration import sweeper

if TYPE_CHECKING:
    import pytest


class Time:
    """The monotonic clock of whoever sweeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def standing_clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    """Let all sweepers read a clock that stands still; return it."""
    clock = Time()
    monkeypatch.setattr(sweeper, "time", clock)
    return clock
