"""Compares two timelines of a session, entity by entity and field by field. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Final

from sessionstream.systemlab.inspector.seen import SeenEntity, SeenTimeline

ABSENT: Final = object()
"""Stands for a field that is not there."""

_MATCHED: Final = 1_000
"""The most items of two lists that are matched; for more it would take long."""

_PLAIN: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """A field that differs.

    Attributes:
        path: from the payload to the field, as ``parts[2].text``; empty for the payload itself.
        before: its JSON value, or ``ABSENT``.
        after: its JSON value, or ``ABSENT``.
    """

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """An entity that is in both timelines and differs; ``fields`` are those that differ if both can be read."""

    before: SeenEntity
    after: SeenEntity
    fields: Sequence[Field]


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
        changed=[_change(old[key], each) for key, each in new.items() if key in old and old[key] != each],
        removed=[each for key, each in old.items() if key not in new],
    )


def _change(before: SeenEntity, after: SeenEntity) -> Change:
    readable = not (before.payload.unreadable or after.payload.unreadable)
    return Change(before, after, list(fields(before.payload.json, after.payload.json)) if readable else [])


def fields(before: Any, after: Any, path: str = "") -> Iterator[Field]:
    """Yield the fields that differ between two JSON values, in the order of the later one.

    Items of lists are matched, so that an item that is inserted is one difference, at its place in the later list; an
    item that is missing is at its place in the earlier one. Very long lists are compared place by place.
    """
    match before, after:
        case dict(), dict():
            for key in [*after, *(key for key in before if key not in after)]:
                yield from fields(before.get(key, ABSENT), after.get(key, ABSENT), _member(path, key))
        case list(), list():
            for old, new in _paired(before, after):
                earlier = ABSENT if old is None else before[old]
                later = ABSENT if new is None else after[new]
                yield from fields(earlier, later, f"{path}[{old if new is None else new}]")
        case _:
            if type(before) is not type(after) or before != after:
                yield Field(path, before, after)


def _paired(before: list[Any], after: list[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the places of items of two lists that may differ: in both, or in one."""
    spans = [(0, len(before), 0, len(after))]
    if len(before) + len(after) <= _MATCHED:
        old, new = ([json.dumps(item, sort_keys=True) for item in side] for side in (before, after))
        found = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        spans = [(first, last, begin, end) for tag, first, last, begin, end in found if tag != "equal"]
    for first, last, begin, end in spans:
        yield from zip_longest(range(first, last), range(begin, end))


def _member(path: str, key: str) -> str:
    if not _PLAIN.fullmatch(key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key
