"""The timeline of one session in memory, updated by the very entities that are committed."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from sessionstream.errors import UnknownSchemaError
from sessionstream.hub.copies import copy_entity
from sessionstream.types import Snapshot, TimelineEntity, in_snapshot_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sessionstream.store import Cursors, StoredTimeline, UnreadableEntity


class Timeline:
    """Live entities by kind and id, as of one ordinal of one epoch. Nobody outside may change a payload in it.

    Reading one entity and applying an event's changes cost the same however many entities there are.
    """

    __slots__ = ("_kinds", "_size", "_unreadable", "epoch", "ordinal")

    def __init__(self, ordinal: int = 0, epoch: int = 0) -> None:
        self.ordinal = ordinal
        self.epoch = epoch
        self._kinds: dict[str, dict[str, TimelineEntity]] = {}
        self._unreadable: dict[tuple[str, str], UnreadableEntity] = {}
        self._size = 0

    def take_over(self, stored: StoredTimeline) -> None:
        """Become what a store returned, which is the whole timeline or what changed after this one."""
        if stored.since is None:
            self._kinds, self._unreadable, self._size = {}, {}, 0
        self.apply(stored.entities, stored.cursors.timeline)
        for unreadable in stored.unreadable:
            self._remove(unreadable.kind, unreadable.id)
            self._unreadable[unreadable.kind, unreadable.id] = unreadable
        self.epoch = stored.cursors.epoch

    def __len__(self) -> int:
        return self._size + len(self._unreadable)

    def reflects(self, cursors: Cursors) -> bool:
        """Whether this may stand for a timeline that the store shows at ``cursors``, with nothing unreadable."""
        return self.epoch == cursors.epoch and self.ordinal >= cursors.timeline and not self._unreadable

    def created_ordinal(self, kind: str, entity_id: str) -> int | None:
        """Return the ordinal that created a live entity, or None where there is none."""
        of_kind = self._kinds.get(kind)
        entity = of_kind.get(entity_id) if of_kind is not None else None
        if entity is not None:
            return entity.created_ordinal
        unreadable = self._unreadable.get((kind, entity_id))
        return unreadable.created_ordinal if unreadable is not None else None

    def apply(self, entities: Iterable[TimelineEntity], ordinal: int) -> None:
        """Move to ``ordinal`` with the changes of its event."""
        for entity in entities:
            self._unreadable.pop((entity.kind, entity.id), None)
            if entity.tombstone:
                self._remove(entity.kind, entity.id)
            else:
                self._put(entity)
        self.ordinal = ordinal

    def copy_of(self, kind: str, entity_id: str) -> TimelineEntity | None:
        """Return a copy of one entity, or None.

        Raises:
            UnknownSchemaError: its message is registered no more.
        """
        of_kind = self._kinds.get(kind)
        entity = of_kind.get(entity_id) if of_kind is not None else None
        if entity is not None:
            return copy_entity(entity)
        unreadable = self._unreadable.get((kind, entity_id))
        if unreadable is not None:
            raise _vanished(unreadable)
        return None

    def copies(self, kind: str = "") -> builtins.list[TimelineEntity]:
        """Return copies of the entities of one kind, or of all, in snapshot order.

        Raises:
            UnknownSchemaError: the message of one of them is registered no more.
        """
        self._check_readable(kind)
        return [copy_entity(entity) for entity in in_snapshot_order(self._select(kind))]

    def snapshot(self, session_id: str) -> Snapshot:
        """Return the whole timeline as it is now: its own entities, in any order. See ``copy_snapshot``.

        Raises:
            UnknownSchemaError: the message of an entity is registered no more.
        """
        self._check_readable("")
        return Snapshot(session_id, self.ordinal, tuple(self._select("")), self.epoch)

    def _check_readable(self, kind: str) -> None:
        for unreadable in self._unreadable.values():
            if kind in ("", unreadable.kind):
                raise _vanished(unreadable)

    def _select(self, kind: str) -> Iterator[TimelineEntity]:
        if kind:
            yield from self._kinds.get(kind, {}).values()
        else:
            for of_kind in self._kinds.values():
                yield from of_kind.values()

    def _put(self, entity: TimelineEntity) -> None:
        of_kind = self._kinds.setdefault(entity.kind, {})
        self._size += entity.id not in of_kind
        of_kind[entity.id] = entity

    def _remove(self, kind: str, entity_id: str) -> None:
        of_kind = self._kinds.get(kind)
        if of_kind is not None and of_kind.pop(entity_id, None) is not None:
            self._size -= 1
            if not of_kind:
                del self._kinds[kind]


class View:
    """What a projection sees of a timeline: copies only. Implements the TimelineView protocol.

    A context manager: at the end of its event it is closed, because it would show what comes later.
    """

    __slots__ = ("_open",)

    def __init__(self, timeline: Timeline) -> None:
        self._open: Timeline | None = timeline

    def __enter__(self) -> View:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open = None

    @property
    def ordinal(self) -> int:
        """Ordinal of the last event the timeline reflects."""
        return self._timeline.ordinal

    def get(self, kind: str, id: str) -> TimelineEntity | None:  # noqa: A002 - the entity's own word
        """Return a copy of one entity, or None."""
        return self._timeline.copy_of(kind, id)

    def list(self, kind: str = "") -> builtins.list[TimelineEntity]:
        """Return copies of the entities of one kind, or of all, in snapshot order."""
        return self._timeline.copies(kind)

    @property
    def _timeline(self) -> Timeline:
        if self._open is None:
            raise RuntimeError("this view was of the time before its event: keep what it returned, not the view")
        return self._open


def _vanished(entity: UnreadableEntity) -> UnknownSchemaError:
    return UnknownSchemaError("timeline entity", entity.kind, payload_type=entity.payload_type, clash=entity.clash)
