"""Compares two timelines of a session. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sessionstream.systemlab.inspector.seen import SeenEntity, SeenTimeline


@dataclass(frozen=True, slots=True)
class Change:
    """An entity that is in both timelines and differs."""

    before: SeenEntity
    after: SeenEntity


@dataclass(frozen=True, slots=True)
class Diff:
    """The changes of entities between two ordinals; an entity that was deleted and created again counts as changed."""

    added: Sequence[SeenEntity]
    changed: Sequence[Change]
    removed: Sequence[SeenEntity]


def diff(before: SeenTimeline, after: SeenTimeline) -> Diff:
    """Return the added, changed and removed entities, each in snapshot order."""
    old = {(each.kind, each.id): each for each in before.entities}
    new = {(each.kind, each.id): each for each in after.entities}
    return Diff(
        added=[each for key, each in new.items() if key not in old],
        changed=[Change(old[key], each) for key, each in new.items() if key in old and old[key] != each],
        removed=[each for key, each in old.items() if key not in new],
    )
