"""Standard output of commands, which may be closed, or whose reader may have gone."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def is_open(stream: TextIO | None) -> bool:
    """Whether the process was started with this stream open: with ``>&-``, ``sys.stdout`` is None."""
    return stream is not None


def give_up() -> None:
    """Redirect standard output to the null device, so that the flush at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
