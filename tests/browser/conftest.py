"""Servers, and the browser to look at them with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from sessionstream import Hub, SQLiteStore
from sessionstream.systemlab.notebook import ADD_NOTE, REMOVE_NOTE, notebook_schemas, open_notebook
from sessionstream.systemlab.phases import PHASES
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, RemoveNoteCommand

from ..systemlab.process import ServedLab
from .chromium import CHROMIUM, Tabs, chromium
from .serving import Served

if TYPE_CHECKING:
    from playwright.async_api import Browser

SLOW = 0.05
"""Seconds between the pieces of an answer that takes its time."""


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of this folder in the event loop of the session, to which the browser belongs."""
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for every test of this process; each test has contexts of its own in it, which share nothing."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium, so NOTHING was tried in a browser: apt-get install chromium")
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    """A chat that answers at once, on a file."""
    async with serving(Served(tmp_path / "chat.db")) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def slow_server(tmp_path: Path) -> AsyncIterator[Served]:
    """The same, with answers that take their time."""
    async with serving(Served(tmp_path / "chat.db"), delay=SLOW) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def by_itself(tmp_path: Path) -> AsyncIterator[Served]:
    """A chat that is told of no file."""
    async with serving(Served(None, tmp_path)) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def lab(tmp_path: Path) -> AsyncIterator[ServedLab]:
    """A lab of the test's own, which it may end, kill and start again."""
    (tmp_path / "temporary").mkdir()
    serving = ServedLab(tmp_path / "temporary")
    await serving.start()
    yield serving
    await serving.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedLab]:
    """One lab for the tests that leave it running, with a store file for its inspector."""
    store = tmp_path_factory.mktemp("store") / "app.db"
    await write_notes(store)
    serving = ServedLab(tmp_path_factory.mktemp("temporary"))
    await serving.start("--store", str(store))
    yield serving
    await serving.end()


@pytest_asyncio.fixture(loop_scope="session")
async def lab_tabs(shared_lab: ServedLab, browser: Browser) -> AsyncIterator[Tabs]:
    """Pages of the shared lab, its phases reset; phase 0, which takes long, is reset by the tests that change it."""
    async with await browser.new_context() as context:
        for number in range(1, len(PHASES)):
            answer = await context.request.post(f"{shared_lab.url}api/reset", data={"phase": number})
            assert answer.ok, await answer.text()
    async with browsing(browser, shared_lab.url) as tabs:
        yield tabs


@pytest_asyncio.fixture(loop_scope="session")
async def own_tabs(lab: ServedLab, browser: Browser) -> AsyncIterator[Tabs]:
    """Pages of the test's own lab."""
    async with browsing(browser, lab.url) as tabs:
        yield tabs


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(server: Served, browser: Browser) -> AsyncIterator[Tabs]:
    """Pages of the chat."""
    async with browsing(browser, server.url) as tabs:
        yield tabs


@pytest_asyncio.fixture(loop_scope="session")
async def slow_tabs(slow_server: Served, browser: Browser) -> AsyncIterator[Tabs]:
    """Pages of the chat whose answers take their time."""
    async with browsing(browser, slow_server.url) as tabs:
        yield tabs


@pytest_asyncio.fixture(loop_scope="session")
async def tabs_of_itself(by_itself: Served, browser: Browser) -> AsyncIterator[Tabs]:
    """Pages of the chat that is told of no file."""
    async with browsing(browser, by_itself.url) as tabs:
        yield tabs


@asynccontextmanager
async def serving(server: Served, delay: float = 0.0) -> AsyncIterator[Served]:
    """Start a chat, and leave no process behind."""
    await server.start(delay=delay)
    yield server
    await server.close()


@asynccontextmanager
async def browsing(browser: Browser, url: str) -> AsyncIterator[Tabs]:
    """Yield pages of one server; at the end they are closed, and none may have asked anybody else for anything."""
    async with Tabs(browser, url) as tabs:
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
