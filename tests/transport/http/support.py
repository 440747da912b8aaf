"""A hub whose command does what its prompt says, and requests to its endpoint under a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from sessionstream import Command, Event, EventPublisher, Hub, SchemaRegistry, Session
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand, TokensDeltaEvent

from ..running import PATIENCE, served

SAY = "/sessions/s/commands/Say"

Act = Callable[[EventPublisher], Awaitable[None]]


def registry() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_command("Say", StartInferenceCommand)
    schemas.register_command("Unhandled", StartInferenceCommand)
    schemas.register_event("Said", TokensDeltaEvent)
    return schemas


class World:
    """A hub with one command, ``Say``.

    Attributes:
        acts: what the handler does instead of publishing its prompt, by prompt.
        ran: the sessions and prompts of the handlers that have begun.
    """

    def __init__(self, **options: Any) -> None:
        self.acts: dict[str, Act] = {}
        self.ran: list[tuple[str, str]] = []
        self.hub = Hub(registry(), **options)
        self.hub.register_command("Say", self._say)

    async def _say(self, command: Command, session: Session, publisher: EventPublisher) -> None:
        assert isinstance(command.payload, StartInferenceCommand)
        prompt = command.payload.prompt
        self.ran.append((session.id, prompt))
        act = self.acts.get(prompt)
        if act is not None:
            await act(publisher)
        else:
            await publisher.publish(Event("Said", TokensDeltaEvent(chunk=prompt), session.id))

    def raises(self, prompt: str, error: BaseException, *, published: bool = False) -> None:
        """Have the handler raise an error for a prompt, perhaps after it has published an event."""

        async def act(publisher: EventPublisher) -> None:
            if published:
                await publisher.publish(Event("Said", TokensDeltaEvent(chunk=prompt), "s"))
            raise error

        self.acts[prompt] = act

    def waits(self, prompt: str) -> tuple[asyncio.Event, asyncio.Event]:
        """Have the handler wait for a prompt; return the event that says it has begun, and the one that ends it."""
        begun, end = asyncio.Event(), asyncio.Event()

        async def act(publisher: EventPublisher) -> None:
            begun.set()
            await end.wait()
            await publisher.publish(Event("Said", TokensDeltaEvent(chunk=prompt), "s"))

        self.acts[prompt] = act
        return begun, end


@asynccontextmanager
async def client(app: Any, **options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve an application under uvicorn, and yield a client with its address as base."""
    async with served(app, **options) as address:
        base = address.replace("ws:", "http:")
        async with httpx2.AsyncClient(base_url=base, timeout=PATIENCE) as http:
            yield http


def code(response: httpx2.Response) -> tuple[int, str]:
    """Return the status and the code of a problem."""
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"code", "message"}
    assert error["message"]
    return response.status_code, error["code"]


async def until(condition: Callable[[], object]) -> None:
    """Wait until others have made a condition true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - others make it true
            await asyncio.sleep(0.005)
