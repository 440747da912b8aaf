"""The chat on a socket: its store, what a killed process left behind, and its farewell."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sessionstream import HydrationStore, SessionstreamError, SQLiteStore
from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.schemas import chat_schemas
from sessionstream.examples.chatdemo.serve.app import web_app
from sessionstream.serving import running
from sessionstream.serving.address import Address
from sessionstream.transport.ws import Limits, WebSocketServer

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
    with closing(running.listen(address)) as listening, TemporaryDirectory(prefix="sessionstream-chat-") as directory:
        path = Path(directory) / "chat.db" if store is None else Path(store)
        async with SQLiteStore.open(path, chat_schemas()) as opened, Chat(store=opened, delay=delay) as chat:
            await _stop_lost_answers(chat, opened)
            limits = Limits()
            server = WebSocketServer(chat.hub, limits=limits)
            chat.hub.set_fanout(server)

            async def farewell() -> None:
                try:
                    await chat.close()  # its answers end, and whoever watches hears it
                finally:
                    await server.shutdown(retry_after=running.RETURN_AFTER)

            say(f"chat:  {address.url(listening.getsockname()[1])}")
            say(f"store: {path}" + (" (deleted at the end; keep one with --store FILE)" if store is None else ""))
            if not address.local:
                say(f"Whoever can reach {address.host} can read and write these chats.")
            await running.run(
                web_app(chat, server, address.names), listening, frame_bytes=limits.frame_bytes, farewell=farewell
            )


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
