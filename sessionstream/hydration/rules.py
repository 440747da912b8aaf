"""What every store decides alike, apart from how it keeps things: epochs, questions, conflicts."""

from __future__ import annotations

from secrets import randbelow
from typing import Final

from sessionstream.errors import HistoryPruned, OrdinalConflict
from sessionstream.store import Commit, Cursors

EPOCH_LIMIT: Final = 2**53
"""Epochs travel to browsers in JSON, whose numbers are exact below this."""


def new_epoch(previous: int = 0) -> int:
    """Return an epoch other than 0 and ``previous``.

    Epochs are random, not counted, so that a client's position of an earlier process or an earlier file is never
    mistaken for one in the present history. (A file restored from a backup carries the epochs it had: rebuild
    its timelines before clients come back.)
    """
    while True:
        epoch = randbelow(EPOCH_LIMIT)
        if epoch not in (0, previous):
            return epoch


def check_question(as_of: int | None, since: int | None) -> None:
    """Refuse a question about the timeline that contradicts itself.

    Raises:
        ValueError: both are given, or one is negative.
    """
    if as_of is not None and since is not None:
        raise ValueError("a snapshot is either as_of an ordinal or since one, not both")
    for name, ordinal in (("as_of", as_of), ("since", since)):
        if ordinal is not None and ordinal < 0:
            raise ValueError(f"{name} is an ordinal, which is never negative: {ordinal}")


def check_floor(session_id: str, floor: int, *ordinals: int | None) -> None:
    """Refuse a question that reaches below the pruned floor.

    Raises:
        HistoryPruned: it does.
    """
    for ordinal in ordinals:
        if ordinal is not None and ordinal < floor:
            raise HistoryPruned(session_id, ordinal, floor)


def known_since(known: Cursors | None, actual: Cursors) -> int | None:
    """Return the ordinal since which a timeline has to be told to whoever knows it as of ``known``; None is all."""
    if known is None or known.epoch != actual.epoch or not actual.floor <= known.timeline <= actual.timeline:
        return None
    return known.timeline


def check_before(before: int) -> None:
    """Refuse a negative bound of pruning.

    Raises:
        ValueError: it is negative.
    """
    if before < 0:
        raise ValueError(f"before is an ordinal, which is never negative: {before}")


def conflict(commit: Commit, actual: Cursors) -> OrdinalConflict:
    """Return the error for a commit that expected other cursors, or another epoch, than there are."""
    epoch = "any epoch" if commit.expected_epoch is None else f"epoch {commit.expected_epoch}"
    return OrdinalConflict(
        commit.session_id,
        expected=f"event {commit.expected_ordinal}, timeline {commit.timeline_before}, {epoch}",
        actual=f"event {actual.event}, timeline {actual.timeline}, epoch {actual.epoch}",
    )
