"""What is still to be said to the server about sessions: the difference between what is wanted and what it was told.

Nothing in here is a message. What is said last about a session is decided when it is its turn, so whoever comes and
goes meanwhile has said nothing. Pure.
"""

from __future__ import annotations

from typing import TypeVar

from sessionstream.transport.ws.client.pacing import Pacer
from sessionstream.transport.ws.client.states import ASKING, UNANSWERED, Input, State
from sessionstream.transport.ws.client.subscription import Subscription

_T = TypeVar("_T")


class Outstanding:
    """Keeps the differences, and what waits for an answer. ``settle`` a subscription after each change of it."""

    __slots__ = ("_asks", "_leaves", "_leaving", "_retries", "_told", "_unanswered")

    def __init__(self) -> None:
        self._asks: dict[str, Subscription] = {}  # in the order in which they were wanted
        self._leaves: dict[str, Subscription] = {}
        self._told: set[str] = set()  # the server has them, or is about to
        self._leaving: set[str] = set()  # of those it was told to end, or will be
        self._unanswered: set[str] = set()
        self._retries: dict[str, float] = {}

    def settle(self, subscription: Subscription) -> None:
        """Take note of what a subscription is by now."""
        session_id, state = subscription.session_id, subscription.state
        due = _due(subscription)
        _keep(self._asks, session_id, subscription if due is Input.ASK else None)
        _keep(self._leaves, session_id, subscription if due is Input.LEAVE else None)
        _mark(self._told, session_id, state is not State.ABSENT)
        _mark(self._leaving, session_id, state is State.LEAVING or due is Input.LEAVE)
        _mark(self._unanswered, session_id, state in UNANSWERED and not subscription.again)
        _keep(self._retries, session_id, subscription.retry_at if subscription.watchers else None)

    def next(self, pacer: Pacer) -> tuple[Subscription, Input] | None:
        """Return whose turn it is, and to be what; None if there is nothing that may be said now.

        Sessions to leave come first. A session is not asked for while it would wait for room, nor while too many
        requests have no answer.
        """
        for subscription in self._leaves.values():
            return subscription, Input.LEAVE
        if len(self._unanswered) >= pacer.window:
            return None
        if self._leaving and pacer.subscriptions is not None and len(self._told) >= pacer.subscriptions:
            return None
        for subscription in self._asks.values():
            return subscription, Input.ASK
        return None

    @property
    def leaving(self) -> bool:
        """Whether the server is about to hear, or to answer, that a session is left."""
        return bool(self._leaving)

    @property
    def retry_at(self) -> float:
        """When the first of those is due whose snapshot could not be made."""
        return min(self._retries.values(), default=float("inf"))

    def retries(self, now: float) -> list[str]:
        """Return those that are due by now."""
        return [session_id for session_id, at in self._retries.items() if at <= now]


def _due(subscription: Subscription) -> Input | None:
    """Return what the server has to be told for it to know what is wanted."""
    state, watchers = subscription.state, subscription.watchers
    if state is State.LEAVING:
        return Input.LEAVE if subscription.again else None
    if not watchers:
        return Input.LEAVE if state is not State.ABSENT else None
    if state is State.ABSENT:
        return Input.ASK if not subscription.crowded and subscription.retry_at is None else None
    if state in ASKING:
        return Input.ASK if subscription.again else None
    return None if all(watchers.values()) else Input.ASK


def _keep(kept: dict[str, _T], session_id: str, value: _T | None) -> None:
    if value is None:
        kept.pop(session_id, None)
    else:
        kept[session_id] = value


def _mark(marked: set[str], session_id: str, so: bool) -> None:
    if so:
        marked.add(session_id)
    else:
        marked.discard(session_id)
