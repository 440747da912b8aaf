"""Phase 2: promises are kept, checks fail on wrong data, and each sabotage is noticed by the check it is for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from sessionstream import Event, SessionstreamError, Snapshot, TimelineEntity, derive_ordinal
from sessionstream.systemlab.broker import Carried
from sessionstream.systemlab.notebook import NOTE, NOTE_STARTED
from sessionstream.systemlab.panels import Table
from sessionstream.systemlab.phase import Phase, State
from sessionstream.systemlab.phases.ordering import SESSIONS, Ordering
from sessionstream.systemlab.phases.ordering_checks import Found, Log, ordering_checks
from sessionstream.systemlab.v1.lab_pb2 import NoteEntity, NoteStartedEvent

from .phases import check, folder, press, verdicts
from .watching import Watching

A, B = SESSIONS
RISING = "1700000000001-0"


@pytest.fixture
async def ordering(tmp_path: Path) -> AsyncIterator[Ordering]:
    phase = Ordering(tmp_path)
    await phase.start()
    yield phase
    await phase.close()


def event(session: str, ordinal: int, event_id: str) -> Event:
    return Event(NOTE_STARTED, NoteStartedEvent(note_id=event_id), session, ordinal, event_id)


def message(number: int, session: str, event_id: str, stream_id: str = "", **more: object) -> Carried:
    known = {"published_ordinal": "0", "deliveries": 1, "done": True} | more
    return Carried(number, session, NOTE_STARTED, event_id, stream_id, **known)  # type: ignore[arg-type]


def log(session: str, *events: Event, entities: Sequence[TimelineEntity] | None = None) -> Log:
    if entities is None:
        entities = [note(each.event_id, each.ordinal) for each in events]
    return Log(session, events, Snapshot(session, events[-1].ordinal if events else 0, tuple(entities)))


def note(name: str, ordinal: int) -> TimelineEntity:
    return TimelineEntity(NOTE, name, NoteEntity(note_id=name), ordinal, ordinal)


def verdict(id: str, messages: Sequence[Carried], *logs: Log, restarts: int = 1) -> tuple[str, str]:  # noqa: A002
    found = next(each for each in ordering_checks(Found(messages, logs, restarts)) if each.id == id)
    return found.verdict, found.because


GOOD = (
    [
        message(1, A, "x", RISING),
        message(2, B, "y"),
        message(3, A, "z", deliveries=2),
    ],
    log(A, event(A, 1_700_000_000_001_000_000, "x"), event(A, 1_700_000_000_001_000_001, "z")),
    log(B, event(B, 1, "y")),
)


def test_good_data_passes_every_check() -> None:
    messages, *logs = GOOD
    assert {each.verdict for each in ordering_checks(Found(messages, logs, 1))} == {"passed"}


def test_without_data_every_check_waits() -> None:
    found = Found([], [log(A), log(B)], 0)
    assert {each.verdict for each in ordering_checks(found)} == {"waiting"}


def test_a_publisher_that_gives_an_ordinal_is_noticed() -> None:
    assert verdict("published-without", [message(1, A, "x", published_ordinal="7")]) == ("failed", "message 1 says 7")
    assert verdict("published-without", [message(1, A, "x", published_ordinal="")]) == (
        "failed",
        "message 1 says nothing",
    )


@pytest.mark.parametrize("second", [1, 2])
def test_an_ordinal_that_does_not_rise_is_noticed(second: int) -> None:
    found = verdict("rising", [], log(A, event(A, 2, "x"), event(A, second, "y")))
    assert found == ("failed", f"in {A}, {second} comes after 2")


@pytest.mark.parametrize(
    ("stream_id", "ordinal", "due"),
    [
        (RISING, 1, derive_ordinal(RISING)),
        ("", derive_ordinal(RISING), 1),
        ("no-stream-id", 2, 1),
    ],
)
def test_an_ordinal_that_the_rule_does_not_give_is_noticed(stream_id: str, ordinal: int, due: int) -> None:
    found = verdict("assigned", [message(1, A, "x", stream_id)], log(A, event(A, ordinal, "x")))
    assert found == ("failed", f"{A} assigned {ordinal}, and the rule gives {due} (stream id {stream_id!r})")


def test_a_derived_ordinal_below_the_cursor_is_noticed() -> None:
    messages = [message(1, A, "x", "1700000000009-0"), message(2, A, "y", RISING)]
    first = 1_700_000_000_009_000_000
    found = verdict("assigned", messages, log(A, event(A, first, "x"), event(A, first + 2, "y")))
    assert found[0] == "failed"
    assert f"assigned {first + 2}, and the rule gives {first + 1}" in found[1]


def test_events_logged_in_another_order_are_noticed() -> None:
    messages = [message(1, A, "x"), message(2, A, "y")]
    found = verdict("in-order", messages, log(A, event(A, 1, "y"), event(A, 2, "x")))
    assert found == ("failed", f"in {A}, message 2 was logged before message 1")


def test_an_event_in_another_session_is_noticed() -> None:
    found = verdict("apart", [message(1, B, "x")], log(A, event(A, 1, "x")), log(B))
    assert found == ("failed", f"ordinal 1 of {A} went to an event of {B}")


def test_a_second_ordinal_is_noticed() -> None:
    twice = [message(1, A, "x", deliveries=2)]
    assert verdict("once", twice, log(A, event(A, 1, "x"), event(A, 2, "x"))) == ("failed", "event 'x' has 2 ordinals")
    found = verdict("once", twice, log(A, event(A, 1, "x"), event(A, 2, "x-again")))
    assert found == ("failed", f"ordinal 2 of {A} went to event 'x-again', which was never published")


def test_a_message_that_is_in_no_log_is_noticed() -> None:
    found = verdict("nothing-lost", [message(1, A, "x")], log(A))
    assert found == ("failed", f"message 1 of {A} was delivered, but is in no log")


def test_a_message_that_waits_is_not_lost() -> None:
    waiting = [message(1, A, "x", done=False)]
    assert verdict("nothing-lost", waiting, log(A)) == ("waiting", "1 message waiting in the bus.")
    assert verdict("nothing-lost", waiting, log(A), restarts=0) == ("waiting", "Restart the consumer.")


def test_a_timeline_that_is_not_what_the_log_says_is_noticed() -> None:
    found = verdict("as-folded", [], log(A, event(A, 1, "x"), entities=()))
    assert found == ("failed", f"{A}: Note x is missing")


# -- the page --------------------------------------------------------------------------------------------------------


async def use(phase: Phase) -> State:
    """Press what lets every check be judged."""
    await press(phase, "burst", events=7, ids="derived", twice=True)
    await press(phase, "restart", meanwhile=6)
    return await press(phase, "burst", events=6, ids="missing")


async def test_every_promise_is_kept_with_stream_ids_of_every_kind(ordering: Ordering) -> None:
    assert set(verdicts(await ordering.state()).values()) == {"waiting"}
    for kind in ("missing", "invalid", "swapped", "repeated", "derived"):
        await press(ordering, "burst", events=5, ids=kind)
    state = await use(ordering)
    assert set(verdicts(state).values()) == {"passed"}, state.checks
    assert state.to_json()


async def test_the_table_shows_where_each_ordinal_comes_from(ordering: Ordering) -> None:
    await press(ordering, "burst", session="a", second="", events=2, ids="missing")
    await press(ordering, "burst", session="a", second="", events=2, ids="swapped")
    state = await press(ordering, "burst", session="a", second="", events=4, ids="invalid")
    table = next(panel for panel in state.panels if panel.id == "ordinals")
    assert isinstance(table, Table)
    high = 1_700_000_000_002_000_000
    assert [row[2:5] for row in table.rows] == [
        ("0", 1, "cursor + 1"),
        ("0", 2, "cursor + 1"),
        ("0", high, "stream id"),
        ("0", high + 1, "cursor + 1"),
        ("0", high + 2, "cursor + 1"),
        ("0", high + 3, "cursor + 1"),
        ("0", high + 4, "cursor + 1"),
        ("0", high + 5, "cursor + 1"),
    ]
    assert [row[5:] for row in table.rows[1:5]] == [
        ("none", "none"),
        ("1700000000002-0", high),
        ("1700000000001-0", 1_700_000_000_001_000_000),
        ("not-a-stream-id", "none"),
    ]


async def test_one_session_alone_can_be_sent_to(ordering: Ordering) -> None:
    state = await press(ordering, "burst", session="b", second="", events=3)
    assert check(state, "apart").because == f"Send a burst to {A}."
    assert dict(state.facts)[f"Events in {B}"] == 3


@pytest.mark.parametrize(
    ("promise", "judged_by"),
    [
        ("numbers", "published-without"),
        ("backwards", "rising"),
        ("stream-ids", "assigned"),
        ("swaps", "in-order"),
        ("misdelivers", "apart"),
        ("renames", "once"),
        ("loses", "nothing-lost"),
        ("forgets", "nothing-lost"),
        ("drops-entities", "as-folded"),
    ],
)
async def test_a_broken_promise_is_noticed_and_a_reset_mends_it(tmp_path: Path, promise: str, judged_by: str) -> None:
    broken = Ordering(folder(tmp_path, "broken"))
    await broken.start()
    assert verdicts(await use(broken))[judged_by] == "passed"
    await press(broken, "break", promise=promise)
    state = await use(broken)
    await broken.close()
    assert check(state, judged_by).verdict == "failed"
    fresh = Ordering(folder(tmp_path, "fresh"))
    await fresh.start()
    assert set(verdicts(await use(fresh)).values()) == {"passed"}
    await fresh.close()


async def test_a_promise_may_be_kept_again(ordering: Ordering) -> None:
    await press(ordering, "break", promise="stream-ids")
    await press(ordering, "break", promise="none")
    assert verdicts(await use(ordering))["assigned"] == "passed"


# -- browsers --------------------------------------------------------------------------------------------------------


def client(phase: Ordering, name: str, session: str) -> Watching:
    return Watching(
        phase,
        name,
        session,
        lambda payload: payload.get("text", ""),
        lambda _, payload: (payload["noteId"], payload.get("text", "")),
    )


def rows(state: State, panel: str) -> list[tuple[object, ...]]:
    [table] = [each for each in state.panels if each.id == panel]
    assert isinstance(table, Table)
    return list(table.rows)


def sent(state: State, name: str, kind: str = "uiEvent") -> list[object]:
    """Return the ordinals of the frames that a client was sent."""
    return [ordinal for who, _, frame, ordinal, _ in rows(state, "frames") if (who, frame) == (name, kind)]


def logged(state: State, session: str) -> list[object]:
    """Return the assigned ordinals of a session, in the order of its log."""
    return [row[0] for row in rows(state, f"log-{SESSIONS.index(session) + 1}")]


async def test_a_browser_is_sent_the_assigned_ordinals_once_each(ordering: Ordering) -> None:
    watching = [client(ordering, f"of {session}", session) for session in SESSIONS]
    for each in watching:
        await each.connect()
        await each.until(0)
    for kind in ("missing", "swapped", "invalid"):
        await press(ordering, "burst", events=4, ids=kind, twice=True)
    state = await ordering.state()
    assert state.watched == SESSIONS
    for each in watching:
        ordinals = logged(state, each.session_id)
        assert len(ordinals) == 12
        assert sent(state, each.name) == ordinals
        await each.until(int(str(ordinals[-1])))
        await each.leave()


async def test_a_browser_gets_the_rest_of_the_next_consumer(ordering: Ordering) -> None:
    await press(ordering, "burst", events=3)
    browser = client(ordering, "browser", A)
    await browser.connect()
    await browser.until(0)
    held = browser.ordinal
    state = await press(ordering, "restart", meanwhile=4)
    assert await browser.ended() == 1012  # come back
    await browser.connect()
    last = int(str(logged(state, A)[-1]))
    await browser.until(last)
    state = await ordering.state()
    assert f"changed since {held}" in str(rows(state, "frames"))
    assert browser.ordinal == last
    assert list(browser.held.values()) == ["word-1", "word-1 word-2"]
    await browser.leave()


async def test_there_is_no_server_after_the_end(ordering: Ordering) -> None:
    await ordering.close()
    assert ordering.server is None


async def test_closing_twice_is_closing(tmp_path: Path) -> None:
    phase = Ordering(tmp_path)
    await phase.start()
    await phase.close()
    await phase.close()
    with pytest.raises(SessionstreamError, match="not started, or closed"):
        await phase.state()
