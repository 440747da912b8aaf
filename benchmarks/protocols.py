"""What an event costs on each protocol: bytes to a client, and CPU time of the server for each client.

    python -m benchmarks.protocols

One server process has a hub and every endpoint, in uvicorn; the clients are in this process and count bytes. Each event
appends a word to an open message. The CPU time is that of publishing with the clients, without that of publishing with
none, for each event and client; events come one at a time, so that each is a write of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import IO, Final

from benchmarks.figures import Figure, report

CLIENTS: Final = 100
EVENTS: Final = 200
ROUNDS: Final = 5

SESSION: Final = "s"
WORD: Final = " word!"
GREETING: Final = 300
"""Bytes after which a client has got more than the head of the response."""

_JSON: Final = "Content-Type: application/json\r\n"
_RUN: Final = json.dumps({"threadId": SESSION, "runId": "r", "messages": []})
_KEY: Final = b64encode(bytes(16)).decode()

REQUESTS: Final = {
    "WebSocket": (
        f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {_KEY}\r\n\r\n"
    ),
    "SSE": f"GET /api/sessions/{SESSION}/events HTTP/1.1\r\nHost: x\r\n\r\n",
    "AG-UI": f"POST /agent/ HTTP/1.1\r\nHost: x\r\n{_JSON}Content-Length: {len(_RUN)}\r\n\r\n{_RUN}",
    "AI SDK": f"GET /chat/{SESSION}/stream HTTP/1.1\r\nHost: x\r\n\r\n",
}


def subscribe_frame() -> bytes:
    """Return the masked WebSocket frame that subscribes; the mask is zero."""
    text = json.dumps({"subscribe": {"sessionId": SESSION}}).encode()
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


class Client:
    """A raw connection, which counts bytes and words."""

    def __init__(self) -> None:
        self.size = 0
        self.words = 0
        self._tail = b""

    async def read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65_536):
            self.size += len(data)
            joined = self._tail + data
            self.words += joined.count(WORD.encode())
            self._tail = joined[-len(WORD) + 1 :]


@asynccontextmanager
async def clients(port: int, protocol: str, count: int) -> AsyncIterator[list[Client]]:
    """Connect clients, and wait until each has what is there."""
    found, tasks, writers = [], [], []
    for _ in range(count):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUESTS[protocol].encode())
        if protocol == "WebSocket":
            await reader.readuntil(b"\r\n\r\n")
            writer.write(subscribe_frame())
        client = Client()
        tasks.append(asyncio.create_task(client.read(reader)))
        found.append(client)
        writers.append(writer)
    await reached(lambda: all(client.size > GREETING for client in found))
    try:
        yield found
    finally:
        for writer in writers:
            writer.close()
        for task in tasks:
            task.cancel()


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - sockets tell nobody
            await asyncio.sleep(0.01)


class Server:
    """The server process."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin, self._stdout = stdin, stdout
        self.port = int(stdout.readline())

    async def publish(self, count: int) -> float:
        """Publish words one at a time; return the CPU seconds."""
        print(count, file=self._stdin, flush=True)
        return float(await asyncio.to_thread(self._stdout.readline))


@contextmanager
def serving() -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.protocols", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Server(process.stdin, process.stdout)
        finally:
            process.kill()


async def measure(server: Server, protocol: str) -> tuple[float, float]:
    """Return the CPU seconds with clients, and the bytes that each has got of each event."""
    async with clients(server.port, protocol, CLIENTS) as found:
        await asyncio.sleep(0.2)  # what is left of the snapshots
        sizes, words = [client.size for client in found], [client.words for client in found]
        seconds = await server.publish(EVENTS)
        await reached(lambda: all(client.words == before + EVENTS for client, before in zip(found, words, strict=True)))
        size = sum(client.size - before for client, before in zip(found, sizes, strict=True))
    return seconds, size / CLIENTS / EVENTS


async def main() -> list[Figure]:
    """Measure, and return bytes of each event, and microseconds for each event and client."""
    cpu, sizes = dict.fromkeys(REQUESTS, float("inf")), dict.fromkeys(REQUESTS, 0.0)
    alone = float("inf")
    with serving() as server:
        for _ in range(ROUNDS):
            alone = min(alone, await server.publish(EVENTS))
            for protocol in REQUESTS:
                seconds, sizes[protocol] = await measure(server, protocol)
                cpu[protocol] = min(cpu[protocol], seconds)
    each = {protocol: (seconds - alone) / EVENTS / CLIENTS * 1e6 for protocol, seconds in cpu.items()}
    others = [protocol for protocol in REQUESTS if protocol != "WebSocket"]
    return [
        *(Figure(f"bytes of an event, {one}", sizes[one], "WebSocket", sizes["WebSocket"], "bytes") for one in others),
        *(
            Figure(f"CPU of an event for a client, {one}", each[one], "WebSocket", each["WebSocket"], "µs")
            for one in others
        ),
    ]


# -- the server ----------------------------------------------------------------------------------------------------


async def serve() -> None:
    """Serve every endpoint until stdin ends."""
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Mount, WebSocketRoute

    from sessionstream import Event, Hub, SchemaRegistry, TimelineEntity, UIEvent
    from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, ChatMessageUpdate, TokensDeltaEvent
    from sessionstream.transport.http import (
        ChatMapping,
        ChatMessage,
        TextDelta,
        agui_endpoint,
        ai_sdk_endpoint,
        sse_endpoint,
    )
    from sessionstream.transport.ws import WebSocketServer

    schemas = SchemaRegistry()
    schemas.register_event("Grew", TokensDeltaEvent)
    schemas.register_ui_event("Grew", ChatMessageUpdate)
    schemas.register_timeline_entity("Message", ChatMessageEntity)
    hub = Hub(schemas)
    hub.register_ui_projection(
        lambda event, *_: [UIEvent("Grew", ChatMessageUpdate(message_id="m", chunk=event.payload.chunk))]
    )
    hub.register_timeline_projection(
        lambda *_: [TimelineEntity("Message", "m", ChatMessageEntity(text="begun", status="open"))]
    )
    mapping = ChatMapping(
        message=lambda entity: ChatMessage(entity.id, "assistant", "begun", "open"),
        command=lambda message: ("", TokensDeltaEvent()),
        changes=lambda event: [TextDelta("m", getattr(event.payload, "chunk", ""))],
    )
    server = WebSocketServer(hub)
    hub.set_fanout(server)
    routes = [
        WebSocketRoute("/ws", server),
        Mount("/api", sse_endpoint(hub)),
        Mount("/agent", agui_endpoint(hub, mapping)),
        Mount("/chat", ai_sdk_endpoint(hub, mapping)),
    ]
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(
        Starlette(routes=routes), log_level="warning", ws="websockets-sansio", ws_per_message_deflate=False
    )
    running = asyncio.ensure_future(uvicorn.Server(config).serve([listening]))
    word = TokensDeltaEvent(chunk=WORD)
    await hub.publish(Event("Grew", TokensDeltaEvent(chunk="begun"), SESSION))
    print(listening.getsockname()[1], flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        start = time.process_time()
        for _ in range(int(line)):
            await hub.publish(Event("Grew", word, SESSION))
            await asyncio.sleep(0.005)
        print(time.process_time() - start, flush=True)
    running.cancel()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        report(asyncio.run(main()))
