"""The lab's application: a note begins, grows, ends and goes; live clients and timeline agree at every step."""

from __future__ import annotations

from collections.abc import Sequence

from sessionstream import Event, Hub, UIEvent
from sessionstream.systemlab.notebook import (
    ADD_NOTE,
    NOTE,
    NOTE_GONE,
    NOTE_WORD,
    REMOVE_NOTE,
    notebook_schemas,
    open_notebook,
)
from sessionstream.systemlab.v1.lab_pb2 import (
    AddNoteCommand,
    NoteEntity,
    NoteUpdate,
    NoteWordEvent,
    RemoveNoteCommand,
)


class Heard:
    def __init__(self) -> None:
        self.events: list[UIEvent] = []

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        self.events += events


async def test_a_note_grows_word_by_word_and_is_finished() -> None:
    heard = Heard()
    async with open_notebook(Hub(notebook_schemas(), fanout=heard)) as hub:
        await hub.submit("s", ADD_NOTE, AddNoteCommand(text="  one two  "))
        [entity] = (await hub.snapshot("s")).entities
    assert isinstance(entity.payload, NoteEntity)
    assert (entity.payload.text, entity.payload.finished) == ("one two", True)
    updates = [event.payload for event in heard.events if isinstance(event.payload, NoteUpdate)]
    assert [(update.text, update.finished) for update in updates] == [
        ("", False),
        ("one", False),
        ("one two", False),
        ("one two", True),
    ]


async def test_a_removed_note_is_gone_for_both_and_cannot_grow_again() -> None:
    heard = Heard()
    async with open_notebook(Hub(notebook_schemas(), fanout=heard)) as hub:
        await hub.submit("s", ADD_NOTE, AddNoteCommand(text="one"))
        [entity] = (await hub.snapshot("s")).entities
        await hub.submit("s", REMOVE_NOTE, RemoveNoteCommand(note_id=entity.id))
        assert heard.events[-1].name == NOTE_GONE
        heard.events.clear()
        await hub.publish(Event(NOTE_WORD, NoteWordEvent(note_id=entity.id, word="more"), "s"))
        await hub.submit("s", REMOVE_NOTE, RemoveNoteCommand(note_id=entity.id))
        assert heard.events == []
        assert [left for left in (await hub.snapshot("s")).entities if left.kind == NOTE] == []
