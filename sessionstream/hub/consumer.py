"""The consumer: takes events from a bus, assigns ordinals, and passes them through the pipeline.

A message is done when its event is in the log (whether or not its session is held), or when it is recorded as one that
can never become an event. After any other failure, mainly of the store, the message is retried until it succeeds; only
its session waits meanwhile.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from sessionstream.bus import STREAM_ID, EnvelopeError, read_envelope
from sessionstream.errors import (
    BusError,
    EventConflict,
    HubClosed,
    InvalidIdError,
    OrdinalExhausted,
    ProjectionError,
    SessionHeld,
    StoreClosed,
    Unstorable,
    error_text,
)
from sessionstream.hub.completion import Completion
from sessionstream.hub.drafts import Draft
from sessionstream.hub.reporting import record_of
from sessionstream.logs import SessionLog
from sessionstream.observe import ConsumerStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessionstream.bus import BusMessage, EventBus, Subscription
    from sessionstream.hub.pipeline import Pipeline
    from sessionstream.observe import ErrorKind

_log = SessionLog()

FIRST_PAUSE: Final = 0.05
"""Seconds before the first retry of a message; doubled with each retry."""

LONGEST_PAUSE: Final = 5.0
"""The longest pause between two attempts, in seconds."""


class Consumer:
    """Consumes a bus between ``start`` and ``stop``."""

    def __init__(self, pipeline: Pipeline, bus: EventBus, on_failure: Callable[[], None]) -> None:
        self._pipeline = pipeline
        self._bus = bus
        self._on_failure = on_failure
        self._subscription: Subscription | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._waiting: dict[str, str] = {}
        self._consumed = 0
        self._refused = 0
        self.failure: BusError | None = None

    @property
    def status(self) -> ConsumerStatus:
        """The current state of the consumer."""
        facts = self._consumed, self._refused, tuple(sorted(self._waiting))
        if self.failure is not None:
            return ConsumerStatus("failed", *facts, error_text(self.failure))
        error = next(iter(self._waiting.values()), "")
        return ConsumerStatus("stopped" if self._subscription is None else "running", *facts, error)

    async def start(self) -> None:
        """Subscribe to the bus, unless the consumer has already.

        Raises:
            BusError: the bus refused the subscription.
        """
        if self._subscription is None and self.failure is None:
            self._subscription = await self._bus.subscribe(self._consume)
            self._watching = asyncio.create_task(self._watch(self._subscription))

    async def stop(self) -> None:
        """Wait until the messages being handled are done, and leave the others in the bus."""
        self._stopping.set()
        if self._subscription is not None and self._watching is not None:
            await self._subscription.close()
            await asyncio.wait([self._watching])  # awaiting the task directly would cancel it with the caller
            self._subscription = None

    async def _watch(self, subscription: Subscription) -> None:
        try:
            await subscription.wait()
        except BusError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a bus may break its contract and raise other exceptions
            self._fail(BusError(f"the bus failed: {error_text(error)}"), error)

    def _fail(self, failure: BusError, cause: Exception | None = None) -> None:
        if cause is not None:
            failure.__cause__ = cause
        if not self._stopping.is_set():
            _log.error("the consumer of the bus failed: %s", failure, exc_info=failure)
            self.failure = failure
            self._on_failure()

    async def _consume(self, message: BusMessage) -> None:
        """Handle a message; return when the bus need not deliver it again.

        Raises:
            StoreClosed, HubClosed: the store or the hub is closed.
            Exception: the consumer was stopped while the message was failing with this error.
        """
        try:
            event = read_envelope(message, self._pipeline.schemas)
        except EnvelopeError as error:
            facts = {"refused_session_id": error.refused_id} if error.refused_id else {}
            await self._refuse("decode", message, error, error.session_id, error.event_name, facts)
            return
        except Exception as error:  # noqa: BLE001 - recorded: no message may stop the others
            await self._refuse("decode", message, error, "", "")
            return
        stream_id = message.metadata.get(STREAM_ID, "")
        draft = Draft(
            event.name, event.payload, event.session_id, event.event_id, True, stream_id, metadata=event.metadata
        )
        pause = FIRST_PAUSE
        while True:
            try:
                await self._apply(draft, message)
                break
            except (StoreClosed, HubClosed):
                raise
            except Exception as error:
                await self._record_retry(draft, error)
                if await self._stopped_within(pause):
                    raise
                pause = min(2 * pause, LONGEST_PAUSE)
        self._waiting.pop(draft.session_id, None)

    async def _apply(self, draft: Draft, message: BusMessage) -> None:
        try:
            await self._pipeline.apply(draft)
        except (EventConflict, OrdinalExhausted) as error:
            await self._refuse("ordinal", message, error, draft.session_id, draft.name)
        except Unstorable as error:
            await self._refuse("store", message, error, draft.session_id, draft.name)
        except InvalidIdError as error:  # the session would be a new one, under an id that is too long
            facts = {"refused_session_id": ascii(draft.session_id)}
            await self._refuse("decode", message, error, "", draft.name, facts)
        except (ProjectionError, SessionHeld):
            self._consumed += 1  # the event is in the log, and the session is held
        else:
            self._consumed += 1

    async def _record_retry(self, draft: Draft, error: Exception) -> None:
        """Record why a message is retried, unless the reason is the same as before."""
        before, reason = self._waiting.get(draft.session_id), error_text(error)
        self._waiting[draft.session_id] = reason
        if reason != before:
            facts = {"consumer": "tries again"}
            record = record_of("store", draft.session_id, 0, draft.name, error, metadata=facts)
            await self._pipeline.report.error(record, error, Completion())

    async def _refuse(
        self,
        kind: ErrorKind,
        message: BusMessage,
        error: Exception,
        session_id: str,
        event_name: str,
        facts: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._refused += 1
        metadata = {**message.metadata, **facts}
        record = record_of(kind, session_id, 0, event_name, error, raw_message=message.body, metadata=metadata)
        await self._pipeline.report.error(record, error, Completion())

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True
