"""Pairs of parameters, of which `make test` takes a part and `make torture` all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest


def pairs(first: Sequence[Any], second: Sequence[Any], ids: Callable[[Any], str] = str) -> list[Any]:
    """Return every pair as parameters of a test. Those of `make test` have each of either in at least one pair."""
    fewer = min(len(first), len(second))
    return [
        pytest.param(one, other, id=f"{ids(one)}-{ids(other)}", marks=[pytest.mark.torture] if (i - j) % fewer else [])
        for i, one in enumerate(first)
        for j, other in enumerate(second)
    ]
