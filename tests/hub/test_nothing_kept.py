"""An idle hub keeps no reference to the last event, command, message or exception, except in its cache."""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import (
    BusMessage,
    Command,
    CommandUnfinished,
    Commit,
    Event,
    Hub,
    MemoryBus,
    PipelineRecord,
    ProjectionError,
    SchemaRegistry,
    SessionHeld,
    SQLiteStore,
    StoreError,
    TimelineEntity,
    TimelineReplacement,
    UIEvent,
)
from sessionstream.hub.drafts import Draft
from sessionstream.hub.step import Step
from sessionstream.hub.turn import Turn

from ..heap import alive

PASSING = (BusMessage, Command, Commit, Draft, Event, PipelineRecord, Step, TimelineReplacement, Turn, UIEvent)


pytestmark = pytest.mark.usefixtures("only_new_objects")


@pytest.fixture(autouse=True)
def _records_are_not_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest keeps every log record with its traceback, and a traceback keeps the frames of what failed."""
    monkeypatch.setattr(logging.getLogger("sessionstream"), "disabled", True)


class Trouble(RuntimeError):
    """What an application raises."""


class Application:
    """A hub on a file; its functions fail where a test says so, and what they raise is looked after."""

    def __init__(self, store: SQLiteStore, bus: MemoryBus | None) -> None:
        self.raised: list[weakref.ref[BaseException]] = []
        self.failing = ""
        self.recorded = 0
        self.hub = Hub(schemas(), store=store, bus=bus, error_observer=self._recorded)
        self.hub.register_ui_projection(lambda event, session, view: self.at("ui", UIEvent("U", event.payload)))
        self.hub.register_timeline_projection(
            lambda event, session, view: self.at("timeline", TimelineEntity("T", "k", event.payload))
        )
        self.hub.set_fanout(lambda session_id, ordinal, events: self.at("fan-out", None) and None)
        self.hub.register_command("C", self._handle)

    def at(self, where: str, result: object) -> Any:
        if where == self.failing:
            error = Trouble(where)
            self.raised.append(weakref.ref(error))
            raise error
        return [result]

    async def _handle(self, command: Command, session: object, publisher: Any) -> None:
        self.at("handler", None)
        await publisher.publish(Event("E", command.payload, command.session_id))

    def _recorded(self, _: object) -> None:
        self.recorded += 1

    async def nothing_is_kept(self) -> None:
        """Wait until nothing is kept: the writer's thread lets go of a group a moment after it told the outcome."""
        deadline = time.monotonic() + 10
        while self._kept() and time.monotonic() < deadline:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        assert self._kept() == []

    def _kept(self) -> list[object]:
        return alive(*PASSING) + [error() for error in self.raised if error() is not None]


def schemas() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_command("C", StringValue)
    registry.register_event("E", StringValue)
    registry.register_ui_event("U", StringValue)
    registry.register_timeline_entity("T", StringValue)
    return registry


@asynccontextmanager
async def application(path: Path, bus: MemoryBus | None = None) -> AsyncIterator[Application]:
    store = await SQLiteStore.open(path / "kept.db", schemas())
    try:
        app = Application(store, bus)
        async with app.hub:
            yield app
    finally:
        await store.close()


@pytest.mark.parametrize("failing", ["", "ui", "timeline", "fan-out", "handler"])
async def test_an_idle_hub(failing: str, tmp_path: Path) -> None:
    async with application(tmp_path) as app:
        app.failing = failing
        for _ in range(2):
            with suppress(CommandUnfinished, ProjectionError, SessionHeld, Trouble):
                await app.hub.submit("s", "C", StringValue(value="x"), idempotency_key="k")
            with suppress(ProjectionError, SessionHeld, Trouble):
                await app.hub.publish(Event("E", StringValue(value="x"), "s"))
        await app.nothing_is_kept()
        app.failing = ""
        await app.hub.retry_timeline("s")
        await app.hub.rebuild_timeline("s")
        await app.nothing_is_kept()


async def test_a_publisher_that_was_cancelled(tmp_path: Path) -> None:
    async with application(tmp_path) as app:
        publishing = asyncio.create_task(app.hub.publish(Event("E", StringValue(value="x"), "s")))
        await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait({publishing})
        del publishing
        await app.hub.snapshot("s")
        await app.nothing_is_kept()


async def test_a_store_that_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with application(tmp_path) as app:
        store = app.hub._store
        with monkeypatch.context() as patched:

            def commit(_: Commit) -> Any:
                raise StoreError("no")

            patched.setattr(store, "commit", commit)
            with pytest.raises(StoreError):
                await app.hub.publish(Event("E", StringValue(value="x"), "s"))
            del commit
        await app.hub.publish(Event("E", StringValue(value="x"), "s"))
        await app.nothing_is_kept()


@pytest.mark.parametrize("failing", ["", "ui", "timeline", "fan-out"])
async def test_an_idle_consumer(failing: str, tmp_path: Path) -> None:
    bus = MemoryBus()
    async with application(tmp_path, bus) as app:
        app.failing = failing
        for _ in range(2):
            await app.hub.publish(Event("E", StringValue(value="x"), "s"))
        await bus.publish(BusMessage(b"no envelope", key="s"))
        while len(bus):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)
        await app.nothing_is_kept()
