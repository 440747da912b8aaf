"""What an exporter gets of a hub, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from sessionstream import Hub
from sessionstream.otel import instrument


class Exported:
    """Instruments a hub.

    Attributes:
        boundaries: of the buckets of each histogram that has values.
    """

    def __init__(self, hub: Hub) -> None:
        self._reader = InMemoryMetricReader()
        self.boundaries: dict[str, tuple[float, ...]] = {}
        instrument(hub, meter_provider=MeterProvider([self._reader]))

    def metrics(self) -> dict[str, Any]:
        """Values by names, without ``sessionstream.``, and labels; of a histogram, the count and the sum."""
        found: dict[str, Any] = {}
        data = self._reader.get_metrics_data()
        assert data is not None
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            name = metric.name.removeprefix("sessionstream.")
            for point in metric.data.data_points:
                value: Any = point
                if hasattr(value, "bucket_counts"):
                    self.boundaries[name] = tuple(value.explicit_bounds)
                found[name + _labels(point.attributes or {})] = (
                    (value.count, value.sum) if hasattr(value, "bucket_counts") else value.value
                )
        return found


def _labels(attributes: Mapping[str, Any]) -> str:
    labels = ",".join(f"{key}={attributes[key]}" for key in sorted(attributes))
    return f"{{{labels}}}" if labels else ""
