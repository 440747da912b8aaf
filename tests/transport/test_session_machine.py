"""Every client ends with what the store has: nothing missing, nothing twice, nothing out of order, whatever happens.

Twice: as a state machine, which Hypothesis steers and shrinks, and as many random schedules, which go further.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from sessionstream.transport.ws.limits import Limits

from .world import Change, SessionModel, Wire

SESSIONS = ("a", "b")
LIMITS = Limits(buffered_frames=3, frames_burst=100_000)


class World:
    """Two connections, two sessions. A commit and its fan-out, a load and its delivery, are steps of their own."""

    def __init__(self) -> None:
        self.sessions = {session_id: SessionModel(session_id) for session_id in SESSIONS}
        self.wires = [Wire(self.sessions, LIMITS) for _ in range(2)]

    def commit(self, session_id: str, changes: list[Change]) -> None:
        self.fan_out(session_id)  # the lane: one event at a time
        self.sessions[session_id].commit(changes)

    def swap(self, session_id: str) -> None:
        self.fan_out(session_id)
        self.sessions[session_id].swap()

    def fan_out(self, session_id: str) -> None:
        session = self.sessions[session_id]
        unsent, session.unsent = session.unsent, None
        for wire in self.wires:
            if isinstance(unsent, int) and session.told[unsent]:
                wire.tell(session.batch(unsent))
            elif unsent == "resync":
                wire.resync(session_id)

    def subscribe(self, number: int, session_id: str, *, delta: bool, hold: bool) -> None:
        wire = self._open(number)
        wire.say(wire.client.subscribe(session_id, delta=delta, hold=hold))

    def unsubscribe(self, number: int, session_id: str) -> None:
        wire = self._open(number)
        wire.read(len(wire.queue))
        wire.say(f'{{"unsubscribe":{{"sessionId":"{session_id}"}}}}')
        wire.client.views.pop(session_id, None)

    def refuse(self, number: int) -> None:
        for session_id in sorted(self.wires[number].questions)[:1]:
            self.wires[number].answer(session_id, allowed=False)

    def progress(self, number: int, pick: int, *, fail: bool = False) -> None:
        """Let one thing happen of those that are under way."""
        wire = self.wires[number]
        if wire.closed:
            return
        under_way: list[Callable[[], None]] = [
            *(partial(wire.answer, session_id, allowed=True) for session_id in sorted(wire.questions)),
            *(partial(wire.begin, session_id) for session_id in sorted(wire.loads)),
            *(partial(wire.take, session_id) for session_id in sorted(wire.begun)),
            *(partial(wire.fail if fail else wire.deliver, number) for number in range(len(wire.taken))),
        ]
        if under_way:
            under_way[pick % len(under_way)]()

    def conflate(self, number: int, session_id: str) -> None:
        self.wires[number].conflate(session_id)

    def read(self, number: int, count: int) -> None:
        self.wires[number].read(count)

    def reconnect(self, number: int, *, hold: bool) -> None:
        """The client loses the connection with whatever was not read; it comes back and subscribes to the same."""
        before = self.wires[number]
        wire = self.wires[number] = Wire(self.sessions, LIMITS)
        wire.client = before.client
        wire.client.disconnected()
        for session_id, view in list(wire.client.views.items()):
            delta = "delta" in view.asked
            wire.say(wire.client.subscribe(session_id, delta=delta, hold=hold))

    def settle(self) -> None:
        """Everything under way happens, and every client has to have what there is."""
        for session_id in SESSIONS:
            self.fan_out(session_id)
        for number in range(len(self.wires)):
            self._open(number).settle()

    def _open(self, number: int) -> Wire:
        if self.wires[number].closed:
            self.reconnect(number, hold=True)
        return self.wires[number]


sessions = st.sampled_from(SESSIONS)
wires = st.integers(0, 1)
changes = st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["1", "2", "3", None])), max_size=2)
often = st.sampled_from([True, True, True, False])


class SessionMachine(RuleBasedStateMachine):
    """The world in the hands of Hypothesis; few rules, so that every subset of them still leads somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(session_id=sessions, changes=changes, told=often)
    def publish(self, session_id: str, changes: list[Change], told: bool) -> None:
        self.world.commit(session_id, changes)
        if told:
            self.world.fan_out(session_id)

    @rule(session_id=sessions, told=often)
    def rebuild(self, session_id: str, told: bool) -> None:
        self.world.swap(session_id)
        if told:
            self.world.fan_out(session_id)

    @rule(number=wires, session_id=sessions, delta=often, hold=often, steps=st.integers(0, 3))
    def subscribe(self, number: int, session_id: str, delta: bool, hold: bool, steps: int) -> None:
        self.world.subscribe(number, session_id, delta=delta, hold=hold)
        self.progress(number, 0, steps, works=True)

    @rule(number=wires, pick=st.integers(0, 9), steps=st.integers(1, 4), works=often)
    def progress(self, number: int, pick: int, steps: int, works: bool) -> None:
        for step in range(steps):
            self.world.progress(number, pick + step, fail=not works)

    @rule(number=wires, count=st.integers(1, 9))
    def read(self, number: int, count: int) -> None:
        self.world.read(number, count)

    @rule(number=wires, session_id=sessions)
    def conflate(self, number: int, session_id: str) -> None:
        self.world.conflate(number, session_id)

    @rule(number=wires, session_id=sessions, what=st.sampled_from(["unsubscribe", "refuse", "reconnect"]), hold=often)
    def leave(self, number: int, session_id: str, what: str, hold: bool) -> None:
        match what:
            case "unsubscribe":
                self.world.unsubscribe(number, session_id)
            case "refuse":
                self.world.refuse(number)
            case _:
                self.world.reconnect(number, hold=hold)

    def teardown(self) -> None:
        self.world.settle()


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(stateful_step_count=40)


WEIGHTS = {
    "commit": 90,
    "fan_out": 90,
    "progress": 90,
    "read": 45,
    "subscribe": 9,
    "swap": 6,
    "conflate": 6,
    "fail": 3,
    "unsubscribe": 1,
    "refuse": 1,
    "reconnect": 1,
}


def run_schedule(seed: int, steps: int = 300) -> World:
    random, world = Random(seed), World()
    weights = {**WEIGHTS, "subscribe": random.randint(3, 18)}
    for what in random.choices(list(weights), list(weights.values()), k=steps):
        number, session_id, pick = random.randrange(2), random.choice(SESSIONS), random.randrange(10)
        match what:
            case "commit":
                keys = random.choices("xyz", k=random.choice([0, 1, 1, 2]))
                world.commit(session_id, [(key, random.choice(["1", "2", None])) for key in keys])
            case "fan_out":
                world.fan_out(session_id)
            case "progress":
                world.progress(number, pick)
            case "read":
                world.read(number, pick)
            case "subscribe":
                world.subscribe(number, session_id, delta=pick < 7, hold=pick < 5)
            case "swap":
                world.swap(session_id)
            case "conflate":
                world.conflate(number, session_id)
            case "fail":
                world.progress(number, pick, fail=True)
            case "unsubscribe":
                world.unsubscribe(number, session_id)
            case "refuse":
                world.refuse(number)
            case _:
                world.reconnect(number, hold=pick % 2 == 0)
    world.settle()
    return world


def test_random_schedules() -> None:
    events = deltas = snapshots = 0
    for seed in range(150):
        clients = [wire.client for wire in run_schedule(seed).wires]
        events += sum(client.events for client in clients)
        deltas += sum(client.deltas for client in clients)
        snapshots += sum(client.snapshots for client in clients)
    assert events > 1_000
    assert deltas > 100
    assert snapshots > 1_000


@pytest.mark.torture
@pytest.mark.parametrize("block", range(20))
def test_many_random_schedules(block: int) -> None:
    for seed in range(block * 1_000, (block + 1) * 1_000):
        run_schedule(seed)
