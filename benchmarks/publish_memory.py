"""Publishing to memory, against a bare async loop that makes the same copies and the same projection calls.

    python -m benchmarks.publish_memory

One session, both projections, 200-byte payloads. The bare loop has no registry, lane, view, ordinal check, cursor,
event id, commit or fan-out: it is what no implementation that keeps its promises about copies can undercut.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from sessionstream import Event, Hub, SchemaRegistry, Session, TimelineEntity, TimelineView, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate, TokensDeltaEvent

if TYPE_CHECKING:
    from google.protobuf.message import Message

EVENTS = 5_000
ROUNDS = 7
CHUNK = "x" * 200


def ui_projection(event: Event, session: Session, view: TimelineView) -> Iterable[UIEvent]:
    payload = event.payload
    assert isinstance(payload, TokensDeltaEvent)
    return [UIEvent("Appended", ChatMessageUpdate(message_id=payload.message_id, chunk=payload.chunk))]


def timeline_projection(event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
    payload = event.payload
    assert isinstance(payload, TokensDeltaEvent)
    view.get("Message", payload.message_id)
    return [TimelineEntity("Message", payload.message_id, ChatMessageEntity(text=payload.chunk))]


def new_schemas() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_event("Delta", TokensDeltaEvent)
    schemas.register_ui_event("Appended", ChatMessageUpdate)
    schemas.register_timeline_entity("Message", ChatMessageEntity)
    return schemas


def new_hub(sink: list[object]) -> Hub:
    hub = Hub(new_schemas(), fanout=lambda session_id, ordinal, events: sink.append(events))
    hub.register_ui_projection(ui_projection)
    hub.register_timeline_projection(timeline_projection)
    return hub


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


class _BareView:
    def __init__(self, entities: dict[str, TimelineEntity]) -> None:
        self._entities = entities
        self.ordinal = 0

    def get(self, kind: str, id: str) -> TimelineEntity | None:  # noqa: A002 - the protocol's word
        entity = self._entities.get(id)
        if entity is None or entity.payload is None:
            return entity
        return TimelineEntity(kind, id, _copy(entity.payload))

    def list(self, kind: str = "") -> list[TimelineEntity]:
        raise NotImplementedError


class BareLoop:
    """The copies and the calls alone."""

    def __init__(self, sink: list[object]) -> None:
        self._entities: dict[str, TimelineEntity] = {}
        self._log: list[Event] = []
        self._sink = sink
        self._session = Session("s", None)

    async def publish(self, event: Event) -> Event:
        view = _BareView(self._entities)
        kept = Event(event.name, _copy(event.payload), event.session_id, len(self._log) + 1)
        shown = Event(event.name, _copy(kept.payload), event.session_id, kept.ordinal)
        ui_events = [UIEvent(item.name, _copy(item.payload)) for item in ui_projection(shown, self._session, view)]
        shown = Event(event.name, _copy(kept.payload), event.session_id, kept.ordinal)
        for item in timeline_projection(shown, self._session, view):
            assert item.payload is not None
            self._entities[item.id] = TimelineEntity(item.kind, item.id, _copy(item.payload))
        self._log.append(kept)
        self._sink.append(ui_events)
        return Event(event.name, event.payload, event.session_id, kept.ordinal)


async def _time(publisher: Hub | BareLoop) -> float:
    events = [Event("Delta", TokensDeltaEvent(message_id=f"m{i % 100}", chunk=CHUNK), "s") for i in range(EVENTS)]
    start = time.perf_counter()
    for event in events:
        await publisher.publish(event)
    return (time.perf_counter() - start) / EVENTS * 1e6


async def main() -> dict[str, float]:
    """Measure, print, and return microseconds per event and their ratio."""
    pairs = [(await _time(new_hub([])), await _time(BareLoop([]))) for _ in range(ROUNDS)]
    result = {
        "hub_us": median(hub for hub, _ in pairs),
        "bare_us": median(bare for _, bare in pairs),
        "ratio": median(hub / bare for hub, bare in pairs),
    }
    print(
        f"publish, memory: {result['hub_us']:.1f} µs per event; bare loop {result['bare_us']:.1f} µs; "
        f"ratio {result['ratio']:.2f}"
    )
    return result


if __name__ == "__main__":
    asyncio.run(main())
