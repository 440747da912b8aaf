"""The server's side of the protocol on one connection, without I/O: inputs are method calls, outputs are effects.

Every call is one atomic step; there is no lock, clock or task. The guarantee *a snapshot at N, then exactly the UI
events above N* is kept by ``sessionstream.subscription``, which has the states of a subscription and their transitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sessionstream.subscription import MAX_LOADS, Action, Basis, Input, State, Subscription
from sessionstream.transport.ws.server import frames
from sessionstream.transport.ws.server.effects import (
    Authorize,
    Close,
    Effect,
    Effects,
    Hydration,
    Join,
    Leave,
    Load,
    Note,
    Send,
)
from sessionstream.transport.ws.server.frames import Batch, Frame
from sessionstream.transport.ws.server.limits import Limits
from sessionstream.transport.ws.server.rate_limit import TokenBucket
from sessionstream.transport.ws.server.records import ConnectionRecord, Stage
from sessionstream.transport.ws.server.requests import FrameError, Ping, Pong, Request, Subscribe, Unsubscribe, decode
from sessionstream.transport.ws.wire.budget import WINDOW, Budget
from sessionstream.transport.ws.wire.codes import (
    BAD_CLIENT_FRAME,
    POLICY,
    RATE_LIMITED,
    SNAPSHOT_FAILED,
    TOO_BIG,
    TOO_MANY_SUBSCRIPTIONS,
    TRY_AGAIN,
    UNAUTHORIZED,
    ErrorCode,
)
from sessionstream.transport.ws.wire.liveness import Heartbeat


@dataclass(slots=True, kw_only=True)
class ClientSubscription(Subscription[Batch]):
    """One session on one connection.

    Attributes:
        request: the latest subscribe frame.
        token: identifies the pending authorization or load; results with an older token are ignored.
        joined: whether it receives events.
    """

    session_id: str
    request: Subscribe
    token: int = 0
    joined: bool = False


class Conversation:
    """The protocol of one connection.

    Args:
        connection_id: sent in the hello frame.
        limits: those that concern a single connection are enforced here.
        now: the time in seconds, from a monotonic clock.
        observed: whether to return a ``Note`` for each stage.

    Every method returns effects, which the caller performs in order. Results come back through ``authorized``,
    ``load_began``, ``loaded`` and ``load_failed``.
    """

    __slots__ = (
        "_allowance", "_heartbeat", "_limits", "_observed", "_out", "_subscriptions", "_token", "connection_id",
    )  # fmt: skip

    def __init__(self, connection_id: str, limits: Limits, now: float, *, observed: bool = False) -> None:
        self.connection_id: str = connection_id
        self._limits = limits
        self._observed = observed
        self._subscriptions: dict[str, ClientSubscription] = {}
        self._token = 0
        self._out: list[Effect] = []
        self._allowance = TokenBucket(limits.frames_per_second, limits.frames_burst, now)
        self._heartbeat = Heartbeat(limits.heartbeat_seconds, limits.pong_timeout_seconds, now)

    @property
    def subscriptions(self) -> list[str]:
        """The sorted ids of all subscriptions, in any state."""
        return sorted(self._subscriptions)

    # -- inputs ------------------------------------------------------------------------------------------------

    def open(self) -> Effects:
        """The connection is accepted."""
        self._send(frames.hello(self.connection_id))
        return self._done()

    def text(self, text: str, now: float) -> Effects:
        """A text message was received."""
        size = len(text) if text.isascii() else len(text.encode(errors="replace"))
        if self._accept(size, now):
            try:
                request = decode(text)
            except FrameError as error:
                self._refuse_frame(error, size, now)
            else:
                session_id = request.session_id if isinstance(request, Subscribe | Unsubscribe) else ""
                # Leaving a subscription is exempt from the rate: the subscribe before it was counted.
                leaves = isinstance(request, Unsubscribe) and session_id in self._subscriptions
                if leaves or self._may_speak(session_id, now):
                    self._note("decoded", session_id, size=size)
                    self._answer(request)
        return self._done()

    def binary(self, size: int, now: float) -> Effects:
        """A binary message of ``size`` bytes was received; it is refused."""
        if self._accept(size, now):
            message = "frames are JSON in text messages; this one was binary"
            self._refuse_frame(FrameError(BAD_CLIENT_FRAME, message), size, now)
        return self._done()

    def authorized(self, session_id: str, token: int, allowed: bool) -> Effects:
        """``authorize`` has answered whether the client may watch a session."""
        return self._told(session_id, token, Input.ALLOWED if allowed else Input.REFUSED)

    def load_began(self, session_id: str, token: int) -> None:
        """A requested snapshot begins to load: events from now on may be missing in it, and are buffered."""
        subscription = self._subscriptions.get(session_id)
        if subscription is not None and subscription.token == token:
            subscription.loading = True

    def loaded(self, session_id: str, token: int, hydration: Hydration) -> Effects:
        """A requested snapshot was loaded."""
        subscription = self._subscriptions.get(session_id)
        what = Input.LOADED if subscription is None else subscription.outcome(hydration.ordinal, hydration.epoch)
        return self._told(session_id, token, what, hydration)

    def load_failed(self, session_id: str, token: int, words: str) -> Effects:
        """A requested snapshot could not be loaded, or ``authorize`` timed out; ``words`` says why."""
        return self._told(session_id, token, Input.LOAD_FAILED, words)

    def events(self, batch: Batch) -> Effects:
        """A joined session has UI events."""
        subscription = self._subscriptions.get(batch.session_id)
        if subscription is None:
            return ()
        if subscription.state is State.LIVE and batch.ordinal > subscription.floor:
            subscription.floor = batch.ordinal  # same result as the table; this is the common case
            return (batch,)
        if subscription.is_new(batch):
            self._enter(subscription, Input.EVENTS, batch)
        return self._done()

    def resync(self, session_id: str, ordinal: int | None = None, epoch: int | None = None) -> Effects:
        """Load a snapshot, unless the subscription is at or above this ordinal of this epoch, or loads one already."""
        subscription = self._subscriptions.get(session_id)
        if subscription is not None and subscription.must_load(ordinal, epoch):
            self._enter(subscription, Input.RESYNC, None)
        return self._done()

    def revoke(self, session_id: str, reason: str) -> Effects:
        """The client may no longer watch a session; ``reason`` is sent to it."""
        subscription = self._subscriptions.get(session_id)
        if subscription is not None:
            self._enter(subscription, Input.REVOKED, reason)
        return self._done()

    def tick(self, now: float) -> Effects:
        """Check the heartbeat; to be called several times within its interval."""
        if self._heartbeat.silent(now):
            self._close(Close(TRY_AGAIN, "no answer to a ping"))
        else:
            nonce = self._heartbeat.due(now)
            if nonce:
                self._note("ping_sent")
                self._send(frames.ping(nonce))
        return self._done()

    # -- frames from the client --------------------------------------------------------------------------------

    def _accept(self, size: int, now: float) -> bool:
        """Record a message; return whether its size is within the limit, else close."""
        self._note("frame_read", size=size)
        self._heartbeat.heard(now)
        limit = self._limits.frame_bytes
        if size > limit:
            self._close(Close(TOO_BIG, f"a frame of {size} bytes; {limit} are allowed"))
        return size <= limit

    def _may_speak(self, session_id: str, now: float) -> bool:
        """Return whether a frame is within the rate; if not, refuse it, and close after too many refusals in a row.

        A client that does not know the budget yet starts with up to ``WINDOW`` requests, and is never closed for those.
        """
        if self._allowance.take(now):
            return True
        self._note("rate_limited", session_id, code=RATE_LIMITED.code)
        if self._allowance.refused > max(self._limits.frames_burst, WINDOW):
            self._close(Close(POLICY, "too many frames, whatever the answer"))
        else:
            self._refuse(RATE_LIMITED, f"more than {self._limits.frames_per_second:g} frames a second", session_id)
        return False

    def _refuse_frame(self, error: FrameError, size: int, now: float) -> None:
        if self._may_speak(error.session_id, now):
            stage: Stage = "decode_error" if error.code is BAD_CLIENT_FRAME else "protocol_error"
            self._note(stage, error.session_id, size=size, code=error.code.code, error=error.message)
            self._refuse(error.code, error.message, error.session_id)

    def _answer(self, request: Request) -> None:
        match request:
            case Subscribe(session_id):
                self._note("subscribe_received", session_id, ordinal=request.since, delta=request.delta)
                subscription = self._subscriptions.get(session_id) or self._new_subscription(request)
                if subscription is not None:
                    self._enter(subscription, Input.SUBSCRIBE, request)
            case Unsubscribe(session_id):
                subscription = self._subscriptions.get(session_id) or ClientSubscription(
                    session_id=session_id, request=Subscribe(session_id)
                )
                self._enter(subscription, Input.UNSUBSCRIBE, None)
            case Ping(nonce):
                self._send(frames.pong(nonce))
            case Pong():
                pass  # the heartbeat has recorded it

    def _new_subscription(self, request: Subscribe) -> ClientSubscription | None:
        limit = self._limits.subscriptions_per_connection
        if len(self._subscriptions) < limit:
            return self._subscriptions.setdefault(
                request.session_id, ClientSubscription(session_id=request.session_id, request=request)
            )
        message = f"a connection may have {limit} subscriptions"
        self._note("protocol_error", request.session_id, code=TOO_MANY_SUBSCRIPTIONS.code, error=message)
        self._refuse(TOO_MANY_SUBSCRIPTIONS, message, request.session_id)
        return None

    # -- the actions of the table ------------------------------------------------------------------------------

    def _authorize(self, subscription: ClientSubscription, request: Subscribe) -> None:
        subscription.request = request
        subscription.token = self._next_token()
        subscription.drop()
        self._out.append(Authorize(subscription.session_id, subscription.token))

    def _load(self, subscription: ClientSubscription, _: None) -> None:
        if not subscription.joined:
            subscription.joined = True
            self._out.append(Join(subscription.session_id))  # before the load begins, so that no event is missed
            self._note("subscription_registered", subscription.session_id)
        request = subscription.request
        subscription.held = Basis(request.since, request.epoch) if request.delta and request.since else None
        self._begin_load(subscription)

    def _reload(self, subscription: ClientSubscription, _: None) -> None:
        self._note("resync", subscription.session_id)
        self._begin_load(subscription)

    def _begin_load(self, subscription: ClientSubscription, *, again: bool = False) -> None:
        subscription.begin_load(again=again)
        subscription.token = self._next_token()
        delta = subscription.request.delta
        self._note("load_started", subscription.session_id)
        self._out.append(
            Load(subscription.session_id, subscription.token, subscription.held if delta else None, epochs=delta)
        )

    def _keep(self, subscription: ClientSubscription, batch: Batch) -> None:
        limits, session_id = self._limits, subscription.session_id
        dropped = subscription.keep(batch, limits.buffered_frames, limits.buffered_bytes)
        if dropped:
            self._note("buffer_dropped", session_id, ordinal=batch.ordinal, frames=dropped)
        elif subscription.loading:
            self._note("buffered", session_id, ordinal=batch.ordinal, frames=len(batch.frames), size=batch.size)

    def _pass_on(self, subscription: ClientSubscription, batch: Batch) -> None:
        subscription.floor = batch.ordinal
        self._out.append(batch)

    def _skip(self, subscription: ClientSubscription, batch: Batch) -> None:
        subscription.floor = batch.ordinal

    def _hydrate(self, subscription: ClientSubscription, hydration: Hydration) -> None:
        """Send the requested snapshot, the buffered events and ``subscribed``, as one step."""
        since = subscription.request.since
        # Clients that ask for deltas accept unknown fields; strict older ones may not.
        budget = _budget(self._limits) if subscription.request.delta else None
        self._deliver(subscription, hydration, frames.subscribed(subscription.session_id, since, budget))
        self._note("subscribed", subscription.session_id, ordinal=since)
        self._note("live", subscription.session_id, ordinal=subscription.floor)

    def _refresh(self, subscription: ClientSubscription, hydration: Hydration) -> None:
        """Send a snapshot that the client did not request, and the buffered events."""
        self._deliver(subscription, hydration)
        self._note("live", subscription.session_id, ordinal=subscription.floor)

    def _deliver(self, subscription: ClientSubscription, hydration: Hydration, *ending: Frame) -> None:
        session_id, ordinal, delta = subscription.session_id, hydration.ordinal, hydration.delta
        self._note("loaded", session_id, ordinal=ordinal, frames=hydration.entities, delta=delta)
        newer = subscription.hydrate(ordinal, hydration.epoch)
        kept = tuple([frame for batch in newer for frame in batch.frames])
        self._send(hydration.frame, *kept, *ending)
        self._note("snapshot_sent", session_id, ordinal=ordinal, size=hydration.frame.size, delta=delta)
        if kept:
            self._note("flushed", session_id, ordinal=subscription.floor, frames=len(kept), size=_size(kept))

    def _try_again(self, subscription: ClientSubscription, hydration: Hydration) -> None:
        words = f"the snapshot is at {hydration.ordinal}, and {subscription.floor} was sent or dropped already"
        if subscription.loads < MAX_LOADS:
            self._note("load_failed", subscription.session_id, ordinal=hydration.ordinal, error=words)
            self._begin_load(subscription, again=True)
        else:
            self._give_up(subscription, words)

    def _report_failure(self, subscription: ClientSubscription, words: str) -> None:
        self._note("load_failed", subscription.session_id, code=SNAPSHOT_FAILED.code, error=words)
        self._forget(subscription)
        # The client gets no details of the failure; the observer and the log do.
        self._refuse(
            SNAPSHOT_FAILED, "the snapshot could not be loaded; subscribe again later", subscription.session_id
        )

    def _give_up(self, subscription: ClientSubscription, words: str) -> None:
        """Close with 1013: the client has no request open that an error frame could answer."""
        self._note("load_failed", subscription.session_id, code=str(TRY_AGAIN.code), error=words)
        self._close(Close(TRY_AGAIN, "a snapshot could not be loaded"))

    def _deny(self, subscription: ClientSubscription, reason: str | None) -> None:
        message = reason or "this session is not yours to watch"
        self._note("unauthorized", subscription.session_id, code=UNAUTHORIZED.code, error=reason or "")
        self._forget(subscription)
        self._refuse(UNAUTHORIZED, message, subscription.session_id)

    def _unsubscribe(self, subscription: ClientSubscription, _: None) -> None:
        self._forget(subscription)
        self._send(frames.unsubscribed(subscription.session_id))
        self._note("unsubscribed", subscription.session_id)

    _ACTIONS: ClassVar[Mapping[Action, Callable[..., None]]] = {
        Action.AUTHORIZE: _authorize,
        Action.UNSUBSCRIBE: _unsubscribe,
        Action.DENY: _deny,
        Action.LOAD: _load,
        Action.RELOAD: _reload,
        Action.HYDRATE: _hydrate,
        Action.REFRESH: _refresh,
        Action.TRY_AGAIN: _try_again,
        Action.REPORT_FAILURE: _report_failure,
        Action.GIVE_UP: _give_up,
        Action.SKIP: _skip,
        Action.KEEP: _keep,
        Action.PASS_ON: _pass_on,
    }

    # -- helpers -----------------------------------------------------------------------------------------------

    def _told(self, session_id: str, token: int, what: Input, value: object = None) -> Effects:
        """Apply a result, unless its token is no longer current."""
        subscription = self._subscriptions.get(session_id)
        if subscription is not None and subscription.token == token:
            self._enter(subscription, what, value)
        return self._done()

    def _enter(self, subscription: ClientSubscription, what: Input, value: object) -> None:
        action = subscription.enter(what)
        if action is not None:
            self._ACTIONS[action](self, subscription, value)

    def _forget(self, subscription: ClientSubscription) -> None:
        if self._subscriptions.pop(subscription.session_id, None) is not None:
            self._out.append(Leave(subscription.session_id))

    def _refuse(self, code: ErrorCode, message: str, session_id: str = "") -> None:
        self._send(frames.error(code, message, session_id))

    def _send(self, *of: Frame) -> None:
        self._out.append(Send(of))

    def _close(self, close: Close) -> None:
        self._note("closing", code=str(close.code.code), error=close.reason)
        self._subscriptions.clear()
        self._out.append(close)

    def _note(self, stage: Stage, session_id: str = "", **facts: Any) -> None:
        if self._observed:
            self._out.append(Note(ConnectionRecord(stage, self.connection_id, session_id, **facts)))

    def _next_token(self) -> int:
        self._token += 1
        return self._token

    def _done(self) -> Effects:
        out, self._out = self._out, []
        return out


def _budget(limits: Limits) -> Budget:
    return Budget(limits.frames_burst, limits.frames_per_second, limits.subscriptions_per_connection)


def _size(of: tuple[Frame, ...]) -> int:
    return sum(frame.size for frame in of)
