"""A server in a separate process that reports what it keeps: ``python -m tests.transport.visits CORE``."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import Event, Hub, SchemaRegistry, TimelineEntity, UIEvent
from sessionstream.transport.ws import WebSocketServer
from sessionstream.transport.ws.server.connection import Connection

from ..running import PATIENCE, client
from .servers import CORES

TEXT = "x" * 100_000
"""What a visitor is shown."""


async def application() -> Any:
    """A server with a session; plain HTTP requests return the number of connections and the memory."""
    schemas = SchemaRegistry()
    schemas.register_event("E", StringValue)
    schemas.register_ui_event("U", StringValue)
    schemas.register_timeline_entity("T", StringValue)
    hub = Hub(schemas)
    hub.register_ui_projection(lambda event, session, view: [UIEvent("U", event.payload)])
    hub.register_timeline_projection(lambda event, session, view: [TimelineEntity("T", "k", event.payload)])
    server = WebSocketServer(hub)
    hub.set_fanout(server)
    await hub.publish(Event("E", StringValue(value=TEXT), "s"))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            body = json.dumps(held()).encode()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
            await send({"type": "http.response.body", "body": body})
        elif scope.get("path") == "/within":
            await server(scope, receive, lambda message: passed_on(send, message))
        else:
            await server(scope, receive, send)

    return app


async def passed_on(send: Any, message: Any) -> None:
    """Send as frameworks do, by a coroutine around the server's send."""
    await send(message)


def held() -> dict[str, int]:
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {"connections": sum(isinstance(each, Connection) for each in gc.get_objects()), "resident": resident}


@asynccontextmanager
async def serving(core: str) -> AsyncIterator[str]:
    """Start such a process; yield its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, core, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            address = (await process.stdout.readline()).decode().strip()
        yield address
    finally:
        process.kill()
        await process.communicate()


async def ask(address: str) -> dict[str, int]:
    """Request the report of a process."""
    host, port = address.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    body = answer.decode()
    told: dict[str, int] = json.loads(body[body.index("{") : body.rindex("}") + 1])
    return told


async def visit(address: str, number: int) -> None:
    """Connect, see the session, and leave; every other visitor within a framework, some without a word."""
    path, rude = ("/within" if number % 2 else "/"), number % 4 > 1
    async with client(address + path, max_size=None) as visitor:
        if rude:
            await visitor.say({"subscribe": {"sessionId": "s"}})
            visitor.socket.transport.abort()
        else:
            await visitor.subscribe("s")


async def main(core: str) -> None:
    async with CORES[core](await application()) as address:
        print(address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
