"""The names of the chat, and the message behind each of them.

Names are stored with the data, so they must not change once a session exists.
"""

from __future__ import annotations

from typing import Final

from sessionstream import SchemaRegistry
from sessionstream.examples.chatdemo.v1 import chat_pb2

START_INFERENCE: Final = "ChatStartInference"
STOP_INFERENCE: Final = "ChatStopInference"

USER_MESSAGE_ACCEPTED: Final = "ChatUserMessageAccepted"
INFERENCE_STARTED: Final = "ChatInferenceStarted"
TOKENS_DELTA: Final = "ChatTokensDelta"
INFERENCE_TRACE: Final = "ChatInferenceTrace"
INFERENCE_FINISHED: Final = "ChatInferenceFinished"
INFERENCE_STOPPED: Final = "ChatInferenceStopped"

UI_EVENTS: Final = {
    USER_MESSAGE_ACCEPTED: "ChatMessageAccepted",
    INFERENCE_STARTED: "ChatMessageStarted",
    TOKENS_DELTA: "ChatMessageAppended",
    INFERENCE_FINISHED: "ChatMessageFinished",
    INFERENCE_STOPPED: "ChatMessageStopped",
}
"""The UI event of each backend event. A trace event has none."""

CHAT_MESSAGE: Final = "ChatMessage"
"""The one kind of timeline entity; the id of an entity is the id of its message."""


def chat_schemas() -> SchemaRegistry:
    """Return the registry of the chat's commands, events, UI events and entities."""
    registry = SchemaRegistry()
    registry.register_command(START_INFERENCE, chat_pb2.StartInferenceCommand)
    registry.register_command(STOP_INFERENCE, chat_pb2.StopInferenceCommand)
    registry.register_event(USER_MESSAGE_ACCEPTED, chat_pb2.UserMessageAcceptedEvent)
    registry.register_event(INFERENCE_STARTED, chat_pb2.InferenceStartedEvent)
    registry.register_event(TOKENS_DELTA, chat_pb2.TokensDeltaEvent)
    registry.register_event(INFERENCE_TRACE, chat_pb2.InferenceTraceEvent)
    registry.register_event(INFERENCE_FINISHED, chat_pb2.InferenceFinishedEvent)
    registry.register_event(INFERENCE_STOPPED, chat_pb2.InferenceStoppedEvent)
    for name in UI_EVENTS.values():
        registry.register_ui_event(name, chat_pb2.ChatMessageUpdate)
    registry.register_timeline_entity(CHAT_MESSAGE, chat_pb2.ChatMessageEntity)
    return registry
