"""Whoever has left is forgotten, under every server core."""

from __future__ import annotations

import asyncio
import sys

import pytest

from ..running import PATIENCE
from .servers import CORES
from .visits import TEXT, ask, serving, visit

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


async def settled(address: str) -> dict[str, int]:
    """What is held when the last visitor's connection is gone, or what is held all the same after a while."""
    over = asyncio.get_running_loop().time() + PATIENCE
    while (told := await ask(address))["connections"] and asyncio.get_running_loop().time() < over:  # noqa: ASYNC110 - of another process nobody is told
        await asyncio.sleep(0.02)
    return told


@pytest.mark.parametrize("core", CORES)
async def test_visitors_that_have_left_are_freed(core: str) -> None:
    async with serving(core) as address:
        for number in range(20):
            await visit(address, number)
        assert (await settled(address))["connections"] == 0


@pytest.mark.torture
@pytest.mark.parametrize("core", CORES)
async def test_nine_hundred_visits_leave_the_memory_as_it_was(core: str) -> None:
    async with serving(core) as address:
        for number in range(100):
            await visit(address, number)
        before = await settled(address)
        for number in range(900):
            await visit(address, number)
        after = await settled(address)
    print(f"{core}: {before['resident'] / 2**20:.0f} MiB before 900 visits, {after['resident'] / 2**20:.0f} MiB after")
    assert after["connections"] == 0
    assert after["resident"] - before["resident"] < 100 * len(TEXT)
