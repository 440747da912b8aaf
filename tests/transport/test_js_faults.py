"""The JavaScript client behind a proxy that breaks things: when that is over, it has what the store has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..node import newest_node
from .faults import SESSIONS, Watcher, World, schedule
from .following import Follower, following

HEARTBEAT = 500
"""Milliseconds of the real time after which the client begins to doubt a connection that says nothing."""

pytestmark = pytest.mark.parametrize("node", newest_node())


class NodeWatcher(Watcher):
    """One of the sessions that a Node process watches; holding one holds the process."""

    def __init__(self, follower: Follower, session_id: str) -> None:
        super().__init__(session_id)
        self._follower = follower

    def take(self, line: dict[str, Any]) -> None:
        match line:
            case {"snapshot": {"ordinal": ordinal, "entities": entities}}:
                self.snapshot(int(ordinal), {entity["id"]: entity["payload"]["value"] for entity in entities})
            case {"event": {"ordinal": ordinal, "payload": {"value": told}}}:
                self.event(int(ordinal), told)
            case _:
                raise AssertionError(f"the subscription ended: {line}")

    def hold(self) -> None:
        self._follower.stop()

    def let(self) -> None:
        self._follower.go()


async def _dispatch(follower: Follower, watchers: dict[str, NodeWatcher]) -> None:
    try:
        async for line in follower.lines():
            ((what, said),) = line.items()
            if what in ("snapshot", "event", "end"):
                watchers[said["sessionId"]].take(line)
    except AssertionError as error:
        for watcher in watchers.values():
            watcher.fail(error)


@asynccontextmanager
async def watching(node: Path, made: World, address: str) -> AsyncIterator[list[Watcher]]:
    async with following(node, address, *SESSIONS, heartbeat=HEARTBEAT, patience=HEARTBEAT) as follower:
        watchers = {session_id: NodeWatcher(follower, session_id) for session_id in SESSIONS}
        dispatching = asyncio.create_task(_dispatch(follower, watchers))
        try:
            yield [*watchers.values()]
        finally:
            follower.go()
            dispatching.cancel()


@pytest.mark.parametrize("seed", range(4))
async def test_after_healing_the_client_has_what_the_store_has(
    node: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    await schedule(seed, partial(watching, node))
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(100, 400))
async def test_after_healing_the_client_has_what_the_store_has_again_and_again(
    node: Path, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    await schedule(seed, partial(watching, node))
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
