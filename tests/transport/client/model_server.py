"""A server as a client meets it, in memory: a budget that it keeps to, frames that wait on the way, and refusals."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sessionstream.transport.ws.server.rate_limit import TokenBucket
from sessionstream.transport.ws.server.requests import Ping, Pong, Subscribe, Unsubscribe, decode


@dataclass
class Timeline:
    """A session: every event changes its one entity, and is sent to clients."""

    epoch: int = 1
    ordinal: int = 0


@dataclass
class ModelServer:
    """A model of a server: it handles frames one by one, and its frames wait in ``said``.

    Attributes:
        tells: whether it tells its budget. One of before there were budgets refuses unsubscribes too.
        loads: who waits for a snapshot.
        refused: frames that were beyond the rate.
        crowded: subscribes that were too many.
    """

    burst: int
    rate: float
    subscriptions: int
    tells: bool
    timelines: dict[str, Timeline] = field(default_factory=dict)
    came: deque[str] = field(default_factory=deque)
    said: deque[str] = field(default_factory=deque)
    subscribed: dict[str, Subscribe] = field(default_factory=dict)
    loads: dict[str, Subscribe] = field(default_factory=dict)
    told: bool = False
    refused: int = 0
    crowded: int = 0
    allowance: TokenBucket | None = None

    def connect(self, now: float) -> None:
        self.disconnect()
        self.allowance = TokenBucket(self.rate, self.burst, now)
        self.say(hello={"connectionId": "c"})

    def disconnect(self) -> None:
        self.allowance = None
        for each in (self.came, self.said, self.subscribed, self.loads):
            each.clear()

    def say(self, **frame: Any) -> None:
        self.said.append(json.dumps(frame))

    def error(self, code: str, session_id: str) -> None:
        self.say(error={"code": code, "message": "no", "sessionId": session_id})

    @property
    def watched(self) -> set[str]:
        return {*self.subscribed, *self.loads}

    def handle(self, now: float) -> None:
        """Handle the next frame."""
        assert self.allowance is not None
        request = decode(self.came.popleft())
        session_id = request.session_id if isinstance(request, Subscribe | Unsubscribe) else ""
        leaves = isinstance(request, Unsubscribe) and session_id in self.watched
        if not (leaves and self.tells) and not self.allowance.take(now):
            self.refused += 1
            self.error("rate_limited", session_id)
            assert self.allowance.refused <= self.burst, "the client is banned"
            return
        match request:
            case Subscribe():
                self._subscribe(request)
            case Unsubscribe():
                self.subscribed.pop(session_id, None)
                self.loads.pop(session_id, None)
                self.say(unsubscribed={"sessionId": session_id})
            case Ping(nonce):
                self.say(pong={"nonce": nonce})
            case Pong():
                pass

    def _subscribe(self, request: Subscribe) -> None:
        session_id = request.session_id
        if session_id not in self.watched and len(self.watched) >= self.subscriptions:
            self.crowded += 1
            self.error("too_many_subscriptions", session_id)
            return
        self.subscribed.pop(session_id, None)  # no event until there is the snapshot that holds it
        self.loads[session_id] = request

    def load(self, session_id: str, *, delta: bool) -> None:
        """Answer a subscribe."""
        request = self.loads.pop(session_id)
        self.subscribed[session_id] = request
        self.snapshot(session_id, request if delta else Subscribe(session_id))
        budget = {"framesBurst": self.burst, "framesPerSecond": self.rate, "subscriptions": self.subscriptions}
        self.told = True
        self.say(subscribed={"sessionId": session_id} | ({"budget": budget} if self.tells else {}))

    def fail(self, session_id: str, code: str) -> None:
        """Refuse a session that is watched."""
        self.loads.pop(session_id, None)
        self.subscribed.pop(session_id, None)
        self.error(code, session_id)

    def snapshot(self, session_id: str, held: Subscribe) -> None:
        timeline = self.timelines.setdefault(session_id, Timeline())
        frame: dict[str, Any] = {"sessionId": session_id, "snapshotOrdinal": str(timeline.ordinal)}
        frame["epoch"] = str(timeline.epoch)
        if held.since and held.epoch == timeline.epoch:
            frame["since"] = str(held.since)
        if timeline.ordinal > held.since or not frame.get("since"):
            value = {"v": str(timeline.ordinal)}
            ordinals = {"createdOrdinal": "1", "lastEventOrdinal": str(timeline.ordinal)}
            frame["entities"] = [{"kind": "Note", "id": "n", **ordinals, "payload": value}] if timeline.ordinal else []
        self.say(snapshot=frame)

    def publish(self, session_id: str) -> None:
        timeline = self.timelines.setdefault(session_id, Timeline())
        timeline.ordinal += 1
        if session_id in self.subscribed:
            payload = {"v": str(timeline.ordinal)}
            event = {"sessionId": session_id, "eventOrdinal": str(timeline.ordinal), "name": "Told", "payload": payload}
            self.say(uiEvent=event)

    def rebuild(self, session_id: str) -> None:
        timeline = self.timelines.setdefault(session_id, Timeline())
        timeline.epoch += 1
        if session_id in self.subscribed:
            self.snapshot(session_id, Subscribe(session_id))
