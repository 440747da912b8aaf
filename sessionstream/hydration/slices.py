"""Sorts and copies large timelines in slices, so that the event loop and other threads run in between.

Sorting is one call into C, during which no other thread runs: for 50,000 entities it takes 20 to 90 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from heapq import merge
from itertools import chain, pairwise
from typing import Final, TypeVar

from sessionstream.types import TimelineEntity, in_snapshot_order, snapshot_order

T = TypeVar("T")
R = TypeVar("R")

SORTED: Final = 2_000
"""Entities that are sorted at once: about a millisecond."""

SLICE: Final = 256
"""After so many entities others get to run: about a millisecond of copying."""


async def each_of(items: Iterable[T], do: Callable[[T], R], at_once: int = SLICE) -> list[R]:
    """Return what a function makes of each item; others run after so many.

    The items must be nobody else's to change meanwhile. Raises what the function raises.
    """
    results: list[R] = []
    for number, item in enumerate(items):
        if number and number % at_once == 0:
            await asyncio.sleep(0)
        results.append(do(item))
    return results


async def all_in_order(entities: Sequence[TimelineEntity]) -> list[TimelineEntity]:
    """Return entities in snapshot order; others run meanwhile."""
    pieces = await each_of(_pieces(entities), in_snapshot_order, at_once=1)
    return await each_of(_merged(pieces), _same)


def in_order(entities: Sequence[TimelineEntity]) -> list[TimelineEntity]:
    """Return entities in snapshot order, for a thread beside that of an event loop."""
    return list(_merged([in_snapshot_order(piece) for piece in _pieces(entities)]))


def _merged(pieces: list[list[TimelineEntity]]) -> Iterable[TimelineEntity]:
    """Merge sorted pieces; those that follow each other already are only joined, which costs a tenth."""
    if all(snapshot_order(one[-1]) <= snapshot_order(other[0]) for one, other in pairwise(pieces)):
        return chain.from_iterable(pieces)
    return merge(*pieces, key=snapshot_order)


def _pieces(entities: Sequence[TimelineEntity]) -> list[Sequence[TimelineEntity]]:
    return [entities[start : start + SORTED] for start in range(0, len(entities), SORTED)]


def _same(entity: TimelineEntity) -> TimelineEntity:
    return entity
