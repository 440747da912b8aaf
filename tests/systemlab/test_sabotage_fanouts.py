"""Ways to break the promises of delivery: each does the wrong that it says, and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sessionstream import Event, Session, Snapshot, TimelineView, UIEvent, UIFanout
from sessionstream.systemlab.conversations import Cable, Message
from sessionstream.systemlab.sabotage.fanouts import Dropping, Hasty, Passing, Reordering, Repeating
from sessionstream.systemlab.sabotage.lines import Overtaking, Swapping
from sessionstream.systemlab.sabotage.sources import Held, OneEpoch, Stale
from sessionstream.systemlab.v1.lab_pb2 import NoteUpdate, NoteWordEvent
from sessionstream.testing import RecordingFanout

TOLD = UIEvent("NoteUpdated", NoteUpdate(note_id="n"))


def told(make: type[Passing], *ordinals: int) -> list[tuple[int, int]]:
    """Ordinal and number of events of what comes out of a fan-out that is told these ordinals."""
    out = RecordingFanout()
    fanout: UIFanout = make(out)
    for ordinal in ordinals:
        fanout.publish_ui("s", ordinal, [TOLD])
    return [(ordinal, len(events)) for _, ordinal, events in out.published]


def test_passing_changes_nothing() -> None:
    assert told(Passing, 1, 2, 3) == [(1, 1), (2, 1), (3, 1)]


def test_dropping_loses_every_third() -> None:
    assert [ordinal for ordinal, _ in told(Dropping, 1, 2, 3, 4, 5, 6, 7)] == [1, 2, 4, 5, 7]


def test_repeating_tells_everything_twice() -> None:
    assert told(Repeating, 1, 2) == [(1, 2), (2, 2)]


def test_reordering_swaps_neighbours_within_a_session() -> None:
    assert [ordinal for ordinal, _ in told(Reordering, 1, 2, 3)] == [2, 1]
    out = RecordingFanout()
    fanout = Reordering(out)
    for session_id, ordinal in (("a", 1), ("b", 1), ("b", 2), ("a", 2)):
        fanout.publish_ui(session_id, ordinal, [TOLD])
    assert [(session_id, ordinal) for session_id, ordinal, _ in out.published] == [
        ("b", 2),
        ("b", 1),
        ("a", 2),
        ("a", 1),
    ]


def test_resync_is_passed_on_to_fanouts_that_have_it() -> None:
    class Server(RecordingFanout):
        resynced: tuple[str, int, int] | None = None

        def resync(self, session_id: str, ordinal: int, epoch: int, /) -> None:
            self.resynced = (session_id, ordinal, epoch)

    server = Server()
    Dropping(server).resync("s", 1, 2)
    Dropping(RecordingFanout()).resync("s", 1, 2)
    assert server.resynced == ("s", 1, 2)


class Nothing:
    ordinal = 6

    def get(self, kind: str, id: str) -> None:  # noqa: A002 - as in the port
        return None

    def list(self, kind: str = "") -> list[Any]:
        return []


def test_hasty_sends_before_the_commit_if_it_has_a_fanout() -> None:
    def project(event: Event, _session: Session, _view: TimelineView) -> list[UIEvent]:
        return [TOLD]

    hasty, out = Hasty(project), RecordingFanout()
    event = Event("NoteWord", NoteWordEvent(note_id="n", word="w"), "s", 7)
    assert hasty.project(event, Session("s", None), Nothing()) == []
    hasty.fanout = out
    assert hasty.project(event, Session("s", None), Nothing()) == []
    assert [(session_id, ordinal) for session_id, ordinal, _ in out.published] == [("s", 7)]


class Source:
    """A source whose session moves on, and changes its epoch, each time that it is looked at."""

    def __init__(self) -> None:
        self.ordinal = 0

    async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
        self.ordinal += 1
        return Snapshot(session_id, self.ordinal, (), epoch=100 + self.ordinal)


async def test_a_held_source_takes_a_snapshot_at_once_and_gives_it_when_it_is_let_go() -> None:
    source = Source()
    held = Held(source)
    assert (await held.snapshot("s")).snapshot_ordinal == 1
    held.hold()
    asked = asyncio.create_task(held.snapshot("s"))
    await held.until_waiting()
    assert (held.holds, held.waiting, source.ordinal, asked.done()) == (True, 1, 2, False)
    held.let_go()
    assert (await asked).snapshot_ordinal == 2
    assert (held.holds, held.waiting) == (False, 0)


async def test_a_stale_source_stays_where_it_was() -> None:
    stale = Stale(Source())
    assert [(await stale.snapshot("s", since=since)).snapshot_ordinal for since in (None, None, 1)] == [1, 1, 1]
    assert (await stale.snapshot("other")).snapshot_ordinal == 2


async def test_one_epoch_is_claimed_for_ever_and_everything_else_is_as_it_is() -> None:
    source = OneEpoch(Source())
    found = [await source.snapshot("s"), await source.snapshot("s", since=1)]
    assert [(snapshot.snapshot_ordinal, snapshot.epoch) for snapshot in found] == [(1, 101), (2, 101)]


def sent(kind: str, number: int = 0) -> Message:
    return {"type": "websocket.send", "text": json.dumps({kind: {"eventOrdinal": str(number)}})}


ACCEPT: Message = {"type": "websocket.accept"}
SNAPSHOT, FIRST, SECOND, THIRD = sent("snapshot"), sent("uiEvent", 1), sent("uiEvent", 2), sent("uiEvent", 3)


def carried(line: Any, *messages: Message) -> list[Message]:
    return [out for message in messages for out in line.carry(message)]


def test_a_cable_carries_what_it_is_given() -> None:
    assert carried(Cable(), ACCEPT, SNAPSHOT, FIRST) == [ACCEPT, SNAPSHOT, FIRST]


def test_an_event_overtakes_the_snapshot_before_it() -> None:
    assert carried(Overtaking(), ACCEPT, SNAPSHOT, sent("subscribed"), FIRST, SECOND) == [
        ACCEPT,
        sent("subscribed"),
        FIRST,
        SNAPSHOT,
        SECOND,
    ]


def test_neighbours_are_swapped_and_nothing_else() -> None:
    assert carried(Swapping(), ACCEPT, SNAPSHOT, FIRST, SECOND, THIRD) == [ACCEPT, SNAPSHOT, SECOND, FIRST]
