"""The app of the project that uses the package: notes, which commands add."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pool

from sessionstream import Command, Event, Hub, SchemaRegistry, TimelineEntity, entity_changes

from .messages import Messages, compiled


def schemas(messages: Messages) -> SchemaRegistry:
    """The names of the app."""
    registry = SchemaRegistry()
    registry.register_command("AddNote", messages["notes.v1.AddNote"])
    registry.register_event("NoteAdded", messages["notes.v1.Note"])
    registry.register_timeline_entity("Note", messages["notes.v1.Note"])
    return registry


@cache
def known() -> Messages:
    return Messages(compiled("notes.proto"), descriptor_pool.Default())


def added(text: str, session_id: str = "kitchen") -> Event:
    return Event("NoteAdded", known()["notes.v1.Note"](text=text), session_id)


def notes() -> Hub:
    """A hub whose commands add notes; one that is empty fails. The id of a note is its text."""
    hub = Hub(schemas(known()))

    async def add(command: Command, session: object, publisher: object) -> None:
        payload: Any = command.payload
        if not payload.text:
            raise ValueError("a note has a text")
        await hub.publish(added(payload.text, command.session_id))

    def project(event: Event, session: object, view: object) -> list[TimelineEntity]:
        payload: Any = event.payload
        return [TimelineEntity("Note", payload.text, payload)]

    hub.register_command("AddNote", add)
    hub.register_timeline_projection(project)
    hub.register_ui_projection(entity_changes())
    return hub
