"""Phase 1: every check with data that it has to call wrong, and every way to break a promise seen by a check."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sessionstream import Event, Hub, MemoryStore, PipelineRecord, Snapshot, UIEvent
from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.notebook import ADD_NOTE, notebook_schemas, open_notebook
from sessionstream.systemlab.phases import pipeline_checks as checks
from sessionstream.systemlab.phases.pipeline import MOST_EVENTS, ONCE_IT_WORKS, STUMBLES, WHILE_IT_FAILS, Pipeline
from sessionstream.systemlab.rendering import PACKAGE
from sessionstream.systemlab.sabotage.pipeline import FAULTS
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand

from .phases import press, verdicts

Heard = list[tuple[int, UIEvent]]
Seen = tuple[list[PipelineRecord], list[Event], Heard, Snapshot]

ALL = {"numbered", "traced", "told", "current", "fold", "live"}


@pytest.fixture
async def seen() -> Seen:
    """What is seen of two notes of two words: records, log, what live clients heard, snapshot."""
    schemas = notebook_schemas()
    records: list[PipelineRecord] = []
    heard: Heard = []
    store = MemoryStore(schemas)
    hub = Hub(
        schemas,
        store=store,
        pipeline_observer=records.append,
        fanout=lambda _, ordinal, events: heard.extend((ordinal, event) for event in events),
    )
    async with open_notebook(hub):
        for text in ("one two", "three four"):
            await hub.submit("s", ADD_NOTE, AddNoteCommand(text=text))
        return records, await store.events("s"), heard, await hub.snapshot("s")


def test_what_is_right_passes(seen: Seen) -> None:
    records, events, heard, snapshot = seen
    judged = (
        checks.numbered(events),
        checks.traced(records, events),
        checks.told(records, heard),
        checks.current(events, snapshot),
        checks.is_fold(events, snapshot),
        checks.live_agrees(heard, snapshot),
    )
    assert {check.id: check.verdict for check in judged} == dict.fromkeys(ALL, "passed")
    assert all(check.evidence for check in judged)


def test_before_anything_happened_they_wait() -> None:
    empty = Snapshot("s", 0, (), 1)
    judged = (
        checks.numbered([]),
        checks.traced([], []),
        checks.told([], []),
        checks.current([], empty),
        checks.is_fold([], empty),
        checks.live_agrees([], empty),
    )
    assert {check.id: (check.verdict, check.because) for check in judged} == dict.fromkeys(
        ALL, ("waiting", checks.WAITING)
    )


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (lambda events: [events[0], *events[2:]], "event 2 of the log has ordinal 3"),
        (lambda events: [events[0], *events], "event 2 of the log has ordinal 1"),
        (lambda events: events[::-1], "event 1 of the log has ordinal 8"),
    ],
    ids=["gap", "twice", "backwards"],
)
def test_numbered_notices(seen: Seen, spoil: Any, because: str) -> None:
    check = checks.numbered(spoil(seen[1]))
    assert (check.verdict, check.because) == ("failed", because)


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (lambda records, events: (records, events[:-1]), "event 8 NoteFinished passed, but is not in the log"),
        (lambda records, events: (records[:-1], events), "event 8 NoteFinished is in the log, but did not pass"),
        (
            lambda records, events: ([*records, records[0]], events),
            "event 1 NoteStarted passed 2 times",
        ),
        (
            lambda records, events: ([replace(records[0], view_ordinal=7), *records[1:]], events),
            "the projections of event 1 saw the timeline at 7",
        ),
        (
            lambda records, events: ([replace(records[0], cursor_moved=False), *records[1:]], events),
            "event 1 was not committed",
        ),
        (
            lambda records, events: ([replace(records[0], stored=False), *records[1:]], events),
            "event 1 was not committed",
        ),
    ],
    ids=["not logged", "not seen", "twice", "another view", "cursor stayed", "not stored"],
)
def test_traced_notices(seen: Seen, spoil: Any, because: str) -> None:
    check = checks.traced(*spoil(*seen[:2]))
    assert (check.verdict, check.because) == ("failed", because)


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (lambda heard: heard[1:], "1 NoteUpdated was never sent"),
        (lambda heard: [heard[0], *heard], "1 NoteUpdated was sent 2 times"),
        (lambda heard: heard[::-1], "the UI events were sent in another order than that of their backend events"),
        (lambda heard: [(9, heard[0][1]), *heard], "9 NoteUpdated was sent, but never projected"),
    ],
    ids=["lost", "twice", "order", "invented"],
)
def test_told_notices(seen: Seen, spoil: Any, because: str) -> None:
    check = checks.told(seen[0], spoil(seen[2]))
    assert (check.verdict, check.because) == ("failed", because)


def test_current_notices(seen: Seen) -> None:
    check = checks.current(seen[1], replace(seen[3], snapshot_ordinal=7))
    assert (check.verdict, check.because) == ("failed", "the snapshot is at 7, the log ends at 8")


def test_fold_notices(seen: Seen) -> None:
    _, events, _, snapshot = seen
    name = snapshot.entities[0].id
    check = checks.is_fold(events, replace(snapshot, entities=snapshot.entities[1:]))
    assert (check.verdict, check.because) == ("failed", f"Note {name} is missing")
    check = checks.is_fold(events[:4], snapshot)
    assert (check.verdict, check.because) == ("failed", f"Note {snapshot.entities[1].id} should not be there")


def test_live_notices(seen: Seen) -> None:
    _, _, heard, snapshot = seen
    first, second = (entity.id for entity in snapshot.entities)
    for heard_instead, entities, because in (
        (heard[:4], snapshot.entities, f"{second} is in the snapshot, but live clients do not have it"),
        (heard, snapshot.entities[1:], f"{first} was removed, but live clients still show it"),
        (
            heard[:-1],
            snapshot.entities,
            f"{second} is 'three four', finished, in the snapshot and 'three four', unfinished, live",
        ),
    ):
        check = checks.live_agrees(heard_instead, replace(snapshot, entities=entities))
        assert (check.verdict, check.because) == ("failed", because)


@pytest.fixture
async def phase(tmp_path: Path) -> AsyncIterator[Pipeline]:
    opened = Pipeline(tmp_path)
    await opened.start()
    yield opened
    await opened.close()


def test_one_is_said_in_the_singular(seen: Seen) -> None:
    records, events, heard, _ = seen
    judged = (checks.numbered(events[:1]), checks.traced(records[:1], events[:1]), checks.told(records[:1], heard[:1]))
    assert [check.because for check in judged] == [
        "1 event, the last one is 1",
        "1 event passed, the same 1 in the log",
        "1 UI event projected, the same 1 sent",
    ]


async def test_submitting_and_removing_keeps_every_promise(phase: Pipeline) -> None:
    assert verdicts(await phase.state()) == dict.fromkeys(ALL, "waiting")
    await press(phase, "submit", prompt="one two")
    await press(phase, "submit", prompt="three")
    state = await press(phase, "remove")
    assert verdicts(state) == dict.fromkeys(ALL, "passed")
    assert dict(state.facts)["Events"] == 8
    await press(phase, "session", session="other")
    with pytest.raises(BadRequest, match="has no note"):
        await press(phase, "remove")
    state = await press(phase, "submit", prompt="apart")
    assert (dict(state.facts)["Session"], dict(state.facts)["Events"]) == ("other", 3)
    assert dict((await press(phase, "remove")).facts)["Session"] == "other"
    [use] = [action for action in phase.actions() if action.name == "session"]
    assert use.fields[0].default == "other"


RED = {
    "drop": {"told"},
    "repeat": {"told"},
    "swap": {"told", "live"},
    "gap": {"numbered", "traced", "fold"},
    "lost": {"fold", "live"},
    "stale": {"current", "fold", "live"},
}


def test_every_check_can_be_turned_red() -> None:
    assert set(RED) == set(FAULTS)
    assert set.union(*RED.values()) == ALL


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_broken_promise_turns_its_checks_red(phase: Pipeline, fault: str) -> None:
    await press(phase, "break", fault=fault)
    state = await press(phase, "submit", prompt="five words make odd events")
    assert {name for name, verdict in verdicts(state).items() if verdict == "failed"} == RED[fault]
    assert state.broken == FAULTS[fault]


CLAIMED = [
    ("drop", "Every word becomes an event", "*told* turns red", {"told"}),
    ("drop", "two words", "*told* turns red, and *live* too if the last event of a note is lost", {"told", "live"}),
    ("gap", "Every word becomes an event", "*fold* turns red, *told* and *live* stay green", RED["gap"]),
]
"""Break, prompt, what the chapter says of it, and what turns red."""


@pytest.mark.parametrize(("fault", "prompt", "words", "red"), CLAIMED)
async def test_the_chapter_says_what_turns_red(
    phase: Pipeline, fault: str, prompt: str, words: str, red: set[str]
) -> None:
    assert words in " ".join((PACKAGE / "chapters" / "phase1.md").read_text("utf-8").split())
    await press(phase, "break", fault=fault)
    state = await press(phase, "submit", prompt=prompt)
    assert {name for name, verdict in verdicts(state).items() if verdict == "failed"} == red


SENT = {
    "drop": ["", "NoteUpdated, which the hub passed on, was not sent"] * 2,
    "repeat": ["NoteUpdated was sent 2 times"] * 4,
    "swap": [f"sent {words}" for words in ("after that of event 2", "before that of event 1")]
    + [f"sent {words}" for words in ("after that of event 4", "before that of event 3")],
}
"""What the fan-out did with the UI events of the first four events."""


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_trace_shows_what_live_clients_were_sent(phase: Pipeline, fault: str) -> None:
    await press(phase, "break", fault=fault)
    state = await press(phase, "submit", prompt="three words here")
    steps: Any = next(panel for panel in state.panels if panel.id == "trace").to_json()["value"]
    wrong = SENT.get(fault, [""] * 4)
    assert [step["sent"]["wrong"] for step in steps[:4]] == wrong
    assert ["NoteUpdated" if step["sent"]["names"] else "" for step in steps[:4]] == [
        "" if "not sent" in words else "NoteUpdated" for words in wrong
    ]
    told: Any = next(panel for panel in state.panels if panel.id == "steps").to_json()["rows"]
    assert [row[-1] for row in told[:4]] == [words or "NoteUpdated" for words in wrong]


async def test_a_session_may_not_grow_without_end(phase: Pipeline) -> None:
    events = 0
    while events <= MOST_EVENTS:
        events = len((await press(phase, "submit", prompt="word " * 60)).panels[2].to_json()["rows"])  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="has many events already"):
        await press(phase, "submit")


async def test_a_held_session_breaks_no_promise_and_says_what_holds_it(phase: Pipeline) -> None:
    await press(phase, "submit", prompt="one")
    assert (await press(phase, "stumble", fails=True)).broken == STUMBLES
    await press(phase, "submit", prompt="two words")
    state = await press(phase, "submit", prompt="three")
    passed = {"numbered", "live"}
    assert verdicts(state) == {name: "passed" if name in passed else "held" for name in ALL}
    because = {check.because for check in state.checks if check.verdict == "held"}
    error = "RuntimeError: the lab was told to fail at NoteStarted"
    assert because == {"held at event 4: 2 events waiting, those before as claimed"}
    assert state.held == f"held at event 4 NoteStarted: {error}. {WHILE_IT_FAILS}"
    assert state.broken is None
    trace: Any = next(panel for panel in state.panels if panel.id == "trace").to_json()["value"]
    assert [step["raised"]["timeline"] for step in trace[3:]] == [error, error, ""]  # the second was tried again
    assert [step["behind"] for step in trace] == [False] * 5 + [True]
    state = await press(phase, "stumble", fails=False)
    assert state.held == f"held at event 4 NoteStarted: {error}. {ONCE_IT_WORKS}"
    assert (await phase.hub.retry_timeline("lab-1")).events == 2
    state = await press(phase, "submit", prompt="two")
    assert (state.held, state.broken) == ("", None)
    assert verdicts(state) == dict.fromkeys(ALL, "passed")


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_broken_promise_is_noticed_while_the_session_is_held(phase: Pipeline, fault: str) -> None:
    await press(phase, "break", fault=fault)
    await press(phase, "submit", prompt="five words make odd events")
    await press(phase, "stumble", fails=True)
    state = await press(phase, "submit", prompt="held")
    assert {name for name, verdict in verdicts(state).items() if verdict == "failed"} >= {FAULTS[fault].check}
