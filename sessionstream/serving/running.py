"""Runs an application in uvicorn, and calls a function before connections are closed."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn

from sessionstream.errors import TransportError
from sessionstream.serving.address import Address

if TYPE_CHECKING:
    from starlette.types import ASGIApp

RETURN_AFTER: Final = 0.5
"""Seconds after which clients are told to reconnect, if what they watch will be available again."""

PATIENCE: Final = 5
"""Seconds that running requests have to finish when the server shuts down."""


def listen(address: Address, option: str) -> socket.socket:
    """Return a socket that listens at the address.

    Args:
        address: where to listen.
        option: the option of the command with which a user chooses another port.

    Raises:
        TransportError: the system refused; the message has its reason, and the option.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # the rest says the address again
        raise TransportError(
            f"cannot listen on {address.url(address.port)}: {reason}; take another port with {option}, 0 for any that "
            f"is free"
        ) from error


@contextmanager
def sigterm_cancels() -> Iterator[None]:
    """Make SIGTERM cancel the current task within the block, as SIGINT cancels that of ``asyncio.run``.

    Use it for work before ``run``, which handles both signals itself. It works only in the main thread.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def cancel(_signal: int, _frame: FrameType | None) -> None:
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    previous = signal.signal(signal.SIGTERM, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


async def run(
    app: ASGIApp, listening: socket.socket, *, frame_bytes: int, farewell: Callable[[], Awaitable[None]]
) -> None:
    """Serve until SIGINT or SIGTERM; a second SIGINT ends the server without waiting for requests.

    Args:
        app: the application.
        listening: the socket; it is closed at the end.
        frame_bytes: the maximum size of a WebSocket frame that is read.
        farewell: awaited before connections are closed.
    """
    config = uvicorn.Config(
        app, log_config=None, lifespan="off", ws_max_size=frame_bytes, timeout_graceful_shutdown=PATIENCE
    )
    await _Server(config, farewell).serve(sockets=[listening])


class _Server(uvicorn.Server):
    """A uvicorn server that awaits ``farewell`` before it closes connections, and does not re-raise signals."""

    def __init__(self, config: uvicorn.Config, farewell: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._farewell = farewell

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await self._farewell()
        finally:
            await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
