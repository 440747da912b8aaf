"""Delivering UI events to many connections, compared with a bare ``broadcast()`` of a prepared string.

    python -m benchmarks.deliver_frames

It measures the CPU time of the server's process for each delivered frame, without compression, at a rate at which no
queue builds up. So each frame is a separate wake-up and write, which is the worst case. The server under test runs in
uvicorn, with each of its WebSocket implementations; the clients are in another process. It also measures the memory of
an idle connection, compared with that of the bare server.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from benchmarks.cores import BARE
from benchmarks.figures import Figure, report
from benchmarks.frame_clients import allow_many, connected, receive
from benchmarks.frame_server import SESSION
from benchmarks.peer_servers import PEERS

IMPLEMENTATIONS = ("websockets-sansio", "websockets", "wsproto")
FRAMES = 20_000
CONNECTIONS = (100, 1000)
ROUNDS = 12


class Served:
    """A server process."""

    def __init__(self, variant: str, stdin: IO[str], stdout: IO[str]) -> None:
        self._session = None if variant.partition("+")[0] in {*BARE, *PEERS} else SESSION
        self._stdin, self._stdout = stdin, stdout
        self.port = int(self._stdout.readline())

    def ask(self, line: str) -> Callable[[], float]:
        """Send a line to the process; return a function that waits for its answer."""
        self._stdin.write(line + "\n")
        self._stdin.flush()
        return lambda: float(self._stdout.readline())

    def cpu_per_frame(self, connections: int, burst: int = 1, *, command: str = "deliver") -> float:
        """Return the CPU time of a frame in microseconds, with so many events at once."""
        clients = connected(self.port, connections, self._session)
        events = FRAMES // connections
        seconds = self.ask(f"{command} {connections} {events} {burst}")
        receive(clients, events)
        took = seconds()
        for client in clients:
            client.socket.close()
        return took / (events * connections) * 1e6

    def memory_per_connection(self, connections: int) -> float:
        """Return the memory of a connection in KiB, for the first connections of this process."""
        before = self.ask("memory")()
        clients = connected(self.port, connections, self._session)
        after = self.ask("memory")()
        for client in clients:
            client.socket.close()
        return (after - before) / connections / 1024


@contextmanager
def served(variant: str, *options: str) -> Iterator[Served]:
    """Run a server."""
    command = [sys.executable, "-m", "benchmarks.frame_server", variant, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Served(variant, process.stdin, process.stdout)
        finally:
            process.kill()


async def main() -> list[Figure]:
    """Measure, and return microseconds per frame and KiB per connection."""
    allow_many()
    variants = ("bare", *IMPLEMENTATIONS)
    figures = []
    memory = {}
    for variant in variants:
        with served(variant) as server:
            memory[variant] = server.memory_per_connection(max(CONNECTIONS))
    with ExitStack() as stack:
        servers = {variant: stack.enter_context(served(variant)) for variant in variants}
        for connections in CONNECTIONS:
            found = {variant: float("inf") for variant in variants}
            for _ in range(ROUNDS):
                for variant, server in servers.items():
                    found[variant] = min(found[variant], server.cpu_per_frame(connections))
            for variant in IMPLEMENTATIONS:
                what = f"deliver a frame, {connections} connections, uvicorn with {variant}"
                figures.append(Figure(what, found[variant], "bare broadcast()", found["bare"], "µs", "≤ 1.6"))
    for variant in IMPLEMENTATIONS:
        what = f"memory of an idle connection, uvicorn with {variant}"
        figures.append(Figure(what, memory[variant], "bare server", memory["bare"], "KiB"))
    return figures


if __name__ == "__main__":
    report(asyncio.run(main()))
