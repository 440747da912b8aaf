"""The chat application: schemas, hub, projections and engine, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeAlias

from sessionstream import (
    ErrorObserver,
    Hub,
    HydrationStore,
    PipelineObserver,
    UIEvent,
    UIFanout,
)
from sessionstream.examples.chatdemo import schemas
from sessionstream.examples.chatdemo.engine import InferenceEngine
from sessionstream.examples.chatdemo.projections import project_timeline, project_ui
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand, StopInferenceCommand

Fanout: TypeAlias = UIFanout | Callable[[str, int, Sequence[UIEvent]], None]


class Chat:
    """A chat that streams its answers. Use it as an async context manager.

    Args:
        store: the store of the sessions; None keeps them in this process. The caller closes it, after the chat.
        fanout: receives the live UI events.
        delay: seconds between two pieces of an answer.
        tracing: whether to log trace events.
        pipeline_observer: as for the hub.
        error_observer: as for the hub.

    Attributes:
        hub: the hub, for other calls, such as ``chat.hub.snapshot(session_id)``.

    >>> import asyncio
    >>> async def main() -> None:
    ...     async with Chat(delay=0) as chat:
    ...         await chat.start("session-1", "Explain ordinals")
    ...         await chat.wait("session-1")
    ...         snapshot = await chat.hub.snapshot("session-1")
    ...         print(snapshot.snapshot_ordinal, [entity.id for entity in snapshot.entities])
    >>> asyncio.run(main())
    6 ['chat-msg-1-user', 'chat-msg-1']
    """

    def __init__(
        self,
        *,
        store: HydrationStore | None = None,
        fanout: Fanout | None = None,
        delay: float = 0.05,
        tracing: bool = False,
        pipeline_observer: PipelineObserver | None = None,
        error_observer: ErrorObserver | None = None,
    ) -> None:
        self.hub: Hub = Hub(
            schemas.chat_schemas(),
            store=store,
            fanout=fanout,
            pipeline_observer=pipeline_observer,
            error_observer=error_observer,
        )
        self._engine = InferenceEngine(self.hub, delay=delay, tracing=tracing)
        self.hub.register_command(schemas.START_INFERENCE, self._engine.start)
        self.hub.register_command(schemas.STOP_INFERENCE, self._engine.stop)
        self.hub.register_ui_projection(project_ui)
        self.hub.register_timeline_projection(project_timeline)

    async def start(self, session_id: str, prompt: str, *, idempotency_key: str | None = None) -> None:
        """Submit a prompt, and return when its answer has started. A running answer is stopped first.

        Raises:
            EmptyPromptError: the prompt is empty or blank; the session is unchanged.
            SessionstreamError: as ``Hub.submit``.
        """
        command = StartInferenceCommand(prompt=prompt)
        await self.hub.submit(session_id, schemas.START_INFERENCE, command, idempotency_key=idempotency_key)

    async def stop(self, session_id: str) -> None:
        """End the session's running answer with its text so far; without one, do nothing.

        Raises:
            SessionstreamError: as ``Hub.submit``.
        """
        await self.hub.submit(session_id, schemas.STOP_INFERENCE, StopInferenceCommand())

    async def wait(self, session_id: str) -> None:
        """Return when this process streams no answer of the session.

        Raises:
            SessionstreamError: the session's latest answer failed with it.
        """
        await self._engine.wait(session_id)

    async def close(self) -> None:
        """Refuse new prompts, stop the running answers, and leave no task running. Calling it again is allowed.

        Raises:
            SessionstreamError: as ``Hub.shutdown``.
        """
        # The engine is closed first, because it publishes that its answers were stopped.
        try:
            await self._engine.close()
        finally:
            await self.hub.shutdown()

    async def __aenter__(self) -> Chat:
        await self.hub.run()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
