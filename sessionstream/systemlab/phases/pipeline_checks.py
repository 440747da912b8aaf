"""Checks of phase 1: pure functions from observations to checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from sessionstream import Event, PipelineRecord, Snapshot, TimelineEntity, UIEvent
from sessionstream.systemlab.checks import Check, Json, count, judge
from sessionstream.systemlab.folding import differences, folded
from sessionstream.systemlab.journal import payload
from sessionstream.systemlab.v1.lab_pb2 import NoteEntity, NoteGone, NoteUpdate

Heard: TypeAlias = Sequence[tuple[int, UIEvent]]

WAITING: Final = "submit a prompt"


@dataclass(frozen=True, slots=True)
class Held:
    """What holds a session.

    Attributes:
        ordinal: of the event that a projection fails on.
        name: of that event.
        error: what the projection raised.
        events: how many events wait, including that one.
    """

    ordinal: int
    name: str
    error: str
    events: int

    def __str__(self) -> str:
        return f"held at event {self.ordinal} {self.name}: {self.error}"


def holds(records: Sequence[PipelineRecord], events: Sequence[Event], applied: int) -> Held | None:
    """Return what holds a session whose timeline is at ``applied``, or None if all its events were applied."""
    waiting = [event for event in events if event.ordinal > applied]
    if not waiting:
        return None
    first = waiting[0]
    errors = [
        error
        for record in records
        if record.event.ordinal == first.ordinal
        for error in (record.timeline_error, record.ui_error)
        if error is not None
    ]
    error = f"{type(errors[-1]).__name__}: {errors[-1]}" if errors else "it was not applied"
    return Held(first.ordinal, first.name, error, len(waiting))


def numbered(events: Sequence[Event]) -> Check:
    """Check the ordinals of a log."""
    ordinals = [event.ordinal for event in events]
    expected = list(range(1, len(events) + 1))
    wrong = [
        f"event {place} of the log has ordinal {ordinal}"
        for place, ordinal in zip(expected, ordinals, strict=True)
        if place != ordinal
    ]
    return judge(
        "numbered",
        "The events of a session are numbered 1, 2, 3 … without a gap.",
        wrong=wrong[:1],
        right=f"{count(len(events), 'event')}, the last one is {len(events)}",
        waiting=WAITING if not events else "",
        evidence={"ordinals": list[Json](ordinals)},
    )


def traced(records: Sequence[PipelineRecord], events: Sequence[Event], held: Held | None = None) -> Check:
    """Check that the log and the trace have the same events, and that each passed every step, once it did not wait."""
    records = [record for record in records if not _waited(record)]
    events = [event for event in events if held is None or event.ordinal < held.ordinal]
    passed = [(record.event.ordinal, record.event.name, record.event.event_id) for record in records]
    logged = [(event.ordinal, event.name, event.event_id) for event in events]
    wrong = [f"event {each[0]} {each[1]} passed, but is not in the log" for each in passed if each not in logged]
    wrong += [f"event {each[0]} {each[1]} is in the log, but did not pass" for each in logged if each not in passed]
    wrong += [f"event {each[0]} {each[1]} passed {times} times" for each, times in Counter(passed).items() if times > 1]
    for record in records:
        ordinal = record.event.ordinal
        if record.view_ordinal != ordinal - 1:
            wrong.append(f"the projections of event {ordinal} saw the timeline at {record.view_ordinal}")
        if not (record.stored and record.cursor_moved):
            wrong.append(f"event {ordinal} was not committed")
    return judge(
        "traced",
        "Each event passes once: its projections see the timeline just before it, and event and cursor are committed.",
        wrong=wrong,
        right=f"{count(len(records), 'event')} passed, the same {len(events)} in the log",
        waiting=WAITING if not records else "",
        evidence=[
            {"ordinal": r.event.ordinal, "event": r.event.name, "view": r.view_ordinal, "cursorMoved": r.cursor_moved}
            for r in records
        ],
        held=_words_of(held),
    )


def told(records: Sequence[PipelineRecord], heard: Heard, held: Held | None = None) -> Check:
    """Check that live clients were sent the events of the UI projection, once and in order."""
    records = [record for record in records if not _waited(record)]
    due = [_line(record.event.ordinal, event) for record in records for event in record.ui_events]
    got = [_line(ordinal, event) for ordinal, event in heard]
    wrong = [f"{_short(line)} was never sent" for line in due if line not in got][:3]
    wrong += [f"{_short(line)} was sent, but never projected" for line in got if line not in due][:3]
    wrong += [f"{_short(line)} was sent {times} times" for line, times in Counter(got).items() if times > 1][:3]
    if got != due and not wrong:
        wrong = ["the UI events were sent in another order than that of their backend events"]
    return judge(
        "told",
        "Live clients are sent every UI event of a committed event, once, in the order of the events.",
        wrong=wrong,
        right=f"{count(len(got), 'UI event')} projected, the same {len(due)} sent",
        waiting=WAITING if not records else "",
        evidence={"projected": list[Json](due), "told": list[Json](got)},
        held=_words_of(held),
    )


def sent(record: PipelineRecord, heard: Heard) -> tuple[list[str], str]:
    """Return the names of the UI events of an event that live clients were sent, and what is wrong with that, or "".

    It is wrong if the hub passed on others, or if those of other events were sent before them or after them.
    """
    ordinal, due = record.event.ordinal, [event.name for event in record.fanned_out]
    got = [event.name for at, event in heard if at == ordinal] if due else []
    if not got:
        return got, f"{', '.join(due)}, which the hub passed on, was not sent" if due else ""
    if len(got) > len(due):
        return got, f"{', '.join(due)} was sent {len(got) // len(due)} times"
    place = [at for at, _ in heard].index(ordinal)
    early = [at for at, _ in heard[:place] if at > ordinal]
    late = [at for at, _ in heard[place:] if at < ordinal]
    if early or late:
        return got, f"sent after that of event {early[0]}" if early else f"sent before that of event {late[0]}"
    return got, ""


def current(events: Sequence[Event], snapshot: Snapshot, held: Held | None = None) -> Check:
    """Check that a snapshot is at the end of the log, or of a held session just before the event that holds it."""
    last = held.ordinal - 1 if held else events[-1].ordinal if events else 0
    ordinal = snapshot.snapshot_ordinal
    return judge(
        "current",
        "A snapshot is at the ordinal of the last event: it includes all acknowledged events.",
        wrong=[] if ordinal == last else [f"the snapshot is at {ordinal}, the log ends at {last}"],
        held=_words_of(held),
        right=f"both at {last}",
        waiting=WAITING if not events else "",
        evidence={"snapshotOrdinal": ordinal, "lastEvent": last},
    )


def is_fold(events: Sequence[Event], snapshot: Snapshot, held: Held | None = None) -> Check:
    """Check that a snapshot is the fold of the log, up to the event that holds the session."""
    expected = folded(events, up_to=held.ordinal - 1 if held else None)
    return judge(
        "fold",
        "The timeline is the fold of the log: projecting all its events again gives the same entities.",
        wrong=differences(expected, snapshot.entities),
        held=_words_of(held),
        right=f"entities: {len(snapshot.entities)}, the same both times",
        waiting=WAITING if not events else "",
        evidence={
            "folded": [[e.kind, e.id, e.created_ordinal, e.last_event_ordinal, payload(e.payload)] for e in expected],
            "snapshot": [
                [e.kind, e.id, e.created_ordinal, e.last_event_ordinal, payload(e.payload)] for e in snapshot.entities
            ],
        },
    )


def live_agrees(heard: Heard, snapshot: Snapshot) -> Check:
    """Check that a client that received only UI events has the state of the snapshot."""
    live = live_notes(event for _, event in heard)
    kept = {note.note_id: (note.text, note.finished) for note in map(_note, snapshot.entities)}
    wrong = [f"{name} is in the snapshot, but live clients do not have it" for name in kept if name not in live]
    wrong += [f"{name} was removed, but live clients still show it" for name in live if name not in kept]
    wrong += [
        f"{name} is {_words(kept[name])} in the snapshot and {_words(live[name])} live"
        for name in kept
        if name in live and live[name] != kept[name]
    ]
    return judge(
        "live",
        "A client that received every UI event has the state of the snapshot.",
        wrong=wrong,
        right=f"notes: {len(kept)}, the same live and in the snapshot",
        waiting=WAITING if not (heard or kept) else "",
        evidence={"live": _notes(live), "snapshot": _notes(kept)},
    )


def live_notes(events: Iterable[UIEvent]) -> dict[str, tuple[str, bool]]:
    """Return the notes that a live client shows after these UI events: text and whether finished, by id."""
    notes: dict[str, tuple[str, bool]] = {}
    for event in events:
        match event.payload:
            case NoteUpdate(note_id=note_id, text=text, finished=finished):
                notes[note_id] = (text, finished)
            case NoteGone(note_id=note_id):
                notes.pop(note_id, None)
    return notes


def _waited(record: PipelineRecord) -> bool:
    """Whether the event was stored to be applied later: a projection failed on it, or on an event before it."""
    behind = record.view_ordinal < record.event.ordinal - 1
    failed = record.timeline_error is not None or record.ui_error is not None
    return record.stored and not record.cursor_moved and (failed or behind)


def _words_of(held: Held | None) -> str:
    return (
        ""
        if held is None
        else f"held at event {held.ordinal}: {count(held.events, 'event')} waiting, those before as claimed"
    )


def _note(entity: TimelineEntity) -> NoteEntity:
    return cast("NoteEntity", entity.payload)


def _words(note: tuple[str, bool]) -> str:
    text, finished = note
    return f"{text!r}, {'finished' if finished else 'unfinished'},"


def _notes(notes: dict[str, tuple[str, bool]]) -> dict[str, Json]:
    return {name: {"text": text, "finished": finished} for name, (text, finished) in notes.items()}


def _line(ordinal: int, event: UIEvent) -> str:
    return f"{ordinal} {event.name} {payload(event.payload)}"


def _short(line: str) -> str:
    return " ".join(line.split(" ")[:2])
