"""Publishing to a hub that is instrumented for OpenTelemetry, compared with one that is not.

    python -m benchmarks.otel

The hub is that of ``publish_memory.py``, where an event costs least. Spans go to the SDK's ``BatchSpanProcessor``, with
an exporter that does nothing; metrics are not collected meanwhile. Times are CPU times of the event loop's thread.

An instrumentation that does nothing shows what the hub does for any. What OpenTelemetry adds to an event is compared
with a loop of the calls of it that an event needs: a span with an event, its context as metadata, a counter and four
histograms, with the same attributes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from benchmarks.figures import Figure, best, report
from benchmarks.publish_memory import CHUNK, new_hub
from sessionstream import ErrorRecord, Event, Hub, PipelineRecord, Span
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.otel import instrument

EVENTS = 1_000
ROUNDS = 25


class _Nowhere(SpanExporter):
    """Exports nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _Telemetry:
    """The SDK's providers."""

    def __init__(self, sampler: Sampler) -> None:
        self.meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
        self.tracers = TracerProvider(sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(BatchSpanProcessor(_Nowhere()))

    def close(self) -> None:
        self.meters.shutdown()
        self.tracers.shutdown()


class _Nothing:
    """An instrumentation that does nothing."""

    def span(self, span: Span, /) -> AbstractContextManager[Mapping[str, str]]:
        return _NO_SPAN

    def pipeline(self, record: PipelineRecord, /) -> None:
        pass

    def error(self, record: ErrorRecord, /) -> None:
        pass


_NO_SPAN: nullcontext[Mapping[str, str]] = nullcontext({})


async def _publish(prepare: Callable[[Hub], None]) -> float:
    """Return microseconds per event."""
    hub = new_hub([])
    prepare(hub)
    events = [Event("Delta", TokensDeltaEvent(message_id=f"m{i % 100}", chunk=CHUNK), "s") for i in range(EVENTS)]
    start = time.thread_time()
    for event in events:
        await hub.publish(event)
    return (time.thread_time() - start) / EVENTS * 1e6


async def _instrumented(sampler: Sampler) -> float:
    with closing(_Telemetry(sampler)) as telemetry:
        return await _publish(partial(instrument, meter_provider=telemetry.meters, tracer_provider=telemetry.tracers))


async def _alone() -> float:
    """Call OpenTelemetry as the instrumentation of an event does; return microseconds per event."""
    with closing(_Telemetry(ALWAYS_ON)) as telemetry:
        tracer, meter = telemetry.tracers.get_tracer("bare"), telemetry.meters.get_meter("bare")
        counter, propagator = meter.create_counter("events"), TraceContextTextMapPropagator()
        histograms = [meter.create_histogram(name) for name in ("publish", "projection", "commit", "fanout")]
        start = time.thread_time()
        for ordinal in range(EVENTS):
            begun: dict[str, str | int] = {"session_id": "s", "name": "Delta", "events": 1}
            with tracer.start_as_current_span("publish", kind=SpanKind.PRODUCER, attributes=begun) as span:
                propagator.inject({})
                labels = {"sessionstream.event": "Delta", "sessionstream.mode": "live"}
                counter.add(1, {**labels, "sessionstream.outcome": "applied"})
                for histogram in histograms:
                    histogram.record(0.0001, labels)
                facts = {"name": "Delta", "ordinal": str(ordinal), "outcome": "applied"}
                span.add_event("event", {**facts, "projection": 0.0001, "commit": 0.0001, "fanout": 0.0001})
        return (time.thread_time() - start) / EVENTS * 1e6


async def main() -> list[Figure]:
    """Measure, and return microseconds per event."""
    plain, idle, sampled, unsampled, alone = await best(
        ROUNDS,
        partial(_publish, lambda hub: None),
        partial(_publish, lambda hub: hub.instrument(_Nothing())),
        partial(_instrumented, ALWAYS_ON),
        partial(_instrumented, ALWAYS_OFF),
        _alone,
    )
    return [
        Figure("publish, memory store, an instrumentation that does nothing", idle, "not instrumented", plain, "µs"),
        Figure("publish, memory store, OpenTelemetry, no trace sampled", unsampled, "not instrumented", plain, "µs"),
        Figure("publish, memory store, OpenTelemetry, each trace sampled", sampled, "not instrumented", plain, "µs"),
        Figure("what OpenTelemetry adds to that", sampled - plain, "its calls alone", alone, "µs"),
    ]


if __name__ == "__main__":
    report(asyncio.run(main()))
