"""Many WebSocket clients in one thread, which only read and count frames."""

from __future__ import annotations

import json
import os
import resource
import selectors
import socket
from collections.abc import Callable, Iterator

PATIENCE = 30.0
"""Seconds after which a server that sends nothing is taken to hang."""

_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Client:
    """One connection; the size of its receive buffer may be given in bytes."""

    def __init__(self, port: int, *, buffer: int = 0) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(_UPGRADE)
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self.socket.recv(65536)
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101"), head
        self.counted = 0

    def subscribe(self, session_id: str) -> None:
        """Subscribe, and wait for the answer."""
        text = json.dumps({"subscribe": {"sessionId": session_id}}).encode()
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        self.socket.sendall(bytes((0x81, 0x80 | len(text))) + mask + masked)
        while not any(b'"subscribed"' in payload for payload in self._frames()):
            self._buffer += self.socket.recv(65536)

    def read(self) -> list[bytes]:
        """Read the available data; count and return its UI events."""
        received = self.socket.recv(1 << 20)
        assert received, "the server has closed the connection"
        self._buffer += received
        events = [payload for payload in self._frames() if b'"uiEvent"' in payload]
        self.counted += len(events)
        return events

    def _frames(self) -> Iterator[bytes]:
        at, buffer = 0, self._buffer
        while len(buffer) >= at + 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[start : start + 2], "big"), start + 2
            elif size == 127:
                size, start = int.from_bytes(buffer[start : start + 8], "big"), start + 8
            if len(buffer) < start + size:
                break
            yield buffer[start : start + size]
            at = start + size
        self._buffer = buffer[at:]


def allow_many() -> None:
    """Raise this process's limit of open files as far as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connected(port: int, count: int, session_id: str | None) -> list[Client]:
    """Connect, and subscribe if there is a session."""
    clients = [Client(port) for _ in range(count)]
    for client in clients:
        if session_id is not None:
            client.subscribe(session_id)
        client.socket.setblocking(False)
    return clients


def receive(clients: list[Client], events: int, heard: Callable[[bytes], None] | None = None) -> None:
    """Read until every client has received so many UI events; call ``heard`` for each of them."""
    selector = selectors.DefaultSelector()
    for client in clients:
        client.counted = 0
        selector.register(client.socket, selectors.EVENT_READ, client)
    waiting = set(clients)
    while waiting:
        ready = selector.select(PATIENCE)
        assert ready, f"{len(waiting)} clients wait for events that do not come"
        for key, _ in ready:
            client = key.data
            for payload in client.read():
                if heard is not None:
                    heard(payload)
            if client.counted >= events:
                waiting.discard(client)
    selector.close()
