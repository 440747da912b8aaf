"""One connection's conversation, without I/O: what is said goes in, what is to be done comes out.

Every call is one atomic step, and that is what keeps the promise *a snapshot at N, then exactly the UI events above
N*. A subscription is told of events before its snapshot begins to load; whatever comes while it loads is kept, and sent
after the snapshot if it is newer. No lock, no clock, no task.

A subscription has one number that the promise hangs on, its floor: the highest ordinal that it has sent or dropped.
An event at or below it is old. A snapshot below it is too old to stand for what was dropped, and is loaded anew.

The states of a subscription, and what leads from one to another, are the table in states.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from sessionstream.transport.ws.server import frames
from sessionstream.transport.ws.server.effects import (
    Authorize,
    Basis,
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
from sessionstream.transport.ws.server.states import TABLE, Action, Input, State
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

MAX_LOADS: Final = 5
"""Snapshots in a row that may be too old, before the client is sent away to come back."""


@dataclass(slots=True)
class Subscription:
    """One session on one connection.

    Attributes:
        request: what the client asked for last.
        token: of the question that is open; answers to older ones are void.
        joined: whether it is told of events.
        floor: the highest ordinal that was sent or dropped. An event at or below it is old; a snapshot below it
            is too old to stand for what was dropped.
        epoch: of the last snapshot that was sent, None before the first.
        held: what the client will hold when it has read what it was sent; None where no delta can start from it.
        loads: how many snapshots in a row were asked for; all but the last were too old.
        loading: whether the one that was asked for last has begun to load. Until then nothing has to be kept: it will
            hold whatever happens before it begins.
    """

    session_id: str
    request: Subscribe
    state: State = State.ABSENT
    token: int = 0
    joined: bool = False
    floor: int = 0
    epoch: int | None = None
    held: Basis | None = None
    loads: int = 0
    loading: bool = False
    _kept: list[Batch] = field(default_factory=list)
    _kept_frames: int = 0
    _kept_size: int = 0

    def keep(self, batch: Batch, max_frames: int, max_bytes: int) -> int:
        """Keep a batch until the snapshot is there; beyond either limit drop everything, return how many frames."""
        frames, size = self._kept_frames + len(batch.frames), self._kept_size + batch.size
        if frames > max_frames or size > max_bytes:
            self.drop()
            self.floor = batch.ordinal
            return frames
        self._kept.append(batch)
        self._kept_frames, self._kept_size = frames, size
        return 0

    def is_new(self, batch: Batch) -> bool:
        """Whether a batch is above everything that was sent, dropped or kept."""
        return batch.ordinal > (self._kept[-1].ordinal if self._kept else self.floor)

    def drop(self) -> None:
        """Drop what is kept; only a snapshot can stand for it now."""
        if self._kept:
            self.floor = self._kept[-1].ordinal
            self._kept = []
            self._kept_frames = self._kept_size = 0

    def hydrate(self, ordinal: int, epoch: int) -> tuple[Frame, ...]:
        """Go on from a snapshot; return the kept frames that come after it."""
        newer = tuple([frame for batch in self._kept if batch.ordinal > ordinal for frame in batch.frames])
        self.drop()
        self.floor = max(self.floor, ordinal)
        self.epoch = epoch
        self.held = Basis(ordinal, epoch) if ordinal else None
        return newer


class Conversation:
    """What one connection and the server say to each other.

    Args:
        connection_id: as the hello says it.
        limits: the bounds; those that are about one connection are kept here.
        now: the present time in seconds, on any clock that only goes forward.
        observed: whether to make notes for an observer.

    Every method returns what is to be done, in order, and has to be told again what became of it.
    """

    __slots__ = (
        "_allowance", "_heartbeat", "_limits", "_observed", "_out", "_subscriptions", "_token", "connection_id",
    )  # fmt: skip

    def __init__(self, connection_id: str, limits: Limits, now: float, *, observed: bool = False) -> None:
        self.connection_id = connection_id
        self._limits = limits
        self._observed = observed
        self._subscriptions: dict[str, Subscription] = {}
        self._token = 0
        self._out: list[Effect] = []
        self._allowance = TokenBucket(limits.frames_per_second, limits.frames_burst, now)
        self._heartbeat = Heartbeat(limits.heartbeat_seconds, limits.pong_timeout_seconds, now)

    @property
    def subscriptions(self) -> list[str]:
        """The sessions that are subscribed to, or about to be, sorted."""
        return sorted(self._subscriptions)

    # -- what can happen ---------------------------------------------------------------------------------------

    def open(self) -> Effects:
        """The connection is accepted."""
        self._send(frames.hello(self.connection_id))
        return self._done()

    def text(self, text: str, now: float) -> Effects:
        """A text message came."""
        size = len(text) if text.isascii() else len(text.encode(errors="replace"))
        if self._hear(size, now):
            try:
                request = decode(text)
            except FrameError as error:
                self._refuse_frame(error, size, now)
            else:
                session_id = request.session_id if isinstance(request, Subscribe | Unsubscribe) else ""
                # One subscribe that was let through pays for one unsubscribe: to refuse it would cost as much.
                leaves = isinstance(request, Unsubscribe) and session_id in self._subscriptions
                if leaves or self._may_speak(session_id, now):
                    self._note("decoded", session_id, size=size)
                    self._answer(request)
        return self._done()

    def binary(self, size: int, now: float) -> Effects:
        """A binary message came; it is refused."""
        if self._hear(size, now):
            message = "frames are JSON in text messages; this one was binary"
            self._refuse_frame(FrameError(BAD_CLIENT_FRAME, message), size, now)
        return self._done()

    def authorized(self, session_id: str, token: int, allowed: bool) -> Effects:
        """The application has answered whether the client may see a session."""
        return self._told(session_id, token, Input.ALLOWED if allowed else Input.REFUSED)

    def load_began(self, session_id: str, token: int) -> None:
        """A snapshot that was asked for is being loaded from this moment on; what comes now may not be in it."""
        subscription = self._subscriptions.get(session_id)
        if subscription is not None and subscription.token == token:
            subscription.loading = True

    def loaded(self, session_id: str, token: int, hydration: Hydration) -> Effects:
        """A snapshot that was asked for is there."""
        subscription = self._subscriptions.get(session_id)
        new_enough = subscription is None or hydration.ordinal >= subscription.floor
        return self._told(session_id, token, Input.LOADED if new_enough else Input.TOO_OLD, hydration)

    def load_failed(self, session_id: str, token: int, words: str) -> Effects:
        """A snapshot that was asked for cannot be had, or whether it may be had is not known."""
        return self._told(session_id, token, Input.LOAD_FAILED, words)

    def events(self, batch: Batch) -> Effects:
        """A session that was joined has UI events."""
        subscription = self._subscriptions.get(batch.session_id)
        if subscription is None or not subscription.is_new(batch):
            return ()
        if subscription.state is State.LIVE:  # as the table says, by a shorter way: this is what happens most
            subscription.floor = batch.ordinal
            return (batch,)
        self._enter(subscription, Input.EVENTS, batch)
        return self._done()

    def resync(self, session_id: str, ordinal: int | None = None, epoch: int | None = None) -> Effects:
        """Give the client a snapshot, unless it is live at this ordinal of this epoch, or above it."""
        subscription = self._subscriptions.get(session_id)
        if subscription is None:
            return ()
        live = subscription.state is State.LIVE and subscription.epoch == epoch
        if not live or ordinal is None or subscription.floor < ordinal:
            self._enter(subscription, Input.RESYNC, None)
        return self._done()

    def revoke(self, session_id: str, reason: str) -> Effects:
        """The application has taken away the client's right to see a session; ``reason`` is for the client."""
        subscription = self._subscriptions.get(session_id)
        if subscription is not None:
            self._enter(subscription, Input.REVOKED, reason)
        return self._done()

    def tick(self, now: float) -> Effects:
        """Time has passed; to be called a few times in a heartbeat."""
        if self._heartbeat.silent(now):
            self._close(Close(TRY_AGAIN, "no answer to a ping"))
        else:
            nonce = self._heartbeat.due(now)
            if nonce:
                self._note("ping_sent")
                self._send(frames.ping(nonce))
        return self._done()

    # -- what clients say --------------------------------------------------------------------------------------

    def _hear(self, size: int, now: float) -> bool:
        """Take note of a message; return whether it is short enough to be looked into."""
        self._note("frame_read", size=size)
        self._heartbeat.heard(now)
        limit = self._limits.frame_bytes
        if size > limit:
            self._close(Close(TOO_BIG, f"a frame of {size} bytes; {limit} are allowed"))
        return size <= limit

    def _may_speak(self, session_id: str, now: float) -> bool:
        """Return whether a frame comes at a pace that is allowed; refuse it otherwise.

        A client that does not know the budget yet may open with ``WINDOW`` requests, and is never closed for those.
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
                subscription = self._subscriptions.get(session_id) or Subscription(session_id, Subscribe(session_id))
                self._enter(subscription, Input.UNSUBSCRIBE, None)
            case Ping(nonce):
                self._send(frames.pong(nonce))
            case Pong():
                pass  # it was heard

    def _new_subscription(self, request: Subscribe) -> Subscription | None:
        limit = self._limits.subscriptions_per_connection
        if len(self._subscriptions) < limit:
            return self._subscriptions.setdefault(request.session_id, Subscription(request.session_id, request))
        message = f"a connection may have {limit} subscriptions"
        self._note("protocol_error", request.session_id, code=TOO_MANY_SUBSCRIPTIONS.code, error=message)
        self._refuse(TOO_MANY_SUBSCRIPTIONS, message, request.session_id)
        return None

    # -- what the table's words mean ---------------------------------------------------------------------------

    def _authorize(self, subscription: Subscription, request: Subscribe) -> None:
        subscription.request = request
        subscription.token = self._next_token()
        subscription.drop()
        self._out.append(Authorize(subscription.session_id, subscription.token))

    def _load(self, subscription: Subscription, _: None) -> None:
        if not subscription.joined:
            subscription.joined = True
            self._out.append(Join(subscription.session_id))  # before the load begins: nothing falls between
            self._note("subscription_registered", subscription.session_id)
        request = subscription.request
        subscription.held = Basis(request.since, request.epoch) if request.delta and request.since else None
        subscription.loads = 0
        self._begin_load(subscription)

    def _reload(self, subscription: Subscription, _: None) -> None:
        self._note("resync", subscription.session_id)
        subscription.loads = 0
        self._begin_load(subscription)

    def _begin_load(self, subscription: Subscription) -> None:
        subscription.loads += 1
        subscription.loading = False
        subscription.drop()
        subscription.token = self._next_token()
        delta = subscription.request.delta
        self._note("load_started", subscription.session_id)
        self._out.append(
            Load(subscription.session_id, subscription.token, subscription.held if delta else None, epochs=delta)
        )

    def _keep(self, subscription: Subscription, batch: Batch) -> None:
        if not subscription.loading:
            self._skip(subscription, batch)
            return
        limits, session_id = self._limits, subscription.session_id
        dropped = subscription.keep(batch, limits.buffered_frames, limits.buffered_bytes)
        if dropped:
            self._note("buffer_dropped", session_id, ordinal=batch.ordinal, frames=dropped)
        else:
            self._note("buffered", session_id, ordinal=batch.ordinal, frames=len(batch.frames), size=batch.size)

    def _pass_on(self, subscription: Subscription, batch: Batch) -> None:
        subscription.floor = batch.ordinal
        self._out.append(batch)

    def _skip(self, subscription: Subscription, batch: Batch) -> None:
        subscription.floor = batch.ordinal

    def _hydrate(self, subscription: Subscription, hydration: Hydration) -> None:
        """Send the snapshot that the client asked for and what was kept, as one step."""
        since = subscription.request.since
        # Clients that ask for deltas are not confused by fields that they do not know; strict ones may be.
        budget = _budget(self._limits) if subscription.request.delta else None
        self._deliver(subscription, hydration, frames.subscribed(subscription.session_id, since, budget))
        self._note("subscribed", subscription.session_id, ordinal=since)
        self._note("live", subscription.session_id, ordinal=subscription.floor)

    def _refresh(self, subscription: Subscription, hydration: Hydration) -> None:
        """Send a snapshot that the server wanted sent, and what was kept."""
        self._deliver(subscription, hydration)
        self._note("live", subscription.session_id, ordinal=subscription.floor)

    def _deliver(self, subscription: Subscription, hydration: Hydration, *ending: Frame) -> None:
        session_id, ordinal, delta = subscription.session_id, hydration.ordinal, hydration.delta
        self._note("loaded", session_id, ordinal=ordinal, frames=hydration.entities, delta=delta)
        kept = subscription.hydrate(ordinal, hydration.epoch)
        self._send(hydration.frame, *kept, *ending)
        self._note("snapshot_sent", session_id, ordinal=ordinal, size=hydration.frame.size, delta=delta)
        if kept:
            self._note("flushed", session_id, ordinal=subscription.floor, frames=len(kept), size=_size(kept))

    def _try_again(self, subscription: Subscription, hydration: Hydration) -> None:
        words = f"the snapshot is at {hydration.ordinal}, and {subscription.floor} was sent or dropped already"
        if subscription.loads < MAX_LOADS:
            self._note("load_failed", subscription.session_id, ordinal=hydration.ordinal, error=words)
            self._begin_load(subscription)
        else:
            self._give_up(subscription, words)

    def _report_failure(self, subscription: Subscription, words: str) -> None:
        self._note("load_failed", subscription.session_id, code=SNAPSHOT_FAILED.code, error=words)
        self._forget(subscription)
        # What exactly failed is the operator's business; the observer and the log have it.
        self._refuse(
            SNAPSHOT_FAILED, "the snapshot could not be loaded; subscribe again later", subscription.session_id
        )

    def _give_up(self, subscription: Subscription, words: str) -> None:
        """A client that asked for nothing would not know what to make of an error: let it come back."""
        self._note("load_failed", subscription.session_id, code=str(TRY_AGAIN.code), error=words)
        self._close(Close(TRY_AGAIN, "a snapshot could not be loaded"))

    def _deny(self, subscription: Subscription, reason: str | None) -> None:
        message = reason or "this session is not yours to watch"
        self._note("unauthorized", subscription.session_id, code=UNAUTHORIZED.code, error=reason or "")
        self._forget(subscription)
        self._refuse(UNAUTHORIZED, message, subscription.session_id)

    def _unsubscribe(self, subscription: Subscription, _: None) -> None:
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

    # -- how it is done ----------------------------------------------------------------------------------------

    def _told(self, session_id: str, token: int, what: Input, value: object = None) -> Effects:
        """Pass on an answer, unless the question is void by now."""
        subscription = self._subscriptions.get(session_id)
        if subscription is not None and subscription.token == token:
            self._enter(subscription, what, value)
        return self._done()

    def _enter(self, subscription: Subscription, what: Input, value: object) -> None:
        step = TABLE[subscription.state].get(what)
        if step is not None:
            action, subscription.state = step
            self._ACTIONS[action](self, subscription, value)

    def _forget(self, subscription: Subscription) -> None:
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
