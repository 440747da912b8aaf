"""The fold of a log is what a hub makes of it, and what differs from it is said."""

from __future__ import annotations

from sessionstream import Event, Hub, MemoryStore, TimelineEntity
from sessionstream.systemlab.folding import differences, folded
from sessionstream.systemlab.notebook import ADD_NOTE, NOTE, REMOVE_NOTE, notebook_schemas, open_notebook
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteEntity, RemoveNoteCommand


async def written() -> tuple[list[Event], tuple[TimelineEntity, ...]]:
    """Three notes, the first of which is removed: the log and the timeline."""
    schemas = notebook_schemas()
    store = MemoryStore(schemas)
    async with open_notebook(Hub(schemas, store=store)) as hub:
        for text in ("one two", "three", ""):
            await hub.submit("s", ADD_NOTE, AddNoteCommand(text=text))
        first = (await hub.snapshot("s")).entities[0].id
        await hub.submit("s", REMOVE_NOTE, RemoveNoteCommand(note_id=first))
        return await store.events("s"), (await hub.snapshot("s")).entities


async def test_the_fold_of_a_log_is_the_timeline_that_the_hub_committed() -> None:
    events, entities = await written()
    assert len(entities) == 2
    assert folded(events) == entities
    assert differences(folded(events), entities) == []


async def test_a_fold_may_end_earlier() -> None:
    events, _ = await written()
    (note,) = folded(events, up_to=3)
    assert isinstance(note.payload, NoteEntity)
    assert (note.created_ordinal, note.last_event_ordinal, note.payload.text) == (1, 3, "one two")
    assert folded(events, up_to=0) == ()


def test_differences_are_named() -> None:
    a = TimelineEntity(NOTE, "a", NoteEntity(note_id="a", text="x"), 1, 2)
    b = TimelineEntity(NOTE, "b", NoteEntity(note_id="b"), 3, 3)
    changed = TimelineEntity(NOTE, "a", NoteEntity(note_id="a", text="y"), 1, 2)
    assert differences([a], []) == ["Note a is missing"]
    assert differences([], [b]) == ["Note b should not be there"]
    assert differences([a], [changed]) == [
        'Note a is 1-2 {"noteId": "a", "text": "y"} instead of 1-2 {"noteId": "a", "text": "x"}'
    ]
