"""A ready-made UI projection that sends each changed entity to clients. (Reference: Entity changes.)"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from sessionstream.ids import check_id
from sessionstream.types import Event, Session, UIEvent, new_ui_event
from sessionstream.v1.transport_pb2 import EntityChanged, EntityDeleted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import NoReturn

    from google.protobuf.message import Message

    from sessionstream.projection import TimelineView, UIProjection
    from sessionstream.schema import SchemaRegistry
    from sessionstream.types import TimelineEntity

UI_EVENTS: Final[Mapping[str, type[Message]]] = {"EntityChanged": EntityChanged, "EntityDeleted": EntityDeleted}
"""The names of the UI events, and their messages."""


def entity_changes(kind: str | Collection[str] | None = None) -> UIProjection:
    """Return a UI projection that sends clients every entity that an event creates, changes or deletes.

    .. code-block:: python

        hub.register_ui_projection(entity_changes(kind="ChatMessage"))

    Each entity becomes a UI event ``EntityChanged`` or ``EntityDeleted``, whose payload is the message of that name in
    ``sessionstream.v1.transport_pb2``. A client that replaces and removes the entities of its snapshot accordingly
    holds the timeline at the ordinal of the event. The hub runs this projection after the timeline projections, so its
    UI events come last among those of an event. They are sent in the order in which the entities were first returned;
    an event that leaves an entity as it was before, because it was created and deleted again, sends none. Under the
    policy ``ui="advance"`` they are sent even if another UI projection fails.

    ``register_ui_projection`` adds both UI events to the registry of the hub, unless they are in it. It raises
    UnknownSchemaError if a kind is not registered, and DuplicateSchemaError if another message has one of their names.

    Args:
        kind: the kind of entities to send, or several; None for all kinds.

    Raises:
        InvalidIdError: a kind is empty, blank or not a string.
        TypeError: ``kind`` is neither a string nor a collection.
        ValueError: no kind is given.
    """
    if kind is None:
        return EntityChanges(None)
    if not isinstance(kind, Iterable):
        raise TypeError(f"kind must be a kind of entity, a collection of kinds, or None for all, not {kind!r}")
    kinds = [kind] if isinstance(kind, str) else list(kind)
    if not kinds:
        raise ValueError("kind names no kind of entity: leave it out to send the entities of every kind")
    return EntityChanges({check_id("timeline entity kind", each): None for each in kinds})


class EntityChanges:
    """The result of ``entity_changes``; a hub runs it after the timeline projections.

    Args:
        kinds: the kinds of entities to send; None for all.
    """

    __slots__ = ("_kinds",)

    def __init__(self, kinds: Collection[str] | None) -> None:
        self._kinds = kinds

    def register(self, schemas: SchemaRegistry) -> None:
        """Add the UI events to a registry, unless they are in it.

        Raises:
            UnknownSchemaError: one of the kinds is not registered.
            DuplicateSchemaError: one of the names is registered with another message.
        """
        for kind in self._kinds or ():
            schemas.check_known("timeline entity", kind)
        for name, message in UI_EVENTS.items():
            if schemas.ui_event_schema(name) is not message:
                schemas.register_ui_event(name, message)

    def ui_events(self, changed: Iterable[TimelineEntity]) -> list[UIEvent]:
        """Return the UI events for the entities that one event has changed."""
        kinds = self._kinds
        return [_ui_event(entity) for entity in changed if kinds is None or entity.kind in kinds]

    def project(self, event: Event, session: Session, view: TimelineView, /) -> NoReturn:
        """Refuse the call: a projection is told of the timeline before the event, and not of what the event changes.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("entity_changes is not called by an application: pass it to hub.register_ui_projection")


def _ui_event(entity: TimelineEntity) -> UIEvent:
    if entity.payload is None:
        return new_ui_event("EntityDeleted", EntityDeleted(kind=entity.kind, id=entity.id))
    changed = EntityChanged(
        kind=entity.kind,
        id=entity.id,
        created_ordinal=entity.created_ordinal,
        last_event_ordinal=entity.last_event_ordinal,
    )
    changed.payload.Pack(entity.payload)
    return new_ui_event("EntityChanged", changed)
