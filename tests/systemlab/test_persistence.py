"""Phase 5: what a restart keeps and loses, on either store; checks fail on wrong data, and at each sabotage."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sessionstream import Cursors, ErrorRecord, Event, SessionstreamError, Snapshot, TimelineEntity
from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.checks import Check, Json
from sessionstream.systemlab.folds import Fold
from sessionstream.systemlab.notebook import NOTE, NOTE_STARTED
from sessionstream.systemlab.panels import Table
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases import persistence_checks as checks
from sessionstream.systemlab.phases.persistence import SESSION, Persistence
from sessionstream.systemlab.phases.persistence_checks import Found, Repeat, Restart, Standing
from sessionstream.systemlab.v1.lab_pb2 import NoteEntity, NoteStartedEvent

from .phases import check, folder, press, verdicts
from .watching import Watching

ERROR = ErrorRecord("ui-projection", SESSION, 1, "NoteWord", "ValueError: no")
A: Json = ["a", "", False]
B: Json = ["b", "", False]
C: Json = ["c", "", False]


def standing(*names: str, epoch: int = 7, errors: tuple[ErrorRecord, ...] = (ERROR,)) -> Standing:
    """A session with these notes, each begun by one event."""
    numbered = list(enumerate(names, 1))
    events = [Event(NOTE_STARTED, NoteStartedEvent(note_id=name), SESSION, n, f"e-{name}") for n, name in numbered]
    entities = tuple(TimelineEntity(NOTE, name, NoteEntity(note_id=name), n, n) for n, name in numbered)
    end = len(names)
    return Standing(events, Snapshot(SESSION, end, entities, epoch), Cursors(end, end, epoch), errors)


BEFORE = standing("a", "b")
NOTHING = standing(errors=(), epoch=9)
KEPT = Restart(BEFORE, standing("a", "b"))
LOST = Restart(BEFORE, NOTHING)


def outcome(found: Check) -> tuple[str, str]:
    return found.verdict, found.because


def test_good_data_passes_every_check() -> None:
    now = standing("a", "b", "c")
    page = Fold("page", True, 7, 3, [A, B, C])
    found = Found("sqlite", now, KEPT, Repeat("k", 0), [page], {3: [A, B, C]})
    assert {each.verdict for each in checks.persistence_checks(found)} == {"passed"}
    fresh = standing("c", epoch=9)
    page = Fold("page", True, 9, 1, [C])
    found = Found("memory", fresh, LOST, Repeat("k", 1), [page], {1: [C]})
    assert {each.verdict for each in checks.persistence_checks(found)} == {"passed"}


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_before_anything_happened_every_check_waits(kind: Any) -> None:
    found = Found(kind, NOTHING, None, None, [], {})
    assert {each.verdict for each in checks.persistence_checks(found)} == {"waiting"}


def test_a_file_that_loses_is_noticed() -> None:
    assert outcome(checks.events_kept("sqlite", LOST))[0] == "failed"
    assert outcome(checks.entities_kept("sqlite", LOST))[1].startswith("lost: Note a 1-1")
    assert outcome(checks.errors_kept("sqlite", LOST)) == ("failed", "lost: ui-projection at 1: ValueError: no")
    assert outcome(checks.cursors_kept("sqlite", LOST))[0] == "failed"


def test_a_file_that_adds_or_reorders_is_noticed() -> None:
    more = Restart(BEFORE, standing("a", "b", "c"))
    assert "new: 3 NoteStarted e-c" in checks.events_kept("sqlite", more).because
    swapped = Restart(BEFORE, replace(BEFORE, events=BEFORE.events[::-1]))
    assert outcome(checks.events_kept("sqlite", swapped)) == ("failed", "they are in another order")


def test_cursors_that_are_not_where_the_log_ends_are_noticed() -> None:
    wrong = replace(BEFORE, cursors=Cursors(1, 1, 7))
    found = checks.cursors_kept("sqlite", Restart(wrong, wrong))
    assert outcome(found) == ("failed", "the event cursor is 1, and the log ends at 2")


def test_a_memory_store_that_outlives_its_process_is_noticed() -> None:
    assert outcome(checks.events_kept("memory", KEPT)) == (
        "failed",
        "found 2 events, though a memory store ends with its process",
    )
    for judge in (checks.entities_kept, checks.errors_kept, checks.cursors_kept):
        assert judge("memory", KEPT).verdict == "failed"


@pytest.mark.parametrize(
    ("kind", "restart", "after", "verdict", "because"),
    [
        ("sqlite", KEPT, standing("a", "b"), "waiting", "Write notes after the restart."),
        ("sqlite", KEPT, standing("a", "b", "c"), "passed", "the first event after the restart got 3"),
        ("sqlite", KEPT, standing("c"), "failed", "the first event after the restart got 1 instead of 3"),
        ("memory", LOST, standing("c"), "passed", "the first event after the restart got 1"),
    ],
)
def test_where_ordinals_go_on_is_noticed(kind: Any, restart: Any, after: Any, verdict: str, because: str) -> None:
    assert outcome(checks.ordinals_continue(kind, restart, after)) == (verdict, because)


def test_a_memory_store_whose_ordinals_go_on_is_noticed() -> None:
    on = replace(NOTHING, events=[Event(NOTE_STARTED, NoteStartedEvent(), SESSION, 3, "e-c")])
    assert outcome(checks.ordinals_continue("memory", LOST, on)) == (
        "failed",
        "the first event after the restart got 3 instead of 1",
    )


def test_a_command_that_runs_again_or_does_not_is_noticed() -> None:
    assert outcome(checks.once("sqlite", KEPT, Repeat("k", 4))) == ("failed", "it ran again, and published 4 events")
    assert outcome(checks.once("memory", LOST, Repeat("k", 0))) == (
        "failed",
        "it did not run again, though a memory store ends with its process",
    )


def test_a_timeline_that_is_not_what_the_log_says_is_noticed() -> None:
    wrong = replace(BEFORE, snapshot=replace(BEFORE.snapshot, entities=BEFORE.snapshot.entities[:1]))
    assert outcome(checks.as_folded(wrong)) == ("failed", "Note b is missing")


def test_a_page_that_shows_something_else_is_noticed() -> None:
    def judged(*items: Json, restart: Restart | None = KEPT, **more: Any) -> str:
        fold = replace(Fold("page", True, 7, 2, [*items]), **more)
        found = Found("sqlite", BEFORE, restart, None, [fold], {2: [A, B], 1: [A]})
        return checks.client_converges(found).verdict

    assert judged(A, B) == "passed"
    assert judged(A) == "failed"
    assert judged(A, ["b", "x", True], restart=None) == "failed"
    assert judged(A, B, restart=None) == "waiting"
    assert judged(A, ordinal=1) == "waiting"
    assert judged(A, B, live=False) == "waiting"
    assert judged(A, epoch=6) == "waiting"


# -- the page --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def persistence(tmp_path: Path) -> AsyncIterator[Persistence]:
    phase = Persistence(tmp_path)
    await phase.start()
    yield phase
    await phase.close()


async def at(phase: Persistence) -> int:
    return await phase.hub.cursor(SESSION)


def page(phase: Persistence) -> Watching:
    return Watching(
        phase,
        "page",
        SESSION,
        lambda payload: [payload["noteId"], payload.get("text", ""), payload.get("finished", False)],
        lambda _, payload: (
            payload["noteId"],
            [payload["noteId"], payload.get("text", ""), payload.get("finished", False)],
        ),
    )


async def use(phase: Persistence, how: str = "ended") -> State:
    """Press what lets every check be judged, before an open page that comes back by itself."""
    watching = page(phase)
    await watching.connect()
    await press(phase, "seed", text="one two three", notes=2, trouble=True)
    await watching.until(await at(phase))
    restarting = asyncio.ensure_future(press(phase, "restart", how=how))
    assert await watching.ended() == (1012 if how == "ended" else 1001)
    await restarting
    await watching.connect()
    await press(phase, "repeat")
    await press(phase, "seed", text="after", notes=1)
    await watching.until(await at(phase))
    await watching.report()
    state = await phase.state()
    await watching.leave()
    return state


@pytest.mark.parametrize("how", ["ended", "killed"])
@pytest.mark.parametrize("store", ["sqlite", "memory"])
async def test_the_claims_of_each_store_hold(persistence: Persistence, store: str, how: str) -> None:
    state = await press(persistence, "choose", store=store)
    assert set(verdicts(state).values()) == {"waiting"}
    state = await use(persistence, how)
    assert set(verdicts(state).values()) == {"passed"}, state.checks
    assert state.to_json()
    table = next(panel for panel in state.panels if panel.id == "kept")
    assert isinstance(table, Table)
    events = next(row for row in table.rows if row[0] == "Events")
    assert events[1:3] == ((12, 12) if store == "sqlite" else (12, 0))


@pytest.mark.parametrize(
    ("promise", "judged_by"),
    [
        ("forgets", "events-kept"),
        ("forgets", "entities-kept"),
        ("drops-entities", "entities-kept"),
        ("forgets-errors", "errors-kept"),
        ("miscounts", "cursors-kept"),
        ("miscounts", "ordinals-continue"),
        ("forgets-keys", "once"),
        ("drops-entities", "as-folded"),
        ("stale", "client-converges"),
    ],
)
async def test_a_broken_promise_is_noticed_and_a_reset_mends_it(tmp_path: Path, promise: str, judged_by: str) -> None:
    broken = Persistence(folder(tmp_path, "broken"))
    await broken.start()
    await press(broken, "break", promise=promise)
    state = await use(broken)
    await broken.close()
    assert check(state, judged_by).verdict == "failed"
    fresh = Persistence(folder(tmp_path, "fresh"))
    await fresh.start()
    assert set(verdicts(await use(fresh)).values()) == {"passed"}
    await fresh.close()


async def test_a_memory_store_that_lingers_is_noticed_until_another_is_chosen(persistence: Persistence) -> None:
    await press(persistence, "choose", store="memory")
    await press(persistence, "break", promise="lingers")
    red = {name for name, verdict in verdicts(await use(persistence)).items() if verdict == "failed"}
    assert red == {"events-kept", "entities-kept", "cursors-kept", "errors-kept", "ordinals-continue", "once"}
    await press(persistence, "choose", store="sqlite")  # which keeps it all, as it should
    assert set(verdicts(await use(persistence)).values()) == {"passed"}
    state = await press(persistence, "choose", store="memory")  # and nothing of the one before is in it
    assert set(verdicts(state).values()) == {"waiting"}


async def test_a_restart_gives_another_server_and_closes_the_one_before(persistence: Persistence) -> None:
    before = persistence.server
    assert before is not None
    await page(persistence).connect()
    await press(persistence, "restart")
    assert persistence.server is not before
    assert before.connections() == []


async def test_a_page_that_has_gone_is_not_waited_for(persistence: Persistence) -> None:
    await use(persistence)  # and its page leaves
    state = await persistence.state()
    assert check(state, "client-converges").because == "1 live client needed, and there are 0"


async def test_pages_are_answered_once_the_notes_of_meanwhile_are_there(
    persistence: Persistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    await press(persistence, "seed", text="one", notes=1)
    before, cursors = persistence.server, []
    answer = persistence._answer

    async def cursor() -> None:
        cursors.append(await at(persistence))

    def noting() -> None:
        assert persistence.server is None
        asking.append(asyncio.ensure_future(cursor()))
        answer()

    asking: list[asyncio.Future[None]] = []
    monkeypatch.setattr(persistence, "_answer", noting)
    await press(persistence, "restart", meanwhile=3)
    await asyncio.gather(*asking)
    assert cursors == [3 + 3 * 6]
    assert persistence.server is not before


async def test_a_repeat_without_a_restart_does_nothing(persistence: Persistence) -> None:
    with pytest.raises(BadRequest, match="write notes first"):
        await press(persistence, "repeat")
    before = await press(persistence, "seed")
    assert (await press(persistence, "repeat")).facts == before.facts


async def test_only_the_first_repeat_after_a_restart_is_judged(persistence: Persistence) -> None:
    await press(persistence, "choose", store="memory")
    await press(persistence, "seed")
    await press(persistence, "restart")
    await press(persistence, "repeat")
    state = await press(persistence, "repeat")  # whose key the memory store knows by now
    assert check(state, "once").verdict == "passed"


async def test_the_log_can_be_replayed_and_looked_back_at(persistence: Persistence) -> None:
    await press(persistence, "seed", text="one two", notes=1)
    epoch = (await persistence.store.cursors(SESSION)).epoch
    state = await press(persistence, "replay")
    assert (await persistence.store.cursors(SESSION)).epoch != epoch
    assert check(state, "as-folded").verdict == "passed"
    assert any(panel.id == "replay" for panel in state.panels)
    state = await press(persistence, "look", ordinal=2)
    earlier = next(panel for panel in state.panels if panel.id == "earlier")
    assert '"text": "one"' in json.dumps(earlier.to_json()).replace("\\", "")
    state = await press(persistence, "look", ordinal=99)
    assert any(panel.title == "Timeline right after event 4" for panel in state.panels)


async def test_the_state_may_be_asked_for_while_the_backend_restarts(persistence: Persistence) -> None:
    await press(persistence, "seed")
    states = asyncio.gather(*(persistence.state() for _ in range(5)))
    await asyncio.gather(press(persistence, "restart"), states)


async def test_a_restart_that_is_cancelled_leaves_something_that_can_be_closed(tmp_path: Path) -> None:
    phase = Persistence(tmp_path)
    await phase.start()
    await press(phase, "break", promise="forgets")
    await press(phase, "seed")
    for rounds in range(12):
        restart = asyncio.ensure_future(press(phase, "restart"))
        for _ in range(rounds):
            await asyncio.sleep(0)
        restart.cancel()
        await asyncio.wait({restart})
    await phase.close()


async def test_what_is_not_started_says_so(tmp_path: Path) -> None:
    phase = Persistence(tmp_path)
    assert phase.server is None
    with pytest.raises(SessionstreamError, match="not started, or closed"):
        await phase.state()
    await phase.close()
