"""Computes the notebook's timeline from an event log alone, to compare it with a store's."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sessionstream import Event, Session, TimelineEntity
from sessionstream.systemlab.journal import payload
from sessionstream.systemlab.notebook import project_timeline

_NOBODY: Final = Session("fold", None)


def folded(events: Iterable[Event], up_to: int | None = None) -> tuple[TimelineEntity, ...]:
    """Return the timeline that the notebook's projection makes of these events, in snapshot order.

    Args:
        events: the events of one session from the first, in the order of the log.
        up_to: the last ordinal to include; None includes all.
    """
    fold = _Fold()
    for event in events:
        if up_to is None or event.ordinal <= up_to:
            fold.apply(event)
    return tuple(fold.list())


def differences(expected: Iterable[TimelineEntity], found: Iterable[TimelineEntity]) -> builtins.list[str]:
    """Describe the differences between the expected timeline and another."""
    wanted, got = _lines(expected), _lines(found)
    words = [f"{kind} {name} is missing" for kind, name in wanted if (kind, name) not in got]
    for key, line in got.items():
        if key not in wanted:
            words.append(f"{key[0]} {key[1]} should not be there")
        elif line != wanted[key]:
            words.append(f"{key[0]} {key[1]} is {line} instead of {wanted[key]}")
    return words


def _lines(entities: Iterable[TimelineEntity]) -> dict[tuple[str, str], str]:
    return {
        (each.kind, each.id): f"{each.created_ordinal}-{each.last_event_ordinal} {payload(each.payload)}"
        for each in entities
    }


class _Fold:
    """A timeline in a dictionary, which is also the view for the projection."""

    def __init__(self) -> None:
        self._entities: dict[tuple[str, str], TimelineEntity] = {}
        self._ordinal = 0

    @property
    def ordinal(self) -> int:
        return self._ordinal

    def get(self, kind: str, id: str) -> TimelineEntity | None:  # noqa: A002 - as in the port
        found = self._entities.get((kind, id))
        return None if found is None else _copy(found)

    def list(self, kind: str = "") -> builtins.list[TimelineEntity]:
        found = (_copy(each) for each in self._entities.values() if kind in ("", each.kind))
        return sorted(found, key=lambda e: (e.created_ordinal, e.last_event_ordinal, e.kind, e.id))

    def apply(self, event: Event) -> None:
        for entity in project_timeline(event, _NOBODY, self):
            key = entity.kind, entity.id
            if entity.tombstone:
                self._entities.pop(key, None)
                continue
            before = self._entities.get(key)
            created = event.ordinal if before is None else before.created_ordinal
            self._entities[key] = replace(entity, created_ordinal=created, last_event_ordinal=event.ordinal)
        self._ordinal = event.ordinal


def _copy(entity: TimelineEntity) -> TimelineEntity:
    """Return a copy that a projection may change."""
    if entity.payload is None:
        return entity
    copied = type(entity.payload)()
    copied.CopyFrom(entity.payload)
    return replace(entity, payload=copied)
