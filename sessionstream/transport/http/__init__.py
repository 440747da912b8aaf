"""HTTP endpoints: ASGI applications that any framework can mount, each with the hooks of the WebSocket server."""

from sessionstream.transport.access import Admitted
from sessionstream.transport.http.agui_endpoint import AGUIEndpoint, agui_endpoint
from sessionstream.transport.http.ai_sdk_endpoint import AISDKEndpoint, ai_sdk_endpoint
from sessionstream.transport.http.chat import (
    ChatMapping,
    ChatMessage,
    ChatState,
    MessageRemoved,
    TextDelta,
    ToolCall,
    UserMessage,
)
from sessionstream.transport.http.chat_endpoint import ChatOptions
from sessionstream.transport.http.commands import CommandReceiver, CommandsEndpoint, commands_endpoint
from sessionstream.transport.http.endpoint import Endpoints
from sessionstream.transport.http.limits import StreamLimits
from sessionstream.transport.http.ready import Readiness, ReadyEndpoint, ready_endpoint
from sessionstream.transport.http.sse import SSEEndpoint, sse_endpoint

__all__ = [
    "commands_endpoint",
    "CommandsEndpoint",
    "CommandReceiver",
    "sse_endpoint",
    "SSEEndpoint",
    "StreamLimits",
    "ready_endpoint",
    "ReadyEndpoint",
    "Readiness",
    "agui_endpoint",
    "AGUIEndpoint",
    "ai_sdk_endpoint",
    "AISDKEndpoint",
    "ChatOptions",
    "ChatMapping",
    "ChatMessage",
    "ToolCall",
    "ChatState",
    "TextDelta",
    "MessageRemoved",
    "UserMessage",
    "Endpoints",
    "Admitted",
]
