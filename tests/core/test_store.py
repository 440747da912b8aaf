"""Commit checks that its fields are consistent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    TokensDeltaEvent,
)
from sessionstream.store import Commit, Cursors
from sessionstream.types import Event, TimelineEntity

EVENT = Event("Said", TokensDeltaEvent(chunk="x"), "s", 5, "id-5")


def entity(ordinal: int) -> TimelineEntity:
    return TimelineEntity("Text", "1", ChatMessageEntity(text="x"), 1, ordinal)


def test_a_session_is_held_while_its_log_is_ahead() -> None:
    assert Cursors(event=3, timeline=2, epoch=1).held
    assert not Cursors(event=3, timeline=3, epoch=1).held


def test_a_commit_knows_both_cursors() -> None:
    applied = Commit("s", EVENT, (entity(5),), 4, 5)
    assert (applied.event_cursor, applied.timeline_before) == (5, 4)
    resumed = Commit("s", None, (entity(3),), 5, 3, expected_timeline=2)
    assert (resumed.event_cursor, resumed.timeline_before) == (5, 2)


@pytest.mark.parametrize(
    ("event", "expected", "cursor", "timeline"),
    [
        (replace(EVENT, session_id="other"), 4, 5, None),
        (EVENT, 5, 5, None),
        (EVENT, 6, 6, None),
        (replace(EVENT, event_id=""), 4, 5, None),
        (EVENT, 4, 6, None),  # beyond the log
        (EVENT, 4, 3, None),  # back
        (None, 5, 5, None),  # nothing happens
        (None, 5, 2, 2),
        (None, 5, 6, 2),
    ],
)
def test_a_commit_that_contradicts_itself_is_refused(
    event: Event | None, expected: int, cursor: int, timeline: int | None
) -> None:
    with pytest.raises(ValueError, match="a commit"):
        Commit("s", event, (), expected, cursor, expected_timeline=timeline)


@pytest.mark.parametrize("ordinal", [4, 6])
def test_entities_belong_to_the_event_that_changed_them(ordinal: int) -> None:
    with pytest.raises(ValueError, match="'Text' '1'"):
        Commit("s", EVENT, (entity(ordinal),), 4, 5)


def test_an_event_that_waits_changes_no_entity() -> None:
    assert Commit("s", EVENT, (), 4, 2, expected_timeline=2).timeline_cursor == 2
    with pytest.raises(ValueError, match="'Text' '1'"):
        Commit("s", EVENT, (entity(2),), 4, 2, expected_timeline=2)
