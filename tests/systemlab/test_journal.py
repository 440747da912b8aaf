"""What is kept of what observers were told, and how it is laid out."""

from __future__ import annotations

from sessionstream import ErrorRecord, Event, Hub, TimelineEntity, UIEvent
from sessionstream.systemlab import journal
from sessionstream.systemlab.journal import Journal
from sessionstream.systemlab.notebook import ADD_NOTE, NOTE, notebook_schemas, open_notebook
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteEntity, NoteWordEvent
from sessionstream.transport.ws import ConnectionRecord


async def test_the_journal_of_a_hub_keeps_the_latest_records() -> None:
    kept = Journal(kept=2)
    async with open_notebook(Hub(notebook_schemas(), pipeline_observer=kept.pipeline.append)) as hub:
        await hub.submit("s", ADD_NOTE, AddNoteCommand(text="one two"))
    assert [record.event.ordinal for record in kept.pipeline] == [3, 4]


def test_events_have_ordinal_name_id_and_payload() -> None:
    event = Event("NoteWord", NoteWordEvent(note_id="n", word="w"), "s", 7, "e-1")
    assert journal.event_table("t", "Log", [event], "none").rows == (
        (7, "NoteWord", "e-1", '{"noteId": "n", "word": "w"}'),
    )


def test_text_is_as_people_write_it() -> None:
    event = Event("NoteWord", NoteWordEvent(note_id="n", word="日本 é 🌈 שלום"), "s", 7, "e-1")
    assert journal.payload(event.payload) == '{"noteId": "n", "word": "日本 é 🌈 שלום"}'


def test_entities_show_their_payload_or_that_they_are_deleted() -> None:
    entities = [
        TimelineEntity(NOTE, "a", NoteEntity(note_id="a"), 1, 2),
        TimelineEntity(NOTE, "b", None, 1, 3, tombstone=True),
    ]
    assert journal.entity_table("t", "Timeline", entities, "none").rows == (
        (NOTE, "a", 1, 2, '{"noteId": "a"}'),
        (NOTE, "b", 1, 3, "deleted"),
    )


def test_ui_events_errors_and_stages_have_a_row_each() -> None:
    ui = UIEvent("NoteUpdated", NoteEntity(note_id="a"))
    assert journal.ui_table("t", "Live", [(3, ui)], "none").rows == ((3, "NoteUpdated", '{"noteId": "a"}'),)
    error = ErrorRecord("fanout", "s", 3, "NoteWord", "ValueError: no")
    assert journal.error_table("t", "Errors", [error], "none").rows == (
        ("fanout", "s", 3, "NoteWord", "ValueError: no"),
    )
    stages = [
        ConnectionRecord("live", "c", "s", 3, 1, 0, 2),
        ConnectionRecord("protocol_error", "c", code="BAD_FRAME", error="no"),
    ]
    assert [row[-1] for row in journal.stage_table("t", "Stages", stages, "none").rows] == ["", "BAD_FRAME"]
