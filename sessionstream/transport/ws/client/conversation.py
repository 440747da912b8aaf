"""The client's side of the protocol, without I/O: inputs are method calls, outputs are effects.

A conversation spans connections: it decides when to connect, reconnect and give up. The watched sessions are in
subscriptions.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from enum import Enum, auto
from functools import partial
from typing import Final

from sessionstream.errors import TransportError
from sessionstream.schema import SchemaRegistry
from sessionstream.transport.ws.client import frames
from sessionstream.transport.ws.client.backoff import Backoff, after_close, after_refusal, status_of, told_in
from sessionstream.transport.ws.client.effects import Connect, Disconnect, Effect, Effects, End, Send, StateChanged
from sessionstream.transport.ws.client.errors import ClientClosed, ConnectionEnded, HandshakeRefused, SubscriptionEnded
from sessionstream.transport.ws.client.frames import (
    ErrorFrame,
    Hello,
    Ping,
    ServerMessage,
    SnapshotFrame,
    Subscribed,
    UIEventFrame,
    Unsubscribed,
)
from sessionstream.transport.ws.client.pacing import Pacer
from sessionstream.transport.ws.client.payloads import PayloadDecoder
from sessionstream.transport.ws.client.states import Input
from sessionstream.transport.ws.client.subscription import DeltaGap
from sessionstream.transport.ws.client.subscriptions import Subscriptions, Why
from sessionstream.transport.ws.client.updates import ConnectionState
from sessionstream.transport.ws.wire.codes import (
    BAD_CLIENT_FRAME,
    NORMAL,
    RATE_LIMITED,
    SNAPSHOT_FAILED,
    TOO_MANY_SUBSCRIPTIONS,
)
from sessionstream.transport.ws.wire.liveness import Heartbeat

RATE_PAUSE: Final = 1.0
"""Shortest wait, in seconds, before requests that were ``rate_limited`` are repeated."""

LOST: Final = 1006
"""The close code of a connection that ended without a close frame."""


class Link(Enum):
    """The state of the connection."""

    DOWN = auto()
    OPENING = auto()
    OPEN = auto()
    """Connected; the server has not sent hello yet."""
    READY = auto()
    OVER = auto()
    """The client has ended."""


CONNECTED: Final = frozenset({Link.OPEN, Link.READY})


class Conversation:
    """The protocol of one client, across all its connections.

    Args:
        schemas: decodes payloads to messages; None leaves them as JSON.
        backoff: the waits before reconnecting.
        heartbeat_seconds: silence after which the server is sent a ping; None: no pings.
        patience_seconds: silence after a ping after which the connection is given up.
        hurry_patience_seconds: as ``patience_seconds``, after ``hurry``.
        refusal: whether to try again after a refused handshake, by the HTTP status and the number of refusals in a row,
            from 1; must not raise.
        draw: returns a random number from 0 to 1.

    Every method returns effects, which the caller performs in order. ``now`` is the time in seconds, from a monotonic
    clock; call ``tick`` when it reaches ``deadline``. Call ``start`` first, and one of ``opened``, ``refused`` and
    ``unreachable`` for every ``Connect``. A watcher is a number that the caller chooses, and uses once.
    """

    __slots__ = (
        "_attempt", "_backoff", "_connect_at", "_draw", "_heartbeat", "_heartbeat_seconds", "_hurried_until",
        "_hurry_seconds", "_link", "_now", "_out", "_pacer", "_patience_seconds", "_ping", "_pong", "_refusal",
        "_refusals", "_repeat_at", "_send_at", "_subscriptions", "_why_over",
    )  # fmt: skip

    def __init__(
        self,
        *,
        schemas: SchemaRegistry | None = None,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        heartbeat_seconds: float | None = 20.0,
        patience_seconds: float = 20.0,
        hurry_patience_seconds: float = 5.0,
        refusal: Callable[[int, int], bool] = after_refusal,
        draw: Callable[[], float],
    ) -> None:
        self._backoff = backoff
        self._heartbeat_seconds = heartbeat_seconds
        self._patience_seconds = patience_seconds
        self._hurry_seconds = hurry_patience_seconds
        self._refusal = refusal
        self._draw = draw
        self._now = 0.0
        self._out: list[Effect] = []
        self._subscriptions = Subscriptions(
            PayloadDecoder(schemas), lambda refusals: backoff.wait(refusals, draw()), self._out
        )
        self._pacer = Pacer()
        self._link = Link.DOWN
        self._why_over: Why = ClientClosed
        self._attempt = 0  # connection attempts in a row without a snapshot
        self._refusals = 0  # refused handshakes in a row
        self._connect_at = math.inf  # time of the next attempt
        self._hurried_until = math.inf  # time at which a hurried attempt is given up
        self._repeat_at = math.inf  # time at which rate-limited requests are repeated
        self._send_at = math.inf  # time at which the pacer allows the next frame
        self._heartbeat = self._new_heartbeat()
        self._ping = ""
        self._pong: str | None = None

    @property
    def deadline(self) -> float:
        """When to call ``tick``; infinite: not before another input."""
        heartbeat = self._heartbeat.deadline if self._link in CONNECTED else math.inf
        return min(
            self._connect_at,
            self._hurried_until,
            heartbeat,
            self._send_at,
            self._repeat_at,
            self._subscriptions.retry_at,
        )

    # -- calls of the user -------------------------------------------------------------------------------------

    def start(self, now: float) -> Effects:
        """Start connecting."""
        self._now = now
        self._open()
        return self._done()

    def subscribe(self, session_id: str, watcher: int, now: float) -> Effects:
        """Watch a session."""
        self._now = now
        if self._link is Link.OVER:
            self._out.append(End(watcher, self._why_over()))
        else:
            self._subscriptions.watch(session_id, watcher)
        return self._done()

    def unsubscribe(self, session_id: str, watcher: int, now: float) -> Effects:
        """Stop watching a session; no effect if it is not watched."""
        self._now = now
        self._subscriptions.leave(session_id, watcher)
        return self._done()

    def hurry(self, now: float) -> Effects:
        """Connect now; if connected, probe the connection with a ping."""
        self._now = now
        if self._link is Link.DOWN:
            self._attempt = 0
            self._open()
        elif self._link is Link.OPENING:
            self._hurried_until = min(self._hurried_until, now + self._hurry_seconds)
        elif self._link in CONNECTED:
            self._ping = self._heartbeat.probe(now, self._hurry_seconds) or self._ping
        return self._done()

    def close(self) -> Effects:
        """End the client."""
        self._hang_up_for_good("the user closed")
        self._finish(ClientClosed, ConnectionState("closed"), quietly=True)
        return self._done()

    def fail(self, why: str) -> Effects:
        """End the client with an error, because of an internal failure."""
        why = f"the client cannot go on: {why}"
        self._hang_up_for_good(why)
        self._finish(lambda: TransportError(why), ConnectionState("closed", reason=why))
        return self._done()

    # -- events of the connection ------------------------------------------------------------------------------

    def opened(self, now: float) -> Effects:
        """The connection was made."""
        self._now = now
        if self._link is not Link.OPENING:
            return [Disconnect("it was given up before it was made")]
        self._link = Link.OPEN
        self._hurried_until = math.inf
        self._heartbeat = self._new_heartbeat()
        self._pacer.begin(now)
        return self._done()

    def unreachable(self, why: str, now: float) -> Effects:
        """The connection could not be made."""
        self._now = now
        if self._link is Link.OPENING:
            self._come_back(ConnectionState("reconnecting", code=LOST, reason=why))
        return self._done()

    def refused(self, status: int, now: float, *, reason: str = "", told: float = 0.0) -> Effects:
        """The handshake was refused with an HTTP status; ``told`` is its Retry-After in seconds, or 0."""
        self._now = now
        if self._link is Link.OPENING:
            self._refused(ConnectionState("refused", status, None, reason), told)
        return self._done()

    def closed(self, code: int, reason: str, now: float) -> Effects:
        """The connection was closed with this code, or lost (1006)."""
        self._now = now
        if self._link in CONNECTED:
            advice, status = after_close(code), status_of(code)
            if status is not None:
                self._refused(ConnectionState("refused", status, code, reason))
            elif code == NORMAL.code:
                self._finish(ClientClosed, ConnectionState("closed", code=code, reason=reason), quietly=True)
            elif advice == "no":
                over = ConnectionState("closed", code=code, reason=reason)
                self._finish(lambda: ConnectionEnded(code, reason), over)
            else:
                told = told_in(reason) if advice == "when told" else 0.0
                self._come_back(ConnectionState("reconnecting", code=code, reason=reason), told)
        return self._done()

    # -- messages of the server --------------------------------------------------------------------------------

    def text(self, text: str, now: float) -> Effects:
        """A text message was received."""
        self._now = now
        if self._link in CONNECTED:
            self._heartbeat.heard(now)
            try:
                said = frames.read(text)
            except ValueError as error:
                self._hang_up(f"the server sent what is no frame: {error}")
            else:
                self._handle(said, text)
        return self._done()

    def binary(self, now: float) -> Effects:
        """A binary message was received; it is a protocol error."""
        self._now = now
        if self._link in CONNECTED:
            self._hang_up("the server sent a binary message")
        return self._done()

    # -- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> Effects:
        """Perform the actions that are due; to be called at ``deadline``, harmless at other times."""
        self._now = now
        if now >= self._connect_at:
            self._open()
        if now >= self._hurried_until:
            self._hang_up("the connection was not made in time")
        if self._link in CONNECTED:
            if self._heartbeat.silent(now):
                self._hang_up("the server does not answer")
            else:
                self._ping = self._heartbeat.due(now) or self._ping
        if now >= self._repeat_at:
            self._repeat_at = math.inf
            self._subscriptions.repeat()
        self._subscriptions.retry(now)
        return self._done()

    def occupied(self, now: float) -> None:
        """Reading was paused because an iterator is full; this does not count as silence of the server."""
        self._heartbeat.heard(now)

    # -- frames ------------------------------------------------------------------------------------------------

    def _handle(self, said: ServerMessage | None, text: str) -> None:
        """Handle one frame of the server; ``text`` is its JSON."""
        match said:
            case Hello() if self._link is Link.OPEN:
                self._link = Link.READY
                self._refusals = 0
                self._out.append(StateChanged(ConnectionState("live")))
            case Ping(nonce):
                self._pong = nonce  # if several wait, answering the last one is enough
            case SnapshotFrame():
                self._hydrate(said)
            case Subscribed(budget):
                self._pacer.tell(budget, self._now)
            case UIEventFrame(session_id):
                self._subscriptions.receive(session_id, Input.EVENT, (said, text))
            case Unsubscribed(session_id):
                why = partial(SubscriptionEnded, session_id, "unsubscribed", "the server ended it")
                self._subscriptions.receive(session_id, Input.UNSUBSCRIBED, why)
            case ErrorFrame():
                self._failed(said)

    def _hydrate(self, came: SnapshotFrame) -> None:
        """Apply a snapshot frame."""
        try:
            if self._subscriptions.receive(came.session_id, Input.SNAPSHOT, came):
                self._attempt = 0
        except DeltaGap as error:
            self._hang_up(str(error))

    def _failed(self, failed: ErrorFrame) -> None:
        """Handle an error frame."""
        match failed.code:
            case RATE_LIMITED.code:
                self._slow_down()
            case BAD_CLIENT_FRAME.code:
                self._subscriptions.misunderstood(partial(_ended, failed))
            case SNAPSHOT_FAILED.code:
                self._subscriptions.receive(failed.session_id, Input.SNAPSHOT_FAILED, self._now)
            case TOO_MANY_SUBSCRIPTIONS.code if self._subscriptions.leaving:
                self._subscriptions.receive(failed.session_id, Input.TOO_MANY)
            case _:  # without a session id it concerns no subscription
                self._subscriptions.receive(failed.session_id, Input.ENDED, _ended(failed, failed.session_id))

    def _slow_down(self) -> None:
        """The server refused one of our frames without saying which. Wait, then repeat all unanswered requests."""
        if self._repeat_at == math.inf:
            self._repeat_at = self._now + self._backoff.wait(0, self._draw(), RATE_PAUSE)
            self._pacer.pause(self._repeat_at)

    # -- sending -----------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Send the frames that are due, as far as the pacer allows."""
        self._send_at = math.inf
        while self._link in CONNECTED and (send := self._next()) is not None:
            if not self._pacer.take(self._now):
                self._send_at = self._pacer.ready_at
                return
            send()

    def _next(self) -> Callable[[], object] | None:
        """Return a function that sends the most urgent frame; None if there is none."""
        if self._pong is not None:
            return self._send_pong
        if self._ping:
            return self._send_ping
        return self._subscriptions.next(self._pacer) if self._link is Link.READY else None

    def _send_pong(self) -> None:
        self._out.append(Send(frames.pong(self._pong or "")))
        self._pong = None

    def _send_ping(self) -> None:
        self._out.append(Send(frames.ping(self._ping)))
        self._ping = ""

    # -- helpers -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Request a connection."""
        self._link = Link.OPENING
        self._connect_at = math.inf
        self._out.append(Connect())

    def _refused(self, state: ConnectionState, told: float = 0.0) -> None:
        """Try again after a refused handshake, or end the client; ``told`` is the Retry-After in seconds."""
        status = state.status or 0
        self._refusals += 1
        if self._refusal(status, self._refusals):
            self._come_back(state, told)
        else:
            self._out.append(StateChanged(state))
            over = replace(state, name="closed")
            self._finish(lambda: HandshakeRefused(status, state.code, state.reason), over)

    def _hang_up(self, why: str) -> None:
        """End the connection, and reconnect."""
        self._out.append(Disconnect(why))
        self._come_back(ConnectionState("reconnecting", code=LOST, reason=why))

    def _hang_up_for_good(self, why: str) -> None:
        """End the connection, if there is one."""
        if self._link in CONNECTED:
            self._out.append(Disconnect(why))

    def _come_back(self, state: ConnectionState, told: float = 0.0) -> None:
        """Schedule the next attempt to connect; ``told`` seconds, which the server asked for, are added to the wait."""
        self._link = Link.DOWN
        self._disconnected()
        wait = self._backoff.wait(self._attempt, self._draw(), told)
        self._connect_at = self._now + wait
        self._attempt += 1
        self._out.append(StateChanged(replace(state, retry_in=wait)))

    def _finish(self, why: Why, state: ConnectionState, *, quietly: bool = False) -> None:
        """End the client."""
        if self._link is Link.OVER:
            return
        self._link = Link.OVER
        self._why_over = why
        self._subscriptions.end_all((lambda: None) if quietly else why)
        self._disconnected()
        self._connect_at = math.inf
        self._out.append(StateChanged(state))

    def _disconnected(self) -> None:
        """Reset everything that belongs to a connection."""
        self._heartbeat = self._new_heartbeat()
        self._hurried_until = self._repeat_at = self._send_at = math.inf
        self._ping, self._pong = "", None
        self._subscriptions.lose()

    def _new_heartbeat(self) -> Heartbeat:
        return Heartbeat(self._heartbeat_seconds, self._patience_seconds, self._now)

    def _done(self) -> Effects:
        """Return the effects of an input, with the frames that can be sent now."""
        self._send()
        out = self._out[:]
        self._out.clear()
        return out


def _ended(failed: ErrorFrame, session_id: str) -> Why:
    """Return a function that makes the error of an ended subscription."""
    return partial(SubscriptionEnded, session_id, failed.code, failed.message)
