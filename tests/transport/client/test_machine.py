"""Whatever users, servers and networks do, a client keeps within the budget and every watcher is told the truth.

The client's conversation talks with a server in memory, see model_server.py. When everything has healed, the server
knows exactly the sessions that are watched, and each watcher has what the server has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionstream import Snapshot
from sessionstream.transport.ws.client.conversation import LOST, Conversation
from sessionstream.transport.ws.client.effects import Connect, Deliver, Disconnect, Effects, End, Send, StateChanged
from sessionstream.transport.ws.client.errors import SubscriptionEnded
from sessionstream.transport.ws.client.updates import LiveEvent, Update

from .model_server import ModelServer

SESSIONS = [f"s-{number}" for number in range(12)]
HEARTBEAT = 20.0


class Watcher:
    """One who watches: a snapshot at N, then exactly the events above N."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.ordinal: int | None = None
        self.value = ""
        self.ended: list[str] = []

    def give(self, update: Update) -> None:
        assert not self.ended
        if isinstance(update, LiveEvent):
            assert self.ordinal is not None, "an event before a snapshot"
            assert update.ordinal == self.ordinal + 1
            self.ordinal, self.value = update.ordinal, update.payload["v"]
            update.payload["v"] = "spoiled"  # it is this watcher's own
        else:
            assert isinstance(update, Snapshot)
            payloads: list[Any] = [entity.payload for entity in update.entities]
            self.ordinal, self.value = update.snapshot_ordinal, payloads[0]["v"] if payloads else ""
            for payload in payloads:
                payload["v"] = "spoiled"
        assert self.value == (str(self.ordinal) if self.ordinal else "")


class Conversations(RuleBasedStateMachine):
    """A client, a server, and whatever comes between them."""

    @initialize(
        burst=st.integers(16, 60),
        rate=st.sampled_from([2.0, 10.0, 50.0]),
        limit=st.integers(2, 12),
        tells=st.booleans(),
        draw=st.sampled_from([0.0, 0.5, 1.0]),
        early=st.lists(st.sampled_from(SESSIONS), unique=True, max_size=4),
        live=st.booleans(),
    )
    def begin(
        self, burst: int, rate: float, limit: int, tells: bool, draw: float, early: Sequence[str], live: bool
    ) -> None:
        self.now = 0.0
        if not tells:  # one of before, with limits below those that a client takes for granted; but it is not banned
            burst, rate = 100, rate * 2
        self.server = ModelServer(burst, rate, limit, tells)
        self.client = Conversation(draw=lambda: draw, heartbeat_seconds=HEARTBEAT)
        self.watchers: dict[int, Watcher] = {}
        self.count = 0
        self.attempted = self.connected = False
        self.known_from = math.inf  # refusals before the budget is known are nobody's fault
        self.perform(self.client.start(self.now))
        for session_id in early:
            self.watch(session_id)
        if live:
            self.settle()

    # -- what the client does ----------------------------------------------------------------------------------

    def perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Send(text):
                    assert self.connected
                    self.server.came.append(text)
                case Deliver(watcher, update):
                    self.watchers[watcher].give(update)
                case End(watcher, error):
                    assert isinstance(error, SubscriptionEnded)
                    self.watchers.pop(watcher).ended.append(error.code)
                    assert error.code in ("unauthorized", "unsubscribed"), error
                case Connect():
                    assert not self.connected
                    self.attempted = True
                case Disconnect():
                    self.attempted = self.connected = False
                    self.server.disconnect()
                case StateChanged():
                    pass

    @property
    def wanted(self) -> set[str]:
        return {watcher.session_id for watcher in self.watchers.values()}

    # -- what users do -----------------------------------------------------------------------------------------

    @rule(session_id=st.sampled_from(SESSIONS))
    def watch(self, session_id: str) -> None:
        if session_id in self.wanted or len(self.wanted) < self.server.subscriptions:
            self.count += 1
            self.watchers[self.count] = Watcher(session_id)
            self.perform(self.client.subscribe(session_id, self.count, self.now))

    @precondition(lambda self: self.watchers)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self._leave(data.draw(st.sampled_from(sorted(self.watchers))))

    def _leave(self, watcher: int) -> None:
        session_id = self.watchers.pop(watcher).session_id
        self.perform(self.client.unsubscribe(session_id, watcher, self.now))

    @rule(start=st.integers(0, 11), rows=st.integers(1, 40), shown=st.integers(1, 4))
    def scroll(self, start: int, rows: int, shown: int) -> None:
        """Pass over a list: the rows that come into sight are watched, those that leave it are left."""
        for number in range(rows):
            self.watch(SESSIONS[(start + number) % len(SESSIONS)])
            for watcher in list(self.watchers)[:-shown]:
                self._leave(watcher)

    @precondition(lambda self: self.connected)
    @rule()
    def flow(self) -> None:
        """Everything that is under way arrives."""
        while self.server.came or self.server.loads or self.server.said:
            self._step()

    @precondition(lambda self: self.connected and self.watchers)
    @rule(data=st.data(), events=st.sampled_from([1, 2, 300]), first=st.booleans())
    def join(self, data: st.DataObject, events: int, first: bool) -> None:
        """Something happens in a session, and then somebody else begins to watch it."""
        watcher = self.watchers[data.draw(st.sampled_from(sorted(self.watchers)))]
        self.publish(watcher.session_id, events)
        if first:
            self.flow()
        self.watch(watcher.session_id)

    @rule()
    def hurry(self) -> None:
        self.perform(self.client.hurry(self.now))

    # -- what the server and the network do --------------------------------------------------------------------

    @precondition(lambda self: self.attempted)
    @rule(outcome=st.sampled_from(["made", "made", "made", "refused", "unreachable"]))
    def attempt(self, outcome: str) -> None:
        self.attempted = False
        match outcome:
            case "made":
                self.connected = True
                self.server.connect(self.now)
                self.perform(self.client.opened(self.now))
            case "refused":
                self.perform(self.client.refused(503, self.now, told=3.0))
            case _:
                self.perform(self.client.unreachable("nobody is there", self.now))

    @precondition(lambda self: self.connected)
    @rule(code=st.sampled_from([LOST, 1012, 1013, 4321]))
    def cut(self, code: int) -> None:
        self.connected = False
        self.server.disconnect()
        self.perform(self.client.closed(code, "", self.now))

    @precondition(lambda self: self.server.came)
    @rule(frames=st.integers(1, 10))
    def handle(self, frames: int) -> None:
        for _ in range(min(frames, len(self.server.came))):
            self._handle()

    def _handle(self) -> None:
        knows = self.server.tells and self.known_from < self.now + 1e-9
        before = self.server.refused, self.server.crowded
        self.server.handle(self.now)
        if knows:
            assert (self.server.refused, self.server.crowded) == before, "the client went beyond the budget"

    @precondition(lambda self: self.server.said)
    @rule(frames=st.integers(1, 10))
    def hear(self, frames: int) -> None:
        for _ in range(frames):
            if self.server.said:
                self._hear()

    def _hear(self) -> None:
        text = self.server.said.popleft()
        self.perform(self.client.text(text, self.now))
        if '"budget"' in text and self.known_from == math.inf and not self.server.came:
            self.known_from = self.now

    @precondition(lambda self: self.server.loads)
    @rule(delta=st.booleans())
    def load(self, delta: bool) -> None:
        self.server.load(next(iter(self.server.loads)), delta=delta)

    @precondition(lambda self: self.server.watched)
    @rule(data=st.data(), code=st.sampled_from(["unauthorized", "snapshot_failed"]))
    def refuse(self, data: st.DataObject, code: str) -> None:
        loading = sorted(self.server.loads)
        session_ids = sorted(self.server.watched) if code == "unauthorized" else loading
        if session_ids:
            self.server.fail(data.draw(st.sampled_from(session_ids)), code)

    @rule(session_id=st.sampled_from(SESSIONS), events=st.sampled_from([1, 1, 3, 300]))
    def publish(self, session_id: str, events: int) -> None:
        for _ in range(events):
            self.server.publish(session_id)

    @rule(session_id=st.sampled_from(SESSIONS))
    def rebuild(self, session_id: str) -> None:
        self.server.rebuild(session_id)

    @precondition(lambda self: self.connected)
    @rule()
    def ping(self) -> None:
        self.server.say(ping={"nonce": "n"})

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 30.0]))
    def time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.client.deadline <= until:
            self._tick()
        self.now = until

    def _tick(self) -> None:
        self.now = max(self.now, self.client.deadline)
        self.perform(self.client.tick(self.now))

    # -- what is true ------------------------------------------------------------------------------------------

    @invariant()
    def those_who_watch_one_session_have_the_same(self) -> None:
        given: dict[str, set[int]] = {}
        for watcher in getattr(self, "watchers", {}).values():
            if watcher.ordinal is not None:
                given.setdefault(watcher.session_id, set()).add(watcher.ordinal)
        assert all(len(ordinals) == 1 for ordinals in given.values()), given

    def settle(self) -> None:
        """Everything heals: frames arrive, snapshots load, time passes. It has to come to rest."""
        for _ in range(5_000):
            if self.attempted:
                self.attempt("made")
            elif self._step():
                pass
            elif self.at_rest:
                return
            else:
                self._tick()
        raise AssertionError("it does not come to rest")

    def _step(self) -> bool:
        """Let one thing arrive, if there is one."""
        if self.server.came:
            self._handle()
        elif self.server.loads:
            self.server.load(next(iter(self.server.loads)), delta=True)
        elif self.server.said:
            self._hear()
        else:
            return False
        return True

    @property
    def at_rest(self) -> bool:
        return self.connected and self.client.deadline >= self.now + HEARTBEAT / 2

    def teardown(self) -> None:
        if not hasattr(self, "server"):
            return
        self.time(60.0)  # a connection of which nothing was heard is given up
        self.settle()
        assert self.server.watched == self.wanted
        for session_id in self.wanted:
            self.server.publish(session_id)
        self.settle()
        for watcher in self.watchers.values():
            assert watcher.ordinal == self.server.timelines[watcher.session_id].ordinal


TestConversations = Conversations.TestCase
TestConversations.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
