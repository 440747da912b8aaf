"""Metrics and spans, as an exporter gets them."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import version
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sessionstream.transport.ws import ConnectionRecord, Limits, WebSocketServer, conflate
from sessionstream.transport.ws.otel import OpenTelemetryObserver

from .asgi import Peer, peers
from .source import Source, Watched


class Exported:
    """An observer with exporters in memory."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.spans = InMemorySpanExporter()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.observer = OpenTelemetryObserver(MeterProvider([self.reader]), tracers)

    def metrics(self) -> dict[str, Any]:
        """Values by name and attributes, without ``sessionstream.``."""
        found: dict[str, Any] = {}
        data = self.reader.get_metrics_data()
        assert data is not None
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            for point in metric.data.data_points:
                name = metric.name.removeprefix("sessionstream.ws.")
                attributes = point.attributes or {}
                assert all(key.startswith("sessionstream.") for key in attributes)
                labels = ",".join(f"{key.removeprefix('sessionstream.')}={attributes[key]!s}" for key in attributes)
                value = point.value if hasattr(point, "value") else (point.count, point.sum)
                found[f"{name}{{{labels}}}" if labels else name] = value
        return found

    def of(self, name: str) -> list[Any]:
        return [span for span in self.spans.get_finished_spans() if span.name == f"sessionstream.ws.{name}"]


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_a_watched_session() -> None:
    source, exported = Source(), Exported()
    server = WebSocketServer(source, observer=exported.observer)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 2) as (one, two):
        await one.subscribed("s")
        await two.subscribed("s")
        watched.publish("s")
        await one.hear()
        await two.hear()
        await settle()
        metrics = exported.metrics()
        assert metrics["connections"] == 2
        assert metrics["subscriptions"] == 2
        assert metrics["frames.received"] == 2
        assert metrics["frames.sent"] == 2 * 4
        assert metrics["sent"] == sum(len(text) for text in one.texts + two.texts)
        assert metrics["hydrations{delta=False}"] == 2
        assert metrics["fanout.targets"] == (1, 2)
        assert metrics["queue.depth"][0] == 2 * 4
        one.say({"unsubscribe": {"sessionId": "s"}})
        await one.hear()
        assert exported.metrics()["subscriptions"] == 1
    metrics = exported.metrics()
    assert (metrics["connections"], metrics["subscriptions"]) == (0, 0)
    connections, hydrations = exported.of("connection"), exported.of("hydrate")
    assert {span.context.span_id for span in connections} == {span.parent.span_id for span in hydrations}
    assert hydrations[0].attributes["sessionstream.session_id"] == "s"
    (fan_out,) = exported.of("fanout")
    assert fan_out.attributes["sessionstream.targets"] == 2


async def test_what_goes_wrong() -> None:
    source, exported = Source(), Exported()
    server = WebSocketServer(
        source,
        limits=Limits(outbox_frames=3, frame_bytes=100, buffered_frames=3),
        slow_consumers=conflate,
        observer=exported.observer,
        authorize=lambda principal, session_id: session_id != "no",
    )
    watched = Watched(source, server.publish_ui)
    source.failure = lambda since: RuntimeError("broken disk")
    async with peers(server, 1) as (peer,):
        peer.subscribe("no")
        await peer.hear()
        peer.subscribe("s")
        await peer.hear()
        peer.say("{")
        await peer.hear()
        source.failure = lambda since: None
        await peer.subscribed("s")
        peer.stall()
        for _ in range(20):
            watched.publish("s")
        source.stop()
        peer.resume()
        await source.calls(3)
        for _ in range(4):
            watched.publish("s")
        source.go()
        await peer.hear_until("snapshot")
        peer.say("x" * 101)
        assert await peer.ended() == 1009
    await Peer(server, headers=[(b"origin", b"https://evil.example")]).ended()
    metrics = exported.metrics()
    assert metrics["errors{code=unauthorized}"] == 1
    assert metrics["errors{code=snapshot_failed}"] == 1
    assert metrics["errors{code=bad_client_frame}"] == 1
    assert metrics["closes{code=1009}"] == 1
    assert metrics["handshakes.refused{code=403}"] == 1
    assert metrics["overflows"] == metrics["resyncs"] == 1
    assert metrics["buffers.dropped"] == 1
    assert (metrics["connections"], metrics["subscriptions"]) == (0, 0)
    (connection,) = exported.of("connection")
    assert connection.attributes["sessionstream.close_code"] == "1009"
    (closing,) = connection.events
    assert (closing.name, *closing.attributes) == ("sessionstream.closing", "sessionstream.reason")
    assert connection.instrumentation_scope.version == version("sessionstream")
    failed = [span for span in exported.of("hydrate") if not span.status.is_ok and span.status.description]
    for span, words in zip(failed, ("broken disk", "dropped already"), strict=True):
        assert words in span.status.description


async def test_a_client_that_leaves_while_its_snapshot_loads() -> None:
    source, exported = Source(), Exported()
    server = WebSocketServer(source, observer=exported.observer)
    async with peers(server, 1) as (peer,):
        source.stop()
        peer.subscribe("s")
        await source.calls(1)
        peer.lose()
        await peer.ended()
        assert len(exported.of("hydrate")) == 1  # it has ended
        source.go()
    metrics = exported.metrics()
    assert (metrics["connections"], metrics["subscriptions"]) == (0, 0)


def test_records_of_connections_it_never_heard_of() -> None:
    """As of those that were open before it was put in."""
    exported = Exported()
    for stage in ("load_started", "snapshot_sent", "closing", "unsubscribed", "fanout_completed", "disconnected"):
        exported.observer(ConnectionRecord(stage, "c", "s"))


def test_importing_the_server_imports_no_telemetry_and_no_websocket_library() -> None:
    from tests.core.test_facade import imported_by

    loaded = imported_by("import sessionstream.transport.ws")
    assert "sessionstream.transport.ws.server.app" in loaded
    roots = {name.partition(".")[0] for name in loaded if not name.startswith("_")}
    assert roots - {*sys.stdlib_module_names} <= {"sessionstream", "google"}
