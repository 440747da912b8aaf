"""Command handlers: registration, submission, their publisher, and idempotency keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from inspect import isawaitable
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from sessionstream.callables import handler_of, refuse_generator
from sessionstream.digests import payload_digest
from sessionstream.errors import (
    CommandConflict,
    CommandUnfinished,
    DuplicateCommandError,
    UnknownCommandError,
    UnknownSchemaError,
)
from sessionstream.hub.completion import Completion
from sessionstream.hub.repeats import is_repeat
from sessionstream.hub.reporting import record_of
from sessionstream.ids import check_id, check_new_id
from sessionstream.observe import Span
from sessionstream.schema import check_name
from sessionstream.types import Command, Event, Session

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.hub.pipeline import Pipeline


_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5
"""Seconds between two questions whether a command still runs; each pause is twice the one before."""


class EventPublisher(Protocol):
    """Publishes events for a command handler. (Reference: EventPublisher.)

    It works also after the handler has returned, so that a handler may start a task that publishes later. A command
    with an idempotency key keeps its key once its first event is stored: publish that event before the handler can be
    cancelled; otherwise a repeat finds the key free and runs the handler again. It counts as finished when the handler
    returns.
    """

    async def publish(self, event: Event, /) -> Event:
        """Publish one event; the same as ``Hub.publish``."""
        ...

    async def publish_many(self, session_id: str, events: Iterable[Event], /) -> list[Event]:
        """Publish events of one session; the same as ``Hub.publish_many``."""
        ...


CommandHandler: TypeAlias = Callable[[Command, Session, EventPublisher], Awaitable[None] | None]
"""A plain or async function that publishes events and returns nothing. (Reference: CommandHandler.)"""


class _Publisher:
    """Publishes for one run of a handler; ``published`` says whether an event is in the log, or may be."""

    __slots__ = ("_pipeline", "published")

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.published = False

    async def publish(self, event: Event, /) -> Event:
        return await self._pipeline.publish(event, self._note)

    async def publish_many(self, session_id: str, events: Iterable[Event], /) -> list[Event]:
        return await self._pipeline.publish_many(session_id, events, self._note)

    def _note(self) -> None:
        self.published = True


class Commands:
    """The command handlers of a hub."""

    __slots__ = ("_handlers", "_pipeline", "_unstored")

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._handlers: dict[str, CommandHandler] = {}
        # Claims of commands that have ended here, which the store could not note, and whether they had finished.
        self._unstored: dict[tuple[str, str], bool] = {}

    def register(self, name: str, handler: CommandHandler) -> None:
        """Register the handler of a command; see ``Hub.register_command``."""
        check_name("command", name)
        handler_of(f"the handler of command {name!r}", handler)
        if name in self._handlers:
            raise DuplicateCommandError(name)
        self._handlers[name] = handler

    def check_schemas(self) -> None:
        """Check that every command with a handler is in the schema registry.

        Raises:
            UnknownSchemaError: commands are not in the schema registry; its ``names`` are all of them.
        """
        missing = [name for name in self._handlers if self._pipeline.schemas.command_schema(name) is None]
        if missing:
            raise UnknownSchemaError("command", missing[0], others=missing[1:])

    async def submit(self, session_id: str, name: str, payload: Message, idempotency_key: str | None) -> None:
        """Run a command; see ``Hub.submit``."""
        check_id("session id", session_id)
        try:
            handler = self._handlers.get(name)
        except TypeError:  # a name that is not hashable
            handler = None
        if handler is None:
            raise UnknownCommandError(name)
        payload = self._pipeline.schemas.checked_copy("command", name, payload)
        if idempotency_key is not None:
            check_new_id("idempotency key", idempotency_key)
        self._pipeline.check_call("submit", session_id)
        command = Command(name, payload, session_id)
        with self._pipeline.span(Span("command", session_id, name)):
            session = await self._pipeline.session(session_id)
            if idempotency_key is None:
                await _handle(handler, command, session, _Publisher(self._pipeline))
            else:
                await self._once(handler, command, session, idempotency_key)

    async def _once(self, handler: CommandHandler, command: Command, session: Session, key: str) -> None:
        store, completion = self._pipeline.store, Completion()
        if not await self._claim(command, session, key, completion):
            return
        publisher = _Publisher(self._pipeline)
        try:
            completion.checkpoint()
            await _handle(handler, command, session, publisher)
        except GeneratorExit:  # the event loop has ended, and nothing can be awaited: the claim stays
            raise
        except BaseException as error:
            if publisher.published:
                await self._end(command, key, store.end_command(session.id, key, finished=False), completion)
            else:
                await self._end(command, key, store.release_command(session.id, key), completion)
            if isinstance(error, Exception):
                completion.checkpoint()
            raise
        end = store.end_command(session.id, key, finished=True)
        await self._end(command, key, end, completion, finished=True)
        completion.checkpoint()

    async def _claim(self, command: Command, session: Session, key: str, completion: Completion) -> bool:
        """Claim a key; return False if its command has finished. While that runs, here or elsewhere, wait.

        Raises:
            CommandConflict: the key belongs to another command.
            CommandUnfinished: its command has ended before it had finished.
            HubClosed: the hub was shut down meanwhile.
            StoreError: the store failed.
        """
        digest = payload_digest(command.name, command.payload)
        pause = _FIRST_PAUSE
        while True:
            await self._store_end(session.id, key, completion)
            claimed = await completion.finish(self._pipeline.store.claim_command(session.id, key, digest))
            if claimed is None:
                return True
            completion.checkpoint()
            if not is_repeat(f"idempotency key {key!r}", session.id, claimed.digest, command.name, command.payload):
                raise CommandConflict(session.id, key, name=command.name)
            if claimed.state == "unfinished":
                raise CommandUnfinished(session.id, key, name=command.name)
            if claimed.state == "finished":
                return False
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            self._pipeline.check_call("submit", session.id)

    async def _end(
        self, command: Command, key: str, change: Awaitable[None], completion: Completion, *, finished: bool = False
    ) -> None:
        """End or release a claim. An error of the store is only recorded, as the submitter gets that of the handler."""
        try:
            await completion.finish(change)
        except Exception as error:  # noqa: BLE001 - reported
            self._unstored[command.session_id, key] = finished
            facts = {"command": command.name, "key": key}
            record = record_of("store", command.session_id, 0, "", error, metadata=facts)
            await self._pipeline.report.error(record, error, completion)

    async def _store_end(self, session_id: str, key: str, completion: Completion) -> None:
        """End a claim that could not be ended, or released, before.

        It is not released now: if that was done after all, another process may have claimed the key since.

        Raises:
            StoreError: the store has failed again.
        """
        finished = self._unstored.get((session_id, key))
        if finished is not None:
            await completion.finish(self._pipeline.store.end_command(session_id, key, finished=finished))
            self._unstored.pop((session_id, key), None)


async def _handle(handler: CommandHandler, command: Command, session: Session, publisher: EventPublisher) -> None:
    result = handler(command, session, publisher)
    if isawaitable(result):
        await result
    else:
        refuse_generator(f"the handler of command {command.name!r}", result)
