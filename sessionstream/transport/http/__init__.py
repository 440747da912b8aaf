"""HTTP endpoints: ASGI applications that any framework can mount, each with the hooks of the WebSocket server."""

from sessionstream.transport.access import Admitted
from sessionstream.transport.http.commands import CommandReceiver, CommandsEndpoint, commands_endpoint

__all__ = [
    "commands_endpoint",
    "CommandsEndpoint",
    "CommandReceiver",
    "Admitted",
]
