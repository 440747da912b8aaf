"""A client's side of the conversation, without I/O: what comes goes in, what is to be done comes out.

It outlives connections. What it holds of each session is the last snapshot, with every delta put over it: that is what
a new connection begins from. Live events are passed on and not kept.

Two numbers of a subscription keep the promise *a snapshot at N, then exactly the UI events above N*: the ordinal of the
last snapshot, which covers every event up to it, and that of the last event, which others of the same backend event
may share. A snapshot sets both, whatever they were before: it is the server's word on what is true.

The states of a subscription, and what leads from one to another, are the table in client_states.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, Final

from sessionstream.errors import TransportError
from sessionstream.schema import SchemaRegistry
from sessionstream.transport.ws import server_frames
from sessionstream.transport.ws.backoff import Backoff, after_close, after_status, told_in
from sessionstream.transport.ws.client_effects import Connect, Effect, Effects, End, Give, HangUp, Remind, Say
from sessionstream.transport.ws.client_errors import (
    AlreadySubscribed,
    ClientClosed,
    ConnectionEnded,
    HandshakeRefused,
    SubscriptionEnded,
    UnreadablePayload,
)
from sessionstream.transport.ws.client_states import TABLE, UNANSWERED, WANTED, Action, Input, State
from sessionstream.transport.ws.client_updates import JsonSnapshot
from sessionstream.transport.ws.codes import BAD_CLIENT_FRAME, NORMAL, RATE_LIMITED, SNAPSHOT_FAILED
from sessionstream.transport.ws.folding import fold
from sessionstream.transport.ws.liveness import Heartbeat
from sessionstream.transport.ws.payloads import Payloads
from sessionstream.transport.ws.server_frames import Failed, Happened, Hello, Hydrated, Pinged, Unsubscribed

RATE_PAUSE: Final = 1.0
"""Seconds, at least, before what was beyond the rate is said again."""

LOST: Final = 1006
"""The close code of a connection that ended without one."""


class Link(Enum):
    """Where the connection stands."""

    DOWN = auto()
    OPEN = auto()
    """Made; the server has not said hello yet."""
    READY = auto()
    OVER = auto()
    """There will be no other."""


@dataclass(slots=True)
class _Subscription:
    session_id: str
    state: State = State.GONE
    held: JsonSnapshot | None = None
    covered: int = 0  # ordinal of the last snapshot given
    reached: int = 0  # ordinal of the last update given
    refusals: int = 0  # in a row
    token: int = 0  # of the reminder that is open


class ClientSession:
    """What a client and its server say to each other, over as many connections as it takes.

    Args:
        schemas: makes payloads messages; without it they are JSON.
        backoff: how long to wait before coming back.
        heartbeat_seconds: after how much silence the server is sent a ping; None sends none.
        patience_seconds: after how much more the server counts as gone.
        draw: returns a number from 0 to 1, by lot.

    Every method returns what is to be done, in order. Call ``start`` first, and then, for every ``Connect``, one of
    ``opened``, ``refused`` and ``unreachable``.
    """

    __slots__ = (
        "_attempt", "_backoff", "_decoder", "_delta", "_delta_asks", "_draw", "_heartbeat", "_heartbeat_seconds",
        "_link", "_out", "_patience_seconds", "_slower", "_subscriptions", "_token", "_why_over",
    )  # fmt: skip

    def __init__(
        self,
        *,
        schemas: SchemaRegistry | None = None,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        heartbeat_seconds: float | None = 20.0,
        patience_seconds: float = 20.0,
        draw: Callable[[], float],
    ) -> None:
        self._decoder = Payloads(schemas)
        self._backoff = backoff
        self._heartbeat_seconds = heartbeat_seconds
        self._patience_seconds = patience_seconds
        self._draw = draw
        self._out: list[Effect] = []
        self._subscriptions: dict[str, _Subscription] = {}
        self._link = Link.DOWN
        self._heartbeat = self._new_heartbeat(0.0)
        self._why_over: Callable[[], TransportError | None] = ClientClosed
        self._attempt = 0  # connections in a row that gave no snapshot
        self._delta = True  # this server knows them, as far as we know
        self._delta_asks = 0  # on this connection
        self._token = 0
        self._slower = 0  # the reminder that is open because of the rate

    # -- what the user wants -----------------------------------------------------------------------------------

    def start(self) -> Effects:
        """Begin."""
        self._out.append(Connect(0.0))
        return self._done()

    def subscribe(self, session_id: str) -> Effects:
        """Watch a session.

        Raises:
            AlreadySubscribed: it is being watched.
        """
        if self._link is Link.OVER:
            self._out.append(End(session_id, self._why_over()))
            return self._done()
        subscription = self._subscriptions.setdefault(session_id, _Subscription(session_id))
        if subscription.state in WANTED:
            raise AlreadySubscribed(session_id)
        self._enter(subscription, Input.SUBSCRIBE)
        if self._link is Link.READY:
            self._enter(subscription, Input.READY)
        return self._done()

    def unsubscribe(self, session_id: str) -> Effects:
        """Stop watching a session; nothing if it is not being watched."""
        return self._told(session_id, Input.UNSUBSCRIBE)

    def close(self) -> Effects:
        """End it all."""
        was_open = self._link in (Link.OPEN, Link.READY)
        self._finish(ClientClosed, quietly=True)
        if was_open:
            self._out.append(HangUp("the user closed"))
        return self._done()

    def fail(self, why: str) -> Effects:
        """The client itself cannot go on: end it all, with an error."""
        self._finish(lambda: TransportError(f"the client cannot go on: {why}"))
        return self._done()

    # -- what becomes of a connection --------------------------------------------------------------------------

    def opened(self, now: float) -> Effects:
        """The connection is made."""
        if self._link is Link.DOWN:
            self._link = Link.OPEN
            self._heartbeat = self._new_heartbeat(now)
            self._delta, self._delta_asks, self._slower = True, 0, 0
        return self._done()

    def unreachable(self) -> Effects:
        """It could not be made."""
        self._come_back()
        return self._done()

    def refused(self, status: int, told: float = 0.0) -> Effects:
        """Its handshake was answered with an HTTP status, and perhaps with the seconds to wait."""
        if after_status(status):
            self._come_back(told)
        else:
            self._finish(lambda: HandshakeRefused(status))
        return self._done()

    def closed(self, code: int, reason: str) -> Effects:
        """It is closed, or gone: then the code is 1006."""
        if self._link in (Link.OPEN, Link.READY):
            if code == NORMAL.code:
                self._finish(ClientClosed, quietly=True)
            elif after_close(code) == "no":
                self._finish(lambda: ConnectionEnded(code, reason))
            else:
                self._come_back(told_in(reason) if after_close(code) == "when told" else 0.0)
        return self._done()

    # -- what the server says ----------------------------------------------------------------------------------

    def text(self, text: str, now: float) -> Effects:
        """A text message came."""
        if self._link in (Link.OPEN, Link.READY):
            self._heartbeat.heard(now)
            try:
                said = server_frames.read(text)
            except ValueError as error:
                self._hang_up(f"the server sent what is no frame: {error}")
            else:
                if said is not None:
                    self._HANDLERS[type(said)](self, said)
        return self._done()

    def binary(self, now: float) -> Effects:
        """A binary message came."""
        if self._link in (Link.OPEN, Link.READY):
            self._hang_up("the server sent a binary message")
        return self._done()

    # -- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> Effects:
        """Time has passed; to be called a few times in a heartbeat."""
        if self._link in (Link.OPEN, Link.READY):
            if self._heartbeat.silent(now):
                self._hang_up("the server does not answer")
            else:
                nonce = self._heartbeat.due(now)
                if nonce:
                    self._out.append(Say(server_frames.ping(nonce)))
        return self._done()

    def occupied(self, now: float) -> None:
        """What comes is not being read, because users have not taken what came before: the silence is ours."""
        self._heartbeat.heard(now)

    def reminded(self, token: int) -> Effects:
        """The time of a ``Remind`` has passed."""
        if token == self._slower:
            self._slower = 0
            self._say_again(UNANSWERED)
        else:
            for subscription in list(self._subscriptions.values()):
                if subscription.token == token:
                    self._enter(subscription, Input.AGAIN)
        return self._done()

    # -- frames ------------------------------------------------------------------------------------------------

    def _hello(self, _: Hello) -> None:
        if self._link is Link.OPEN:
            self._link = Link.READY
            for subscription in list(self._subscriptions.values()):
                self._enter(subscription, Input.READY)

    def _pinged(self, pinged: Pinged) -> None:
        self._out.append(Say(server_frames.pong(pinged.nonce)))

    def _hydrated(self, came: Hydrated) -> None:
        self._pass(came.session_id, Input.SNAPSHOT, came)

    def _happened(self, happened: Happened) -> None:
        self._pass(happened.session_id, Input.EVENT, happened)

    def _unsubscribed(self, unsubscribed: Unsubscribed) -> None:
        ended = SubscriptionEnded(unsubscribed.session_id, "unsubscribed", "the server ended it")
        self._pass(unsubscribed.session_id, Input.UNSUBSCRIBED, ended)

    def _failed(self, failed: Failed) -> None:
        match failed.code:
            case RATE_LIMITED.code:
                self._slow_down()
            case BAD_CLIENT_FRAME.code:
                self._misunderstood(failed)
            case SNAPSHOT_FAILED.code:
                self._pass(failed.session_id, Input.SORRY)
            case _:  # without a session it is about none of ours
                self._pass(failed.session_id, Input.ENDED, _ended(failed.session_id, failed))

    _HANDLERS: ClassVar[Mapping[type, Callable[..., None]]] = {
        Hello: _hello,
        Pinged: _pinged,
        Hydrated: _hydrated,
        Happened: _happened,
        Unsubscribed: _unsubscribed,
        Failed: _failed,
    }

    def _slow_down(self) -> None:
        """One of our frames had no effect; which, is not said. Wait, and repeat what has no answer by then."""
        if not self._slower:
            self._slower = self._remind(self._backoff.wait(0, self._draw(), RATE_PAUSE))

    def _say_again(self, states: Collection[State]) -> None:
        for subscription in list(self._subscriptions.values()):
            if subscription.state in states:
                self._enter(subscription, Input.AGAIN)

    def _misunderstood(self, failed: Failed) -> None:
        """A server of before there were deltas refuses every subscribe that mentions them, one after the other."""
        if self._delta:
            self._delta = False
            self._delta_asks -= 1
            self._say_again({State.ASKED})
        elif self._delta_asks > 0:
            self._delta_asks -= 1
        else:
            for subscription in list(self._subscriptions.values()):
                if subscription.state is State.ASKED:
                    self._enter(subscription, Input.ENDED, _ended(subscription.session_id, failed))

    # -- what the table's words mean ---------------------------------------------------------------------------

    def _nothing(self, subscription: _Subscription, _: object) -> None:
        pass

    def _ask(self, subscription: _Subscription, _: object) -> None:
        held = subscription.held
        subscription.token = 0
        if not self._delta:
            self._out.append(Say(server_frames.subscribe(subscription.session_id, delta=False)))
            return
        self._delta_asks += 1
        since, epoch = (held.snapshot_ordinal, held.epoch) if held is not None and held.epoch else (0, 0)
        self._out.append(Say(server_frames.subscribe(subscription.session_id, delta=True, since=since, epoch=epoch)))

    def _leave(self, subscription: _Subscription, _: object) -> None:
        subscription.held = None  # whoever returns has nothing in hand
        self._out.append(Say(server_frames.unsubscribe(subscription.session_id)))

    def _forget(self, subscription: _Subscription, _: object) -> None:
        del self._subscriptions[subscription.session_id]

    def _hydrate(self, subscription: _Subscription, came: Hydrated) -> None:
        held = subscription.held = fold(subscription.held, came)
        if held is None:
            self._hang_up(f"the server sent a delta of session {came.session_id!r} that does not follow")
            return
        self._attempt = subscription.refusals = 0
        subscription.covered = subscription.reached = held.snapshot_ordinal
        try:
            snapshot = self._decoder.snapshot(held)
        except UnreadablePayload as error:
            self._enter(subscription, Input.UNREADABLE, error)
        else:
            self._out.append(Give(subscription.session_id, snapshot))

    def _pass_on(self, subscription: _Subscription, happened: Happened) -> None:
        if happened.ordinal <= subscription.covered or happened.ordinal < subscription.reached:
            return
        subscription.reached = happened.ordinal
        try:
            event = self._decoder.event(happened)
        except UnreadablePayload as error:
            self._enter(subscription, Input.UNREADABLE, error)
        else:
            self._out.append(Give(subscription.session_id, event))

    def _wait(self, subscription: _Subscription, _: object) -> None:
        subscription.token = self._remind(self._backoff.wait(subscription.refusals, self._draw()))
        subscription.refusals += 1

    def _end(self, subscription: _Subscription, error: TransportError) -> None:
        self._forget(subscription, None)
        self._out.append(End(subscription.session_id, error))

    def _give_up(self, subscription: _Subscription, error: TransportError) -> None:
        self._out.append(End(subscription.session_id, error))
        self._leave(subscription, None)

    _ACTIONS: ClassVar[Mapping[Action, Callable[..., None]]] = {
        Action.NOTHING: _nothing,
        Action.ASK: _ask,
        Action.LEAVE: _leave,
        Action.FORGET: _forget,
        Action.HYDRATE: _hydrate,
        Action.PASS_ON: _pass_on,
        Action.WAIT: _wait,
        Action.END: _end,
        Action.GIVE_UP: _give_up,
    }

    # -- how it is done ----------------------------------------------------------------------------------------

    def _told(self, session_id: str, what: Input, value: object = None) -> Effects:
        self._pass(session_id, what, value)
        return self._done()

    def _pass(self, session_id: str, what: Input, value: object = None) -> None:
        subscription = self._subscriptions.get(session_id)
        if subscription is not None:
            self._enter(subscription, what, value)

    def _enter(self, subscription: _Subscription, what: Input, value: object = None) -> None:
        step = TABLE[subscription.state].get(what)
        if step is not None:
            action, subscription.state = step
            self._ACTIONS[action](self, subscription, value)

    def _hang_up(self, why: str) -> None:
        self._out.append(HangUp(why))
        self._come_back()

    def _come_back(self, told: float = 0.0) -> None:
        if self._link is Link.OVER:
            return
        self._link = Link.DOWN
        for subscription in list(self._subscriptions.values()):
            self._enter(subscription, Input.LOST)
        self._out.append(Connect(self._backoff.wait(self._attempt, self._draw(), told)))
        self._attempt += 1

    def _finish(self, why: Callable[[], TransportError], *, quietly: bool = False) -> None:
        """There is no coming back. Each subscription gets an error of its own, which may collect a traceback."""
        if self._link is Link.OVER:
            return
        self._link = Link.OVER
        self._why_over = why
        for subscription in self._subscriptions.values():
            if subscription.state in WANTED:
                self._out.append(End(subscription.session_id, None if quietly else why()))
        self._subscriptions.clear()

    def _remind(self, after: float) -> int:
        self._token += 1
        self._out.append(Remind(self._token, after))
        return self._token

    def _new_heartbeat(self, now: float) -> Heartbeat:
        return Heartbeat(self._heartbeat_seconds, self._patience_seconds, now)

    def _done(self) -> Effects:
        out, self._out = self._out, []
        return out


def _ended(session_id: str, failed: Failed) -> SubscriptionEnded:
    return SubscriptionEnded(session_id, failed.code, failed.message)
