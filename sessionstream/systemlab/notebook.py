"""The application behind the lab's phases 1, 2, 3 and 5: notes that grow word by word. (Phase 4 is the chat example.)

Small enough to be read whole, and with everything in it that an application has: a command that becomes several
events, an entity that is created, updated and deleted, and UI events for each.
"""

from __future__ import annotations

from typing import Final, cast
from uuid import uuid4

from sessionstream import (
    Command,
    Event,
    EventPublisher,
    Hub,
    SchemaRegistry,
    Session,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.systemlab.v1.lab_pb2 import (
    AddNoteCommand,
    NoteEntity,
    NoteFinishedEvent,
    NoteGone,
    NoteRemovedEvent,
    NoteStartedEvent,
    NoteUpdate,
    NoteWordEvent,
    RemoveNoteCommand,
)

ADD_NOTE: Final = "NoteAdd"
REMOVE_NOTE: Final = "NoteRemove"
NOTE_STARTED: Final = "NoteStarted"
NOTE_WORD: Final = "NoteWord"
NOTE_FINISHED: Final = "NoteFinished"
NOTE_REMOVED: Final = "NoteRemoved"
NOTE_UPDATED: Final = "NoteUpdated"
NOTE_GONE: Final = "NoteGone"
NOTE: Final = "Note"


def notebook_schemas() -> SchemaRegistry:
    """Return a registry with every message of the notebook."""
    registry = SchemaRegistry()
    registry.register_command(ADD_NOTE, AddNoteCommand)
    registry.register_command(REMOVE_NOTE, RemoveNoteCommand)
    registry.register_event(NOTE_STARTED, NoteStartedEvent)
    registry.register_event(NOTE_WORD, NoteWordEvent)
    registry.register_event(NOTE_FINISHED, NoteFinishedEvent)
    registry.register_event(NOTE_REMOVED, NoteRemovedEvent)
    registry.register_ui_event(NOTE_UPDATED, NoteUpdate)
    registry.register_ui_event(NOTE_GONE, NoteGone)
    registry.register_timeline_entity(NOTE, NoteEntity)
    return registry


def open_notebook(hub: Hub) -> Hub:
    """Register the notebook's handlers and projections on a hub made with ``notebook_schemas()``; return the hub."""
    hub.register_command(ADD_NOTE, add_note)
    hub.register_command(REMOVE_NOTE, remove_note)
    hub.register_ui_projection(project_ui)
    hub.register_timeline_projection(project_timeline)
    return hub


async def add_note(command: Command, session: Session, publisher: EventPublisher) -> None:
    """Write a note: an event for its beginning, one for each word, and one for its end."""
    note_id = f"note-{uuid4().hex[:8]}"
    await publisher.publish(Event(NOTE_STARTED, NoteStartedEvent(note_id=note_id), session.id))
    for word in cast("AddNoteCommand", command.payload).text.split():
        await publisher.publish(Event(NOTE_WORD, NoteWordEvent(note_id=note_id, word=word), session.id))
    await publisher.publish(Event(NOTE_FINISHED, NoteFinishedEvent(note_id=note_id), session.id))


async def remove_note(command: Command, session: Session, publisher: EventPublisher) -> None:
    """Remove a note; no effect if it does not exist."""
    note_id = cast("RemoveNoteCommand", command.payload).note_id
    await publisher.publish(Event(NOTE_REMOVED, NoteRemovedEvent(note_id=note_id), session.id))


def project_ui(event: Event, _session: Session, view: TimelineView) -> list[UIEvent]:
    """Return the UI event with the note after the event, or with its removal."""
    match event.payload:
        case NoteRemovedEvent(note_id=note_id):
            return [UIEvent(NOTE_GONE, NoteGone(note_id=note_id))] if view.get(NOTE, note_id) else []
    note = note_after(event, view)
    if note is None:
        return []
    return [UIEvent(NOTE_UPDATED, NoteUpdate(note_id=note.note_id, text=note.text, finished=note.finished))]


def project_timeline(event: Event, _session: Session, view: TimelineView) -> list[TimelineEntity]:
    """Return the entity of the note after the event."""
    match event.payload:
        case NoteRemovedEvent(note_id=note_id):
            return [TimelineEntity(NOTE, note_id, None, tombstone=True)] if view.get(NOTE, note_id) else []
    note = note_after(event, view)
    return [] if note is None else [TimelineEntity(NOTE, note.note_id, note)]


def note_after(event: Event, view: TimelineView) -> NoteEntity | None:
    """Return the note after the event, or None if the event concerns no existing note."""
    match event.payload:
        case NoteStartedEvent(note_id=note_id):
            return NoteEntity(note_id=note_id)
        case NoteWordEvent(note_id=note_id, word=word):
            note = _note(view, note_id)
            if note is not None:
                note.text = f"{note.text} {word}".lstrip()
            return note
        case NoteFinishedEvent(note_id=note_id):
            note = _note(view, note_id)
            if note is not None:
                note.finished = True
            return note
    return None


def _note(view: TimelineView, note_id: str) -> NoteEntity | None:
    entity = view.get(NOTE, note_id)
    return None if entity is None else cast("NoteEntity", entity.payload)
