"""Runs the chat on a socket: opens its store, stops answers of a killed process, and shuts down in order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Final

from sessionstream import HydrationStore, PostgresStore, SessionstreamError, SQLiteStore
from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.schemas import chat_schemas
from sessionstream.examples.chatdemo.serve.alone import alone
from sessionstream.examples.chatdemo.serve.app import web_app
from sessionstream.hydration import stores
from sessionstream.logs import SessionLog
from sessionstream.serving import running
from sessionstream.serving.address import Address
from sessionstream.transport.ws import Limits, WebSocketServer

_PAGE_OF_IDS: Final = 100

logger: SessionLog = SessionLog("sessionstream.examples.chatdemo")

Say = Callable[[str], None]


async def serve(address: Address, store: str, delay: float, say: Say, *, fresh: bool = False) -> None:
    """Serve the chat until SIGINT or SIGTERM; a second SIGINT does not wait for requests.

    Args:
        address: where to listen.
        store: the SQLite file, which is kept; or the URL of a PostgreSQL database, which other servers may share.
        delay: seconds between two pieces of an answer.
        say: prints a line for the user who started it.
        fresh: whether to delete the chats that are in the store.

    Raises:
        TransportError: the address cannot be listened on.
        StoreError: the store cannot be opened, or another process serves the file.
    """
    is_shared = stores.is_url(store)
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(closing(running.listen(address, "--addr")))
        opened = await _open(stack, store)
        chat = await stack.enter_async_context(Chat(store=opened, delay=delay))
        async for session_id in _sessions(opened):
            if fresh:
                await opened.delete_session(session_id)
            elif not is_shared:  # where another server may be streaming it, the next prompt does this
                await _stop_lost_answer(chat, session_id)
        limits = Limits()
        server = WebSocketServer(chat.hub, limits=limits)
        chat.hub.set_fanout(server)

        async def farewell() -> None:
            try:
                await chat.close()  # stops its answers, and clients see that
            finally:
                await server.shutdown(retry_after=running.RETURN_AFTER)

        say(f"chat:  {address.url(listening.getsockname()[1])}")
        say(f"store: {stores.shown(store)}")
        if not address.local:
            say(f"Whoever can reach {address.host} can read and write these chats.")
        await running.run(
            web_app(chat, server, address.names), listening, frame_bytes=limits.frame_bytes, farewell=farewell
        )


async def _open(stack: AsyncExitStack, store: str) -> HydrationStore:
    """Open the store until the end of the stack; a file for this process alone."""
    if stores.is_url(store):
        return await stack.enter_async_context(PostgresStore.connect(store, chat_schemas()))
    opened = await stack.enter_async_context(SQLiteStore.open(store, chat_schemas()))
    stack.enter_context(alone(Path(store)))
    return opened


async def _sessions(store: HydrationStore) -> AsyncIterator[str]:
    after = ""
    while session_ids := await store.sessions(after=after, limit=_PAGE_OF_IDS):
        for session_id in session_ids:
            yield session_id
        after = session_ids[-1]


async def _stop_lost_answer(chat: Chat, session_id: str) -> None:
    """Mark an answer as stopped that a killed process was streaming."""
    try:
        await chat.stop(session_id)
    except SessionstreamError as error:  # an error of one chat must not prevent serving the others
        logger.warning("session %r: %s", session_id, error, session_id=session_id)
