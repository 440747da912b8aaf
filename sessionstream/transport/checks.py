"""Argument checks that the server and the client share."""

from __future__ import annotations

from typing import Any


def check_above_zero(name: str, value: Any, *, whole: bool = False) -> None:
    """Check that a number is above 0.

    Raises:
        TypeError: the value is not a number, or not an int where ``whole`` is true.
        ValueError: the value is not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError(f"{name} must be {'an int' if whole else 'a number'}, not {value!r}")
    if not value > 0:
        raise ValueError(f"{name} must be above 0, not {value!r}")
