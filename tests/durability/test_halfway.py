"""A process is killed, or stopped for a while, in the middle of a command: others hear what it did, and no more."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sessionstream import Command, CommandUnfinished, EventPublisher, Hub, HydrationStore, LiveEvents, Session, Snapshot
from sessionstream.hub.watching import Watch
from sessionstream.hydration import stores
from tests.servers.postgres import Postgres

from .app import Said, new_hub, registry
from .halfway import COMMAND, KEY, SESSION
from .killing import PATIENCE, ROOT


class Halfway:
    """The other process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def said(self, what: str) -> None:
        """Wait until it says something."""
        assert self._process.stdout is not None
        while json.loads(await self._process.stdout.readline())["what"] != what:
            pass

    def go_on(self) -> None:
        """Let it run again, and carry out the other half."""
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write(b"go\n")

    def stop(self) -> None:
        """Let it do nothing at all."""
        self._process.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        """Kill it with -9."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


@asynccontextmanager
async def halfway(location: str) -> AsyncIterator[Halfway]:
    """Run the other process, which has carried out one half of the command."""
    command = [sys.executable, "-m", "tests.durability.halfway", location]
    pipe = asyncio.subprocess.PIPE
    other = Halfway(await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe))
    try:
        await other.said("half")
        yield other
    finally:
        await other.kill()


@asynccontextmanager
async def here(location: str) -> AsyncIterator[tuple[HydrationStore, Hub]]:
    """A store of this process in the same place, and a hub that never runs the command."""
    schemas = registry()
    async with (
        asyncio.timeout(PATIENCE),
        stores.open(location, schemas) as store,
        new_hub(schemas, store, shaky=False, tell=lambda what, **details: None) as hub,
    ):

        @hub.command("Say")
        async def say(command: Command, session: Session, publisher: EventPublisher) -> None:
            raise AssertionError("it runs in the other process")

        yield store, hub


async def submit(hub: Hub) -> None:
    await hub.submit(SESSION, "Say", COMMAND, idempotency_key=KEY)


async def killed(location: str) -> None:
    """A repeat waits until it is known what has become of the command, whether it comes before the kill or after."""
    async with here(location) as (_, hub), halfway(location) as other:
        early = asyncio.create_task(submit(hub))
        with pytest.raises(TimeoutError):  # its process is there
            await asyncio.wait_for(asyncio.shield(early), 0.5)
        await other.kill()
        told = await asyncio.gather(early, submit(hub), return_exceptions=True)
        assert [type(each) for each in told] == [CommandUnfinished, CommandUnfinished]


async def test_a_repeat_waits_for_a_killed_process_on_the_same_file(tmp_path: Path) -> None:
    await killed(str(tmp_path / "store.db"))


async def test_a_repeat_waits_for_a_killed_process_on_the_same_database(
    postgres: Postgres, postgres_schema: str
) -> None:
    await killed(f"{postgres.dsn}&schema={postgres_schema}")


async def heard(watch: Watch) -> int:
    """Return the ordinal of the next event, which may not come as a snapshot."""
    update = await anext(watch)
    assert isinstance(update, LiveEvents)
    return update.ordinal


async def test_what_a_process_committed_is_heard_though_it_was_killed_before_its_hint(
    postgres: Postgres, postgres_schema: str
) -> None:
    location = f"{postgres.dsn}&schema={postgres_schema}"
    async with here(location) as (_, hub), hub.watch(SESSION) as watch:
        assert isinstance(await anext(watch), Snapshot)
        async with halfway(location) as other:
            await other.kill()
            assert await heard(watch) == 1


async def test_a_process_that_was_stopped_for_longer_than_its_lease_goes_on(
    postgres: Postgres, postgres_schema: str
) -> None:
    location = f"{postgres.dsn}&schema={postgres_schema}"
    async with here(location) as (store, hub), hub.watch(SESSION) as watch:
        assert isinstance(await anext(watch), Snapshot)
        async with halfway(location) as other:
            assert await heard(watch) == 1
            other.stop()
            with pytest.raises(CommandUnfinished):  # it does not count as there, after LEASE_SECONDS
                await submit(hub)
            await hub.publish(Said("between", "text", ", between").event(SESSION))
            other.go_on()
            await other.said("rest")
            assert [await heard(watch), await heard(watch)] == [2, 3]
            log = [Said.of(event).event_id for event in await store.events(SESSION)]
            assert log == ["half", "between", "rest"]
            await submit(hub)
