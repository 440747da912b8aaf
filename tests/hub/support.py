"""Support for the tests of the hub: a small application, recorders, and a store that can be blocked at any call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any, TypeVar, cast

from sessionstream import (
    Commit,
    Cursors,
    ErrorRecord,
    Event,
    Hub,
    HydrationStore,
    MemoryStore,
    PipelineRecord,
    SchemaRegistry,
    Session,
    Snapshot,
    Span,
    StoredTimeline,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    ChatMessageUpdate,
    InferenceTraceEvent,
    StartInferenceCommand,
    StopInferenceCommand,
    TokensDeltaEvent,
)
from sessionstream.testing import StoreProxy

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds after which a test that waits gives up; none waits that long unless something hangs."""


def registry() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_command("Say", StartInferenceCommand)
    schemas.register_command("Stop", StopInferenceCommand)
    schemas.register_event("Said", TokensDeltaEvent)
    schemas.register_event("Traced", InferenceTraceEvent)
    schemas.register_ui_event("Told", ChatMessageUpdate)
    schemas.register_timeline_entity("Text", ChatMessageEntity)
    return schemas


def said(chunk: str = "x", session_id: str = "s", *, entity: str = "1", event_id: str = "", status: str = "") -> Event:
    """An event that appends ``chunk`` to a text; ``status`` tells the projections to do something else."""
    return Event("Said", TokensDeltaEvent(message_id=entity, chunk=chunk, status=status), session_id, event_id=event_id)


def say(prompt: str = "hello") -> StartInferenceCommand:
    return StartInferenceCommand(prompt=prompt)


def text(entity: TimelineEntity | None) -> str:
    assert entity is not None
    assert isinstance(entity.payload, ChatMessageEntity)
    return entity.payload.text


def chunk(event: Event) -> str:
    assert isinstance(event.payload, TokensDeltaEvent)
    return event.payload.chunk


def texts(snapshot: Snapshot) -> dict[str, str]:
    return {entity.id: text(entity) for entity in snapshot.entities}


class Broken(RuntimeError):
    """The exception that tests raise where something must fail."""


class Gate:
    """A point at which a task is stopped until the test releases it."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._open = asyncio.Event()

    async def stop(self) -> None:
        self._reached.set()
        await self._open.wait()

    async def reached(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._reached.wait()

    def open(self) -> None:
        self._open.set()


async def soon(awaitable: Awaitable[T]) -> T:
    """Await with a time limit."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        for _ in count():
            if condition():
                return
            await asyncio.sleep(0)


async def settle(rounds: int = 20) -> None:
    """Let everything run that can run."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class Recorder:
    """A fan-out and both observers, which keep what they receive."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, tuple[UIEvent, ...]]] = []
        self.records: list[PipelineRecord] = []
        self.errors: list[ErrorRecord] = []

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        self.sent.append((session_id, ordinal, tuple(events)))

    def pipeline(self, record: PipelineRecord) -> None:
        self.records.append(record)

    def error(self, record: ErrorRecord) -> None:
        self.errors.append(record)

    def span(self, span: Span) -> AbstractContextManager[Mapping[str, str]]:
        return nullcontext({})

    def ordinals(self, session_id: str = "s") -> list[int]:
        return [ordinal for session, ordinal, _ in self.sent if session == session_id]

    def kinds(self) -> list[str]:
        return [record.kind for record in self.errors]


def told(event: Event, session: Session, view: TimelineView) -> Iterable[UIEvent]:
    return [UIEvent("Told", ChatMessageUpdate(chunk=chunk(event)))]


def write(event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
    """Append to a text, or delete it."""
    payload = event.payload
    assert isinstance(payload, TokensDeltaEvent)
    if payload.status == "delete":
        return [TimelineEntity("Text", payload.message_id, None, tombstone=True)]
    before = view.get("Text", payload.message_id)
    old = "" if before is None else text(before)
    return [TimelineEntity("Text", payload.message_id, ChatMessageEntity(text=old + payload.chunk))]


class App:
    """A hub whose texts grow by chunks, and whose projections fail at chosen chunks.

    Attributes:
        broken: chunks on which the ``"ui"`` or the ``"timeline"`` projection raises Broken.
    """

    def __init__(self, store: HydrationStore | None = None, **options: Any) -> None:
        self.schemas: SchemaRegistry = options.pop("schemas", None) or registry()
        self.store = store if store is not None else MemoryStore(self.schemas)
        self.recorder: Recorder = options.pop("recorder", None) or Recorder()
        self.broken: dict[str, set[str]] = {"ui": set(), "timeline": set()}
        options.setdefault("fanout", self.recorder)
        options.setdefault("pipeline_observer", self.recorder.pipeline)
        options.setdefault("error_observer", self.recorder.error)
        self.hub = Hub(self.schemas, store=self.store, **options)
        self.hub.register_ui_projection(self.project_ui)
        self.hub.register_timeline_projection(self.project_timeline)

    def project_ui(self, event: Event, session: Session, view: TimelineView) -> Iterable[UIEvent]:
        if chunk(event) in self.broken["ui"]:
            raise Broken(f"ui {chunk(event)}")
        return told(event, session, view)

    def project_timeline(self, event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
        if chunk(event) in self.broken["timeline"]:
            raise Broken(f"timeline {chunk(event)}")
        return write(event, session, view)

    async def publish(self, *chunks: str, session_id: str = "s") -> list[int]:
        return [(await self.hub.publish(said(each, session_id))).ordinal for each in chunks]

    async def log(self, session_id: str = "s") -> list[str]:
        return [chunk(event) for event in await self.store.events(session_id)]

    async def texts(self, session_id: str = "s") -> dict[str, str]:
        """The texts, after checking that the hub and its store agree on everything."""
        stored = await self.store.snapshot(session_id)
        served = await self.hub.snapshot(session_id)
        assert (served, served.epoch) == (stored, stored.epoch)
        assert await self.hub.cursor(session_id) == stored.snapshot_ordinal
        return texts(stored)

    async def usable(self, session_id: str = "s") -> None:
        """Check that the session takes another event, applies it, and lost nothing before it."""
        before, events = await self.log(session_id), await self.hub.event_cursor(session_id)
        published = await soon(self.hub.publish(said("!", session_id)))
        assert published.ordinal == events + 1
        assert await self.log(session_id) == [*before, "!"]
        assert await self.hub.cursor(session_id) == published.ordinal
        assert (await self.texts(session_id))["1"].endswith("!")


class Store(StoreProxy):
    """A store whose every method can be stopped before or after its work, or made to fail, and is counted.

    ``commit`` is either an ``async def`` that works when it is awaited, or returns a future and works by itself.

    Attributes:
        told: how many entities each call of ``timeline`` returned.
    """

    def __init__(self, inner: HydrationStore, *, futures: bool = False) -> None:
        super().__init__(inner)
        self.futures = futures
        self.calls: list[str] = []
        self.told: list[int] = []
        self._before: dict[str, list[Gate]] = {}
        self._after: dict[str, list[Gate]] = {}
        self._failures: dict[str, list[BaseException]] = {}
        self._late_failures: dict[str, list[BaseException]] = {}
        self._hooks: dict[str, list[Callable[[], Awaitable[object]]]] = {}
        self._working: set[asyncio.Task[None]] = set()

    def stop_before(self, method: str) -> Gate:
        """Stop the next call of a method that is not stopped yet, before it does anything."""
        self._before.setdefault(method, []).append(gate := Gate())
        return gate

    def stop_after(self, method: str) -> Gate:
        """Stop the next call of a method when it has done its work."""
        self._after.setdefault(method, []).append(gate := Gate())
        return gate

    def fail(self, method: str, error: BaseException, *, times: int = 1) -> None:
        self._failures.setdefault(method, []).extend([error] * times)

    def fail_after(self, method: str, error: BaseException) -> None:
        """Let the next call of a method do its work, and raise all the same."""
        self._late_failures.setdefault(method, []).append(error)

    def first(self, method: str, hook: Callable[[], Awaitable[object]]) -> None:
        """Do something else within the next call of a method, before its own work."""
        self._hooks.setdefault(method, []).append(hook)

    def calm(self) -> None:
        """Reset the behaviour for calls that were not made."""
        self._hooks.clear()
        self._failures.clear()

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        self.calls.append(method)
        if gates := self._before.get(method):
            await gates.pop(0).stop()
        if hooks := self._hooks.get(method):
            await hooks.pop(0)()
        if failures := self._failures.get(method):
            raise failures.pop(0)
        result = await call()
        if gates := self._after.get(method):
            await gates.pop(0).stop()
        if failures := self._late_failures.get(method):
            raise failures.pop(0)
        return result

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        work = self.around("commit", lambda: self.inner.commit(commit))
        if not self.futures:
            return work
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def carry_out() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - the future's to raise
                outcome.set_exception(error)
            else:
                outcome.set_result(None)

        self._working.add(task := asyncio.get_running_loop().create_task(carry_out()))
        task.add_done_callback(self._working.discard)
        return outcome

    async def timeline(self, session_id: str, /, *, known: Cursors | None = None) -> StoredTimeline:
        stored = await super().timeline(session_id, known=known)
        self.told.append(len(stored.entities))
        return stored


def not_a(value: object) -> Any:
    """Pass a value where its type does not belong."""
    return cast("Any", value)
