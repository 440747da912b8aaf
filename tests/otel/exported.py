"""What exporters get of a hub, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer, format_trace_id

from sessionstream import Hub
from sessionstream.otel import instrument

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.sampling import Sampler


class Exported:
    """Instruments a hub.

    Attributes:
        boundaries: of the buckets of each histogram that has values.
        kinds: of each metric that has values, as "Gauge"; a sum that may fall is an "UpDownCounter".
        versions: of the meters that have reported values.
        tracers: for spans of the application, and of a server.
    """

    def __init__(self, hub: Hub, sampler: Sampler | None = None) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self.boundaries: dict[str, tuple[float, ...]] = {}
        self.kinds: dict[str, str] = {}
        self.versions: set[str | None] = set()
        self.tracers = TracerProvider(sampler)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        instrument(hub, meter_provider=MeterProvider([self._reader]), tracer_provider=self.tracers)

    def metrics(self) -> dict[str, Any]:
        """Values by names and labels, without ``sessionstream.``; of a histogram, the count and the sum."""
        found: dict[str, Any] = {}
        data = self._reader.get_metrics_data()
        assert data is not None
        (scope,) = data.resource_metrics[0].scope_metrics
        self.versions.add(scope.scope.version)
        for metric in scope.metrics:
            name = metric.name.removeprefix("sessionstream.")
            self.kinds[name] = type(metric.data).__name__
            if isinstance(metric.data, Sum):
                self.kinds[name] = "Counter" if metric.data.is_monotonic else "UpDownCounter"
            for point in metric.data.data_points:
                value: Any = point
                if hasattr(value, "bucket_counts"):
                    self.boundaries[name] = tuple(value.explicit_bounds)
                found[name + _labels(point.attributes or {})] = (
                    (value.count, value.sum) if hasattr(value, "bucket_counts") else value.value
                )
        return found

    @property
    def tracer(self) -> Tracer:
        """A tracer of the application."""
        return self.tracers.get_tracer("app")

    def spans(self, name: str) -> list[ReadableSpan]:
        """The finished spans of a name, without ``sessionstream.``, in the order in which they ended."""
        return [span for span in self._spans.get_finished_spans() if span.name == f"sessionstream.{name}"]

    def only(self, name: str) -> ReadableSpan:
        (span,) = self.spans(name)
        return span


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return format_trace_id(span.context.trace_id)


def assert_child(span: ReadableSpan, parent: ReadableSpan) -> None:
    assert span.parent is not None
    assert parent.context is not None
    assert trace_of(span) == trace_of(parent)
    assert span.parent.span_id == parent.context.span_id


def _labels(attributes: Mapping[str, Any]) -> str:
    assert all(key == "error.type" or key.startswith("sessionstream.") for key in attributes)
    labels = ",".join(f"{key.removeprefix('sessionstream.')}={attributes[key]}" for key in sorted(attributes))
    return f"{{{labels}}}" if labels else ""
