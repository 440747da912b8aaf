"""One client that does not read, among 200: the cost of publishing, and the delay of the other clients.

    python -m benchmarks.stuck_client

Each figure is compared with that of a server without a stuck client; the measurements alternate in one server. They are
the duration of ``publish_ui``, and the time after it until the other clients have read the event. The stuck client's
socket is full before the measurement; its outbox fills up and overflows meanwhile, and it stays connected
(``conflate``), which is the most expensive case.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time

from benchmarks.deliver_frames import Served, served
from benchmarks.figures import Figure, report
from benchmarks.frame_clients import Client, allow_many, connected, receive
from benchmarks.frame_server import SESSION, STUFFED

CLIENTS = 200
EVENTS = 200
OUTBOX_FRAMES = 100
ROUNDS = 5

_STAMP = re.compile(rb'"chunk":"([0-9.]+) ')


def latencies(server: Served, *, stuck: bool) -> tuple[float, ...]:
    """Return microseconds: of the median publish_ui, and until half and nine tenths of the frames are read."""
    last = Client(server.port, buffer=4_096 if stuck else 0)
    if stuck:
        last.subscribe(STUFFED)
        last.subscribe(SESSION)
        server.ask("stuff")()
    readers = connected(server.port, CLIENTS - 1, SESSION)
    if not stuck:
        last.subscribe(SESSION)
        last.socket.setblocking(False)
        readers.append(last)
    took: list[float] = []

    def heard(payload: bytes) -> None:
        stamp = _STAMP.search(payload)
        assert stamp is not None
        took.append((time.monotonic() - float(stamp[1])) * 1e6)

    publishing = server.ask(f"time {CLIENTS} {EVENTS}")
    receive(readers, EVENTS, heard)
    published = publishing()
    for client in (last, *readers):
        client.socket.close()
    assert len(took) == EVENTS * len(readers)
    return published, statistics.median(took), statistics.quantiles(took, n=10)[-1]


async def main() -> list[Figure]:
    """Measure, and return microseconds."""
    allow_many()
    found: dict[bool, list[list[float]]] = {stuck: [[], [], []] for stuck in (False, True)}
    with served("websockets-sansio", str(OUTBOX_FRAMES)) as server:
        for _ in range(ROUNDS):
            for stuck, columns in found.items():
                for column, value in zip(columns, latencies(server, stuck=stuck), strict=True):
                    column.append(value)
    names = ("publish to 200 clients", "until a frame is read, median", "until a frame is read, 9 of 10")
    return [
        Figure(f"{name}, 1 of {CLIENTS} stuck", min(with_stuck), "the same, none stuck", min(without), "µs")
        for name, with_stuck, without in zip(names, found[True], found[False], strict=True)
    ]


if __name__ == "__main__":
    report(asyncio.run(main()))
