"""The way into the pipeline: what is checked, copied and pinned before an event enters its session's lane."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from sessionstream.bus import envelope
from sessionstream.errors import BusError, EventLoopError, HubClosed, words
from sessionstream.hub.completion import Completion
from sessionstream.hub.event_ids import new_event_id
from sessionstream.hub.lane import inside, refuse_reentry
from sessionstream.hub.pace import Pace
from sessionstream.hub.turn import Turn
from sessionstream.types import Event, check_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sessionstream.bus import EventBus
    from sessionstream.hub.projecting import Projections
    from sessionstream.hub.reporting import Reporter
    from sessionstream.hub.sessions import SessionCache
    from sessionstream.projection import ProjectionPolicies
    from sessionstream.schema import SchemaRegistry
    from sessionstream.store import HydrationStore
    from sessionstream.types import Session, UIEvent

T = TypeVar("T")


@dataclass(slots=True)
class Pipeline:
    """Everything an event meets on its way. Sessions share it; their lanes keep them apart."""

    schemas: SchemaRegistry
    store: HydrationStore
    sessions: SessionCache
    projections: Projections
    policies: ProjectionPolicies
    report: Reporter
    fan_out: Callable[[str, int, Sequence[UIEvent]], None] | None = None
    resync: Callable[[str, int, int], None] | None = None
    bus: EventBus | None = None
    closed: bool = False
    pace: Pace = field(default_factory=Pace)
    loop: asyncio.AbstractEventLoop | None = None

    def check_open(self) -> None:
        """Refuse a call once the hub is shut down, or from another event loop than the hub's.

        Raises:
            HubClosed, EventLoopError: it is.
        """
        if self.closed:
            raise HubClosed
        self.check_loop()

    def check_loop(self) -> None:
        """Refuse a call from another event loop than that of the calls before, unless that one runs no more.

        Raises:
            EventLoopError: it does.
        """
        loop = asyncio.get_running_loop()
        if loop is not self.loop:
            if self.loop is not None and self.loop.is_running():
                raise EventLoopError
            self.loop, self.pace = loop, Pace()

    def check_call(self, call: str, session_id: str) -> None:
        """Refuse a call that may not enter a lane now; ``call`` is the name of the hub's method.

        Raises:
            InvalidIdError: no store could keep this session id.
            HubClosed: the hub is shut down.
            LaneReentryError: called from inside a projection.
        """
        if self.closed or inside() is not None:
            check_id("session id", session_id)  # wrong arguments come first; else `pin` looks at new ids only
            self.check_open()
            refuse_reentry(call)

    async def publish(self, event: Event, on_published: Callable[[], None] | None = None) -> Event:
        """Carry one event through; see ``Hub.publish``.

        ``on_published`` is called once the event is in the log, or may be.
        """
        if not isinstance(event, Event):
            raise TypeError(f"publish takes an Event, not {event!r}")
        _check_ordinal(event)
        payload = self.schemas.checked_copy("event", event.name, event.payload)
        given_id = "" if event.event_id == "" else check_id("event id", event.event_id)
        self.check_call("publish", event.session_id)
        draft = Event(event.name, payload, event.session_id, 0, given_id or new_event_id())

        if self.bus is None:
            ordinal = await self.apply(draft, given_id=bool(given_id), on_published=on_published)
        else:
            ordinal = 0
            await self._hand_over(draft, self.bus, on_published)
        return Event(event.name, event.payload, event.session_id, ordinal, draft.event_id)

    async def apply(
        self, draft: Event, *, given_id: bool, stream_id: str = "", on_published: Callable[[], None] | None = None
    ) -> int:
        """Log and apply a checked event that has an id; return its ordinal. Raises what ``Hub.publish`` raises."""

        def publish(turn: Turn) -> Awaitable[int]:
            return turn.publish(draft, given_id=given_id, stream_id=stream_id, on_published=on_published)

        return await self.take_turn(draft.session_id, publish)

    async def _hand_over(self, draft: Event, bus: EventBus, on_published: Callable[[], None] | None) -> None:
        """Give an event to the bus, in the order in which the session's events were published here."""
        self.check_open()
        message = envelope(draft)
        state = self.sessions.pin(draft.session_id)
        try:
            async with state.outgoing:
                if on_published is not None:
                    on_published()  # whether the bus has it cannot be known when this fails
                await bus.publish(message)
        except BusError:
            raise
        except Exception as error:
            raise BusError(f"the bus failed to take event {draft.name!r}: {words(error)}") from error
        finally:
            self.sessions.unpin(state)

    async def session(self, session_id: str) -> Session:
        """Return the session's value, metadata loaded.

        It is for calls that have passed ``check_call``.

        Raises:
            InvalidIdError: no store could keep this session id.
            HubClosed: the hub is shut down.
        """
        self.check_open()
        state = self.sessions.pin(session_id)
        try:
            return await self.sessions.session(state)
        finally:
            self.sessions.unpin(state)

    async def take_turn(self, session_id: str, action: Callable[[Turn], Awaitable[T]]) -> T:
        """Run ``action`` inside the session's lane.

        Cancelled while it waits, nothing has happened. Cancelled later, CancelledError comes out when all that was
        begun is finished, in place of the result or of any other error.

        It is for calls that have passed ``check_call``.

        Raises:
            InvalidIdError: no store could keep this session id.
            HubClosed: the hub is shut down.
        """
        self.check_open()
        state = self.sessions.pin(session_id)
        completion = Completion()
        try:
            async with state.lane:  # metadata is loaded inside, so that waiting for it changes nobody's place
                session = state.session or await self.sessions.session(state)
                await self.pace.give_way()
                result = await action(Turn(self, state, session, completion))
        except Exception:
            completion.checkpoint()
            raise
        finally:
            self.sessions.unpin(state)
        completion.checkpoint()
        return result


def _check_ordinal(event: Event) -> None:
    ordinal: object = event.ordinal
    if ordinal.__class__ is int and not ordinal:
        return
    if not isinstance(ordinal, int) or isinstance(ordinal, bool):
        raise TypeError(f"event {event.name!r} has the {type(ordinal).__name__} {ordinal!r} as its ordinal: leave it 0")
    if ordinal:
        raise ValueError(f"event {event.name!r} has ordinal {ordinal} already: ordinals are the hub's to give")
