"""Checks of arguments that the server and the client share."""

from __future__ import annotations

from typing import Any


def check_above_zero(name: str, value: Any, *, whole: bool = False) -> None:
    """Check the value of an argument.

    Raises:
        TypeError: it is no number, or no whole one where ``whole`` is said.
        ValueError: it is not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError(f"{name} is {'a whole number' if whole else 'a number'}, not {value!r}")
    if not value > 0:
        raise ValueError(f"{name} is above 0, not {value!r}")
