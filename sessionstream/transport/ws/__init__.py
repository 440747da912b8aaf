"""The WebSocket transport: a snapshot first, then every live UI event after it, to any number of browsers.

``server/`` is an ASGI application, which needs an ASGI server around it and nothing else. ``client/`` needs the package
``websockets``, which is imported when ``connect`` is. Both rest on ``wire/``. In each, conversation.py holds the
protocol, without I/O. conformance/ holds the wire contract as data, for implementations in any language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream.transport.access import Admitted
from sessionstream.transport.ws.client.backoff import Backoff
from sessionstream.transport.ws.client.errors import (
    ClientClosed,
    ConnectionEnded,
    HandshakeRefused,
    SubscriptionEnded,
    UnexpectedPayload,
)
from sessionstream.transport.ws.client.feed import Updates
from sessionstream.transport.ws.client.updates import ConnectionState, JsonEntity, JsonSnapshot, LiveEvent, Update
from sessionstream.transport.ws.server.app import WebSocketServer
from sessionstream.transport.ws.server.connection import ConnectionInfo
from sessionstream.transport.ws.server.limits import Limits
from sessionstream.transport.ws.server.records import ConnectionObserver, ConnectionRecord, Stage
from sessionstream.transport.ws.server.slow_consumers import Overflow, SlowConsumerPolicy, conflate, disconnect
from sessionstream.transport.ws.wire.codes import CLOSE_CODES, ERROR_CODES, CloseCode, ErrorCode
from sessionstream.transport.ws.wire.subprotocol import SUBPROTOCOL

if TYPE_CHECKING:
    from sessionstream.transport.ws.client.client import Client, connect

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
        from sessionstream.transport.ws.client import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
