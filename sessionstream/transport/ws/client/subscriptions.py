"""The sessions that a client watches: what the server is told of them, and what watchers are given. Pure.

What is held of each session is the last snapshot, with every delta put over it: that is what a new connection begins
from, and a new watcher. Live events are passed on, and kept as text for those who come later, up to a bound.

Two numbers of a subscription keep the promise *a snapshot at N, then exactly the UI events above N*: the ordinal of the
last snapshot, which covers every event up to it, and that of the last event, which others of the same backend event
may share. A snapshot sets both, whatever they were before: it is the server's word on what is true.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar, TypeAlias, cast

from sessionstream.errors import TransportError
from sessionstream.transport.ws.client import frames
from sessionstream.transport.ws.client.deltas import apply_snapshot
from sessionstream.transport.ws.client.effects import Deliver, Effect, End, Send
from sessionstream.transport.ws.client.errors import UnexpectedPayload
from sessionstream.transport.ws.client.frames import SnapshotFrame, UIEventFrame
from sessionstream.transport.ws.client.outstanding import Outstanding
from sessionstream.transport.ws.client.pacing import Pacer
from sessionstream.transport.ws.client.payloads import PayloadDecoder
from sessionstream.transport.ws.client.states import ASKING, TABLE, UNANSWERED, Action, Input, State
from sessionstream.transport.ws.client.subscription import Subscription

Why: TypeAlias = Callable[[], TransportError | None]
"""Makes the error that ends a subscription: one for each watcher, because it may collect a traceback."""


class Subscriptions:
    """Watched sessions, over as many connections as it takes.

    Args:
        decoder: makes what is given.
        wait: returns the seconds before a snapshot that could not be made is asked for again, by how often it could
            not in a row.
        out: where effects are put.
    """

    __slots__ = ("_all", "_decoder", "_delta", "_delta_asks", "_out", "_outstanding", "_wait")

    def __init__(self, decoder: PayloadDecoder, wait: Callable[[int], float], out: list[Effect]) -> None:
        self._decoder = decoder
        self._wait = wait
        self._out = out
        self._all: dict[str, Subscription] = {}
        self._outstanding = Outstanding()
        self._delta = True  # this server knows them, as far as we know
        self._delta_asks = 0  # on this connection

    # -- what users want ---------------------------------------------------------------------------------------

    def watch(self, session_id: str, watcher: int) -> None:
        """Begin to give a watcher what there is of a session."""
        subscription = self._all.setdefault(session_id, Subscription(session_id))
        subscription.watchers[watcher] = False
        self._catch_up(subscription, watcher)
        self._settle(subscription)

    def leave(self, session_id: str, watcher: int) -> None:
        """Give it no more."""
        subscription = self._all.get(session_id)
        if subscription is not None:
            subscription.watchers.pop(watcher, None)
            self._settle(subscription)

    def end_all(self, why: Why) -> None:
        """End every watcher."""
        for subscription in list(self._all.values()):
            self._end_watchers(subscription, why)
            self._settle(subscription)

    # -- what is said to the server ----------------------------------------------------------------------------

    def next(self, pacer: Pacer) -> Callable[[], object] | None:
        """Return what says the next thing; None if there is nothing to be said for now."""
        turn = self._outstanding.next(pacer)
        return partial(self._enter, *turn) if turn is not None else None

    def say_again(self, states: frozenset[State] = UNANSWERED) -> None:
        """What has no answer may have had no effect: say it again."""
        for subscription in self._told(states):
            subscription.again = True
            self._settle(subscription)

    @property
    def retry_at(self) -> float:
        """When ``retry`` is due."""
        return self._outstanding.retry_at

    def retry(self, now: float) -> None:
        """Ask again for the snapshots that could not be made, where the wait is over."""
        for session_id in self._outstanding.retries(now):
            subscription = self._all[session_id]
            subscription.retry_at = None
            self._settle(subscription)

    # -- what the server says ----------------------------------------------------------------------------------

    def hear(self, session_id: str, what: Input, value: object = None) -> bool:
        """Take what came about a session; return whether it is of any importance.

        Raises:
            DeltaGap: a delta that does not follow from what is held.
        """
        subscription = self._all.get(session_id)
        return subscription is not None and self._enter(subscription, what, value)

    @property
    def leaving(self) -> bool:
        """Whether the server is about to hear, or to answer, that a session is left."""
        return self._outstanding.leaving

    def misunderstood(self, why: Callable[[str], Why]) -> None:
        """The server understood a frame of ours not at all.

        One of before there were deltas refuses every subscribe that mentions them, one after the other.
        """
        if self._delta:
            self._delta = False
            self._delta_asks -= 1
            self.say_again(ASKING)
        elif self._delta_asks > 0:
            self._delta_asks -= 1
        else:
            for subscription in self._told(ASKING):
                self._enter(subscription, Input.ENDED, why(subscription.session_id))

    def lose(self) -> None:
        """The connection is gone, and with it whatever the server knew."""
        self._delta, self._delta_asks = True, 0  # the next server may know deltas
        for subscription in list(self._all.values()):
            self._enter(subscription, Input.LOST)

    # -- what the table's words mean ---------------------------------------------------------------------------

    def _ask(self, subscription: Subscription, _: object) -> None:
        held = subscription.held
        if not self._delta:
            self._out.append(Send(frames.subscribe(subscription.session_id, delta=False)))
            return
        self._delta_asks += 1
        since, epoch = (held.snapshot_ordinal, held.epoch) if held is not None and held.epoch else (0, 0)
        self._out.append(Send(frames.subscribe(subscription.session_id, delta=True, since=since, epoch=epoch)))

    def _leave(self, subscription: Subscription, _: object) -> None:
        subscription.held = None  # whoever returns has nothing in hand
        self._out.append(Send(frames.unsubscribe(subscription.session_id)))

    def _lose(self, subscription: Subscription, _: object) -> None:
        subscription.crowded = False
        subscription.retry_at = None

    def _hydrate(self, subscription: Subscription, came: SnapshotFrame) -> None:
        held, subscription.held = subscription.held, None
        subscription.held = held = apply_snapshot(held, came)
        subscription.refusals = 0
        subscription.reached = held.snapshot_ordinal
        subscription.replay.begin()
        for watcher in list(subscription.watchers):
            self._catch_up(subscription, watcher)

    def _pass_on(self, subscription: Subscription, came: tuple[UIEventFrame, str]) -> None:
        happened, text = came
        held = subscription.held
        if held is None or happened.ordinal <= held.snapshot_ordinal or happened.ordinal < subscription.reached:
            return
        subscription.reached = happened.ordinal
        subscription.replay.keep(text)
        own = happened  # each watcher has its own
        for watcher in [watcher for watcher, ready in subscription.watchers.items() if ready]:
            self._give_event(subscription, watcher, own)
            own = replace(happened, payload=copy.deepcopy(happened.payload))

    def _retry(self, subscription: Subscription, now: float) -> None:
        subscription.retry_at = now + self._wait(subscription.refusals)
        subscription.refusals += 1

    def _wait_for_room(self, subscription: Subscription, _: object) -> None:
        subscription.crowded = True

    def _make_room(self, *_: object) -> None:
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

    # -- what watchers are given -------------------------------------------------------------------------------

    def _catch_up(self, subscription: Subscription, watcher: int) -> None:
        """Give a watcher what is held and the events since, if all of that is there."""
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
        if watcher in subscription.watchers:
            try:
                self._out.append(Deliver(watcher, self._decoder.event(happened)))
            except UnexpectedPayload as error:
                self._end_watchers(subscription, _again(error))

    def _end_watchers(self, subscription: Subscription, why: Why) -> None:
        self._out.extend([End(watcher, why()) for watcher in subscription.watchers])
        subscription.watchers.clear()

    # -- how it is done ----------------------------------------------------------------------------------------

    def _enter(self, subscription: Subscription, what: Input, value: object = None) -> bool:
        step = TABLE[subscription.state].get(what)
        if step is not None:
            action, subscription.state = step
            if what is not Input.EVENT:
                subscription.again = False  # it was said again, or answered, or it is too late for both
            self._ACTIONS[action](self, subscription, value)
            self._settle(subscription)
        return step is not None

    def _settle(self, subscription: Subscription) -> None:
        """Find out what is to be said about a subscription now, and forget it if nobody has to do with it any more."""
        if subscription.state is State.ABSENT and not subscription.watchers:
            self._all.pop(subscription.session_id, None)
        was_leaving = self.leaving
        self._outstanding.settle(subscription)
        if was_leaving and not self.leaving:
            self._make_room()  # nothing else will be left: whoever waits for room has to ask

    def _told(self, states: frozenset[State]) -> list[Subscription]:
        return [subscription for subscription in self._all.values() if subscription.state in states]


def _again(error: UnexpectedPayload) -> Why:
    """Make the same error as often as there are watchers."""
    return partial(UnexpectedPayload, error.session_id, error.family, error.name, error.expected, error.reason)
