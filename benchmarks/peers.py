"""The hub and its alternatives in one run: eventsourcing, Channels, a loop over Starlette's WebSockets.

    python -m benchmarks.peers

``make bench-peers`` installs eventsourcing first, which nothing else needs; the others come with the ``dev`` extra.
Ratios below 1 are in our favour. No two of these do the same; what each does more:

- eventsourcing appends an event of 200 bytes to an aggregate and to a log of all aggregates, under optimistic locking,
  and keeps the aggregate, of which it gives a copy to each caller. It blocks the thread, and tells nobody. A hub, with
  one timeline projection and no fan-out, does so without blocking the event loop, checks the message's type, numbers
  the event, recognises it by its id if it comes again, and stores what the projection makes of it in the same commit.
  On SQLite, both commit each event by itself, and wait until the disk has it (``synchronous = FULL``, a WAL). With many
  sessions at once the hub's store makes one transaction of what has come meanwhile; a process with eventsourcing
  saves one after the other.
- The in-memory layer of Channels hands a message to each consumer of a group, each of which sends it: it is ready as a
  frame, and written as JSON once. What comes while a consumer is away is gone; a consumer that is 100 messages behind
  loses the next.
- The loop over Starlette's WebSockets sends to one after the other. A client that reads nothing stops it for all.
- Against these two, the hub does all of its work: logged in memory, both projections, a frame to each subscriber, which
  can disconnect and reconnect and misses nothing. A subscriber that reads nothing does not delay others.

All three serve the same number of watchers by uvicorn with ``websockets-sansio``, without compression, with frames of
the same length, at a pace at which no queue builds up; it is the CPU time of the server's process, as in
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
