"""Trying again after a lost race: other processes may write the same sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sessionstream.errors import OrdinalConflict

T = TypeVar("T")

MAX_ATTEMPTS: Final = 1000
"""Lost races in a row after which a store is not believed any more."""


async def win(attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeat what loses a race until it wins. Each attempt has to begin at the session's present state.

    Raises:
        OrdinalConflict: of the last attempt, with a note: this store lets nobody win.
    """
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return await attempt()
        except OrdinalConflict:
            continue
    try:
        return await attempt()
    except OrdinalConflict as conflict:
        conflict.add_note(f"the last of {MAX_ATTEMPTS} attempts, each based on what the store had just answered")
        raise
