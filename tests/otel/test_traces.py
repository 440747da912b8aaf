"""Traces: from the command through the event to the frames, in every process that has a part in it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode

from sessionstream import (
    Command,
    ErrorRecord,
    EventPublisher,
    HydrationStore,
    MemoryBus,
    PipelineRecord,
    PostgresStore,
    ProjectionError,
    Session,
    SessionHeld,
    Span,
    SQLiteStore,
)
from sessionstream.transport.ws import WebSocketServer
from sessionstream.transport.ws.otel import OpenTelemetryObserver
from tests.servers.postgres import Postgres

from ..hub.support import App, Broken, registry, said, say, until
from ..transport.asgi import peers
from .exported import Exported, assert_child, trace_of


def served(app: App, exported: Exported) -> WebSocketServer:
    server = WebSocketServer(app.hub, observer=OpenTelemetryObserver(tracer_provider=exported.tracers))
    app.hub.set_fanout(server)
    return server


async def test_from_the_command_to_the_frames() -> None:
    app = App()
    exported = Exported(app.hub)

    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await publisher.publish(said())

    app.hub.register_command("Say", handle)
    async with peers(served(app, exported), 1) as (peer,):
        await peer.subscribed("s")
        with exported.tracer.start_as_current_span("request") as request:
            await app.hub.submit("s", "Say", say())
        await peer.hear()
    command, publish, fanout = (exported.only(each) for each in ("command", "publish", "ws.fanout"))
    assert_child(fanout, publish)
    assert_child(publish, command)
    assert command.parent == request.get_span_context()
    assert command.attributes == {"sessionstream.session_id": "s", "sessionstream.name": "Say"}
    assert publish.attributes == {
        "sessionstream.session_id": "s",
        "sessionstream.name": "Said",
        "sessionstream.events": 1,
    }
    (event,) = publish.events
    assert event.attributes is not None
    assert (event.name, event.attributes["sessionstream.ordinal"]) == ("sessionstream.event", "1")
    assert event.attributes["sessionstream.outcome"] == "applied"
    assert float(str(event.attributes["sessionstream.projection_seconds"])) > 0
    (logged,) = await app.store.events("s")
    assert logged.metadata["traceparent"].split("-")[1] == trace_of(publish)


async def test_many_events_share_a_span() -> None:
    app = App()
    exported = Exported(app.hub)
    returned = await app.hub.publish_many("s", [said(), replace(said(), metadata={"who": "me"})])
    publish = exported.only("publish")
    assert publish.attributes is not None
    assert publish.attributes["sessionstream.events"] == len(publish.events) == 2
    parents = [event.metadata["traceparent"] for event in returned]
    assert parents == [parents[0]] * 2
    assert returned[1].metadata["who"] == "me"
    assert [event.metadata for event in await app.store.events("s")] == [event.metadata for event in returned]
    assert await app.hub.publish_many("s", []) == []


@pytest.fixture(params=["sqlite", "postgres"])
async def two_stores(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres, postgres_schema: str
) -> AsyncIterator[list[HydrationStore]]:
    """A store, opened twice, as by two processes."""
    async with AsyncExitStack() as stack:
        found: list[HydrationStore] = []
        for _ in range(2):
            if request.param == "sqlite":
                sqlite = SQLiteStore.open(tmp_path / "x.db", registry())
                found.append(await stack.enter_async_context(sqlite))
            else:
                connecting = PostgresStore.connect(postgres.dsn, registry(), schema=postgres_schema)
                found.append(await stack.enter_async_context(connecting))
        yield found


async def test_a_held_event_is_delivered_in_its_own_trace_by_another_process(two_stores: list[HydrationStore]) -> None:
    resuming, delivering = (App(store) for store in two_stores)
    here, there = Exported(resuming.hub), Exported(delivering.hub)
    async with peers(served(delivering, there), 1) as (peer,):
        await peer.subscribed("s")
        frame: dict[str, Any] = {}
        while "uiEvent" not in frame:  # the first ones may come as snapshots
            await resuming.publish("good")
            frame = await peer.hear()
        resuming.broken["timeline"] = {"bad"}
        with pytest.raises(ProjectionError):
            await resuming.publish("bad")
        resuming.broken["timeline"].clear()
        await resuming.hub.retry_timeline("s")
        assert (await peer.hear())["uiEvent"]["payload"]["chunk"] == "bad"
    held = here.spans("publish")[-1]
    deliver, fanout = there.spans("deliver")[-1], there.spans("ws.fanout")[-1]
    assert_child(deliver, held)
    assert_child(fanout, deliver)
    assert deliver.attributes is not None
    assert held.events[0].attributes is not None
    assert deliver.attributes["sessionstream.ordinal"] == held.events[0].attributes["sessionstream.ordinal"]


async def test_over_a_bus() -> None:
    bus = MemoryBus()
    publishing, consuming = App(bus=bus), App(bus=bus)
    here, there = Exported(publishing.hub), Exported(consuming.hub)
    async with consuming.hub:
        await publishing.hub.publish(said())
        await publishing.hub.publish_many("s", [said(), said()])
        await until(lambda: consuming.recorder.ordinals() == [1, 2, 3])
    consumed = there.spans("consume")
    publishes = here.spans("publish")
    for span, parent in zip(consumed, [publishes[0], publishes[1], publishes[1]], strict=True):
        assert_child(span, parent)
        assert len(span.events) == 1
    assert not here.spans("consume")
    assert not there.spans("publish")


async def test_a_held_event_is_resumed_in_its_own_trace() -> None:
    app = App()
    exported = Exported(app.hub)
    server = served(app, exported)
    app.broken["timeline"] = {"bad"}
    with pytest.raises(ProjectionError):
        await app.publish("bad")
    assert exported.only("publish").status.status_code is StatusCode.ERROR
    app.broken["timeline"].clear()
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        await app.publish("good")
        await peer.hear()
        await peer.hear()
    held, good = exported.spans("publish")
    resume, fanouts = exported.only("resume"), exported.spans("ws.fanout")
    assert_child(resume, held)
    assert [each.parent for each in fanouts] == [resume.context, good.context]


async def test_a_retry_that_fails_has_a_span_if_its_error_is_recorded() -> None:
    app = App()
    exported = Exported(app.hub)
    app.broken["timeline"] = {"bad"}
    with pytest.raises(ProjectionError):
        await app.publish("bad")
    for _ in range(3):
        with pytest.raises(SessionHeld):
            await app.publish("behind it")
    assert not exported.spans("resume")
    held, *behind = exported.spans("publish")
    for ordinal, span in enumerate(behind, 2):
        tried = [
            event.attributes["sessionstream.ordinal"]
            for event in span.events
            if event.name == "sessionstream.event" and event.attributes
        ]
        assert tried == ["1", str(ordinal)], "the retry is told in the span of the publish that made it"

    app.broken["timeline"].clear()
    app.broken["ui"] = {"bad"}
    for _ in range(3):
        with pytest.raises(ProjectionError):
            await app.hub.retry_timeline("s")
    failed = exported.only("resume")
    assert_child(failed, held)
    assert failed.status.status_code is StatusCode.ERROR
    told, raised = failed.events
    assert told.attributes is not None
    assert told.attributes["sessionstream.outcome"] == "not_applied"
    assert raised.attributes is not None
    assert raised.attributes["exception.type"] == "sessionstream.errors.ProjectionError"
    assert "Broken: ui bad" in str(raised.attributes["exception.stacktrace"])

    app.broken["ui"].clear()
    await app.hub.retry_timeline("s")
    _, *applied = exported.spans("resume")
    for resume, publish in zip(applied, exported.spans("publish"), strict=True):
        assert_child(resume, publish)
        assert resume.status.status_code is StatusCode.UNSET
        assert resume.events[0].attributes is not None
        assert resume.events[0].attributes["sessionstream.outcome"] == "applied"


async def test_an_event_that_brings_a_trace_keeps_it() -> None:
    app = App()
    exported = Exported(app.hub)
    own = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    event = await app.hub.publish(replace(said(), metadata=own))
    assert event.metadata == own
    assert len(exported.spans("publish")) == 1


async def test_an_event_without_room_is_published_all_the_same() -> None:
    app = App()
    Exported(app.hub)
    full = {f"key {number}": "" for number in range(64)}
    event = await app.hub.publish(replace(said(), metadata=full))
    assert event.metadata == full


async def test_a_trace_that_is_not_sampled_stays_unsampled() -> None:
    app = App()
    exported = Exported(app.hub, ALWAYS_OFF)
    event = await app.hub.publish(said())
    flags = int(event.metadata["traceparent"].rpartition("-")[2], 16)
    assert not flags & 1
    assert not exported.spans("publish")


async def test_without_instrumentation_events_have_no_metadata() -> None:
    app = App()
    assert (await app.hub.publish(said())).metadata == {}


class Faulty:
    """An instrumentation whose spans raise where they are told to."""

    def __init__(self, place: str) -> None:
        self.place = place

    def pipeline(self, record: PipelineRecord) -> None:
        """Take the record."""

    def error(self, record: ErrorRecord) -> None:
        """Take the record."""

    def span(self, span: Span) -> AbstractContextManager[Mapping[str, str]]:
        if self.place == "call":
            raise Broken(self.place)
        return self._opened()

    @contextmanager
    def _opened(self) -> Iterator[Mapping[str, str]]:
        if self.place == "enter":
            raise Broken(self.place)
        try:
            yield {"bad": "\ud800"} if self.place == "metadata" else {}
        finally:
            if self.place == "exit":
                raise Broken(self.place)


@pytest.mark.parametrize("place", ["call", "enter", "exit", "metadata"])
async def test_spans_that_raise_are_logged_and_change_nothing(place: str, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.hub.instrument(Faulty(place))
    with caplog.at_level(logging.ERROR, "sessionstream"):
        assert await app.publish("a") == [1]
        app.broken["timeline"] = {"bad"}
        with pytest.raises(ProjectionError):
            await app.publish("bad")
        app.broken["timeline"].clear()
        await app.hub.retry_timeline("s")
    raised = [entry for entry in caplog.records if "a span of" in entry.getMessage()]
    assert len(raised) == (0 if place == "metadata" else 3)
    assert app.recorder.ordinals() == [1, 2]
