"""OpenTelemetry metrics and spans of a WebSocket server, made from observer records. Needs the extra ``otel``.

>>> from sessionstream.transport.ws.otel import OpenTelemetryObserver
>>> observer = OpenTelemetryObserver()  # the global providers; then WebSocketServer(hub, observer=observer)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode
except ImportError as _error:
    raise ImportError(
        f"OpenTelemetryObserver needs the package opentelemetry-api, 1.30 or newer ({_error}): pip install "
        "'sessionstream[otel]'",
        name=_error.name,
    ) from _error

from sessionstream.release import release
from sessionstream.transport.ws.server.records import ConnectionRecord, Stage

_SCOPE: Final = "sessionstream.transport.ws"

_COUNTED: Final[dict[Stage, tuple[str, str, str]]] = {
    "frame_read": ("sessionstream.ws.frames.received", "{frame}", "messages from clients"),
    "written": ("sessionstream.ws.frames.sent", "{frame}", "frames handed to the server library"),
    "resync": ("sessionstream.ws.resyncs", "{snapshot}", "snapshots that the server sent of its own accord"),
    "queue_full": ("sessionstream.ws.overflows", "{overflow}", "times an outbox was full"),
    "refused": ("sessionstream.ws.handshakes.refused", "{handshake}", "refused handshakes, by HTTP status"),
    "closing": ("sessionstream.ws.closes", "{connection}", "connections that the server closed, by code"),
    "write_error": ("sessionstream.ws.write.errors", "{error}", "connections that broke while they were written to"),
    "buffer_dropped": (
        "sessionstream.ws.buffers.dropped",
        "{buffer}",
        "buffers that overflowed while a snapshot loaded",
    ),
}
"""Counters that are incremented for each record of a stage."""

_REFUSALS: Final[frozenset[Stage]] = frozenset(
    ("decode_error", "protocol_error", "rate_limited", "unauthorized", "load_failed")
)


class OpenTelemetryObserver:
    """An observer that records metrics and spans. (Reference: Observing connections.)

    Metrics are named ``sessionstream.ws.…``; session and connection ids are only on spans, because metrics would have
    too many label values. A span ``sessionstream.ws.connection`` lasts as long as its connection; within it, a span
    ``sessionstream.ws.hydrate`` lasts from the start of a load to the snapshot. ``sessionstream.ws.fanout`` is the
    fan-out of one event.

    Args:
        meter_provider: None uses the global provider.
        tracer_provider: None uses the global provider.
    """

    def __init__(
        self,
        meter_provider: metrics.MeterProvider | None = None,
        tracer_provider: trace.TracerProvider | None = None,
    ) -> None:
        meter = metrics.get_meter(_SCOPE, release(), meter_provider=meter_provider)
        self._tracer = trace.get_tracer(_SCOPE, release(), tracer_provider=tracer_provider)
        self._connections = meter.create_up_down_counter(
            "sessionstream.ws.connections", "{connection}", "open connections"
        )
        self._subscriptions = meter.create_up_down_counter(
            "sessionstream.ws.subscriptions", "{subscription}", "subscriptions that are told of events"
        )
        self._counters = {stage: meter.create_counter(*of) for stage, of in _COUNTED.items()}
        self._received = meter.create_counter("sessionstream.ws.received", "By", "UTF-8 bytes from clients")
        self._sent = meter.create_counter("sessionstream.ws.sent", "By", "UTF-8 bytes handed to the server library")
        self._refusals = meter.create_counter("sessionstream.ws.errors", "{error}", "error frames, by code")
        self._hydrations = meter.create_counter(
            "sessionstream.ws.hydrations", "{snapshot}", "snapshots that were sent, by whether they were deltas"
        )
        self._targets = meter.create_histogram(
            "sessionstream.ws.fanout.targets", "{connection}", "connections that one event went to"
        )
        self._depth = meter.create_histogram(
            "sessionstream.ws.queue.depth", "{frame}", "frames that waited for a connection when another was queued"
        )
        self._spans: dict[str, Span] = {}
        self._hydrating: dict[tuple[str, str], Span] = {}
        self._joined: dict[str, set[str]] = {}
        self._fanning_out: dict[tuple[str, int], Span] = {}  # keyed, because several threads may publish
        self._handlers: dict[Stage, Callable[[ConnectionRecord], None]] = {
            "connected": self._on_connected,
            "disconnected": self._on_disconnected,
            "subscription_registered": self._on_registered,
            "unsubscribed": self._on_left,
            "unauthorized": self._on_left,
            "load_started": self._on_load_started,
            "snapshot_sent": self._on_snapshot_sent,
            "load_failed": self._on_load_failed,
            "frame_read": lambda record: self._received.add(record.size),
            "written": lambda record: self._sent.add(record.size),
            "frame_queued": lambda record: self._depth.record(record.queue_depth),
            "closing": self._on_closing,
            "fanout_started": self._on_fanout_started,
            "fanout_no_targets": self._on_fanout_ended,
            "fanout_completed": self._on_fanout_ended,
        }

    def __call__(self, record: ConnectionRecord) -> None:
        """Record the metrics and spans of one record."""
        counter = self._counters.get(record.stage)
        if counter is not None:
            counter.add(1, {"sessionstream.code": record.code} if record.code else {})
        if record.stage in _REFUSALS and record.code:
            self._refusals.add(1, {"sessionstream.code": record.code})
        handler = self._handlers.get(record.stage)
        if handler is not None:
            handler(record)

    # -- connections -------------------------------------------------------------------------------------------

    def _on_connected(self, record: ConnectionRecord) -> None:
        self._connections.add(1)
        self._joined[record.connection_id] = set()
        self._spans[record.connection_id] = self._tracer.start_span(
            "sessionstream.ws.connection",
            kind=SpanKind.SERVER,
            attributes={"sessionstream.connection_id": record.connection_id},
        )

    def _on_closing(self, record: ConnectionRecord) -> None:
        span = self._spans.get(record.connection_id)
        if span is not None:
            span.set_attribute("sessionstream.close_code", record.code)
            span.add_event("sessionstream.closing", {"sessionstream.reason": record.error})

    def _on_disconnected(self, record: ConnectionRecord) -> None:
        self._connections.add(-1)
        self._subscriptions.add(-len(self._joined.pop(record.connection_id, ())))
        for key in [key for key in self._hydrating if key[0] == record.connection_id]:
            self._hydrating.pop(key).end()
        span = self._spans.pop(record.connection_id, None)
        if span is not None:
            span.end()

    # -- subscriptions -----------------------------------------------------------------------------------------

    def _on_registered(self, record: ConnectionRecord) -> None:
        self._joined[record.connection_id].add(record.session_id)
        self._subscriptions.add(1)

    def _on_left(self, record: ConnectionRecord) -> None:
        self._end_hydration(record)
        joined = self._joined.get(record.connection_id, set())
        if record.session_id in joined:
            joined.remove(record.session_id)
            self._subscriptions.add(-1)

    def _on_load_started(self, record: ConnectionRecord) -> None:
        self._end_hydration(record)
        parent = self._spans.get(record.connection_id)
        self._hydrating[record.connection_id, record.session_id] = self._tracer.start_span(
            "sessionstream.ws.hydrate",
            context=None if parent is None else trace.set_span_in_context(parent),
            attributes={"sessionstream.session_id": record.session_id},
        )

    def _on_snapshot_sent(self, record: ConnectionRecord) -> None:
        self._hydrations.add(1, {"sessionstream.delta": record.delta})
        facts: dict[str, str | bool | int] = {
            "sessionstream.ordinal": str(record.ordinal),  # attributes have no unsigned 64-bit integers
            "sessionstream.delta": record.delta,
            "sessionstream.bytes": record.size,
        }
        self._end_hydration(record, facts=facts)

    def _on_load_failed(self, record: ConnectionRecord) -> None:
        self._end_hydration(record, error=record.error)
        if record.code == "snapshot_failed":
            self._on_left(record)

    def _end_hydration(
        self, record: ConnectionRecord, *, facts: dict[str, str | bool | int] | None = None, error: str = ""
    ) -> None:
        span = self._hydrating.pop((record.connection_id, record.session_id), None)
        if span is not None:
            span.set_attributes(facts or {})
            if error:
                span.set_status(Status(StatusCode.ERROR, error))
            span.end()

    # -- fan-out -----------------------------------------------------------------------------------------------

    def _on_fanout_started(self, record: ConnectionRecord) -> None:
        self._fanning_out[record.session_id, record.ordinal] = self._tracer.start_span(
            "sessionstream.ws.fanout",
            kind=SpanKind.PRODUCER,
            attributes={
                "sessionstream.session_id": record.session_id,
                "sessionstream.ordinal": str(record.ordinal),
                "sessionstream.ui_events": record.frames,
            },
        )

    def _on_fanout_ended(self, record: ConnectionRecord) -> None:
        self._targets.record(record.frames)
        span = self._fanning_out.pop((record.session_id, record.ordinal), None)
        if span is not None:
            span.set_attribute("sessionstream.targets", record.frames)
            span.end()
