"""An agent that thinks, calls tools, keeps a plan and answers; in the middle of a call it waits for the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from sessionstream import Event, Hub, SchemaRegistry, SQLiteStore, TimelineEntity, entity_changes
from sessionstream.transport.http import (
    ChatMapping,
    ChatMessage,
    ChatState,
    ToolCall,
    UserMessage,
    agui_endpoint,
    ai_sdk_endpoint,
)

from ..running import served

KINDS: dict[str, Any] = {cls.__name__: cls for cls in (ChatMessage, ToolCall, ChatState)}

STEPS: list[Any] = [
    ChatMessage("run", "run", "", "open"),  # between its messages and calls, nothing else is open
    ChatMessage("think", "reasoning", "The weather", "open"),
    ChatMessage("think", "reasoning", "The weather of Paris", "open"),
    ChatMessage("think", "reasoning", "The weather of Paris, then."),
    ChatState("plan", ["look", "answer"]),
    ToolCall("call", "weather", '{"city": "Pa'),
    "wait",
    ToolCall("call", "weather", '{"city": "Paris"}'),
    ToolCall("call", "weather", '{"city": "Paris"}', "running"),
    "wait",
    ToolCall("call", "weather", '{"city": "Paris"}', "done", {"sky": "blue"}),
    ToolCall("broken", "tides", "{}", "running"),
    ToolCall("broken", "tides", "{}", "failed", None, "no sea there"),
    ChatState("plan", ["answer"]),
    ChatMessage("answer", "assistant", "It is", "open"),
    ChatMessage("answer", "assistant", "It is sunny."),
    ChatMessage("run", "run"),
]
"""What the agent publishes after the question; ``wait``: until it is let on."""


def agent_schemas() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_command("Ask", StringValue)
    schemas.register_event("Happened", StringValue)
    for kind in KINDS:
        schemas.register_timeline_entity(kind, StringValue)
    return schemas


def _item_of(entity: TimelineEntity) -> Any:
    assert isinstance(entity.payload, StringValue)
    return KINDS[entity.kind](**json.loads(entity.payload.value))


def _command_of(message: UserMessage) -> tuple[str, StringValue]:
    return "Ask", StringValue(value=json.dumps([message.id, message.text]))


MAPPING = ChatMapping(message=_item_of, command=_command_of)


def agent_hub(store: SQLiteStore, go_on: asyncio.Semaphore) -> Hub:
    hub = Hub(agent_schemas(), store=store)
    hub.register_ui_projection(entity_changes())

    @hub.command("Ask")
    async def ask(command: Any, session: Any, publisher: Any) -> None:
        message_id, text = json.loads(command.payload.value)
        for step in (ChatMessage(message_id, "user", text), *STEPS):
            if step == "wait":
                await go_on.acquire()
                continue
            written = json.dumps([type(step).__name__, asdict(step)])
            await publisher.publish(Event("Happened", StringValue(value=written), session.id))

    @hub.timeline_projection
    def timeline(event: Event, session: Any, view: Any) -> list[TimelineEntity]:
        assert isinstance(event.payload, StringValue)
        kind, fields = json.loads(event.payload.value)
        return [TimelineEntity(kind, fields["id"] or fields["name"], StringValue(value=json.dumps(fields)))]

    return hub


@asynccontextmanager
async def agent_server(store: SQLiteStore, go_on: asyncio.Semaphore) -> AsyncIterator[str]:
    """Serve the agent to both protocols; ``POST /go`` lets it on."""
    async with agent_hub(store, go_on) as hub:
        agent, chat = agui_endpoint(hub, MAPPING), ai_sdk_endpoint(hub, MAPPING)

        async def go(request: Any) -> Response:
            go_on.release()
            return Response()

        routes = [
            Mount("/agent", agent),
            Route("/api/chat", chat),
            Mount("/api/chat", chat),
            Route("/go", go, methods=["POST"]),
        ]
        async with served(Starlette(routes=routes)) as address:
            yield address.replace("ws:", "http:")
            await agent.shutdown()
            await chat.shutdown()
