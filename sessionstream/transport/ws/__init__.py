"""The WebSocket transport: a snapshot first, then every live UI event after it, to any number of browsers.

The server is an ASGI application and needs nothing but an ASGI server around it. The protocol is in session.py, which
does no I/O; server.py, connection.py, outbox.py and loading.py put it on a socket.
"""

from sessionstream.transport.ws.codes import CLOSE_CODES, ERROR_CODES, CloseCode, ErrorCode
from sessionstream.transport.ws.connection import ConnectionInfo
from sessionstream.transport.ws.limits import Limits
from sessionstream.transport.ws.outbox import Overflow, SlowConsumerPolicy, conflate, disconnect
from sessionstream.transport.ws.records import ConnectionObserver, ConnectionRecord, Stage
from sessionstream.transport.ws.server import WebSocketServer

__all__ = [
    # the server
    "WebSocketServer",
    "Limits",
    "ConnectionInfo",
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
