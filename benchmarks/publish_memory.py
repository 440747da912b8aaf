"""Publishing to memory, compared with a bare async loop that makes the same copies and projection calls.

    python -m benchmarks.publish_memory

There is one session, with both projections and payloads of 200 bytes. The bare loop has no registry, lane, view,
ordinal check, cursor, event id, commit or fan-out. It keeps what a MemoryStore keeps: every event, and every state of
every entity. No implementation that makes the guaranteed copies can be faster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, best, report
from sessionstream import Event, Hub, SchemaRegistry, Session, TimelineEntity, TimelineView, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate, TokensDeltaEvent

if TYPE_CHECKING:
    from google.protobuf.message import Message

EVENTS = 2_000
ROUNDS = 25
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
    def __init__(self, states: dict[str, list[TimelineEntity]]) -> None:
        self._states = states
        self.ordinal = 0

    def get(self, kind: str, id: str) -> TimelineEntity | None:  # noqa: A002 - the protocol's word
        if id not in self._states:
            return None
        entity = self._states[id][-1]
        assert entity.payload is not None
        return TimelineEntity(kind, id, _copy(entity.payload))

    def list(self, kind: str = "") -> list[TimelineEntity]:
        raise NotImplementedError


class BareLoop:
    """A loop of only the copies and the calls."""

    def __init__(self, sink: list[object]) -> None:
        self._states: dict[str, list[TimelineEntity]] = {}
        self._log: list[Event] = []
        self._sink = sink
        self._session = Session("s", None)

    async def publish(self, event: Event) -> Event:
        view = _BareView(self._states)
        kept = Event(event.name, _copy(event.payload), event.session_id, len(self._log) + 1)
        shown = Event(event.name, _copy(kept.payload), event.session_id, kept.ordinal)
        ui_events = [UIEvent(item.name, _copy(item.payload)) for item in ui_projection(shown, self._session, view)]
        shown = Event(event.name, _copy(kept.payload), event.session_id, kept.ordinal)
        for item in timeline_projection(shown, self._session, view):
            assert item.payload is not None
            state = TimelineEntity(item.kind, item.id, _copy(item.payload))
            self._states.setdefault(item.id, []).append(state)
        self._log.append(kept)
        self._sink.append(ui_events)
        return Event(event.name, event.payload, event.session_id, kept.ordinal)


async def _time(new_publisher: Callable[[list[object]], Hub | BareLoop]) -> float:
    publisher = new_publisher([])
    events = [Event("Delta", TokensDeltaEvent(message_id=f"m{i % 100}", chunk=CHUNK), "s") for i in range(EVENTS)]
    start = time.perf_counter()
    for event in events:
        await publisher.publish(event)
    return (time.perf_counter() - start) / EVENTS * 1e6


async def main() -> list[Figure]:
    """Measure, and return microseconds per event."""
    hub, bare = await best(ROUNDS, partial(_time, new_hub), partial(_time, BareLoop))
    return [Figure("publish, memory store", hub, "the same copies and projection calls", bare, "µs", "≤ 2")]


if __name__ == "__main__":
    report(asyncio.run(main()))
