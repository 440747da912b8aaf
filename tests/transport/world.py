"""A model for tests of the protocol: sessions whose timelines are folds of events, and clients that fold updates.

A client applies exactly what the wire contract says, and complains about whatever is missing, twice or out of order.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import TimelineEntity, UIEvent
from sessionstream.transport import frame_json
from sessionstream.transport.ws.server import frames
from sessionstream.transport.ws.server.conversation import Conversation
from sessionstream.transport.ws.server.effects import (
    Authorize,
    Close,
    Effects,
    Hydration,
    Join,
    Leave,
    Load,
    Send,
)
from sessionstream.transport.ws.server.frames import Batch, Frame
from sessionstream.transport.ws.server.limits import Limits

from .snapshots import snapshot_frame

Change = tuple[str, str | None]
"""Entity id and its new text; None deletes it."""


class SessionModel:
    """One session: what happened, and its timeline at every ordinal of this epoch.

    Attributes:
        told: the UI events by ordinal, which clients receive between snapshots.
    """

    def __init__(self, session_id: str) -> None:
        self.id = session_id
        self.epoch = 1
        self.ordinal = 0
        self.state: dict[str, str] = {}
        self.changed: dict[str, int] = {}
        self.told: dict[int, list[Change]] = {}
        self.unsent: int | str | None = None

    def commit(self, changes: list[Change]) -> None:
        """Log an event and apply it; its UI events are not fanned out yet."""
        self.ordinal += 1
        for key, text in changes:
            if text is None:
                self.state.pop(key, None)
            else:
                self.state[key] = text
            self.changed[key] = self.ordinal
        self.told[self.ordinal] = changes
        self.unsent = self.ordinal

    def commit_elsewhere(self, changes: list[Change]) -> None:
        """Another process publishes: nobody is told the event; clients are not informed yet."""
        self.commit(changes)
        self.unsent = "resync"

    def swap(self) -> None:
        """Rebuild the timeline with changed projections; clients are not informed yet."""
        self.epoch += 1
        self.state = {key: text + "'" for key, text in self.state.items()}
        self.unsent = "resync"

    def batch(self, ordinal: int) -> Batch:
        events = [UIEvent("Put", StringValue(value=json.dumps(change))) for change in self.told[ordinal]]
        written = tuple(frames.ui_event(self.id, ordinal, event)[0] for event in events)
        return Batch(self.id, ordinal, written)

    def load(self, load: Load) -> Hydration:
        """The snapshot of this moment, a delta where the client's basis allows it."""
        basis = load.basis
        since = basis.ordinal if basis and basis.epoch == self.epoch and basis.ordinal <= self.ordinal else 0
        keys = sorted(key for key, at in self.changed.items() if at > since and (since or key in self.state))
        entities = [frame_json.entity(self._entity(key)) for key in keys]
        epoch = self.epoch if load.epochs else 0
        frame = snapshot_frame(self.id, self.ordinal, entities, epoch=epoch, since=since)
        return Hydration(frame, self.ordinal, self.epoch, len(entities), delta=since > 0)

    def _entity(self, key: str) -> TimelineEntity:
        text = self.state.get(key)
        payload = None if text is None else StringValue(value=text)
        return TimelineEntity("Text", key, payload, 1, self.changed[key], tombstone=text is None)


@dataclass
class View:
    """The state of a client for one session.

    Attributes:
        held: its timeline as the last snapshot made it; what a delta is put over.
        heard: UI events of ``ordinal`` that it heard.
        hydrated: whether there was a snapshot on this connection, and no refusal since.
    """

    asked: dict[str, Any] = field(default_factory=dict)
    ever_delta: bool = False
    state: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    held_at: int = 0
    epoch: int = 0
    ordinal: int = 0
    heard: int = 0
    hydrated: bool = False
    ready: bool = False


class Listener:
    """A client. ``sessions`` is the truth that it compares with."""

    def __init__(self, sessions: dict[str, SessionModel]) -> None:
        self.sessions = sessions
        self.views: dict[str, View] = {}
        self.snapshots = 0
        self.deltas = 0
        self.events = 0

    def subscribe(self, session_id: str, *, delta: bool, hold: bool) -> str:
        """Return the frame that subscribes; with ``hold`` a delta may continue what the client has.

        What comes before the answer is still of the earlier subscription, and as good as ever.
        """
        view = self.views.setdefault(session_id, View())
        view.asked = {"sessionId": session_id}
        if delta:
            view.ever_delta = True
            view.asked["delta"] = True
            if hold and view.epoch:
                view.asked |= {"sinceSnapshotOrdinal": str(view.held_at), "epoch": str(view.epoch)}
        view.ready = False
        return json.dumps({"subscribe": view.asked})

    def disconnected(self) -> None:
        for view in self.views.values():
            view.hydrated = view.ready = view.ever_delta = False

    def hear(self, text: str) -> None:
        ((member, body),) = json.loads(text).items()
        view = self.views.get(body.get("sessionId", ""))
        if view is not None:
            getattr(self, f"_on_{member}")(view, body)

    def _on_snapshot(self, view: View, body: dict[str, Any]) -> None:
        ordinal, since = int(body.get("snapshotOrdinal", 0)), int(body.get("since", 0))
        assert not view.hydrated or ordinal >= view.ordinal, "the snapshot is older than what was heard"
        assert ("epoch" in body) <= view.ever_delta, "an epoch nobody asked for"
        if since:
            assert view.ever_delta, "a delta nobody asked for"
            assert view.epoch in (0, int(body["epoch"])), "a delta of another epoch"  # 0: the last one did not say
            assert since <= view.held_at, "a delta from where the client never was"
            self.deltas += 1
        state = dict(view.held) if since else {}
        for entity in body.get("entities", ()):
            if entity.get("tombstone"):
                assert since, "a tombstone in a full snapshot"
                state.pop(entity["id"], None)
            else:
                state[entity["id"]] = entity["payload"]["value"]
        self.snapshots += 1
        view.state, view.held, view.held_at = state, dict(state), ordinal
        view.epoch = int(body.get("epoch", 0))
        view.ordinal, view.heard, view.hydrated = ordinal, 0, True

    def _on_uiEvent(self, view: View, body: dict[str, Any]) -> None:  # noqa: N802 - the member's name
        told, ordinal = self.sessions[body["sessionId"]].told, int(body["eventOrdinal"])
        assert view.hydrated, "an event before the snapshot"
        if ordinal == view.ordinal and view.heard:
            expected = view.heard
        else:
            assert ordinal > view.ordinal, f"event {ordinal} after {view.ordinal}"
            assert view.heard in (0, len(told.get(view.ordinal, ()))), "the rest of an event is missing"
            missed = [at for at in range(view.ordinal + 1, ordinal) if told[at]]
            assert not missed, f"events {missed} are missing"
            expected = 0
        key, text = json.loads(body["payload"]["value"])
        assert (key, text) == tuple(told[ordinal][expected]), "not the event that comes next"
        view.ordinal, view.heard = ordinal, expected + 1
        self.events += 1
        if text is None:
            view.state.pop(key, None)
        else:
            view.state[key] = text

    def _on_subscribed(self, view: View, body: dict[str, Any]) -> None:
        assert view.hydrated, "subscribed before the snapshot"
        assert ("budget" in body) <= view.ever_delta, "a budget nobody asked for"
        view.ready = body.get("sinceSnapshotOrdinal", "0") == view.asked.get("sinceSnapshotOrdinal", "0")

    def _on_unsubscribed(self, view: View, body: dict[str, Any]) -> None:
        pass

    def _on_error(self, view: View, body: dict[str, Any]) -> None:
        assert body["code"] in ("snapshot_failed", "unauthorized")
        view.hydrated = view.ready = False

    def check(self) -> None:
        """Check that the client has received everything and has the state of the store."""
        for session_id, view in self.views.items():
            if view.hydrated:
                assert view.ready, f"{session_id} was never subscribed"
                assert view.state == self.sessions[session_id].state


class Wire:
    """One connection: a conversation, its open requests, the frames that wait for the client, and the client.

    Attributes:
        closed: the close code.
    """

    def __init__(self, sessions: dict[str, SessionModel], limits: Limits) -> None:
        self.conversation = Conversation("c", limits, 0.0)
        self.client = Listener(sessions)
        self.sessions = sessions
        self.joined: set[str] = set()
        self.questions: dict[str, Authorize] = {}
        self.loads: dict[str, Load] = {}
        self.begun: dict[str, Load] = {}
        self.taken: list[tuple[Load, Hydration]] = []
        self.queue: deque[Frame] = deque()
        self.closed = 0

    def perform(self, effects: Effects) -> None:
        for effect in effects:
            assert not self.closed, "something after the close"
            match effect:
                case Batch(frames=sent) | Send(sent):
                    self.queue.extend(sent)
                case Authorize(session_id):
                    self.questions[session_id] = effect
                case Join(session_id):
                    self.joined.add(session_id)
                case Leave(session_id):
                    self.joined.discard(session_id)
                    self.loads.pop(session_id, None)
                    self.begun.pop(session_id, None)
                case Load(session_id):
                    assert session_id in self.joined, "loading begins before events are told of"
                    self.begun.pop(session_id, None)
                    self.loads[session_id] = effect
                case Close(code):
                    self.closed = code.code

    def say(self, text: str) -> None:
        if not self.closed:
            self.perform(self.conversation.text(text, 0.0))

    def answer(self, session_id: str, *, allowed: bool) -> None:
        question = self.questions.pop(session_id)
        self.perform(self.conversation.authorized(session_id, question.token, allowed))

    def begin(self, session_id: str) -> None:
        """Let a load begin; the source has not read the timeline yet."""
        load = self.begun[session_id] = self.loads.pop(session_id)
        self.conversation.load_began(session_id, load.token)

    def take(self, session_id: str) -> None:
        """Let the source read the timeline; the answer is under way."""
        load = self.begun.pop(session_id)
        self.taken.append((load, self.sessions[session_id].load(load)))

    def deliver(self, number: int) -> None:
        load, hydration = self.taken.pop(number)
        self.perform(self.conversation.loaded(load.session_id, load.token, hydration))

    def fail(self, number: int) -> None:
        load, _ = self.taken.pop(number)
        self.perform(self.conversation.load_failed(load.session_id, load.token, "no"))

    def tell(self, batch: Batch) -> None:
        if batch.session_id in self.joined and not self.closed:
            self.perform(self.conversation.events(batch))

    def resync(self, session_id: str, ordinal: int | None = None, epoch: int | None = None) -> None:
        if session_id in self.joined and not self.closed:
            self.perform(self.conversation.resync(session_id, ordinal, epoch))

    def revoke(self, session_id: str) -> None:
        """Revoke the right to a session; its waiting frames are dropped."""
        if not self.closed:
            self.queue = deque(frame for frame in self.queue if frame.session_id != session_id)
            self.perform(self.conversation.revoke(session_id, ""))

    def conflate(self, session_id: str) -> None:
        """Conflate a session, as the connection does when its outbox overflows."""
        self.queue = deque(frame for frame in self.queue if frame.kind != "ui" or frame.session_id != session_id)
        self.resync(session_id)

    def read(self, count: int) -> None:
        for _ in range(min(count, len(self.queue))):
            self.client.hear(self.queue.popleft().text)

    def settle(self) -> None:
        """Let everything happen that is under way."""
        while not self.closed and (self.questions or self.loads or self.begun or self.taken):
            for session_id in list(self.questions):
                self.answer(session_id, allowed=True)
            for session_id in list(self.loads):
                self.begin(session_id)
            for session_id in list(self.begun):
                self.take(session_id)
            while self.taken:
                self.deliver(0)
        if not self.closed:
            self.read(len(self.queue))
            assert {key for key, view in self.client.views.items() if view.hydrated} == self.joined
            self.client.check()
