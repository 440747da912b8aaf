"""A balancer before the nodes: each connection goes to the next node that accepts it. It remembers which took what."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..listening import listening
from .nodes import Node

WEBSOCKET = "GET /ws"
"""How the requests begin that open a WebSocket."""

_BROWSER = re.compile(rb"\bbrowser=([\w-]+)")
"""In the first request of a browser: in its query, or in its cookie."""


@dataclass(slots=True)
class Served:
    """A connection that a node took.

    Attributes:
        request: its first request, as ``GET /ws``.
        browser: what the browser calls itself; empty if it does not say.
        is_open: whether it is open still.
    """

    request: str
    browser: str
    node: str
    is_open: bool = True


class Balancer:
    """Listens on a port of 127.0.0.1 for as long as its block runs."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.port = 0
        self.served: list[Served] = []
        self._nodes = list(nodes)
        self._taken: Counter[bool] = Counter()  # WebSockets, and other requests
        self._listening = listening(self._serve)

    def node_of(self, request: str) -> str:
        """Return the name of the node that last took a request."""
        return next(each.node for each in reversed(self.served) if each.request == request)

    def node_of_browser(self, browser: str) -> str:
        """Return the name of the node that last took a WebSocket of a browser."""
        sockets = (each for each in reversed(self.served) if each.request.startswith(WEBSOCKET))
        return next(each.node for each in sockets if each.browser == browser)

    async def __aenter__(self) -> Self:
        self.port = (await self._listening.__aenter__()).port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._listening.__aexit__(kind, error, traceback)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(65536)
        request = first.partition(b" HTTP/")[0].decode(errors="replace")
        found = await self._connect(is_websocket=request.startswith(WEBSOCKET))
        if found is None:
            return
        node, their_reader, their_writer = found
        browser = _BROWSER.search(first)
        served = Served(request, browser[1].decode() if browser else "", node.name)
        self.served.append(served)
        their_writer.write(first)
        ways = [asyncio.create_task(_pump(*way)) for way in ((reader, their_writer), (their_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            served.is_open = False
            their_writer.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _connect(self, *, is_websocket: bool) -> tuple[Node, asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to the next node that is there; those of WebSockets, which stay, are counted by themselves."""
        for _ in self._nodes:
            node = self._nodes[self._taken[is_websocket] % len(self._nodes)]
            self._taken[is_websocket] += 1
            if node.port is not None:
                with suppress(OSError):
                    return node, *(await asyncio.open_connection("127.0.0.1", node.port))
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
