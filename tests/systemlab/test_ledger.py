"""What the hub told is kept and passed on, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Sequence

from sessionstream import UIEvent
from sessionstream.systemlab.ledger import Ledger, Places
from sessionstream.systemlab.v1.lab_pb2 import NoteUpdate
from sessionstream.testing import RecordingFanout

TOLD = UIEvent("NoteUpdated", NoteUpdate(note_id="n"))


class Server(RecordingFanout):
    def __init__(self) -> None:
        super().__init__()
        self.resynced: list[tuple[str, int, int]] = []

    def resync(self, session_id: str, ordinal: int, epoch: int, /) -> None:
        self.resynced.append((session_id, ordinal, epoch))


def test_batches_are_kept_and_passed_on() -> None:
    ledger, server = Ledger(Places(), kept=2), Server()
    ledger.publish_ui("s", 1, [TOLD])
    ledger.pass_on_to(server)
    ledger.publish_ui("s", 2, [TOLD, TOLD])
    ledger.publish_ui("s", 5, [TOLD])
    ledger.resync("s", 5, 9)
    assert [(batch.ordinal, len(batch.events)) for batch in ledger.batches("s")] == [(2, 2), (5, 1)]
    assert (ledger.told("s"), ledger.told("other"), ledger.batches("other")) == (5, 0, [])
    assert [ordinal for _, ordinal, _ in server.published] == [2, 5]
    assert server.resynced == [("s", 5, 9)]


def test_a_fanout_that_is_a_plain_one_is_told_of_no_resync() -> None:
    ledger = Ledger(Places())
    ledger.resync("s", 1, 2)

    class Plain:
        def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None: ...

    ledger.pass_on_to(Plain())
    ledger.resync("s", 1, 3)


def test_an_epoch_ends_when_another_one_is_told_of() -> None:
    places = Places()
    ledger = Ledger(places)
    before = places.take()
    assert not ledger.ended("s", 7, before)
    ledger.resync("s", 1, 8)
    after = places.take()
    assert (ledger.ended("s", 7, before), ledger.ended("s", 7, after)) == (False, True)
    assert (ledger.ended("s", 8, after), ledger.ended("other", 7, after)) == (False, False)
