"""A server that starts and ends well: uvicorn around the application, and a farewell before it goes."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Final

import uvicorn

from sessionstream import HydrationStore, SessionstreamError, SQLiteStore, TransportError
from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.schemas import chat_schemas
from sessionstream.examples.chatdemo.serve.address import Address
from sessionstream.examples.chatdemo.serve.app import web_app
from sessionstream.transport.ws import Limits, WebSocketServer

RETURN_AFTER: Final = 1.0
"""Seconds after which clients are told to come back."""

PATIENCE: Final = 5
"""Seconds that a request under way may still take when the server is told to end."""

_PAGE_OF_IDS: Final = 100

logger = logging.getLogger("sessionstream.examples.chatdemo")

Say = Callable[[str], None]


async def serve(address: Address, store: str | None, delay: float, say: Say) -> None:
    """Serve the chat until SIGINT or SIGTERM; a second SIGINT does not wait for anybody.

    Args:
        address: where to listen.
        store: the SQLite file; None: one that is deleted at the end.
        delay: seconds between two pieces of an answer.
        say: prints a line for whoever started it.

    Raises:
        TransportError: the address cannot be listened on.
        StoreError: the file cannot be opened.
    """
    with closing(_listen(address)) as listening, TemporaryDirectory(prefix="sessionstream-chat-") as directory:
        path = Path(directory) / "chat.db" if store is None else Path(store)
        async with SQLiteStore.open(path, chat_schemas()) as opened, Chat(store=opened, delay=delay) as chat:
            await _stop_lost_answers(chat, opened)
            limits = Limits()
            server = WebSocketServer(chat.hub, limits=limits)
            chat.hub.set_fanout(server)

            async def farewell() -> None:
                await chat.close()  # its answers end, and whoever watches hears it
                await server.shutdown(retry_after=RETURN_AFTER)

            config = uvicorn.Config(
                web_app(chat, server, address.names),
                log_config=None,
                lifespan="off",
                ws_max_size=limits.frame_bytes,
                timeout_graceful_shutdown=PATIENCE,
            )
            say(f"chat:  {address.url(listening.getsockname()[1])}")
            say(f"store: {path}" + (" (deleted at the end; keep one with --store FILE)" if store is None else ""))
            if not address.local:
                say(f"Whoever can reach {address.host} can read and write these chats.")
            await _Server(config, farewell).serve(sockets=[listening])


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise TransportError(f"cannot listen on {address.url(address.port)}: {error.strerror}") from error


async def _stop_lost_answers(chat: Chat, store: HydrationStore) -> None:
    """Declare the answers stopped that an earlier process was streaming when it was killed."""
    after = ""
    while session_ids := await store.sessions(after=after, limit=_PAGE_OF_IDS):
        for session_id in session_ids:
            try:
                await chat.stop(session_id)
            except SessionstreamError as error:  # one chat's trouble must not keep the others from being served
                logger.warning("session %r: %s", session_id, error)
        after = session_ids[-1]


class _Server(uvicorn.Server):
    """A uvicorn that says farewell before it closes connections, and for which a signal is an end like any other."""

    def __init__(self, config: uvicorn.Config, farewell: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._farewell = farewell

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._farewell()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
