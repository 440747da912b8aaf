"""The timeline of one session in memory, updated with the committed entities, and its view for projections."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from sessionstream.codec import copy_entity
from sessionstream.errors import UnknownSchemaError
from sessionstream.hub.lane import CallbackScope, current_callback
from sessionstream.hydration.slices import SORTED, all_in_order, each_of
from sessionstream.types import Snapshot, TimelineEntity, in_snapshot_order
from sessionstream.v1.transport_pb2 import UnreadablePayload

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from sessionstream.store import Cursors, StoredTimeline, UnreadableEntity


class Timeline:
    """Live entities by kind and id, as of one ordinal of one epoch. Code outside must not change their payloads.

    The time of reading one entity and of applying an event's changes does not depend on the number of entities.

    Attributes:
        size: the number of entities.
    """

    __slots__ = ("_kinds", "_states", "_unreadable", "epoch", "ordinal", "size")

    def __init__(self, ordinal: int = 0, epoch: int = 0) -> None:
        self.ordinal: int = ordinal
        self.epoch: int = epoch
        self._kinds: dict[str, dict[str, TimelineEntity]] = {}
        self._unreadable: dict[tuple[str, str], UnreadableEntity] = {}
        self.size: int = 0
        self._states: tuple[TimelineEntity, ...] | None = None
        """The last result of ``states``; None if an entity has changed since."""

    async def take_over(self, stored: StoredTimeline) -> None:
        """Take over a timeline from a store: the whole one, or the changes after this one.

        It yields to the event loop meanwhile; other tasks then see the old timeline, and must not change it.
        """
        if stored.since is None:
            kinds: dict[str, dict[str, TimelineEntity]] = {}

            def put(entity: TimelineEntity) -> None:
                kinds.setdefault(entity.kind, {})[entity.id] = entity

            await each_of(stored.entities, put, at_once=SORTED)
            self._kinds, self._unreadable, self.size = kinds, {}, sum(map(len, kinds.values()))
            self.ordinal = stored.cursors.timeline
        else:
            self.apply(stored.entities, stored.cursors.timeline)
        for unreadable in stored.unreadable:
            self._remove(unreadable.kind, unreadable.id)
            self.size += (unreadable.kind, unreadable.id) not in self._unreadable
            self._unreadable[unreadable.kind, unreadable.id] = unreadable
        self._states = None
        self.epoch = stored.cursors.epoch

    @property
    def is_readable(self) -> bool:
        """Whether no entity is unreadable."""
        return not self._unreadable

    def reflects(self, cursors: Cursors) -> bool:
        """Whether this timeline is at least as new as the store's, whose cursors are ``cursors``."""
        return self.epoch == cursors.epoch and self.ordinal >= cursors.timeline

    def created_ordinal(self, kind: str, entity_id: str) -> int | None:
        """Return the ordinal of the event that created a live entity, or None if the entity does not exist."""
        try:
            return self._kinds[kind][entity_id].created_ordinal
        except KeyError:
            unreadable = self._unreadable.get((kind, entity_id))
            return None if unreadable is None else unreadable.created_ordinal

    def apply(self, entities: Iterable[TimelineEntity], ordinal: int) -> None:
        """Move to ``ordinal`` with the changes of its event."""
        for entity in entities:
            self._states = None
            if self._unreadable and self._unreadable.pop((entity.kind, entity.id), None) is not None:
                self.size -= 1
            if entity.tombstone:
                self._remove(entity.kind, entity.id)
            else:
                of_kind = self._kinds.setdefault(entity.kind, {})
                if entity.id not in of_kind:
                    self.size += 1
                of_kind[entity.id] = entity
        self.ordinal = ordinal

    def copy_of(self, kind: str, entity_id: str) -> TimelineEntity | None:
        """Return a copy of one entity, or None.

        Raises:
            UnknownSchemaError: its message is no longer registered.
        """
        try:
            return copy_entity(self._kinds[kind][entity_id])
        except KeyError:
            unreadable = self._unreadable.get((kind, entity_id))
        if unreadable is not None:
            raise _vanished(unreadable)
        return None

    def copies(self, kind: str = "") -> builtins.list[TimelineEntity]:
        """Return copies of the entities of one kind, or of all, in snapshot order.

        Raises:
            UnknownSchemaError: the message of one of them is no longer registered.
        """
        self.check_readable(kind)
        return [copy_entity(entity) for entity in in_snapshot_order(self.select(kind))]

    async def states(self, session_id: str) -> Snapshot:
        """Return the timeline at the time of the call, with shared entities; see ``SnapshotSource.states``.

        It yields to the event loop meanwhile. It returns the same tuple of entities until an entity changes.
        """
        ordinal, epoch, states = self.ordinal, self.epoch, self._states
        if states is None:
            entities = [*self.select(""), *map(shown, self._unreadable.values())]
            states = tuple(await all_in_order(entities))
            if (ordinal, epoch) == (self.ordinal, self.epoch):
                self._states = states
        return Snapshot(session_id, ordinal, states, epoch)

    def check_readable(self, kind: str, without: Container[tuple[str, str]] = ()) -> None:
        """Check that the entities of one kind, or of all, can be read, except those in ``without``.

        Raises:
            UnknownSchemaError: the message of one of them is no longer registered.
        """
        for key, unreadable in self._unreadable.items():
            if kind in ("", unreadable.kind) and key not in without:
                raise _vanished(unreadable)

    def select(self, kind: str) -> Iterator[TimelineEntity]:
        """Yield the timeline's own entities of one kind, or of all, in any order."""
        if kind:
            yield from self._kinds.get(kind, {}).values()
        else:
            for of_kind in self._kinds.values():
                yield from of_kind.values()

    def _remove(self, kind: str, entity_id: str) -> None:
        of_kind = self._kinds.get(kind)
        if of_kind is not None and of_kind.pop(entity_id, None) is not None:
            self.size -= 1
            if not of_kind:
                del self._kinds[kind]


class TimelineAhead:
    """A timeline plus changes whose commits are not acknowledged yet, which later events see; its base may advance."""

    __slots__ = ("_base", "_changed", "epoch", "ordinal")

    def __init__(self, base: Timeline) -> None:
        self._base = base
        self._changed: dict[tuple[str, str], TimelineEntity] = {}
        self.ordinal: int = base.ordinal
        self.epoch: int = base.epoch

    def created_ordinal(self, kind: str, entity_id: str) -> int | None:
        """Return the ordinal of the event that created a live entity, or None if the entity does not exist."""
        changed = self._changed.get((kind, entity_id))
        if changed is None:
            return self._base.created_ordinal(kind, entity_id)
        return None if changed.tombstone else changed.created_ordinal

    def apply(self, entities: Iterable[TimelineEntity], ordinal: int) -> None:
        """Move to ``ordinal`` with the changes of its event."""
        for entity in entities:
            self._changed[entity.kind, entity.id] = entity
        self.ordinal = ordinal

    def copy_of(self, kind: str, entity_id: str) -> TimelineEntity | None:
        """Return a copy of one entity, or None.

        Raises:
            UnknownSchemaError: its message is no longer registered.
        """
        changed = self._changed.get((kind, entity_id))
        if changed is None:
            return self._base.copy_of(kind, entity_id)
        return None if changed.tombstone else copy_entity(changed)

    def copies(self, kind: str = "") -> builtins.list[TimelineEntity]:
        """Return copies of the entities of one kind, or of all, in snapshot order.

        Raises:
            UnknownSchemaError: the message of one of them is no longer registered.
        """
        self._base.check_readable(kind, without=self._changed)
        unchanged = [entity for entity in self._base.select(kind) if (entity.kind, entity.id) not in self._changed]
        changed = [entity for entity in self._changed.values() if kind in ("", entity.kind) and not entity.tombstone]
        return [copy_entity(entity) for entity in in_snapshot_order(unchanged + changed)]


class View(CallbackScope):
    """The view of a timeline that projections of one event get; it returns copies, and only while they run.

    It implements TimelineView.
    """

    __slots__ = ("_timeline",)

    def __init__(self, session_id: str, timeline: Timeline | TimelineAhead) -> None:
        self.session_id = session_id
        self.active = True
        self._timeline = timeline
        current_callback.set(self)

    @property
    def ordinal(self) -> int:
        """Ordinal of the last event the timeline reflects."""
        self._check_active()
        return self._timeline.ordinal

    def get(self, kind: str, id: str) -> TimelineEntity | None:  # noqa: A002 - the name of the entity's attribute
        """Return a copy of one entity, or None."""
        if not self.active:
            self._check_active()
        return self._timeline.copy_of(kind, id)

    def list(self, kind: str = "") -> builtins.list[TimelineEntity]:
        """Return copies of the entities of one kind, or of all, in snapshot order."""
        self._check_active()
        return self._timeline.copies(kind)

    def _check_active(self) -> None:
        if not self.active:
            raise RuntimeError("a view can be used only while its projection runs: keep what it returned, not the view")


def shown(of: UnreadableEntity) -> TimelineEntity:
    """Return the entity that clients receive in place of one that cannot be read."""
    reason = f"its message has changed: {of.clash}" if of.clash else "its message is not registered"
    payload = UnreadablePayload(type=of.payload_type, reason=reason)
    return TimelineEntity(of.kind, of.id, payload, of.created_ordinal, of.last_event_ordinal)


def _vanished(entity: UnreadableEntity) -> UnknownSchemaError:
    return UnknownSchemaError("timeline entity", entity.kind, payload_type=entity.payload_type, clash=entity.clash)
