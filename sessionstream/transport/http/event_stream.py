"""A response of content type text/event-stream: its headers, blocks, heartbeats, and its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from sessionstream.transport.access import Receive, SendMessage
from sessionstream.transport.http.problems import Headers

_HEADERS: Final[Headers] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
)
"""Proxies must neither cache, compress nor buffer a stream."""

_PING: Final = b": ping\n\n"


def block(data: str, *, event: str = "", position: str = "") -> bytes:
    """Return one event of the stream; ``data`` has no line break, as JSON on one line has none."""
    lines = [f"event: {event}\n" if event else "", f"id: {position}\n" if position else "", f"data: {data}\n\n"]
    return "".join(lines).encode("utf-8", "backslashreplace")


def json_block(value: Any) -> bytes:
    """Return an event of the stream whose data is JSON."""
    return block(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


async def send_event_stream(
    receive: Receive,
    send: SendMessage,
    following: Callable[[], Awaitable[bytes | None]],
    ending: asyncio.Event,
    headers: Headers = (),
    *,
    heartbeat_seconds: float,
    send_timeout_seconds: float,
    cut_off: Callable[[], bytes] = bytes,
) -> None:
    """Send a stream until it is over, the client has gone or takes nothing, or ``ending`` is set.

    Args:
        following: waits for the next bytes of the stream; None ends it. Cancelling it must lose nothing.
        ending: ends the stream where it stands, with the bytes that ``cut_off`` returns.
        headers: further headers.
        heartbeat_seconds: after this long without data, a comment is sent, so that no proxy takes the stream for dead.
        send_timeout_seconds: a client that takes nothing for this long is left.

    Raises:
        Exception: what ``following`` raised. The stream ends without its last chunk, so that the client notices.
    """

    async def tell(body: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(send_timeout_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": more})

    async def until_gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass  # what is left of the body of the request

    gone, stopped = asyncio.ensure_future(until_gone()), asyncio.ensure_future(ending.wait())
    waiting: asyncio.Future[bytes | None] | None = None
    others: set[asyncio.Future[Any]] = {gone, stopped}
    try:
        with suppress(TimeoutError, OSError):  # the client takes nothing, or is gone
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
            await tell(_PING)  # at once: some proxies hold the headers back until the first bytes
            while not (gone.done() or stopped.done()):
                if waiting is None:
                    waiting = asyncio.ensure_future(following())
                tasks = others | {waiting}
                await asyncio.wait(tasks, timeout=heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    if not (gone.done() or stopped.done()):
                        await tell(_PING)
                    continue
                came, waiting = waiting, None
                data = came.result()
                if data is None:
                    break
                await tell(data)
            if not gone.done():
                await tell(cut_off() if stopped.done() else b"", more=False)
    finally:
        tasks = others if waiting is None else others | {waiting}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()  # the stream is over: nobody else asks
