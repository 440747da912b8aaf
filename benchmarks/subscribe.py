"""Subscribing to a session of 1,000 entities, compared with only parsing its payloads and encoding them as JSON.

    python -m benchmarks.subscribe

It measures from the client's frame to the last frame of the answer, in memory: the hub's cache and the server, without
a socket. One subscription is full; the other is that of a client that lacks only the last entity and requests a delta.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import Any

from google.protobuf import json_format

from benchmarks.figures import Figure, best, report
from benchmarks.publish_memory import CHUNK, new_schemas, timeline_projection
from sessionstream import Event, Hub
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, TokensDeltaEvent
from sessionstream.transport.ws import WebSocketServer

ENTITIES = 1_000
ROUNDS = 25
SESSION = "s"


class Peer:
    """A connection without a socket: only the server's side."""

    def __init__(self, server: WebSocketServer) -> None:
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent: asyncio.Queue[str] = asyncio.Queue()
        scope = {"type": "websocket", "scheme": "ws", "path": "/", "headers": []}
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(server(scope, self._incoming.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            self._sent.put_nowait(message["text"])

    async def subscribe(self, **fields: object) -> str:
        """Subscribe, and return the snapshot when it is complete."""
        request = {"subscribe": {"sessionId": SESSION, **fields}}
        self._incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(request)})
        snapshot = ""
        while True:
            text = await self.read()
            if text.startswith('{"snapshot"'):
                snapshot = text
            elif text.startswith('{"subscribed"'):
                return snapshot

    async def read(self) -> str:
        """Return the next frame that the server has sent."""
        return await self._sent.get()

    async def leave(self) -> None:
        """Disconnect."""
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self._task


async def _subscribe(peer: Peer, entities: int, **fields: object) -> float:
    start = time.perf_counter()
    snapshot = await peer.subscribe(**fields)
    milliseconds = (time.perf_counter() - start) * 1e3
    assert len(json.loads(snapshot)["snapshot"]["entities"]) == entities
    return milliseconds


async def _write(payloads: list[bytes]) -> float:
    start = time.perf_counter()
    written = [
        json.dumps(json_format.MessageToDict(ChatMessageEntity.FromString(payload)), separators=(",", ":"))
        for payload in payloads
    ]
    milliseconds = (time.perf_counter() - start) * 1e3
    assert len(written) == ENTITIES
    return milliseconds


async def main() -> list[Figure]:
    """Measure, and return milliseconds per subscription."""
    hub = Hub(new_schemas())
    hub.register_timeline_projection(timeline_projection)
    for number in range(ENTITIES):
        await hub.publish(Event("Delta", TokensDeltaEvent(message_id=f"m{number}", chunk=CHUNK), SESSION))
    entities = (await hub.snapshot(SESSION)).entities
    payloads = [entity.payload.SerializeToString() for entity in entities if entity.payload is not None]
    peer = Peer(WebSocketServer(hub))
    epoch = json.loads(await peer.subscribe(delta=True))["snapshot"]["epoch"]
    held = {"delta": True, "epoch": epoch, "sinceSnapshotOrdinal": str(ENTITIES - 1)}
    full, delta, writing = await best(
        ROUNDS,
        partial(_subscribe, peer, ENTITIES),
        partial(_subscribe, peer, 1, **held),
        partial(_write, payloads),
    )
    await peer.leave()
    what, against = f"subscribe with {ENTITIES:,} entities", "parsing those payloads and writing them as JSON"
    return [
        Figure(f"{what}, in full", full, against, writing, "ms"),
        Figure(f"{what}, one of them is new", delta, against, writing, "ms"),
    ]


if __name__ == "__main__":
    report(asyncio.run(main()))
