"""The cache of the recently used sessions of a hub, each with its lane, its metadata and its timeline."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeAlias

from sessionstream.callables import refuse_unasked
from sessionstream.hub.lane import CallbackScope, Lane
from sessionstream.ids import check_id
from sessionstream.observe import HubStatistics
from sessionstream.types import Session

if TYPE_CHECKING:
    from sessionstream.hub.known_errors import KnownErrors
    from sessionstream.hub.step import Step
    from sessionstream.hub.timeline import Timeline

SessionMetadata: TypeAlias = Callable[[str], object | Awaitable[object]]


class SessionState:
    """A cached session.

    Attributes:
        session: the session's value; None until its metadata is loaded.
        outgoing: the lock of events that are published to a bus, which must not wait for events from the bus.
        timeline: the timeline at its ordinal and epoch; None until it is loaded from the store.
        current: whether the timeline is current, as far as this hub knows.
        event_cursor: the session's event cursor; valid only if ``current``.
        unsure: commits that raised, in order, each with its epoch, until the store shows which of them were stored.
        known_errors: the recorded errors of the event that holds the session; None before the first.
    """

    __slots__ = (
        "current",
        "event_cursor",
        "id",
        "known_errors",
        "lane",
        "loading",
        "outgoing",
        "pins",
        "session",
        "timeline",
        "unsure",
        "weight",
    )

    def __init__(self, session_id: str) -> None:
        self.id: str = session_id
        self.lane: Lane = Lane()
        self.loading: asyncio.Lock = asyncio.Lock()
        self.outgoing: asyncio.Lock = asyncio.Lock()
        self.session: Session | None = None
        self.timeline: Timeline | None = None
        self.current: bool = False
        self.event_cursor: int = 0
        self.known_errors: KnownErrors | None = None
        self.unsure: list[tuple[Step, int]] = []
        self.pins: int = 0
        self.weight: int = 0


async def _load_metadata(metadata: SessionMetadata, session_id: str) -> object:
    scope = CallbackScope(session_id)
    try:
        found = metadata(session_id)
        return await found if isawaitable(found) else found
    except asyncio.CancelledError as error:
        refuse_unasked(error, "session_metadata waited for something that was cancelled")
        raise
    finally:
        scope.end()


class SessionCache:
    """Sessions by id, least recently used first. Its capacity limits the number of their entities.

    A session that is in use (pinned) is never evicted. When an evicted session is used again, its timeline is loaded
    from the store, and its metadata function is called again.
    """

    __slots__ = ("_capacity", "_evictions", "_idle", "_metadata", "_states", "_weight")

    def __init__(self, capacity: int, metadata: SessionMetadata | None) -> None:
        self._capacity = capacity
        self._metadata = metadata
        self._states: OrderedDict[str, SessionState] = OrderedDict()
        self._weight = 0
        self._evictions = 0
        self._idle: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._states)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._states

    def statistics(self, pending: int) -> HubStatistics:
        """Return what is cached. Any thread may ask."""
        states, entities, held = list(self._states.values()), 0, 0
        for state in states:
            cursor, timeline = state.event_cursor, state.timeline  # the cursor first: it moves after the timeline
            if timeline is not None:
                entities += timeline.size
                if state.current and timeline.ordinal < cursor:
                    held += 1
        return HubStatistics(len(states), entities, self._evictions, held, pending)

    def timeline(self, session_id: str) -> Timeline | None:
        """Return a session's timeline if it is cached, without counting as a use."""
        state = self._states.get(session_id)
        return state.timeline if state is not None else None

    def pin(self, session_id: str) -> SessionState:
        """Return the session's state and keep it cached until ``unpin``.

        Raises:
            InvalidIdError: the id is not valid.
        """
        try:
            state = self._states[session_id]
        except (KeyError, TypeError):  # TypeError: the id is not hashable
            check_id("session id", session_id)
            state = self._states[session_id] = SessionState(session_id)
        else:
            self._states.move_to_end(session_id)
        state.pins += 1
        return state

    def unpin(self, state: SessionState) -> None:
        """Let go of a session; the least recently used ones leave if there is too much."""
        state.pins -= 1
        weight = 1 if state.timeline is None else 1 + state.timeline.size
        if weight != state.weight:
            self._weight += weight - state.weight
            state.weight = weight
            if self._weight > self._capacity:
                self._evict()
        if self._idle is not None and not self._busy():
            self._idle.set()

    async def session(self, state: SessionState) -> Session:
        """Return the session's value; the metadata function is called once, even for concurrent calls.

        What the metadata function raises is raised unchanged, and the next call calls it again. If it waited for
        something that was cancelled, RuntimeError is raised.
        """
        if state.session is not None:
            return state.session
        async with state.loading:
            if state.session is None:
                metadata = None
                if self._metadata is not None:
                    metadata = await _load_metadata(self._metadata, state.id)
                state.session = Session(state.id, metadata)
            return state.session

    async def wait_idle(self) -> None:
        """Wait until no session is pinned."""
        while self._busy():
            if self._idle is None or self._idle.is_set():  # several tasks may wait
                self._idle = asyncio.Event()
            await self._idle.wait()

    def clear(self) -> None:
        """Remove all sessions from the cache."""
        for state in self._states.values():
            state.weight = 0
        self._states.clear()
        self._weight = 0

    def _busy(self) -> bool:
        return any(state.pins for state in self._states.values())

    def _evict(self) -> None:
        while self._weight > self._capacity:
            idle = next((state for state in self._states.values() if not state.pins), None)
            if idle is None:
                return
            del self._states[idle.id]
            self._weight -= idle.weight
            self._evictions += 1
