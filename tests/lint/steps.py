"""How much work something is, as a number that is the same on every run: of calls of Python functions."""

from __future__ import annotations

import sys
from types import FrameType


class Steps:
    """Counts calls in the time in which it is entered."""

    count = 0

    def __enter__(self) -> Steps:
        self._before = sys.getprofile()
        sys.setprofile(self._step)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(self._before)

    def _step(self, frame: FrameType, event: str, arg: object) -> None:
        self.count += event == "call"
