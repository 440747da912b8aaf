"""The follower among other processes: every client hears every UI event once and in order, or gets a snapshot.

A session's log is moved by this hub and by another process, rebuilt by either, and its recorded moves and hints get
lost. Answers of the store come late. Clients join, load snapshots and leave at any time. The same machine has to find
a fault in followers that lack one rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sessionstream import UIEvent
from sessionstream.feed import Hint, Move, Moves, Position
from sessionstream.hub.follower import Follower, Watched

SESSION = "s-1"


@dataclass
class Store:
    """One session: its timeline's position and moves, and of those the ones that are recorded for other processes."""

    position: Position = field(default_factory=lambda: Position(0, 1))
    moves: list[Move] = field(default_factory=list)
    recorded: list[Move] = field(default_factory=list)
    epochs: int = 1

    def commit(self, told: bool, recorded: bool) -> Move:
        before, epoch = self.position
        events = (UIEvent("Told", StringValue(value=str(before + 1))),) if told else ()
        move = Move(before, before + 1, epoch, events)
        self.moves.append(move)
        if recorded:
            self.recorded.append(move)
        self.position = Position(before + 1, epoch)
        return move

    def replace(self) -> None:
        self.epochs += 1
        self.position = Position(self.position.ordinal, self.epochs)

    def missed(self, position: Position, up_to: int) -> list[int]:
        """Return the ordinals of this epoch with UI events, above a position and below another ordinal."""
        return [
            move.ordinal
            for move in self.moves
            if move.epoch == position.epoch and position.ordinal < move.ordinal < up_to and move.ui_events
        ]


class Question:
    """A question of the follower, with the answer of the instant at which it was asked."""

    def __init__(self, early: Sequence[Moves], late: Callable[[], Sequence[Moves]]) -> None:
        self.early = early
        self.late = late
        self.answered: asyncio.Future[Sequence[Moves]] = asyncio.get_running_loop().create_future()


class LateFeed:
    """A Feed whose answers come when the machine says so."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.hint: Hint | None = None
        self.questions: list[Question] = []

    def follow(self, hint: Hint, /) -> Callable[[], None]:
        self.hint = hint

        def stop() -> None:
            self.hint = None

        return stop

    async def moves(self, known: Mapping[str, Position], /) -> Sequence[Moves]:
        question = Question(self.answer(known), lambda: self.answer(known))
        self.questions.append(question)
        return await question.answered

    def answer(self, known: Mapping[str, Position]) -> list[Moves]:
        found = []
        for session_id, position in known.items():
            present = self.store.position
            if present != position:
                newer = [
                    move
                    for move in self.store.recorded
                    if move.epoch == present.epoch and move.ordinal > position.ordinal
                ]
                found.append(Moves(session_id, present, newer if position.epoch == present.epoch else []))
        return found


class Client:
    """A subscriber as a transport serves it: a snapshot, then what is above it.

    Attributes:
        position: of what the client has seen; None while it loads.
        kept: events that came while it loads.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.position: Position | None = None
        self.kept: list[tuple[int, int]] = []
        self.snapshot: Position | None = None  # read, but not delivered yet

    def hears(self, ordinal: int, epoch: int) -> None:
        if self.position is None:
            self.kept.append((ordinal, epoch))
        elif ordinal > self.position.ordinal:
            assert epoch == self.position.epoch, "an event of another timeline"
            missed = self.store.missed(self.position, ordinal)
            assert not missed, f"event {ordinal} came to a client at {self.position} before {missed}"
            self.position = Position(ordinal, epoch)

    def resync(self, position: Position) -> None:
        held = self.position
        if held is None or held.epoch != position.epoch or held.ordinal < position.ordinal:
            self.position = self.snapshot = None
            self.kept.clear()

    def read(self) -> None:
        self.snapshot = self.store.position

    def delivered(self) -> None:
        assert self.snapshot is not None
        self.position, self.snapshot = self.snapshot, None
        kept, self.kept = self.kept, []
        for ordinal, epoch in kept:
            if epoch == self.position.epoch:
                self.hears(ordinal, epoch)


class FollowerMachine(RuleBasedStateMachine):
    """Two processes, one session, several clients of this process."""

    follower_class: ClassVar[type[Follower]] = Follower

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store = Store()
        self.feed = LateFeed(self.store)
        self.follower = self.follower_class(self.feed, self.publish, self.resync, self.failed, lambda _: None)
        self.clients: list[Client] = []
        self.unacknowledged: list[Move] = []
        self.hints = 0

    # -- the fan-out -------------------------------------------------------------------------------------------

    def publish(self, session_id: str, ordinal: int, events: Sequence[UIEvent], metadata: Mapping[str, str]) -> None:
        assert [event.payload for event in events] == [StringValue(value=str(ordinal))]
        epoch = self.follower.watched[session_id].epoch
        for client in self.clients:
            client.hears(ordinal, epoch)

    def resync(self, session_id: str, ordinal: int, epoch: int) -> None:
        for client in self.clients:
            client.resync(Position(ordinal, epoch))

    async def failed(self, session_id: str, ordinal: int, error: Exception) -> None:
        raise AssertionError((session_id, ordinal, error))

    def within(self, do: Callable[[], object]) -> None:
        """Do something within the event loop, then let every task run as far as it can."""

        async def run() -> None:
            do()
            for _ in range(10):
                await asyncio.sleep(0)

        failures: list[BaseException] = []
        self.loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
        self.loop.run_until_complete(run())
        if failures:
            raise failures[0]

    # -- what happens ------------------------------------------------------------------------------------------

    @rule(told=st.booleans(), recorded=st.booleans())
    def another_process_commits(self, told: bool, recorded: bool) -> None:
        self.store.commit(told, recorded)
        self.hints += 1

    @rule(told=st.booleans(), recorded=st.booleans())
    def this_hub_commits(self, told: bool, recorded: bool) -> None:
        self.unacknowledged.append(self.store.commit(told, recorded))

    @precondition(lambda self: self.unacknowledged)
    @rule()
    def a_commit_of_this_hub_is_acknowledged(self) -> None:
        self.within(lambda: self.acknowledge(self.unacknowledged.pop(0)))

    def acknowledge(self, move: Move) -> None:
        if self.follower.advance(SESSION, move.before, move.ordinal, move.epoch) and move.ui_events:
            for client in self.clients:
                client.hears(move.ordinal, move.epoch)

    @rule()
    def another_process_replaces_the_timeline(self) -> None:
        self.store.replace()
        self.hints += 1

    @precondition(lambda self: not self.unacknowledged)
    @rule()
    def this_hub_replaces_the_timeline(self) -> None:
        self.store.replace()
        position = self.store.position

        def replaced() -> None:
            self.follower.replaced(SESSION, position)
            self.resync(SESSION, *position)

        self.within(replaced)

    @precondition(lambda self: self.hints)
    @rule(arrives=st.booleans(), of_all=st.booleans())
    def a_hint_arrives_or_is_lost(self, arrives: bool, of_all: bool) -> None:
        self.hints -= 1
        if arrives and self.feed.hint is not None:
            self.within(lambda: self.feed.hint(None if of_all else {SESSION, "another"}))  # type: ignore[misc]

    @precondition(lambda self: self.store.recorded)
    @rule(data=st.data())
    def a_recorded_move_is_lost(self, data: st.DataObject) -> None:
        self.store.recorded.remove(data.draw(st.sampled_from(self.store.recorded)))

    @precondition(lambda self: self.feed.questions)
    @rule(late=st.booleans())
    def the_store_answers(self, late: bool) -> None:
        question = self.feed.questions.pop(0)
        if not question.answered.done():
            self.within(lambda: question.answered.set_result(question.late() if late else question.early))

    @precondition(lambda self: len(self.clients) < 3)
    @rule()
    def a_client_joins(self) -> None:
        self.clients.append(Client(self.store))
        self.within(lambda: self.follower.joined(SESSION))

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def a_client_leaves(self, data: st.DataObject) -> None:
        self.clients.remove(data.draw(st.sampled_from(self.clients)))
        self.within(lambda: self.follower.left(SESSION))

    @precondition(lambda self: any(client.position is None for client in self.clients))
    @rule(data=st.data())
    def a_snapshot_is_read_or_delivered(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from([each for each in self.clients if each.position is None]))
        if client.snapshot is None:
            client.read()
            client.kept.clear()
        else:
            self.deliver(client)

    def deliver(self, client: Client) -> None:
        position = client.snapshot
        assert position is not None

        def deliver() -> None:
            self.follower.loaded(SESSION, position)
            if client.snapshot is not None:  # else it was asked to load again
                client.delivered()

        self.within(deliver)

    # -- what holds --------------------------------------------------------------------------------------------

    @invariant()
    def who_is_not_watched_is_not_followed(self) -> None:
        assert (SESSION in self.follower.watched) == bool(self.clients)
        assert (self.feed.hint is not None) == bool(self.clients)

    def teardown(self) -> None:
        try:
            self.settle()
            for client in self.clients:
                assert client.position is not None
                assert client.position.epoch == self.store.position.epoch
                missed = self.store.missed(client.position, self.store.position.ordinal + 1)
                assert not missed, f"a client stays at {client.position} without {missed}"
        finally:
            self.within(self.follower.close)
            self.loop.close()

    def settle(self) -> None:
        """Acknowledge, answer, hint and load until nothing is left to do."""
        while self.unacknowledged:
            self.within(lambda: self.acknowledge(self.unacknowledged.pop(0)))
        for _ in range(3):
            self.answer_all()
            for client in self.clients:
                while client.position is None:
                    if client.snapshot is None:
                        client.read()
                    self.deliver(client)
                    self.answer_all()
            if self.feed.hint is not None:
                self.within(lambda: self.feed.hint(None))  # type: ignore[misc]
            self.answer_all()

    def answer_all(self) -> None:
        while self.feed.questions:
            self.the_store_answers(late=True)


TestFollower = FollowerMachine.TestCase


class IgnoresGaps(Follower):
    """Passes on whatever this hub commits."""

    def advance(self, session_id: str, before: int, ordinal: int, epoch: int) -> bool:
        watched = self.watched.get(session_id)
        if watched is not None and watched.ordinal < ordinal:
            watched.ordinal = ordinal
            return True
        return False


class TrustsTheRecord(Follower):
    """Takes the recorded moves for complete."""

    def _apply(self, answer: Moves, watched: Watched) -> Iterable[tuple[int, Exception]]:
        rows = [move for move in answer.moves if move.ordinal > watched.ordinal]
        chained = []
        for before, move in zip([watched.ordinal, *(row.ordinal for row in rows)], rows, strict=False):
            chained.append(Move(before, move.ordinal, move.epoch, move.ui_events))
        return super()._apply(Moves(answer.session_id, answer.position, chained), watched)


class IgnoresEpochs(Follower):
    """Takes every timeline of a session for the same."""

    def _apply(self, answer: Moves, watched: Watched) -> Iterable[tuple[int, Exception]]:
        return super()._apply(
            Moves(answer.session_id, Position(answer.position.ordinal, watched.epoch), answer.moves), watched
        )


class TrustsSnapshots(Follower):
    """Takes every snapshot for as new as what the fan-out was told before."""

    def loaded(self, session_id: str, position: Position) -> None:
        watched = self.watched.get(session_id)
        if watched is not None:
            watched.start = 0
        super().loaded(session_id, position)


@pytest.mark.parametrize(
    "broken",
    [IgnoresGaps, IgnoresEpochs, TrustsTheRecord, pytest.param(TrustsSnapshots, marks=pytest.mark.torture)],
)
def test_the_machine_finds_a_follower_that_lacks_a_rule(broken: type[Follower]) -> None:
    class Machine(FollowerMachine):
        follower_class = broken

    thorough = settings(max_examples=5_000, database=None, derandomize=True, phases=[Phase.generate])
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(Machine, settings=thorough)
