"""The app that is killed, and what its texts must be by a fold of its log alone.

Texts grow word by word, begin anew when they are long, and are deleted. What an event means is said once, by
``told_by``, for the projection of the app and for the model of the tests.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sessionstream import Event, Hub, HydrationStore, SchemaRegistry, Session, TimelineEntity, TimelineView, UIEvent
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    ChatMessageUpdate,
    StartInferenceCommand,
    TokensDeltaEvent,
)

PLAIN: Final = ("plain-0", "plain-1", "plain-2")
"""Sessions that are only published to; the others are also ..."""
REBUILT: Final = "rebuilt"
PRUNED: Final = "pruned"
HELD: Final = "held"
DELETED: Final = "deleted"
SESSIONS: Final = (*PLAIN, REBUILT, PRUNED, HELD, DELETED)

LONG: Final = 2_000
"""Characters after which a text begins anew."""

PARTS: Final = 3
"""Events that one command publishes."""


class Tell(Protocol):
    """Prints a line about something that happened."""

    def __call__(self, what: str, **details: Any) -> None: ...


@dataclass(frozen=True)
class Said:
    """An event, as a process prints it and a test compares it.

    Attributes:
        how: ``"append"``, ``"delete"``, or ``"shaky"``: appends, but fails in some processes.
    """

    event_id: str
    text_id: str
    chunk: str
    how: str = "append"

    def event(self, session_id: str) -> Event:
        """The event to publish."""
        payload = TokensDeltaEvent(message_id=self.text_id, chunk=self.chunk, status=self.how)
        return Event("Said", payload, session_id, event_id=self.event_id)

    @classmethod
    def of(cls, event: Event) -> Said:
        """The content of a logged event."""
        payload = event.payload
        assert isinstance(payload, TokensDeltaEvent)
        return cls(event.event_id, payload.message_id, payload.chunk, payload.status)


def told_by(said: Said, before: str | None) -> str | None:
    """Return the text after an event, None for no text."""
    if said.how == "delete":
        return None
    return said.chunk if before is None or len(before) > LONG else before + said.chunk


def registry() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_command("Say", StartInferenceCommand)
    schemas.register_event("Said", TokensDeltaEvent)
    schemas.register_ui_event("Told", ChatMessageUpdate)
    schemas.register_timeline_entity("Text", ChatMessageEntity)
    return schemas


def text_of(entity: TimelineEntity | None) -> str | None:
    if entity is None or entity.payload is None:
        return None
    assert isinstance(entity.payload, ChatMessageEntity)
    return entity.payload.text


def new_hub(schemas: SchemaRegistry, store: HydrationStore, *, shaky: bool, tell: Tell) -> Hub:
    """Return a hub of the app, whose fan-out passes UI events on."""

    def fan_out(session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None:
        for event in events:
            assert isinstance(event.payload, ChatMessageUpdate)
            tell("told", session=session_id, ordinal=ordinal, chunk=event.payload.chunk)

    hub = Hub(schemas, store=store, fanout=fan_out, error_observer=lambda record: None)

    @hub.ui_projection
    def told(event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        return [UIEvent("Told", ChatMessageUpdate(chunk=Said.of(event).chunk))]

    @hub.timeline_projection
    def texts(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        said = Said.of(event)
        if shaky and said.how == "shaky":
            raise RuntimeError("not in this process")
        text = told_by(said, text_of(view.get("Text", said.text_id)))
        if text is None:
            return [TimelineEntity("Text", said.text_id, None, tombstone=True)]
        return [TimelineEntity("Text", said.text_id, ChatMessageEntity(text=text))]

    return hub


def line(what: str, details: dict[str, Any]) -> bytes:
    return json.dumps({"what": what, **details}, separators=(",", ":")).encode() + b"\n"
