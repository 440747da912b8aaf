"""The chat's projections: one function computes the changed messages for live clients and for the timeline.

A delta event contains only its new piece. The text so far is in the view, which is the timeline before the event; the
projection appends the piece to it. If every event contained the text so far, the log would grow with the square of the
answer.
"""

from __future__ import annotations

from sessionstream import Event, Session, TimelineEntity, TimelineView, UIEvent
from sessionstream.examples.chatdemo.messages import STREAMING
from sessionstream.examples.chatdemo.schemas import CHAT_MESSAGE, UI_EVENTS
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    ChatMessageUpdate,
    InferenceFinishedEvent,
    InferenceStartedEvent,
    InferenceStoppedEvent,
    TokensDeltaEvent,
    UserMessageAcceptedEvent,
)


def project_ui(event: Event, _session: Session, view: TimelineView) -> list[UIEvent]:
    """Return the UI event with the message after the event."""
    message = message_after(event, view)
    if message is None:
        return []
    update = ChatMessageUpdate(
        message_id=message.message_id,
        role=message.role,
        text=message.text,
        content=message.content,
        status=message.status,
        streaming=message.streaming,
        ordinal=str(event.ordinal),
    )
    match event.payload:
        case InferenceStartedEvent(prompt=prompt):
            update.prompt = prompt
        case TokensDeltaEvent(chunk=chunk):
            update.chunk = chunk
    return [UIEvent(UI_EVENTS[event.name], update)]


def project_timeline(event: Event, _session: Session, view: TimelineView) -> list[TimelineEntity]:
    """Return the entity of the message after the event."""
    message = message_after(event, view)
    if message is None:
        return []
    return [TimelineEntity(CHAT_MESSAGE, message.message_id, message)]


def message_after(event: Event, view: TimelineView) -> ChatMessageEntity | None:
    """Return the message as it is after the event, or None if the event changes no message.

    A piece or an end of an answer that is not streaming changes nothing, and neither does the start of an existing
    message. So late events of a stopped answer have no effect.
    """
    match event.payload:
        case UserMessageAcceptedEvent() | InferenceStartedEvent() as begun if view.get(CHAT_MESSAGE, begun.message_id):
            return None
        case UserMessageAcceptedEvent() as accepted:
            return ChatMessageEntity(
                message_id=accepted.message_id,
                role=accepted.role,
                text=accepted.content,
                content=accepted.content,
                streaming=accepted.streaming,
            )
        case InferenceStartedEvent() as started:
            return ChatMessageEntity(
                message_id=started.message_id,
                role=started.role,
                prompt=started.prompt,
                text=started.content,
                content=started.content,
                status=started.status,
                streaming=started.streaming,
            )
        case TokensDeltaEvent() as delta:
            message = _streaming(view, delta.message_id)
            return message and _with_text(message, message.text + delta.chunk, delta)
        case InferenceFinishedEvent() | InferenceStoppedEvent() as ended:
            message = _streaming(view, ended.message_id)
            return message and _with_text(message, ended.text, ended)
        case _:  # a trace
            return None


def _streaming(view: TimelineView, message_id: str) -> ChatMessageEntity | None:
    """Return a copy of the message if its answer is still being streamed."""
    entity = view.get(CHAT_MESSAGE, message_id)
    if entity is None or not isinstance(entity.payload, ChatMessageEntity) or entity.payload.status != STREAMING:
        return None
    return entity.payload


def _with_text(
    message: ChatMessageEntity, text: str, source: TokensDeltaEvent | InferenceFinishedEvent | InferenceStoppedEvent
) -> ChatMessageEntity:
    # The view returns copies, so this message may be changed.
    message.text = message.content = text
    message.status = source.status
    message.streaming = source.streaming
    return message
