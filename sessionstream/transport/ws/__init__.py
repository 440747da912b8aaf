"""The WebSocket transport: a snapshot first, then every live UI event after it, to any number of browsers.

The server is an ASGI application and needs nothing but an ASGI server around it. The protocol is in session.py, which
does no I/O; server.py, connection.py, outbox.py, writer.py and loading.py put it on a socket. The client's side of it
is in client_session.py; client.py and line.py put that on a socket of the package ``websockets``, which is asked for
when ``connect`` is. What other implementations need to be like these is in conformance/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream.transport.ws.backoff import Backoff
from sessionstream.transport.ws.client_errors import (
    ClientClosed,
    ConnectionEnded,
    HandshakeRefused,
    SubscriptionEnded,
    UnexpectedPayload,
)
from sessionstream.transport.ws.client_updates import ConnectionState, JsonEntity, JsonSnapshot, LiveEvent, Update
from sessionstream.transport.ws.codes import CLOSE_CODES, ERROR_CODES, CloseCode, ErrorCode
from sessionstream.transport.ws.connection import ConnectionInfo
from sessionstream.transport.ws.feed import Updates
from sessionstream.transport.ws.handshake import SUBPROTOCOL, Admitted
from sessionstream.transport.ws.limits import Limits
from sessionstream.transport.ws.outbox import Overflow, SlowConsumerPolicy, conflate, disconnect
from sessionstream.transport.ws.records import ConnectionObserver, ConnectionRecord, Stage
from sessionstream.transport.ws.server import WebSocketServer

if TYPE_CHECKING:
    from sessionstream.transport.ws.client import Client, connect

__all__ = [
    # the server
    "WebSocketServer",
    "Limits",
    "ConnectionInfo",
    "Admitted",
    "SUBPROTOCOL",
    # the client
    "connect",
    "Client",
    "Updates",
    "Update",
    "LiveEvent",
    "JsonSnapshot",
    "JsonEntity",
    "ConnectionState",
    "Backoff",
    "SubscriptionEnded",
    "UnexpectedPayload",
    "HandshakeRefused",
    "ConnectionEnded",
    "ClientClosed",
    # slow consumers
    "SlowConsumerPolicy",
    "Overflow",
    "disconnect",
    "conflate",
    # observers
    "ConnectionObserver",
    "ConnectionRecord",
    "Stage",
    # codes
    "CloseCode",
    "CLOSE_CODES",
    "ErrorCode",
    "ERROR_CODES",
]


def __getattr__(name: str) -> object:
    if name in ("connect", "Client"):
        from sessionstream.transport.ws import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
