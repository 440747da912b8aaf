"""The hub and its alternatives in one run: eventsourcing, Channels, a loop over Starlette's WebSockets.

    python -m benchmarks.peers

``make bench-peers`` first installs eventsourcing, which no other target needs; the others come with the ``dev`` extra.
Ratios below 1 are in our favour. These programs differ in what they do:

- eventsourcing appends an event of 200 bytes to an aggregate and to a log of all aggregates, under optimistic locking,
  and keeps the aggregate, of which each caller gets a copy. It blocks the thread, and sends nothing to clients. A hub,
  with one timeline projection and no fan-out, does this without blocking the event loop. It also checks the message's
  type, assigns an ordinal, recognises a repeated event id, and stores the result of the projection in the same commit.
  On SQLite, both commit each event separately, and wait until the disk has it (``synchronous = FULL``, a WAL). With
  many sessions at once, the hub's store writes the waiting commits in one transaction; eventsourcing saves them one
  after the other.
- The in-memory layer of Channels passes a message to each consumer of a group, and each consumer sends it: as a
  prepared frame, which is encoded as JSON once. Messages during a disconnect are lost; a consumer that is 100 messages
  behind loses the next.
- The loop over Starlette's WebSockets sends to one connection after the other. A client that does not read stops it for
  all.
- Compared with these two, the hub does all of its work: it logs in memory, runs both projections, and sends a frame to
  each subscriber, which can disconnect and reconnect without losing events. A subscriber that does not read does not
  delay others.

All three serve the same number of clients by uvicorn with ``websockets-sansio``, without compression, with frames of
the same length, at a rate at which no queue builds up. The figure is the CPU time of the server's process, as in
``deliver_frames.py``.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial

from benchmarks import peer_events
from benchmarks.deliver_frames import served
from benchmarks.figures import Figure, report
from benchmarks.frame_clients import allow_many
from benchmarks.peer_servers import CORE

WATCHERS = 100
ROUNDS = 8
PEERS = {"channels": "Channels, in-memory layer", "starlette": "a loop over Starlette's WebSockets"}


def frames() -> list[Figure]:
    """Measure, and return microseconds per frame."""
    allow_many()
    with ExitStack() as stack:
        hub = stack.enter_context(served(CORE))
        measures = {"hub": partial(hub.cpu_per_frame, WATCHERS, command="publish")}
        for name in PEERS:
            measures[name] = partial(stack.enter_context(served(name)).cpu_per_frame, WATCHERS)
        found = dict.fromkeys(measures, float("inf"))
        for _ in range(ROUNDS):
            for name, measure in measures.items():
                found[name] = min(found[name], measure())
    what = f"publish to {WATCHERS} watchers, per frame"
    return [Figure(what, found["hub"], against, found[name], "µs") for name, against in PEERS.items()]


async def main() -> list[Figure]:
    """Measure, and return microseconds."""
    return await peer_events.main() + frames()


if __name__ == "__main__":
    report(asyncio.run(main()))
