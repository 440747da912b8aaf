"""OpenTelemetry metrics and traces of a hub. Needs the extra ``otel``.

>>> from sessionstream import Hub, SchemaRegistry
>>> from sessionstream.otel import instrument
>>> hub = Hub(SchemaRegistry())
>>> instrument(hub)  # the global providers
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, Literal, NamedTuple, TypeVar

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as _error:
    raise ImportError(
        f"instrument needs the package opentelemetry-api, 1.30 or newer ({_error}): pip install 'sessionstream[otel]'",
        name=_error.name,
    ) from _error

from sessionstream.errors import ProjectionError, SessionHeld
from sessionstream.release import release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessionstream.hub.hub import Hub
    from sessionstream.observe import ErrorRecord, FollowerStatus, HubStatistics, PipelineRecord, Span

T = TypeVar("T")

_SCOPE: Final[str] = "sessionstream"

_BOUNDARIES: Final[tuple[float, ...]] = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
"""Of histograms of seconds: those that OpenTelemetry proposes are for milliseconds."""


_PROPAGATOR: Final[TraceContextTextMapPropagator] = TraceContextTextMapPropagator()

_KINDS: Final[Mapping[str, SpanKind]] = {
    "command": SpanKind.INTERNAL,
    "publish": SpanKind.PRODUCER,
    "consume": SpanKind.CONSUMER,
    "resume": SpanKind.CONSUMER,
    "deliver": SpanKind.CONSUMER,
}


class _Instrument(NamedTuple, Generic[T]):
    """An instrument whose value is a part of an answer.

    Counts that add up over processes are counters, and UpDownCounters if they may fall; backends add them.
    """

    kind: Literal["gauge", "counter", "up_down_counter"]
    name: str
    unit: str
    description: str
    value: Callable[[T], float]


_STATISTICS: Final[Sequence[_Instrument[HubStatistics]]] = (
    _Instrument("up_down_counter", "cache.sessions", "{session}", "cached sessions", lambda of: of.sessions),
    _Instrument("up_down_counter", "cache.entities", "{entity}", "entities in memory", lambda of: of.entities),
    _Instrument("counter", "cache.evictions", "{session}", "sessions that left the cache", lambda of: of.evictions),
    _Instrument(
        "up_down_counter", "sessions.held", "{session}", "held sessions in this process's cache", lambda of: of.held
    ),
    _Instrument(
        "up_down_counter", "store.pending", "{change}", "changes that wait for the store", lambda of: of.pending
    ),
)

_FOLLOWED: Final[Sequence[_Instrument[FollowerStatus]]] = (
    _Instrument(
        "up_down_counter",
        "follower.behind",
        "{session}",
        "watched sessions that other processes may have moved",
        lambda of: len(of.behind),
    ),
    _Instrument("gauge", "follower.lag", "s", "the time since the first hint that was not read yet", lambda of: of.lag),
    _Instrument(
        "counter",
        "follower.hints",
        "{hint}",
        "times the store said that other processes may have moved sessions",
        lambda of: of.hints,
    ),
    _Instrument(
        "counter", "follower.moves", "{commit}", "commits of other processes that were passed on", lambda of: of.moves
    ),
    _Instrument(
        "counter",
        "follower.gaps",
        "{snapshot}",
        "snapshots in place of commits of other processes that were missing",
        lambda of: of.gaps,
    ),
)


def instrument(
    hub: Hub,
    *,
    meter_provider: metrics.MeterProvider | None = None,
    tracer_provider: trace.TracerProvider | None = None,
) -> None:
    """Report a hub's work as OpenTelemetry metrics and spans. (Reference: OpenTelemetry.)

    Call it once for each hub, in every process. Session ids are in spans only, because metrics would have too many
    label values. The span of ``publish`` is carried in the metadata of its events, as W3C ``traceparent`` and
    ``tracestate``; so the same trace goes on where an event is consumed from a bus, resumed, or delivered by another
    process.

    Of several hubs with one meter provider, OpenTelemetry exports what is observed (cache, held sessions, waiting
    changes, follower) of the first one only.

    Args:
        meter_provider: None uses the global provider.
        tracer_provider: None uses the global provider.

    Raises:
        RuntimeError: the hub is instrumented already.
    """
    meter = metrics.get_meter(_SCOPE, release(), meter_provider=meter_provider)
    hub.instrument(_Telemetry(meter, trace.get_tracer(_SCOPE, release(), tracer_provider=tracer_provider)))
    _report(meter, _STATISTICS, hub.statistics)
    _report(meter, _FOLLOWED, lambda: hub.follower)


class _Telemetry:
    """Records metrics of events and errors, and spans."""

    def __init__(self, meter: Meter, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._events = meter.create_counter(
            "sessionstream.events", "{event}", "events that went through the pipeline, by what became of them"
        )
        self._errors = meter.create_counter("sessionstream.errors", "{error}", "error records, by kind")
        self._durations = {
            part: meter.create_histogram(
                f"sessionstream.{part}.duration", "s", description, explicit_bucket_boundaries_advisory=_BOUNDARIES
            )
            for part, description in (
                ("publish", "from the call of publish to the end of the fan-out"),
                ("projection", "how long the projections of an event ran"),
                ("commit", "how long the store took for a commit"),
                ("fanout", "how long the fan-out of an event ran"),
            )
        }

    def pipeline(self, record: PipelineRecord, /) -> None:
        """Record an event and its durations."""
        outcome = "applied" if record.cursor_moved else "not_applied" if record.stored else "not_stored"
        labels = {"sessionstream.event": record.event.name, "sessionstream.mode": record.mode}
        self._events.add(1, {**labels, "sessionstream.outcome": outcome})
        if record.mode == "live":
            ended = labels if record.cursor_moved else {**labels, "error.type": _error_type(record)}
            self._durations["publish"].record(record.seconds, ended)
        for part, seconds in (
            ("projection", record.projection_seconds),
            ("commit", record.commit_seconds),
            ("fanout", record.fanout_seconds),
        ):
            if seconds:
                self._durations[part].record(seconds, labels)
        span = trace.get_current_span()
        if record.mode != "rebuild" and span.is_recording():
            facts: dict[str, str | float] = {
                "sessionstream.name": record.event.name,
                "sessionstream.ordinal": str(record.event.ordinal),  # attributes have no unsigned 64-bit integers
                "sessionstream.outcome": outcome,
                "sessionstream.projection_seconds": record.projection_seconds,
                "sessionstream.commit_seconds": record.commit_seconds,
                "sessionstream.fanout_seconds": record.fanout_seconds,
            }
            span.add_event("sessionstream.event", facts)

    def error(self, record: ErrorRecord, /) -> None:
        """Count an error."""
        self._errors.add(1, {"sessionstream.kind": record.kind})

    @contextmanager
    def span(self, span: Span, /) -> Iterator[Mapping[str, str]]:
        """Open a span: in the trace of the caller, or in that of the event that the work goes on with."""
        goes_on = span.operation not in ("command", "publish")
        facts: dict[str, str | int] = {"sessionstream.session_id": span.session_id}
        if span.name:
            facts["sessionstream.name"] = span.name
        if span.ordinal:
            facts["sessionstream.ordinal"] = str(span.ordinal)
        if span.operation == "publish":
            facts["sessionstream.events"] = span.events
        with self._tracer.start_as_current_span(
            f"sessionstream.{span.operation}",
            context=_PROPAGATOR.extract(span.metadata, Context()) if goes_on else None,
            kind=_KINDS[span.operation],
            attributes=facts,
        ):
            entries: dict[str, str] = {}
            if span.operation == "publish":
                _PROPAGATOR.inject(entries)
            yield entries


def _error_type(record: PipelineRecord) -> str:
    """Return the class of what a publish that failed has raised, named as in the span's event of the exception."""
    raised: type[Exception] = SessionHeld
    if record.error is not None:
        raised = type(record.error)
    elif record.ui_error is not None or record.timeline_error is not None:
        raised = ProjectionError
    return raised.__qualname__ if raised.__module__ == "builtins" else f"{raised.__module__}.{raised.__qualname__}"


def _report(meter: Meter, instruments: Sequence[_Instrument[T]], ask: Callable[[], T | None]) -> None:
    """Report parts of an answer whenever metrics are collected, unless the answer is None."""

    def observed(value: Callable[[T], float]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(options: CallbackOptions) -> Iterable[Observation]:
            answer = ask()
            return [] if answer is None else [Observation(value(answer))]

        return observe

    create = {
        "gauge": meter.create_observable_gauge,
        "counter": meter.create_observable_counter,
        "up_down_counter": meter.create_observable_up_down_counter,
    }
    for kind, name, unit, description, value in instruments:
        create[kind](f"sessionstream.{name}", [observed(value)], unit, description)
