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

from sessionstream.transport.ws.server.limits import Limits

from ..world import Change, SessionModel, Wire

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

    def commit_elsewhere(self, session_id: str, changes: list[Change]) -> None:
        self.fan_out(session_id)
        self.sessions[session_id].commit_elsewhere(changes)

    def fan_out(self, session_id: str) -> None:
        session = self.sessions[session_id]
        unsent, session.unsent = session.unsent, None
        for wire in self.wires:
            if isinstance(unsent, int) and session.told[unsent]:
                wire.tell(session.batch(unsent))
            elif unsent == "resync":
                wire.resync(session_id, session.ordinal, session.epoch)

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

    def revoke(self, number: int, session_id: str) -> None:
        self.wires[number].revoke(session_id)

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


# Most of it happens to one session on one connection: that is where the races are.
sessions = st.sampled_from(["a", "a", "a", "b"])
wires = st.sampled_from([0, 0, 0, 1])
often = st.sampled_from([True, True, True, False])
bursts: st.SearchStrategy[list[list[Change]]] = st.sampled_from(
    [
        [],
        [[("x", "1")]],
        [[("x", "2")], [("y", "1")]],
        [[("y", "2")], [], [("x", "3"), ("y", "3")]],
        [[("x", None)], [("x", "4")], [("z", "1")]],
        [[("x", "5")], [("y", None)], [("z", "2")], [("x", "6")]],
    ]
)
"""Events one after the other; the last is more than a connection keeps."""

disturbances = st.sampled_from(
    [
        *[None] * 6,
        "subscribe",
        "unsubscribe",
        "unsubscribe",
        "conflate",
        "rebuild",
        "elsewhere",
        "elsewhere",
        "refuse",
        "revoke",
        "fail",
        "read",
        "lose",
    ]
)
gaps = st.tuples(bursts, often, disturbances)
"""What happens between two steps: events, whether each is fanned out at once, and what else."""

Gap = tuple[list[list[Change]], bool, str | None]
STEPS = 4
"""Of a hydration: the client is allowed, the load begins, the source reads, its answer arrives."""


class SessionMachine(RuleBasedStateMachine):
    """The world in the hands of Hypothesis. Its main rule is a whole hydration, with something in each of its gaps."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(
        number=wires,
        session_id=sessions,
        live=st.booleans(),
        unread=bursts,
        why=st.sampled_from(["subscribe", "subscribe", "conflate", "rebuild", "elsewhere"]),
        delta=often,
        hold=often,
        gaps=st.lists(gaps, min_size=STEPS, max_size=STEPS + 2),
        settled=often,
    )
    def hydrate(
        self,
        number: int,
        session_id: str,
        live: bool,
        unread: list[list[Change]],
        why: str,
        delta: bool,
        hold: bool,
        gaps: list[Gap],
        settled: bool,
    ) -> None:
        if live:
            self.world.subscribe(number, session_id, delta=delta, hold=hold)
            self.world.settle()
        self.publish(session_id, unread, True)
        if why == "subscribe":
            self.world.subscribe(number, session_id, delta=delta, hold=hold)
        else:
            self.disturb(number, session_id, why, hold)
        for gap in gaps:
            self.meanwhile(number, session_id, gap, hold)
            self.world.progress(number, 0)
        if settled:
            self.world.settle()

    @rule(number=wires, session_id=sessions, gap=gaps, hold=often)
    def meanwhile(self, number: int, session_id: str, gap: Gap, hold: bool) -> None:
        happening, told, disturbance = gap
        self.publish(session_id, happening, told)
        self.disturb(number, session_id, disturbance, hold)

    def publish(self, session_id: str, happening: list[list[Change]], told: bool) -> None:
        for changes in happening:
            self.world.commit(session_id, changes)
            if told:
                self.world.fan_out(session_id)

    def disturb(self, number: int, session_id: str, what: str | None, hold: bool) -> None:
        match what:
            case "subscribe":
                self.world.subscribe(number, session_id, delta=hold, hold=hold)
            case "unsubscribe":
                self.world.unsubscribe(number, session_id)
            case "conflate":
                self.world.conflate(number, session_id)
            case "rebuild":
                self.world.swap(session_id)
                self.world.fan_out(session_id)
            case "elsewhere":
                self.world.commit_elsewhere(session_id, [("e", "1")])
                self.world.fan_out(session_id)
            case "refuse":
                self.world.refuse(number)
            case "revoke":
                self.world.revoke(number, session_id)
            case "fail":
                self.world.progress(number, 0, fail=True)
            case "lose":
                self.world.reconnect(number, hold=hold)
            case "read":
                self.world.read(number, 9)

    def teardown(self) -> None:
        self.world.settle()


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=8)


WEIGHTS = {
    "commit": 90,
    "fan_out": 90,
    "progress": 90,
    "read": 45,
    "subscribe": 9,
    "swap": 6,
    "elsewhere": 9,
    "conflate": 6,
    "fail": 3,
    "unsubscribe": 1,
    "refuse": 1,
    "revoke": 1,
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
            case "elsewhere":
                world.commit_elsewhere(session_id, [(random.choice("xyz"), "3")])
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
            case "revoke":
                world.revoke(number, session_id)
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
