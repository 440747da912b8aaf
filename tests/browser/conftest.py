"""A server, and a browser to look at it with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .chromium import CHROMIUM, Tabs, chromium
from .serving import Served


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    """A chat that answers at once, on a file; restart it with a delay to have time."""
    serving = Served(tmp_path / "chat.db")
    await serving.start()
    yield serving
    await serving.close()


@pytest.fixture
async def tabs(server: Served) -> AsyncIterator[Tabs]:
    """Pages of the chat; at the end none of them may have asked anybody else for anything."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium, so NOTHING was tried in a browser: apt-get install chromium")
    async with chromium() as browser:
        tabs = Tabs(browser, server.url)
        yield tabs
        assert tabs.foreign == []
