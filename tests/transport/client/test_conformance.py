"""The client does what the wire contract says, whatever the server and the user do; without a socket or a clock."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from sessionstream import Snapshot
from sessionstream.transport.ws.client.backoff import Backoff, after_refusal
from sessionstream.transport.ws.client.conversation import LOST, Conversation
from sessionstream.transport.ws.client.effects import Connect, Deliver, Disconnect, Effects, End, Send, StateChanged
from sessionstream.transport.ws.client.errors import ConnectionEnded, HandshakeRefused, SubscriptionEnded
from sessionstream.transport.ws.client.updates import ConnectionState, JsonEntity, LiveEvent, Update
from sessionstream.transport.ws.conformance import load

from ..scripts import Pending, Script, Step, Variables, scripts

SETTINGS = load("client")["settings"]
DOING = {"user", "accept", "refuse", "unreachable", "server", "raw", "binary", "closes", "drops", "time"}
BACKOFF = Backoff(SETTINGS["floor"], SETTINGS["first"], SETTINGS["ceiling"])


def said(update: Update) -> dict[str, Any]:
    """An update as scripts say it."""
    if isinstance(update, LiveEvent):
        return {"event": {"ordinal": str(update.ordinal), "name": update.name, "payload": update.payload}}
    assert isinstance(update, Snapshot)
    entities = []
    for entity in update.entities:
        assert isinstance(entity, JsonEntity)
        assert not entity.tombstone
        ordinals = {"createdOrdinal": str(entity.created_ordinal), "lastEventOrdinal": str(entity.last_event_ordinal)}
        entities.append({"kind": entity.kind, "id": entity.id, **ordinals, "payload": entity.payload})
    return {"snapshot": {"ordinal": str(update.snapshot_ordinal), "entities": entities}}


def because(error: Exception | None) -> dict[str, Any] | None:
    """An end as scripts say it."""
    match error:
        case None:
            return None
        case SubscriptionEnded():
            return {"error": error.code}
        case ConnectionEnded():
            return {"close": error.code}
        case HandshakeRefused():
            return {"status": error.status}
        case _:
            raise AssertionError(repr(error))


class Runner:
    """Plays the server and the user, and moves the time."""

    def __init__(self, script: Script, draw: float) -> None:
        settings = SETTINGS | script.get("settings", {})
        self.session = Conversation(
            backoff=BACKOFF,
            heartbeat_seconds=settings["heartbeat"],
            patience_seconds=settings["patience"],
            hurry_patience_seconds=settings["hurry"],
            refusal=partial(after_refusal, asks_anew=settings.get("asksAnew", False)),
            draw=lambda: draw,
        )
        self.pending = Pending()
        self.variables = Variables()
        self.now = 0.0
        self.state = ConnectionState("connecting")
        self.watchers: list[tuple[str, str | None]] = []
        self.perform(self.session.start(self.now))

    def perform(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Send(text):
                    self.pending.add("client", json.loads(text))
                case Deliver(watcher, update):
                    self.pending.add("update", {**self.called(watcher), **said(update)})
                case End(watcher, error):
                    self.pending.add("ends", {**self.called(watcher), "because": because(error)})
                case Disconnect():
                    self.pending.add("hangsUp", True)
                case Connect():
                    self.pending.add("connects", True)
                case StateChanged(state):
                    self.state = state

    def called(self, watcher: int) -> dict[str, str]:
        session_id, name = self.watchers[watcher]
        return {"session": session_id} | ({} if name is None else {"as": name})

    def take(self, step: Step) -> None:
        ((kind, value),) = step.items()
        match kind, value:
            case _, _ if kind in DOING:
                assert not self.pending.left
                self.do(kind, value)
            case "client", frame:
                self.variables.check(self.pending.take("client"), frame)
            case "waits", (least, most):
                assert not self.pending.left
                assert least <= round(self.session.deadline - self.now, 6) <= most
                self.now = self.session.deadline
                self.perform(self.session.tick(self.now))
            case "state", expected:
                state = self.state
                is_now = {"state": state.name, "status": state.status, "code": state.code}
                assert {key: is_now[key] for key in expected} == expected
            case "ends", end:
                self.pending.take_one("ends", end)
            case _:
                assert self.pending.take(kind) == value

    def do(self, kind: str, value: Any) -> None:
        session, now = self.session, self.now
        match kind, value:
            case "user", {"subscribe": session_id}:
                self.watchers.append((session_id, value.get("as")))
                self.perform(session.subscribe(session_id, len(self.watchers) - 1, now))
            case "user", {"unsubscribe": session_id}:
                key = (session_id, value.get("as"))
                watcher = len(self.watchers) - 1 - self.watchers[::-1].index(key)
                self.perform(session.unsubscribe(session_id, watcher, now))
            case "user", {"reconnect": True}:
                self.perform(session.hurry(now))
            case "user", {"close": True}:
                self.perform(session.close())
            case "accept", True:
                self.perform(session.opened(now))
            case "refuse", {"status": status, "retryAfter": seconds}:
                self.perform(session.refused(status, now, told=seconds))
            case "refuse", {"status": status}:
                self.perform(session.refused(status, now))
            case "unreachable", True:
                self.perform(session.unreachable("nobody is there", now))
            case "server", frame:
                self.perform(session.text(json.dumps(self.variables.filled(frame)), now))
            case "raw", text:
                self.perform(session.text(text, now))
            case "binary", _:
                self.perform(session.binary(now))
            case "closes", {"code": code, "reason": reason}:
                self.perform(session.closed(code, reason, now))
            case "drops", True:
                self.perform(session.closed(LOST, "", now))
            case "time", seconds:
                self.now += seconds
                self.perform(session.tick(self.now))
            case _:
                raise AssertionError(f"a step that means nothing: {kind} {value}")


def play(script: Script, draw: float) -> None:
    runner = Runner(script, draw)
    for number, step in enumerate(script["steps"]):
        try:
            runner.take(step)
        except Exception as error:
            error.add_note(f"in step {number}: {json.dumps(step)[:200]}")
            raise
    assert not runner.pending.left


@pytest.mark.parametrize("draw", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("script", scripts("client"), ids=lambda script: script["name"])
def test_a_script(script: Script, draw: float) -> None:
    play(script, draw)


def test_an_update_that_no_step_expects_is_noticed() -> None:
    steps = [step for step in scripts("client")[0]["steps"] if "four" not in json.dumps(step) or "server" in step]
    with pytest.raises(AssertionError):
        play({"steps": steps}, 0.5)
