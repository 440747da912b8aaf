"""A command whose process is killed is never reported as done, however soon it is repeated elsewhere."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sessionstream import Command, CommandUnfinished, EventPublisher, Session
from sessionstream.hydration import stores
from tests.servers.postgres import Postgres

from .app import new_hub, registry
from .halfway import COMMAND, KEY, SESSION
from .killing import PATIENCE, ROOT


async def test_a_repeat_waits_for_a_process_on_the_same_file(tmp_path: Path) -> None:
    await _kill_halfway(str(tmp_path / "store.db"))


async def test_a_repeat_waits_for_a_process_on_the_same_database(postgres: Postgres, postgres_schema: str) -> None:
    await _kill_halfway(f"{postgres.dsn}&schema={postgres_schema}")


async def _kill_halfway(location: str) -> None:
    schemas, ran = registry(), []
    async with (
        asyncio.timeout(PATIENCE),
        stores.open(location, schemas) as store,
        new_hub(schemas, store, shaky=False, tell=lambda what, **details: None) as hub,
    ):

        @hub.command("Say")
        async def say(command: Command, session: Session, publisher: EventPublisher) -> None:
            ran.append(session.id)

        async with _halfway(location) as process:
            early = asyncio.create_task(hub.submit(SESSION, "Say", COMMAND, idempotency_key=KEY))
            with pytest.raises(TimeoutError):  # its process is there
                await asyncio.wait_for(asyncio.shield(early), 0.5)
            process.kill()
            await process.wait()
            late = hub.submit(SESSION, "Say", COMMAND, idempotency_key=KEY)
            told = await asyncio.gather(early, late, return_exceptions=True)
        assert [type(each) for each in told] == [CommandUnfinished, CommandUnfinished]
        assert ran == []


@asynccontextmanager
async def _halfway(location: str) -> AsyncIterator[asyncio.subprocess.Process]:
    command = [sys.executable, "-m", "tests.durability.halfway", location]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        while json.loads(await process.stdout.readline())["what"] != "half":
            pass
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
