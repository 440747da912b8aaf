"""A fan-out that drops, repeats, or swaps what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from sessionstream import UIEvent, UIFanout

FanoutFault: TypeAlias = Literal["", "drop", "repeat", "swap"]
"""What is wrong with it; empty: nothing."""


class SabotagedFanout:
    """Passes UI events on, and when told to be faulty breaks a promise with every second call.

    Args:
        target: whom it passes them on to.

    Attributes:
        fault: ``"drop"`` swallows the call, ``"repeat"`` makes it twice, ``"swap"`` makes it after the next one.
    """

    def __init__(self, target: UIFanout) -> None:
        self._target = target
        self._calls = 0
        self._kept: list[tuple[str, int, Sequence[UIEvent]]] = []
        self.fault: FanoutFault = ""

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Pass a call on, or do what the fault says."""
        call = (session_id, ordinal, events)
        self._calls += 1
        match self.fault if self._calls % 2 else "":
            case "drop":
                return
            case "repeat":
                self._target.publish_ui(*call)
            case "swap":
                self._kept.append(call)
                return
        self._target.publish_ui(*call)
        late, self._kept = self._kept, []
        for kept in late:
            self._target.publish_ui(*kept)
