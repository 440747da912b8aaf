"""Random faults between clients and a real server, and users that fold their updates and check them.

Every UI event says which it is of how many, so that nobody is given anything twice, out of order, or after a gap. When
the faults are over, everybody has what the store has.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import Hub
from sessionstream.transport.ws import Limits, WebSocketServer, conflate, disconnect

from . import notes
from .clock import MovedClock
from .proxy import Direction, Proxy, proxied
from .running import PATIENCE, served

SESSIONS = ("s-1", "s-2")
DIRECTIONS: tuple[Direction, ...] = ("up", "down")
ROUNDS = 3
FAULTS = 10
"""In a round; then everything heals."""

HEARTBEAT = 4_000.0
"""Seconds of a clock that the test moves."""


class Watcher:
    """A user of one session.

    Attributes:
        ordinal: of the last update; -1 before the first snapshot.
        left: the number of UI events of this ordinal that are still missing.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.state: dict[str, str] = {}
        self.ordinal = -1
        self.left = 0
        self._changed = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def snapshot(self, ordinal: int, state: Mapping[str, str]) -> None:
        """Take a snapshot."""
        self.state, self.ordinal, self.left = dict(state), ordinal, 0
        self._changed.set()

    def event(self, ordinal: int, told: str) -> None:
        """Take a UI event."""
        number, of, key, text = json.loads(told)
        expected = (self.ordinal, of - self.left) if self.left else (self.ordinal + 1, 0)
        assert (ordinal, number) == expected, f"{self.session_id}: {(ordinal, number)} came instead of {expected}"
        self.ordinal, self.left = ordinal, of - number - 1
        if text is None:
            self.state.pop(key, None)
        else:
            self.state[key] = text
        self._changed.set()

    def fail(self, error: BaseException) -> None:
        """Tell waiting tasks that there are no more updates."""
        if not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()  # it is seen in time by whoever waits

    def hold(self) -> None:
        """Take nothing for a while."""
        raise NotImplementedError

    def let(self) -> None:
        """Go on."""
        raise NotImplementedError

    async def reaches(self, ordinal: int) -> None:
        """Return when everything up to an ordinal was given.

        Where the answer to a handshake has vanished, the client notices after its ``open_timeout_seconds``, 10.
        """
        async with asyncio.timeout(4 * PATIENCE):
            while self.ordinal < ordinal or self.left:
                self._changed.clear()
                changed = asyncio.ensure_future(self._changed.wait())
                waiting: set[asyncio.Future[Any]] = {changed, self._failed}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if self._failed.done():
                    self._failed.result()


def text_of(payload: object) -> str:
    assert isinstance(payload, StringValue)
    return payload.value


class World:
    """A hub with a server, a proxy, and clients that watch through it."""

    def __init__(self, rng: random.Random, hub: Hub, proxy: Proxy) -> None:
        self.rng = rng
        self.hub = hub
        self.proxy = proxy
        self.clock = MovedClock()
        self.watchers: list[Watcher] = []
        self.ordinals = dict.fromkeys(SESSIONS, 0)
        self.done: list[object] = []
        self._serving = AsyncExitStack()

    async def start_server(self) -> None:
        policy = self.rng.choice([disconnect, conflate])
        limits = Limits(outbox_frames=self.rng.choice([8, 1_000]), heartbeat_seconds=None)
        server = WebSocketServer(self.hub, limits=limits, slow_consumers=policy)
        self.hub.set_fanout(server)
        address = await self._serving.enter_async_context(served(server))
        self.proxy.target = int(address.rpartition(":")[2])

    async def stop_server(self) -> None:
        """Stop the server, which waits until its connections are closed: also one that the proxy is just making."""
        self.proxy.target = 0
        ending = asyncio.create_task(self._serving.aclose())
        while not ending.done():
            self.proxy.reset()
            await asyncio.wait({ending}, timeout=0.05)
        await ending

    # -- what may happen ---------------------------------------------------------------------------------------

    async def publish(self) -> None:
        session_id = self.rng.choice(SESSIONS)
        for _ in range(self.rng.choice([1, 2, 20])):
            await self._publish_to(session_id)

    async def _publish_to(self, session_id: str) -> None:
        changes: dict[str, str | None] = {}
        for _ in range(self.rng.randint(1, 3)):
            changes[self.rng.choice("abcdef")] = self.rng.choice([None, str(self.rng.random())])
        tell = [json.dumps([number, len(changes), *change]) for number, change in enumerate(changes.items())]
        put = {key: text for key, text in changes.items() if text is not None}
        drop = [key for key, text in changes.items() if text is None]
        self.ordinals[session_id] = await notes.publish(self.hub, session_id, put=put, drop=drop, tell=tell)

    async def rebuild(self) -> None:
        await self.hub.rebuild_timeline(self.rng.choice(SESSIONS))

    async def restart(self) -> None:
        await self.stop_server()
        await self.start_server()

    async def stall(self) -> None:
        self.proxy.stall(self.rng.choice(DIRECTIONS))

    async def flow(self) -> None:
        self.proxy.flow(self.rng.choice(DIRECTIONS))

    async def reset(self) -> None:
        self.proxy.reset()

    async def half_close(self) -> None:
        self.proxy.half_close(self.rng.choice(DIRECTIONS))

    async def garbage(self) -> None:
        self.proxy.garbage(self.rng.choice(DIRECTIONS))

    async def split(self) -> None:
        self.proxy.sizes[self.rng.choice(DIRECTIONS)] = self.rng.choice([1, 3, 40])

    async def hold(self) -> None:
        self.rng.choice(self.watchers).hold()

    async def let(self) -> None:
        self.rng.choice(self.watchers).let()

    async def breathe(self) -> None:
        for _ in range(self.rng.choice([1, 10, 100])):
            await asyncio.sleep(0)  # others get to run, for as long as the lot says

    @property
    def faults(self) -> list[Callable[[], Awaitable[None]]]:
        often = [self.publish, self.publish, self.publish, self.breathe, self.breathe, self.flow]
        network = [self.stall, self.reset, self.half_close, self.garbage, self.split]
        return [*often, *network, self.rebuild, self.restart, self.hold, self.let]

    async def round(self) -> None:
        for _ in range(FAULTS):
            fault = self.rng.choice(self.faults)
            self.done.append(fault.__name__)
            await fault()
            await self.breathe()

    # -- afterwards --------------------------------------------------------------------------------------------

    async def heal(self) -> None:
        for watcher in self.watchers:
            watcher.let()
        self.proxy.heal()
        if self.proxy.poisoned:  # somebody may wait for the rest of a frame that never was one
            self.proxy.poisoned = False
            for _ in range(10):
                self.clock.advance(HEARTBEAT / 4)
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    async def check(self) -> None:
        """Check that all users have the state of the store, and receive a last event live."""
        for session_id in SESSIONS:
            await self._publish_to(session_id)
        for watcher in self.watchers:
            await watcher.reaches(self.ordinals[watcher.session_id])
            snapshot = await self.hub.snapshot(watcher.session_id)
            assert watcher.ordinal == snapshot.snapshot_ordinal
            assert watcher.state == {entity.id: text_of(entity.payload) for entity in snapshot.entities}


Watching: TypeAlias = Callable[[World, str], AbstractAsyncContextManager[list[Watcher]]]
"""Makes clients that watch through a proxy's address."""


@asynccontextmanager
async def world(seed: int, watching: Watching) -> AsyncIterator[World]:
    rng = random.Random(seed)
    async with notes.application() as hub, proxied("nowhere:0") as (proxy, through):
        made = World(rng, hub, proxy)
        await made.start_server()
        try:
            async with watching(made, through) as made.watchers:
                yield made
        finally:
            await made.stop_server()


async def schedule(seed: int, watching: Watching) -> None:
    """Cause faults and heal them, several times; after each, all users must have the state of the store."""
    async with world(seed, watching) as made:
        try:
            await made.check()
            for _ in range(ROUNDS):
                await made.round()
                await made.heal()
                await made.check()
        except BaseException as error:
            error.add_note(f"seed {seed}: {made.done}")
            raise
