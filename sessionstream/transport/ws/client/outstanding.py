"""The requests that are still to be sent: the difference between the subscriptions wanted and those the server has.

No messages are queued. What to send about a session is decided when it is next, so a watcher that comes and goes in
between causes no request. Pure.
"""

from __future__ import annotations

from typing import TypeVar

from sessionstream.transport.ws.client.pacing import Pacer
from sessionstream.transport.ws.client.states import ASKING, UNANSWERED, Input, State
from sessionstream.transport.ws.client.subscription import Subscription

_T = TypeVar("_T")


class Outstanding:
    """Keeps the pending and the unanswered requests. Call ``settle`` after each change of a subscription."""

    __slots__ = ("_asks", "_leaves", "_leaving", "_retries", "_told", "_unanswered")

    def __init__(self) -> None:
        self._asks: dict[str, Subscription] = {}  # in the order in which they became due
        self._leaves: dict[str, Subscription] = {}
        self._told: set[str] = set()  # subscriptions that the server has, or will have
        self._leaving: set[str] = set()  # those of them that are being ended, or will be
        self._unanswered: set[str] = set()
        self._retries: dict[str, float] = {}

    def settle(self, subscription: Subscription) -> None:
        """Update the requests for the current state of a subscription."""
        session_id, state = subscription.session_id, subscription.state
        due = _due(subscription)
        _keep(self._asks, session_id, subscription if due is Input.ASK else None)
        _keep(self._leaves, session_id, subscription if due is Input.LEAVE else None)
        _mark(self._told, session_id, state is not State.ABSENT)
        _mark(self._leaving, session_id, state is State.LEAVING or due is Input.LEAVE)
        _mark(self._unanswered, session_id, state in UNANSWERED and not subscription.again)
        _keep(self._retries, session_id, subscription.retry_at if subscription.watchers else None)

    def next(self, pacer: Pacer) -> tuple[Subscription, Input] | None:
        """Return the next request, as a subscription and its input; None if none may be sent now.

        Unsubscribes come first. A subscribe waits while the server has no room for it, or too many requests are
        unanswered.
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
        """Whether an unsubscribe is pending or unanswered."""
        return bool(self._leaving)

    @property
    def retry_at(self) -> float:
        """When the first subscription with ``retry_at`` is due; infinite if there is none."""
        return min(self._retries.values(), default=float("inf"))

    def retries(self, now: float) -> list[str]:
        """Return the session ids of the subscriptions that are due."""
        return [session_id for session_id, at in self._retries.items() if at <= now]


def _due(subscription: Subscription) -> Input | None:
    """Return the input whose request brings the server to the wanted state; None if it is there."""
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
    """Set or remove the value of a session."""
    if value is None:
        kept.pop(session_id, None)
    else:
        kept[session_id] = value


def _mark(marked: set[str], session_id: str, so: bool) -> None:
    """Add a session to a set, or remove it."""
    if so:
        marked.add(session_id)
    else:
        marked.discard(session_id)
