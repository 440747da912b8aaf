"""The entry to the pipeline: it checks and copies events, and passes them to turns or to a bus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sessionstream.bus import envelope
from sessionstream.callables import refuse_coroutine
from sessionstream.errors import BusError, EventLoopError, HubClosed, error_text
from sessionstream.hub.completion import Completion
from sessionstream.hub.context import TurnContext
from sessionstream.hub.drafts import Draft, new_draft
from sessionstream.hub.lane import current_callback, refuse_reentry
from sessionstream.hub.reporting import record_of
from sessionstream.hub.spans import with_entries
from sessionstream.hub.turn import Turn
from sessionstream.hub.yielding import YieldBudget
from sessionstream.ids import check_id
from sessionstream.observe import Span
from sessionstream.types import Event, new_event

if TYPE_CHECKING:
    from sessionstream.bus import EventBus
    from sessionstream.schema import SchemaRegistry
    from sessionstream.types import Session, UIEvent

T = TypeVar("T")

DRAFTS_AT_ONCE: Final = 256
"""Events that are checked and copied before others run."""


@dataclass(slots=True, kw_only=True)
class Pipeline(TurnContext):
    """Passes events to turns, or to a bus."""

    schemas: SchemaRegistry
    bus: EventBus | None = None
    closed: bool = False
    loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)

    def check_open(self) -> None:
        """Check that the hub is open and is called from its own event loop.

        Raises:
            HubClosed: the hub is shut down.
            EventLoopError: called from another event loop than before, and the earlier loop is still running.
        """
        if self.closed:
            raise HubClosed
        self.check_loop()

    def check_loop(self) -> None:
        """Check that this is the event loop of earlier calls, or that the earlier loop has stopped.

        Raises:
            EventLoopError: it is another loop, and the earlier loop is still running.
        """
        loop = asyncio.get_running_loop()
        if loop is not self.loop:
            if self.loop is not None and self.loop.is_running():
                raise EventLoopError
            self.loop = loop
            self.budget: YieldBudget = YieldBudget()

    def is_at_home(self) -> bool:
        """Whether the hub is open and this is its own event loop, or will be."""
        return not self.closed and self.loop in (None, asyncio.get_running_loop())

    def check_call(self, call: str, session_id: str) -> None:
        """Check that a call may enter a lane now; ``call`` is the name of the hub's method.

        Raises:
            InvalidIdError: the session id is not valid.
            HubClosed, EventLoopError: as ``check_open``.
            LaneReentryError: called from inside a projection.
        """
        if self.closed or current_callback.get() is not None or asyncio.get_running_loop() is not self.loop:
            check_id("session id", session_id)  # wrong arguments come first; otherwise `pin` checks a new id
            self.check_open()
            refuse_reentry(call)

    def turn(self, session_id: str) -> Coroutine[Any, Any, Turn]:
        """Begin a turn in a session's lane, of an operation that has run for a while: the hub may be closed by now.

        Raises:
            HubClosed, EventLoopError: as ``check_open``.
        """
        self.check_open()
        return Turn.begin(self, session_id)

    async def publish(self, event: Event, on_published: Callable[[], None] | None = None) -> Event:
        """Publish one event; see ``Hub.publish``.

        ``on_published`` is called once the event is in the log, or may be.
        """
        draft = new_draft(event, self.schemas, on_published)
        self.check_call("publish", event.session_id)
        if self.report.observes_pipeline:
            draft.began = perf_counter()
        if self.bus is None and self.instrumentation is None:
            with await Turn.begin(self, event.session_id) as turn:
                ordinal = await turn.publish(draft)
        else:
            ordinals = await self._publish_in_span([draft], Turn.publish_alone)
            ordinal = ordinals[0]
        return new_event(event.name, event.payload, event.session_id, ordinal, draft.event_id, draft.metadata)

    async def publish_many(
        self, session_id: str, events: Iterable[Event], on_published: Callable[[], None] | None = None
    ) -> list[Event]:
        """Publish events of one session; see ``Hub.publish_many``."""
        check_id("session id", session_id)
        if not isinstance(events, Iterable):
            raise TypeError(f"publish_many takes an iterable of events, not {events!r}")
        given: list[Event] = []
        drafts: list[Draft] = []
        for event in events:  # copied before the next is asked for: a generator may use one message for all
            drafts.append(new_draft(event, self.schemas, on_published))
            given.append(event)
            if event.session_id != session_id:
                raise ValueError(
                    f"event {event.name!r} is of session {event.session_id!r}, and publish_many was called for session "
                    f"{session_id!r}: publish the events of each session by a call of its own"
                )
            if len(drafts) % DRAFTS_AT_ONCE == 0:
                await asyncio.sleep(0)
        self.check_call("publish_many", session_id)
        if self.report.observes_pipeline:
            began = perf_counter()
            for draft in drafts:
                draft.began = began
        ordinals = await self._publish_in_span(drafts, Turn.publish_many)
        return [
            new_event(event.name, event.payload, session_id, ordinal, draft.event_id, draft.metadata)
            for event, draft, ordinal in zip(given, drafts, ordinals, strict=True)
        ]

    async def apply(self, draft: Draft) -> int:
        """Log and apply one event of a bus; return its ordinal. Raises what ``Hub.publish`` raises."""
        if self.report.observes_pipeline:
            draft.began = perf_counter()
        span = Span("consume", draft.session_id, draft.name, metadata=draft.metadata)
        with self.span(span), await self.turn(draft.session_id) as turn:
            return await turn.publish(draft)

    async def _publish_in_span(
        self, drafts: list[Draft], log: Callable[[Turn, list[Draft]], Awaitable[list[int]]]
    ) -> list[int]:
        """Log events of one session, or pass them to the bus; return their ordinals, or zeros."""
        if not drafts:
            return []
        first = drafts[0]
        check_id("session id", first.session_id)
        with self.span(Span("publish", first.session_id, first.name, events=len(drafts))) as entries:
            for draft in drafts if entries else ():
                draft.metadata = with_entries(draft.metadata, entries)
            if self.bus is not None:
                await self._hand_over(drafts, self.bus)
                return [0] * len(drafts)
            with await Turn.begin(self, first.session_id) as turn:
                return await log(turn, drafts)

    async def _hand_over(self, drafts: list[Draft], bus: EventBus) -> None:
        """Publish events of one session to the bus, in the order in which they were published to this hub."""
        messages = [envelope(draft.numbered(0)) for draft in drafts]
        state = self.sessions.pin(drafts[0].session_id)
        try:
            async with state.outgoing:
                for draft, message in zip(drafts, messages, strict=True):
                    if draft.on_published is not None:
                        draft.on_published()  # if the publish fails, the bus may have the event nevertheless
                    try:
                        await bus.publish(message)
                    except BusError:
                        raise
                    except Exception as error:
                        raise BusError(f"the bus failed to take event {draft.name!r}: {error_text(error)}") from error
        finally:
            self.sessions.unpin(state)

    def publish_elsewhere(
        self, session_id: str, ordinal: int, events: Sequence[UIEvent], metadata: Mapping[str, str]
    ) -> Exception | None:
        """Pass UI events of another process to the fan-out; return what it raised."""
        if self.fan_out is None:
            return None
        with self.span(Span("deliver", session_id, ordinal=ordinal, metadata=metadata)):
            return self._called(self.fan_out, session_id, ordinal, events)

    def resync_elsewhere(self, session_id: str, ordinal: int, epoch: int) -> Exception | None:
        """Ask the fan-out for a snapshot of a timeline that another process has moved; return what it raised."""
        return None if self.resync is None else self._called(self.resync, session_id, ordinal, epoch)

    def _called(self, call: Callable[..., object], *arguments: object) -> Exception | None:
        try:
            refuse_coroutine("a fan-out", call(*arguments))
        except Exception as error:  # noqa: BLE001 - recorded by the caller
            return error
        return None

    async def failed(self, session_id: str, ordinal: int, error: Exception) -> None:
        """Record that the fan-out failed on what another process did."""
        await self.report.error(record_of("fanout", session_id, ordinal, "", error), error, Completion())

    async def session(self, session_id: str) -> Session:
        """Return the session with its metadata loaded; call ``check_call`` before.

        Raises:
            InvalidIdError: the session id is not valid.
            HubClosed: the hub is shut down.
        """
        self.check_open()
        state = self.sessions.pin(session_id)
        try:
            return await self.sessions.session(state)
        finally:
            self.sessions.unpin(state)
