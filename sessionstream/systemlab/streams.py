"""Sources of stream ids: valid ones, as brokers assign them, and invalid ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Final

from sessionstream.systemlab.broker import StreamIds

KINDS: Final[tuple[tuple[str, str], ...]] = (
    ("derived", "Rising: an ordinal can be derived"),
    ("missing", "Missing"),
    ("invalid", "Invalid: no ordinal can be derived"),
    ("swapped", "Out of order: the later id first"),
    ("repeated", "Repeated: each id twice"),
)
"""The kinds of stream ids, with their labels on the page."""

INVALID: Final = (
    "not-a-stream-id",
    "1700000000000",
    "1700000000000-1000000",  # a millisecond holds a million
    "18446744073710-0",  # the ordinal would need more than 64 bits
)

START: Final = 1_700_000_000_000
"""The milliseconds of the first id of the lab's streams; those of a real broker are the current time."""


class Stream:
    """One stream of one broker: its milliseconds only rise, even if the ids are invalid."""

    def __init__(self) -> None:
        self._milliseconds = START

    def ids(self, kind: str) -> StreamIds:
        """Return a source of stream ids of this kind; the pattern is separate for each session."""
        sources: dict[str, Iterator[str]] = {}

        def next_id(session_id: str) -> str:
            if session_id not in sources:
                sources[session_id] = _PATTERNS[kind](self._tick)
            return next(sources[session_id])

        return next_id

    def _tick(self) -> str:
        self._milliseconds += 1
        return f"{self._milliseconds}-0"


def _derived(tick: Callable[[], str]) -> Iterator[str]:
    while True:
        yield tick()


def _missing(_tick: Callable[[], str]) -> Iterator[str]:
    return cycle(("",))


def _invalid(_tick: Callable[[], str]) -> Iterator[str]:
    return cycle(INVALID)


def _swapped(tick: Callable[[], str]) -> Iterator[str]:
    while True:
        earlier, later = tick(), tick()
        yield later
        yield earlier


def _repeated(tick: Callable[[], str]) -> Iterator[str]:
    while True:
        again = tick()
        yield again
        yield again


_PATTERNS: Final = {
    "derived": _derived,
    "missing": _missing,
    "invalid": _invalid,
    "swapped": _swapped,
    "repeated": _repeated,
}
