"""Checks of delivery: right data passes them, and each kind of wrong data fails the one that is about it."""

from __future__ import annotations

from typing import Any

import pytest

from sessionstream import UIEvent
from sessionstream.systemlab import delivery
from sessionstream.systemlab.checks import Check
from sessionstream.systemlab.conversations import Conversation, Conversations, Frame
from sessionstream.systemlab.delivery import Hydration
from sessionstream.systemlab.ledger import Batch, Ledger, Places
from sessionstream.systemlab.v1.lab_pb2 import NoteUpdate
from sessionstream.transport.ws import ConnectionRecord

S = "s"
TOLD = UIEvent("NoteUpdated", NoteUpdate(note_id="n"))


def frame(kind: str, ordinal: int = 0, **facts: Any) -> Frame:
    return Frame(facts.pop("place", 1), "server", kind, S, ordinal, **{"told": ordinal, **facts})


def heard(*live: int, snapshot: int | None = 0, told: int | None = None, settled: bool = True) -> Hydration:
    frames = tuple(frame("uiEvent", ordinal, **({} if told is None else {"told": told})) for ordinal in live)
    return Hydration("A", None if snapshot is None else frame("snapshot", snapshot), frames, settled)


def batches(*ordinals: int, events: int = 1) -> list[Batch]:
    return [Batch(place, ordinal, (TOLD,) * events) for place, ordinal in enumerate(ordinals)]


def verdict(check: Check) -> str:
    return check.verdict


def test_a_snapshot_comes_first() -> None:
    assert verdict(delivery.snapshot_first([])) == "waiting"
    assert verdict(delivery.snapshot_first([heard(1)])) == "passed"
    wrong = delivery.snapshot_first([heard(1), heard(1, 2, snapshot=None)])
    assert (wrong.verdict, wrong.because) == ("failed", "A received 1 before any snapshot")
    assert wrong.evidence == [
        {"client": "A", "snapshot": 0, "entities": 0, "live": "1"},
        {"client": "A", "live": "1-2"},
    ]


def test_ordinals_lie_above_the_snapshot_and_rise() -> None:
    assert verdict(delivery.in_order([heard()])) == "waiting"
    assert verdict(delivery.in_order([heard(3, 3, 7, snapshot=2)])) == "passed"
    assert delivery.in_order([heard(2, 3, snapshot=2)]).because == "A received 2 live after snapshot 2"
    assert delivery.in_order([heard(3, 5, 4, snapshot=2)]).because == "A received 4 after 5"


def test_none_is_missing() -> None:
    log = batches(1, 2, 4, 5)
    assert verdict(delivery.none_missing([heard()], [])) == "waiting"
    assert verdict(delivery.none_missing([heard(2, 4, 5, snapshot=1), heard(4, 5, snapshot=2)], log)) == "passed"
    gap = delivery.none_missing([heard(1, 5)], log)
    assert (gap.verdict, gap.because) == ("failed", "A, with a snapshot at 0, never received 2, 4")
    assert verdict(delivery.none_missing([heard(1, 5, settled=False)], log)) == "failed"


def test_the_last_events_are_missing_only_when_nothing_is_on_its_way() -> None:
    log = batches(1, 2, 3)
    assert verdict(delivery.none_missing([heard(1, settled=False)], log)) == "passed"
    assert delivery.none_missing([heard(1)], log).because.endswith("never received 2-3")
    assert delivery.none_missing([heard()], log).verdict == "failed"


def test_none_comes_twice() -> None:
    assert verdict(delivery.none_twice([], [])) == "waiting"
    assert verdict(delivery.none_twice([heard(1, 1, 2, 2)], batches(1, 2, events=2))) == "passed"
    twice = delivery.none_twice([heard(1, 2, 2)], batches(1, 2))
    assert (twice.verdict, twice.because) == ("failed", "A received 2 2 times, and it was sent 1 time")


def test_nothing_is_told_before_it_is_true() -> None:
    assert verdict(delivery.true_first([])) == "waiting"
    assert verdict(delivery.true_first([heard(1, 2)])) == "passed"
    early = delivery.true_first([heard(3, told=2)])
    assert (early.verdict, early.because) == (
        "failed",
        "A was sent 3 when 2 was the latest committed event",
    )


def test_a_few_faults_are_named_and_the_others_counted() -> None:
    assert delivery.in_order([heard(5, 4, 3, 2, 1)]).because.endswith("A received 2 after 3; and 1 more")


class Said:
    """One conversation, said frame by frame."""

    def __init__(self) -> None:
        self.places = Places()
        self.ledger = Ledger(self.places)
        self.conversation = Conversation("A", "c")

    def subscribe(self, since: int = 0, epoch: int = 0) -> None:
        self._add("client", "subscribe", since=since, epoch=epoch)

    def snapshot(self, ordinal: int, *, since: int = 0, epoch: int, asked: int | None = None) -> None:
        self._add("server", "snapshot", ordinal=ordinal, since=since, epoch=epoch, asked=asked or self.places.take())

    def _add(self, by: Any, kind: str, **facts: Any) -> None:
        self.conversation.frames.append(Frame(self.places.take(), by, kind, S, **facts))

    def judged(self) -> Check:
        return delivery.one_epoch([self.conversation], S, self.ledger)


def test_a_delta_within_an_epoch_is_right_and_a_full_snapshot_always_is() -> None:
    said = Said()
    said.subscribe()
    said.snapshot(3, epoch=7)
    assert said.judged().verdict == "waiting"
    said.subscribe(3, epoch=7)
    said.snapshot(5, since=3, epoch=7)
    said.ledger.resync(S, 5, 8)
    said.subscribe(5, epoch=7)
    said.snapshot(5, epoch=8)
    assert said.judged().verdict == "passed"


def test_a_delta_of_another_epoch_is_wrong() -> None:
    said = Said()
    said.subscribe(3, epoch=7)
    said.snapshot(5, since=3, epoch=8)
    assert said.judged().because == "A got the changes from 3 to 5 of epoch 8, and holds 7"


@pytest.mark.parametrize(("in_time", "verdict"), [(True, "passed"), (False, "failed")])
def test_a_delta_of_an_epoch_that_has_ended_is_wrong_unless_it_was_loading_then(in_time: bool, verdict: str) -> None:
    said = Said()
    said.subscribe(3, epoch=7)
    asked = said.places.take()
    said.ledger.resync(S, 5, 8)
    said.snapshot(5, since=3, epoch=7, asked=asked if in_time else None)
    assert said.judged().verdict == verdict


# -- how conversations are cut into hydrations -------------------------------------------------------------------------


def conversations(*frames: Frame) -> tuple[Conversations, Conversation]:
    places = Places()
    kept = Conversations(places, Ledger(places))
    conversation = kept.begin("A")
    conversation.connection_id = "c"
    conversation.frames += frames
    return kept, conversation


def test_each_snapshot_begins_a_hydration_and_only_the_last_is_settled() -> None:
    kept, _ = conversations(
        frame("snapshot", 1), frame("uiEvent", 2), frame("snapshot", 2), frame("uiEvent", 3), frame("uiEvent", 4)
    )
    found = delivery.hydrations(kept, S)
    assert [(h.snapshot and h.snapshot.ordinal, [f.ordinal for f in h.live], h.settled) for h in found] == [
        (1, [2], False),
        (2, [3, 4], True),
    ]


def test_a_hydration_is_not_settled_while_frames_wait_or_a_snapshot_loads() -> None:
    kept, conversation = conversations(frame("snapshot", 1))
    assert [h.settled for h in delivery.hydrations(kept, S)] == [True]
    assert [h.settled for h in delivery.hydrations(kept, S, waiting=["c"])] == [False]
    kept.observe(ConnectionRecord("load_started", "c", S))
    assert [h.settled for h in delivery.hydrations(kept, S)] == [False]
    kept.observe(ConnectionRecord("live", "c", S))
    assert [h.settled for h in delivery.hydrations(kept, S)] == [True]
    kept.end(conversation)
    assert [h.settled for h in delivery.hydrations(kept, S)] == [False]


def test_what_comes_after_an_unsubscribe_had_no_snapshot() -> None:
    kept, _ = conversations(frame("snapshot", 1), frame("unsubscribed"), frame("uiEvent", 2))
    first, second = delivery.hydrations(kept, S)
    assert (first.settled, second.snapshot) == (False, None)


def test_other_sessions_are_of_no_interest() -> None:
    kept, _ = conversations(Frame(1, "server", "snapshot", "other"), Frame(2, "client", "subscribe", S))
    assert delivery.hydrations(kept, S) == []
