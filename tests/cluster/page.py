"""The page that shows which node served what. It reloads itself every second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from html import escape

from ..listening import listening
from .balancer import Balancer
from .nodes import Node

SHOWN = 40
"""Connections on the page; the latest are first."""

_STYLE = "body{font:16px sans-serif;margin:2em}td,th{padding:.2em 1em;text-align:left}.no{color:#a00}"


@asynccontextmanager
async def page(nodes: Sequence[Node], balancer: Balancer) -> AsyncIterator[int]:
    """Serve the page until the block ends; yield its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            body = "\n".join(_lines(nodes, balancer)).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
            writer.write_eof()
            await reader.read()  # until the browser has it all and closes

    async with listening(answer) as listener:
        yield listener.port


def _lines(nodes: Sequence[Node], balancer: Balancer) -> Iterator[str]:
    yield f'<!doctype html><title>Nodes</title><meta http-equiv="refresh" content="1"><style>{_STYLE}</style>'
    yield f'<h1>Nodes</h1><p><a href="http://127.0.0.1:{balancer.port}/">The chat</a>, by whichever node is next</p>'
    yield "<table><tr><th>node</th><th>process</th><th>requests</th><th>open connections</th></tr>"
    for node in nodes:
        served = [each for each in balancer.served if each.node == node.name]
        process = f"<td>{node.pid}" if node.port is not None else '<td class="no">does not run'
        yield f"<tr><td>{node.name}</td>{process}</td><td>{len(served)}</td>"
        yield f"<td>{sum(each.is_open for each in served)}</td></tr>"
    yield "</table><h2>Which node served what</h2>"
    yield "<table><tr><th>request</th><th>browser</th><th>node</th><th></th></tr>"
    for each in balancer.served[: -SHOWN - 1 : -1]:
        yield f"<tr><td>{escape(each.request)}</td><td>{each.browser}</td><td>{each.node}</td>"
        yield f"<td>{'open' if each.is_open else ''}</td></tr>"
    yield "</table>"
