"""Looks for objects that somebody still holds; with the fixture ``only_new_objects``, only for those of the test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


def alive(*kinds: type) -> list[object]:
    """Return the objects of these kinds that are left when garbage is collected."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, kinds)]


@pytest.fixture
def only_new_objects() -> Iterator[None]:
    """Leave out what was there before the test: to go through all of it takes a second, and it is not the test's."""
    gc.freeze()
    yield
    gc.unfreeze()
