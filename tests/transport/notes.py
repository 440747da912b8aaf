"""The application of the conformance scripts: an event contains the entities to put and drop, and its UI events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import Event, Hub, HydrationStore, SchemaRegistry, Session, TimelineEntity, TimelineView, UIEvent

OPAQUE = Any(type_url="type.googleapis.com/test.Unknown", value=b"x")
"""What nobody can show: null in a step."""


def registry() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_event("Step", StringValue)
    schemas.register_ui_event("Told", StringValue)
    schemas.register_timeline_entity("Note", StringValue)
    schemas.register_ui_event("Opaque", Any)
    schemas.register_timeline_entity("Opaque", Any)
    return schemas


def _entities(event: Event, session: Session, view: TimelineView) -> Iterator[TimelineEntity]:
    assert isinstance(event.payload, StringValue)
    step = json.loads(event.payload.value)
    for id_, text in step.get("put", {}).items():
        if text is None:
            yield TimelineEntity("Opaque", id_, OPAQUE)
        else:
            yield TimelineEntity("Note", id_, StringValue(value=text))
    for id_ in step.get("drop", ()):
        yield TimelineEntity("Note", id_, None, tombstone=True)


def _told(event: Event, session: Session, view: TimelineView) -> Iterator[UIEvent]:
    assert isinstance(event.payload, StringValue)
    for text in json.loads(event.payload.value).get("tell", ()):
        yield UIEvent("Opaque", OPAQUE) if text is None else UIEvent("Told", StringValue(value=text))


def application(store: HydrationStore | None = None) -> Hub:
    hub = Hub(registry(), store=store)
    hub.register_timeline_projection(_entities)
    hub.register_ui_projection(_told)
    return hub


async def publish(
    hub: Hub,
    session_id: str,
    *,
    put: Mapping[str, str | None] = {},
    drop: Sequence[str] = (),
    tell: Sequence[str | None] = (),
) -> int:
    """Publish an event; return its ordinal."""
    step = json.dumps({"put": put, "drop": list(drop), "tell": list(tell)})
    return (await hub.publish(Event("Step", StringValue(value=step), session_id))).ordinal
