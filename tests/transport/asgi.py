"""An ASGI server of one connection, in memory, whose client can stop reading; and a clock that a test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sessionstream.transport.ws import WebSocketServer

PATIENCE = 30.0


class Peer:
    """One WebSocket as a server library and its client see it.

    Attributes:
        close: the close message, or the refusal, once there is one.
        texts: every text that was sent.
    """

    def __init__(self, server: WebSocketServer, **scope: Any) -> None:
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "scheme": "ws",
            "path": "/ws",
            "headers": [(b"host", b"testserver")],
            "extensions": {"websocket.http.response": {}},
            **scope,
        }
        self.close: dict[str, Any] | None = None
        self.hello: dict[str, Any] = {}
        self.texts: list[str] = []
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._accepted = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()
        self._lost = False
        self._incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(server(self.scope, self._incoming.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "websocket.accept":
                self._accepted.set()
            case "websocket.send":
                await self._reads.wait()
                if self._lost:
                    raise OSError("the client is gone")
                self.texts.append(message["text"])
                self._heard.put_nowait(json.loads(message["text"]))
            case "websocket.close":
                await self._reads.wait()
                self.close = message
                if not self._accepted.is_set():
                    self.status = 403  # as ASGI has it
                self._heard.put_nowait({})
            case "websocket.http.response.start":
                self.status = message["status"]
                self.headers = dict(message["headers"])
            case _:
                self.close = message

    @property
    def id(self) -> str:
        """The id in the hello frame."""
        return str(self.hello["connectionId"])

    def stall(self) -> None:
        self._reads.clear()

    def resume(self) -> None:
        self._reads.set()

    def lose(self) -> None:
        """The network is gone."""
        self._lost = True
        self._reads.set()
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def accepted(self) -> Peer:
        async with asyncio.timeout(PATIENCE):
            await self._accepted.wait()
            self.hello = (await self.hear())["hello"]
        return self

    def say(self, frame: dict[str, Any] | str) -> None:
        text = frame if isinstance(frame, str) else json.dumps(frame)
        self._incoming.put_nowait({"type": "websocket.receive", "text": text})

    def say_bytes(self, data: bytes) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "bytes": data})

    def subscribe(self, session_id: str, **fields: Any) -> None:
        self.say({"subscribe": {"sessionId": session_id, **fields}})

    async def hear(self) -> dict[str, Any]:
        """The next frame; empty for the close."""
        async with asyncio.timeout(PATIENCE):
            return await self._heard.get()

    async def hear_until(self, member: str) -> list[dict[str, Any]]:
        heard = [await self.hear()]
        while member not in heard[-1]:
            assert heard[-1], f"closed: {self.close}"
            heard.append(await self.hear())
        return heard

    def heard(self) -> list[dict[str, Any]]:
        """The frames received so far."""
        there = []
        while not self._heard.empty():
            there.append(self._heard.get_nowait())
        return there

    async def subscribed(self, session_id: str, **fields: Any) -> list[dict[str, Any]]:
        self.subscribe(session_id, **fields)
        return await self.hear_until("subscribed")

    async def ended(self) -> int:
        """The code it was closed with, or the status it was refused with, or 0."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([self.task])
        self.task.result()
        return self.status or (self.close or {}).get("code", 0)


@asynccontextmanager
async def peers(server: WebSocketServer, count: int, **scope: Any) -> AsyncIterator[list[Peer]]:
    """Connected clients, which leave in the end."""
    connected = [Peer(server, **scope) for _ in range(count)]
    for peer in connected:
        await peer.accepted()
    try:
        yield connected
    finally:
        for peer in connected:
            peer.lose()
            await peer.ended()


class ManualClock:
    """A clock that only the test advances; sleepers wake in order."""

    def __init__(self) -> None:
        self._now = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + seconds, waiting))
        await waiting

    async def advance(self, seconds: float) -> None:
        """Advance the clock; each sleeper wakes at its time and runs until it sleeps again."""
        end = self._now + seconds
        await _settle()
        while due := [sleeper for sleeper in self._sleepers if sleeper[0] <= end]:
            first = min(due, key=lambda sleeper: sleeper[0])
            self._sleepers.remove(first)
            self._now = first[0]
            if not first[1].done():
                first[1].set_result(None)
            await _settle()
        self._now = end


async def _settle(rounds: int = 30) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)
