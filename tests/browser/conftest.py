"""A server, and a browser to look at it with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sessionstream import Hub, SQLiteStore
from sessionstream.systemlab.notebook import ADD_NOTE, REMOVE_NOTE, notebook_schemas, open_notebook
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, RemoveNoteCommand

from ..systemlab.process import ServedLab
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
async def by_itself(tmp_path: Path) -> AsyncIterator[Served]:
    """A chat that is told of no file."""
    serving = Served(None, tmp_path)
    await serving.start()
    yield serving
    await serving.close()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[ServedLab]:
    """The lab, with a store file for its inspector."""
    (tmp_path / "temporary").mkdir()
    store = tmp_path / "app.db"
    await write_notes(store)
    serving = ServedLab(tmp_path / "temporary")
    await serving.start("--store", str(store))
    yield serving
    await serving.close()


@pytest.fixture
async def lab_tabs(lab: ServedLab) -> AsyncIterator[Tabs]:
    """Pages of the lab; at the end none of them may have asked anybody else for anything."""
    async with browsing(lab.url) as tabs:
        yield tabs


@pytest.fixture
async def tabs(server: Served) -> AsyncIterator[Tabs]:
    """Pages of the chat; at the end none of them may have asked anybody else for anything."""
    async with browsing(server.url) as tabs:
        yield tabs


@pytest.fixture
async def tabs_of_itself(by_itself: Served) -> AsyncIterator[Tabs]:
    """Pages of the chat that is told of no file."""
    async with browsing(by_itself.url) as tabs:
        yield tabs


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Tabs]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium, so NOTHING was tried in a browser: apt-get install chromium")
    async with chromium() as browser:
        tabs = Tabs(browser, url)
        yield tabs
        assert tabs.foreign == []


async def write_notes(path: Path) -> None:
    """Write three notes into a session of a file, and remove the first."""
    schemas = notebook_schemas()
    async with SQLiteStore.open(path, schemas) as store, open_notebook(Hub(schemas, store=store)) as hub:
        for text in ("first of all", "second", "and the last"):
            await hub.submit("notes", ADD_NOTE, AddNoteCommand(text=text))
        first = (await hub.snapshot("notes")).entities[0].id
        await hub.submit("notes", REMOVE_NOTE, RemoveNoteCommand(note_id=first))
