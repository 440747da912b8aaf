"""Positions among the changes of a store, as texts that a caller keeps and passes on.

A position names its store by the epoch that the store's unused sessions have, and holds numbers whose meaning is the
store's own.
"""

from __future__ import annotations

import re
from typing import Final

_POSITION: Final = re.compile(r"([0-9a-f]{1,16})((?:-[0-9]{1,20})+)")


def position(first_epoch: int, *numbers: int) -> str:
    """Return a position as a text."""
    return "-".join([f"{first_epoch:x}", *map(str, numbers)])


def numbers_of(after: str, first_epoch: int, latest: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers of a position that ``position`` has written, zeros for an empty text.

    Args:
        latest: the numbers of the store's last change.

    Raises:
        ValueError: it is not a position, or one of another store, or above the latest.
    """
    if not after:
        return (0,) * len(latest)
    found = _POSITION.fullmatch(after)
    if found is not None and int(found[1], 16) == first_epoch:
        numbers = tuple(map(int, found[2].split("-")[1:]))
        if len(numbers) == len(latest) and numbers <= latest:
            return numbers
    raise ValueError(
        f"after is a position of this store's changes, or empty, not {after!r}, which may be of another store, or of a "
        f"state that is gone: read the changes from the beginning, with after=''"
    )
