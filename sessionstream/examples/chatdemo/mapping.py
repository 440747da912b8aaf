"""How the chat's entities, UI events and commands are messages, for the endpoints of other chat protocols."""

from __future__ import annotations

from typing import Final, cast

from sessionstream import TimelineEntity, UIEvent
from sessionstream.examples.chatdemo import messages, schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate, StartInferenceCommand
from sessionstream.transport.http import ChatMapping, ChatMessage, UserMessage
from sessionstream.transport.http.chat import Role, State

_STATES: Final[dict[str, State]] = {messages.STREAMING: "open", messages.STOPPED: "stopped"}


def _message(of: ChatMessageEntity | ChatMessageUpdate) -> ChatMessage:
    role: Role = "user" if of.role == messages.USER else "assistant"
    return ChatMessage(of.message_id, role, of.text, _STATES.get(of.status, "done"))


def _of_entity(entity: TimelineEntity) -> ChatMessage | None:
    return _message(entity.payload) if isinstance(entity.payload, ChatMessageEntity) else None


def _of_ui_event(event: UIEvent) -> list[ChatMessage]:
    return [_message(cast("ChatMessageUpdate", event.payload))]


def _command(message: UserMessage) -> tuple[str, StartInferenceCommand]:
    return schemas.START_INFERENCE, StartInferenceCommand(prompt=message.text, message_id=message.id)


CHAT: Final = ChatMapping(message=_of_entity, changes=_of_ui_event, command=_command)
"""The chat as AG-UI and the AI SDK see it: each UI event says the whole message, and text grows at its end."""
