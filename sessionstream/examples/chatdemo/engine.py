"""The engine: command handlers that turn a prompt into a stream of events.

An answer is streamed by a task of the engine, not by the caller that submitted the command. So it continues when the
caller or its browser is gone. The engine does not store the text so far: it is on the timeline. Therefore stopping,
replacing, and cleaning up after a crash are the same step: see ``_settle``. That step may be taken by another process
than the one that streams, which then hears of it as an event of the session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any, cast
from weakref import WeakValueDictionary

from sessionstream import Command, Event, EventPublisher, Hub, HubClosed, Session, SessionEvents
from sessionstream.examples.chatdemo import messages, schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    InferenceFinishedEvent,
    InferenceStartedEvent,
    InferenceStoppedEvent,
    InferenceTraceEvent,
    StartInferenceCommand,
    TokensDeltaEvent,
    UserMessageAcceptedEvent,
)
from sessionstream.logs import SessionLog

logger: SessionLog = SessionLog("sessionstream.examples.chatdemo")


class EmptyPromptError(ValueError):
    """A start command has no prompt, or a blank one; nothing was published and nothing was stopped."""

    def __init__(self) -> None:
        super().__init__(f"{schemas.START_INFERENCE} needs a prompt: this one is empty; send the text to answer")


class InferenceEngine:
    """Streams one answer per session at a time.

    Args:
        hub: the hub, for reading sessions.
        delay: seconds between two pieces of an answer. 0 streams as fast as possible, and other tasks still run.
        tracing: whether to publish trace events, which change neither live clients nor the timeline.

    Raises:
        ValueError: the delay is negative or NaN.
        TypeError: the delay is no number.
    """

    def __init__(self, hub: Hub, *, delay: float = 0.05, tracing: bool = False) -> None:
        if not isinstance(delay, int | float):
            raise TypeError(f"delay is a number of seconds, not {delay!r}")
        if not delay >= 0:
            raise ValueError(f"delay is a number of seconds, 0 or more, not {delay!r}")
        self._hub = hub
        self._delay = delay
        self._tracing = tracing
        self._closed = False
        self._runs: dict[str, asyncio.Task[None]] = {}
        # Handlers of one session may overlap; starting and stopping must not. A lock lives while it is in use.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, command: Command, session: Session, publisher: EventPublisher) -> None:
        """Handle ChatStartInference: accept the prompt and start the answer; return before it ends.

        An answer that the session is still streaming is stopped first.

        Raises:
            EmptyPromptError: the prompt is empty or blank.
            HubClosed: the engine is closed.
        """
        start = cast("StartInferenceCommand", command.payload)  # the hub has checked the type
        if not start.prompt.strip():
            raise EmptyPromptError
        async with self._lock(session.id):
            if self._closed:
                raise HubClosed
            message_ids = await self._settle(session.id, publisher)
            number = messages.next_number(message_ids)
            await _uninterrupted(self._begin(session.id, number, start, publisher))

    async def stop(self, _command: Command, session: Session, publisher: EventPublisher) -> None:
        """Handle ChatStopInference: end the running answer with its text so far. Without one, nothing happens."""
        async with self._lock(session.id):
            await self._settle(session.id, publisher)

    async def wait(self, session_id: str) -> None:
        """Return when the session's answer has ended in any way. Cancelling the wait does not stop it.

        Raises:
            SessionstreamError: the latest answer failed with it.
        """
        run = self._runs.get(session_id)
        if run is not None:
            await asyncio.wait([run])
            if not run.cancelled():
                run.result()

    async def close(self) -> None:
        """Refuse new answers, stop every running answer, and leave no task running."""
        self._closed = True
        for session_id in {*self._locks, *self._runs}:
            async with self._lock(session_id):
                try:
                    await self._settle(session_id, self._hub)
                except Exception:  # an error of one session must not leave the task of another running
                    logger.exception(
                        "session %r: its answer could not be stopped properly", session_id, session_id=session_id
                    )

    def _lock(self, session_id: str) -> asyncio.Lock:
        """Return the lock of a session."""
        return self._locks.setdefault(session_id, asyncio.Lock())

    async def _settle(self, session_id: str, publisher: EventPublisher) -> list[str]:
        """Stop the session's running answer, and return the ids of its messages.

        The task, if there is one, is cancelled first. Then each message that is streaming on the timeline is marked as
        stopped, with its text there. This includes answers that ended with an earlier process or with an error: they
        will not continue, and clients must see that.
        """
        run = self._runs.pop(session_id, None)
        if run is not None and not run.done():
            run.cancel()
            # A commit in progress is completed, so the timeline below has all published events.
            await asyncio.wait([run])
        snapshot = await self._hub.snapshot(session_id)
        for entity in snapshot.entities:
            message = cast("ChatMessageEntity", entity.payload)
            if message.status == messages.STREAMING:
                stopped = InferenceStoppedEvent(
                    message_id=message.message_id, role=message.role, text=message.text, status=messages.STOPPED
                )
                await publisher.publish(Event(schemas.INFERENCE_STOPPED, stopped, session_id))
        return [entity.id for entity in snapshot.entities]

    async def _begin(
        self, session_id: str, number: int, start: StartInferenceCommand, publisher: EventPublisher
    ) -> None:
        """Publish the prompt and the start of the answer, and start its task."""
        prompt, message_id = start.prompt, start.message_id or messages.prompt_id(number)
        accepted = UserMessageAcceptedEvent(message_id=message_id, role=messages.USER, content=prompt)
        await publisher.publish(Event(schemas.USER_MESSAGE_ACCEPTED, accepted, session_id))
        started = InferenceStartedEvent(
            message_id=messages.answer_id(number),
            prompt=prompt,
            role=messages.ASSISTANT,
            status=messages.STREAMING,
            streaming=True,
        )
        begun = await publisher.publish(Event(schemas.INFERENCE_STARTED, started, session_id))
        run = asyncio.create_task(
            self._stream_until_stopped(begun, started.message_id, messages.answer_to(prompt), publisher),
            name=f"chatdemo: {started.message_id} of {session_id}",
        )
        # The engine keeps the task: the event loop alone would only hold it weakly.
        self._runs[session_id] = run
        run.add_done_callback(lambda ended: self._ended(session_id, ended))

    async def _stream_until_stopped(
        self, begun: Event, message_id: str, answer: str, publisher: EventPublisher
    ) -> None:
        """Stream the answer, and end early if any process has stopped it after it had begun."""
        async with self._hub.session_events(begun.session_id, after=begun.ordinal) as events:
            stream = asyncio.ensure_future(self._stream(begun.session_id, message_id, answer, publisher))
            stopped = asyncio.ensure_future(_stopped(events, message_id))
            try:
                await asyncio.wait({stream, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (stream, stopped):
                    task.cancel()
                await asyncio.wait({stream, stopped})
        for task in (stream, stopped):
            if not task.cancelled():
                task.result()

    async def _stream(self, session_id: str, message_id: str, answer: str, publisher: EventPublisher) -> None:
        """Publish the pieces and the end of an answer."""
        began = monotonic()

        async def trace(stage: str, detail: str = "") -> None:
            if self._tracing:
                elapsed = int((monotonic() - began) * 1000)
                payload = InferenceTraceEvent(message_id=message_id, stage=stage, detail=detail, elapsed_ms=elapsed)
                await publisher.publish(Event(schemas.INFERENCE_TRACE, payload, session_id))

        await trace("started", f"{len(answer)} characters to stream")
        for index, piece in enumerate(messages.pieces(answer)):
            if index:
                await asyncio.sleep(self._delay)
            # Only the new piece is logged; the projections append it to the text.
            delta = TokensDeltaEvent(
                message_id=message_id,
                role=messages.ASSISTANT,
                chunk=piece,
                status=messages.STREAMING,
                streaming=True,
            )
            await publisher.publish(Event(schemas.TOKENS_DELTA, delta, session_id))
        # The log has the whole text once for each answer, so that it can be read without a fold.
        finished = InferenceFinishedEvent(
            message_id=message_id, role=messages.ASSISTANT, text=answer, status=messages.FINISHED
        )
        await publisher.publish(Event(schemas.INFERENCE_FINISHED, finished, session_id))
        await trace("finished")

    def _ended(self, session_id: str, run: asyncio.Task[None]) -> None:
        """Forget an answer that has ended; a failed one is logged, and kept for ``wait`` until the next start."""
        error = None if run.cancelled() else run.exception()
        if error is not None:
            logger.error(
                "session %r: its answer failed (%s)", session_id, run.get_name(), exc_info=error, session_id=session_id
            )
        elif self._runs.get(session_id) is run:
            del self._runs[session_id]


async def _stopped(events: SessionEvents, message_id: str) -> None:
    """Return when an answer is stopped, by this process or another one."""
    async for event in events:
        if isinstance(event.payload, InferenceStoppedEvent) and event.payload.message_id == message_id:
            return


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Await ``work`` to its end, and only then let a cancellation through.

    A user's message without an answer would be the result of a submit that was cancelled between the two.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    task.result()
