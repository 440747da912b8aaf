"""The sessions that a client watches: the requests they need, and the updates for their watchers. Pure.

A subscription holds the last snapshot with all deltas applied. New watchers start from it, and so does the subscribe
after a reconnect. Live events are passed on, and kept as text for later watchers, up to a limit.

Two numbers of a subscription keep the guarantee *a snapshot at N, then exactly the UI events above N*: the ordinal of
the last snapshot, which covers all events up to it, and the ordinal of the last event, which further UI events of the
same backend event may share. A snapshot sets both, even to lower values.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar, TypeAlias, cast

from sessionstream.errors import TransportError
from sessionstream.transport.ws.client import frames
from sessionstream.transport.ws.client.effects import Deliver, Effect, End, Send
from sessionstream.transport.ws.client.errors import UnexpectedPayload
from sessionstream.transport.ws.client.frames import SnapshotFrame, UIEventFrame
from sessionstream.transport.ws.client.outstanding import Outstanding
from sessionstream.transport.ws.client.pacing import Pacer
from sessionstream.transport.ws.client.payloads import PayloadDecoder
from sessionstream.transport.ws.client.states import ASKING, TABLE, UNANSWERED, Action, Input, State
from sessionstream.transport.ws.client.subscription import Subscription, apply_snapshot

Why: TypeAlias = Callable[[], TransportError | None]
"""Makes the error that ends a subscription. It is called for each watcher, because raising adds a traceback."""


class Subscriptions:
    """The watched sessions, across all connections.

    Args:
        decoder: makes the updates for watchers.
        wait: returns the seconds before the next subscribe after a failed snapshot, by the failures in a row before it.
        out: effects are appended to it.
    """

    __slots__ = ("_all", "_decoder", "_delta", "_delta_asks", "_out", "_outstanding", "_wait")

    def __init__(self, decoder: PayloadDecoder, wait: Callable[[int], float], out: list[Effect]) -> None:
        self._decoder = decoder
        self._wait = wait
        self._out = out
        self._all: dict[str, Subscription] = {}
        self._outstanding = Outstanding()
        self._delta = True  # whether the server is assumed to support deltas
        self._delta_asks = 0  # delta subscribes on this connection that may be refused

    # -- watchers ----------------------------------------------------------------------------------------------

    def watch(self, session_id: str, watcher: int) -> None:
        """Add a watcher to a session."""
        subscription = self._all.setdefault(session_id, Subscription(session_id))
        subscription.watchers[watcher] = False
        self._catch_up(subscription, watcher)
        self._settle(subscription)

    def leave(self, session_id: str, watcher: int) -> None:
        """Remove a watcher."""
        subscription = self._all.get(session_id)
        if subscription is not None:
            subscription.watchers.pop(watcher, None)
            self._settle(subscription)

    def end_all(self, why: Why) -> None:
        """End every watcher."""
        for subscription in list(self._all.values()):
            self._end_watchers(subscription, why)
            self._settle(subscription)

    # -- requests ----------------------------------------------------------------------------------------------

    def next(self, pacer: Pacer) -> Callable[[], object] | None:
        """Return a function that sends the next request; None if none may be sent now."""
        turn = self._outstanding.next(pacer)
        return partial(self._enter, *turn) if turn is not None else None

    def repeat(self, states: frozenset[State] = UNANSWERED) -> None:
        """Repeat the unanswered requests of subscriptions in these states."""
        for subscription in self._told(states):
            subscription.again = True
            self._settle(subscription)

    @property
    def retry_at(self) -> float:
        """When ``retry`` is due."""
        return self._outstanding.retry_at

    def retry(self, now: float) -> None:
        """Make the subscriptions due again whose wait after a failed snapshot is over."""
        for session_id in self._outstanding.retries(now):
            subscription = self._all[session_id]
            subscription.retry_at = None
            self._settle(subscription)

    # -- frames of the server ----------------------------------------------------------------------------------

    def receive(self, session_id: str, what: Input, value: object = None) -> bool:
        """Apply an input to a session; return whether its state accepts it.

        Raises:
            DeltaGap: a delta does not continue the timeline that is held.
        """
        subscription = self._all.get(session_id)
        return subscription is not None and self._enter(subscription, what, value)

    @property
    def leaving(self) -> bool:
        """Whether an unsubscribe is pending or unanswered."""
        return self._outstanding.leaving

    def misunderstood(self, why: Callable[[str], Why]) -> None:
        """Handle ``bad_client_frame``.

        A server without support for deltas refuses each subscribe that mentions them: subscribe again without.
        """
        if self._delta:
            self._delta = False
            self._delta_asks -= 1
            self.repeat(ASKING)
        elif self._delta_asks > 0:
            self._delta_asks -= 1
        else:
            for subscription in self._told(ASKING):
                self._enter(subscription, Input.ENDED, why(subscription.session_id))

    def lose(self) -> None:
        """The connection was lost, and with it all subscriptions of the server."""
        self._delta, self._delta_asks = True, 0  # the next server may support deltas
        for subscription in list(self._all.values()):
            self._enter(subscription, Input.LOST)

    # -- the actions of the table ------------------------------------------------------------------------------

    def _ask(self, subscription: Subscription, _: object) -> None:
        """Send a subscribe, for a delta if possible."""
        held = subscription.held
        if not self._delta:
            self._out.append(Send(frames.subscribe(subscription.session_id, delta=False)))
            return
        self._delta_asks += 1
        since, epoch = (held.snapshot_ordinal, held.epoch) if held is not None and held.epoch else (0, 0)
        self._out.append(Send(frames.subscribe(subscription.session_id, delta=True, since=since, epoch=epoch)))

    def _leave(self, subscription: Subscription, _: object) -> None:
        """Send an unsubscribe."""
        subscription.held = None  # a later subscribe starts without it
        self._out.append(Send(frames.unsubscribe(subscription.session_id)))

    def _lose(self, subscription: Subscription, _: object) -> None:
        subscription.crowded = False
        subscription.retry_at = None

    def _hydrate(self, subscription: Subscription, came: SnapshotFrame) -> None:
        """Apply a snapshot, and give it to all watchers."""
        held, subscription.held = subscription.held, None
        subscription.held = held = apply_snapshot(held, came)
        subscription.refusals = 0
        subscription.reached = held.snapshot_ordinal
        subscription.replay.begin()
        for watcher in list(subscription.watchers):
            self._catch_up(subscription, watcher)

    def _pass_on(self, subscription: Subscription, came: tuple[UIEventFrame, str]) -> None:
        """Give a live event to the watchers that have a snapshot, unless it is old."""
        happened, text = came
        held = subscription.held
        if held is None or happened.ordinal <= held.snapshot_ordinal or happened.ordinal < subscription.reached:
            return
        subscription.reached = happened.ordinal
        subscription.replay.keep(text)
        own = happened  # each watcher gets its own copy
        for watcher in [watcher for watcher, ready in subscription.watchers.items() if ready]:
            self._give_event(subscription, watcher, own)
            own = replace(happened, payload=copy.deepcopy(happened.payload))

    def _retry(self, subscription: Subscription, now: float) -> None:
        """Schedule another subscribe after a failed snapshot."""
        subscription.retry_at = now + self._wait(subscription.refusals)
        subscription.refusals += 1

    def _wait_for_room(self, subscription: Subscription, _: object) -> None:
        subscription.crowded = True

    def _make_room(self, *_: object) -> None:
        """Subscribe to the sessions that waited until another one was left."""
        for each in list(self._all.values()):
            if each.crowded:
                each.crowded = False
                self._settle(each)

    def _end(self, subscription: Subscription, why: Why) -> None:
        self._end_watchers(subscription, why)

    _ACTIONS: ClassVar[Mapping[Action, Callable[..., None]]] = {
        Action.ASK: _ask,
        Action.LEAVE: _leave,
        Action.LOSE: _lose,
        Action.HYDRATE: _hydrate,
        Action.PASS_ON: _pass_on,
        Action.RETRY: _retry,
        Action.WAIT_FOR_ROOM: _wait_for_room,
        Action.MAKE_ROOM: _make_room,
        Action.END: _end,
    }

    # -- updates for watchers ----------------------------------------------------------------------------------

    def _catch_up(self, subscription: Subscription, watcher: int) -> None:
        """Give a watcher the held snapshot and the events since, if all of them are available."""
        held, texts = subscription.held, subscription.replay.texts
        if held is None or texts is None or watcher not in subscription.watchers:
            return
        try:
            self._out.append(Deliver(watcher, self._decoder.snapshot(held)))
        except UnexpectedPayload as error:
            self._end_watchers(subscription, _again(error))
            return
        subscription.watchers[watcher] = True
        for text in texts:
            self._give_event(subscription, watcher, cast("UIEventFrame", frames.read(text)))

    def _give_event(self, subscription: Subscription, watcher: int, happened: UIEventFrame) -> None:
        """Give a live event to one watcher; end all watchers if its payload is unexpected."""
        if watcher in subscription.watchers:
            try:
                self._out.append(Deliver(watcher, self._decoder.event(happened)))
            except UnexpectedPayload as error:
                self._end_watchers(subscription, _again(error))

    def _end_watchers(self, subscription: Subscription, why: Why) -> None:
        """End all watchers of a session with an error."""
        self._out.extend([End(watcher, why()) for watcher in subscription.watchers])
        subscription.watchers.clear()

    # -- helpers -----------------------------------------------------------------------------------------------

    def _enter(self, subscription: Subscription, what: Input, value: object = None) -> bool:
        """Apply an input to the state table; return whether the state accepts it."""
        step = TABLE[subscription.state].get(what)
        if step is not None:
            action, subscription.state = step
            if what is not Input.EVENT:
                subscription.again = False  # repeated, answered, or obsolete
            self._ACTIONS[action](self, subscription, value)
            self._settle(subscription)
        return step is not None

    def _settle(self, subscription: Subscription) -> None:
        """Update the requests that are due; remove a subscription without watchers that the server does not have."""
        if subscription.state is State.ABSENT and not subscription.watchers:
            self._all.pop(subscription.session_id, None)
        was_leaving = self.leaving
        self._outstanding.settle(subscription)
        if was_leaving and not self.leaving:
            self._make_room()  # no session is being left any more: those that wait for room ask again

    def _told(self, states: frozenset[State]) -> list[Subscription]:
        """Return the subscriptions in these states."""
        return [subscription for subscription in self._all.values() if subscription.state in states]


def _again(error: UnexpectedPayload) -> Why:
    """Return a function that makes a new error like this one."""
    return partial(UnexpectedPayload, error.session_id, error.family, error.name, error.expected, error.reason)
