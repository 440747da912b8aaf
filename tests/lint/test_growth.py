"""Work is bounded by the size of a file: twice as much of the same costs about twice as much."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.lint_growth import HEAD, SOURCES
from sessionstream_lint import engine

from .steps import Steps


@pytest.mark.parametrize("grown", SOURCES.values(), ids=SOURCES)
def test_twice_the_size_is_about_twice_the_work(grown: Callable[[int], str]) -> None:
    taken = []
    for size in (150, 300):
        with Steps() as steps:
            engine.check(HEAD + grown(size), "x.py")
        taken.append(steps.count)
    assert taken[1] < 2.25 * taken[0]
