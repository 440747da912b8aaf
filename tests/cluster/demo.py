"""The story of `make demo-cluster`. Every claim is checked where it is printed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic

import httpx2

from sessionstream.examples.chatdemo import messages
from tests.browser.chromium import CHROMIUM, chromium
from tests.servers.postgres import PostgresServer

from .browser import Browser, ChromiumBrowser, ClientBrowser
from .cluster import PATIENCE, Cluster, cluster, words_of
from .page import page

NODES = ("north", "east", "south")
SESSIONS = ("session-1", "session-2", "session-3", "session-4")
DELAY = 0.03
PROMPT = "Tell me of ordinals, of sessions that many browsers watch, and of nodes that come and go. " * 5
AS_EVENTS = 0.95
"""The part of the words of other nodes that has to come as events while nothing is killed."""


class Failed(Exception):
    """A check did not hold."""


async def tell(say: Callable[[str], None], *, stay: bool = False) -> None:
    """Run the demo, or with ``stay`` only the cluster, until it is interrupted.

    Raises:
        Failed: a check did not hold.
    """
    began = monotonic()
    say("Starting PostgreSQL and three nodes ...")
    async with (
        cluster(NODES, DELAY) as (started, database),
        page(list(started.nodes.values()), started.balancer) as port,
    ):
        say(f"the chat:                    http://127.0.0.1:{started.balancer.port}/")
        say(f"which node served what:      http://127.0.0.1:{port}/")
        if stay:
            say("Ctrl-C ends it. You may kill what you like:")
            for node in started.nodes.values():
                say(f"  kill -9 {node.pid}   # {node.name}")
            await asyncio.get_running_loop().create_future()
        async with _two_browsers(say, started.balancer.port) as browsers:
            try:
                await _talk(say, started, database, browsers)
            except TimeoutError:
                raise Failed(f"it has taken longer than {PATIENCE:g} seconds") from None
            await _check_page(say, port, browsers, started)
    say(f"All checks passed in {monotonic() - began:.1f} seconds.")


@asynccontextmanager
async def _two_browsers(say: Callable[[str], None], port: int) -> AsyncIterator[list[Browser]]:
    """Open two browsers: Chromium where it is installed, else the Python client in its place."""
    async with AsyncExitStack() as stack:
        browsers: list[Browser] = []
        running = None if CHROMIUM is None else await stack.enter_async_context(chromium())
        for name in ("A", "B"):
            if running is None:
                browsers.append(ClientBrowser(name, port, SESSIONS))
            else:
                browser = ChromiumBrowser(name, SESSIONS)
                await browser.open(running, port)
                browsers.append(browser)
            stack.push_async_callback(browsers[-1].close)
        kind = (
            "Python clients, because there is no chromium" if running is None else f"{CHROMIUM}, the page of the chat"
        )
        say(f"browsers A and B:            {kind}")
        yield browsers


async def _talk(
    say: Callable[[str], None], started: Cluster, database: PostgresServer, browsers: list[Browser]
) -> None:
    async with asyncio.timeout(PATIENCE):
        for browser in browsers:
            await browser.agrees({session_id: {} for session_id in SESSIONS})
        say("\n1. Nothing is killed")
        for browser in browsers:
            say(f"   browser {browser.name} is on {_nodes_of(browser, started)}")
        streams = await _ask_all(say, started)
        await _agree(say, started, browsers)
        _check_events(say, browsers, started, streams)

        victim = started.nodes[browsers[0].node_of(SESSIONS[0], started.balancer)]
        say(f"\n2. Node {victim.name}, where browser A watches {SESSIONS[0]}, is killed with -9 during four answers")
        streams = await _ask_all(say, started)
        before = {browser.name: _words(browser) for browser in browsers}
        await _some_words(browsers)
        await victim.kill()
        lost = [session_id for session_id, name in streams.items() if name == victim.name]
        for session_id in lost:
            say(f"   the answer in {session_id} has lost its node: its user asks again")
            streams[session_id] = (await started.ask(session_id, PROMPT)).node
        await _finished(started)
        await _agree(say, started, browsers)
        say(f"   browser A is now on {_nodes_of(browsers[0], started)}")
        for browser in browsers:
            say(f"   browser {browser.name}: {_words(browser) - before[browser.name]} words came as events")
        await victim.start()

        say("\n3. PostgreSQL is killed with -9 during four answers")
        streams = await _ask_all(say, started)
        before = {browser.name: _words(browser) for browser in browsers}
        await _some_words(browsers)
        await asyncio.to_thread(database.kill)
        say("   it is started again")
        await asyncio.to_thread(database.start)
        await _finished(started)
        await _agree(say, started, browsers)
        for browser in browsers:
            say(f"   browser {browser.name}: {_words(browser) - before[browser.name]} words came as events")


def _nodes_of(browser: Browser, started: Cluster) -> str:
    """Return the names of the nodes from which a browser hears, for people."""
    return ", ".join(dict.fromkeys(browser.node_of(session_id, started.balancer) for session_id in SESSIONS))


async def _ask_all(say: Callable[[str], None], started: Cluster) -> dict[str, str]:
    """Ask in every session; return the names of the nodes that answer."""
    streams = {session_id: (await started.ask(session_id, PROMPT)).node for session_id in SESSIONS}
    for session_id, name in streams.items():
        say(f"   {name:5} answers in {session_id}")
    return streams


async def _some_words(browsers: list[Browser]) -> None:
    """Wait until an answer is in the middle, in each browser."""
    for browser in browsers:
        await browser.until(SESSIONS[-1], len(browser.sessions[SESSIONS[-1]].live) + 5)


def _words(browser: Browser) -> int:
    return sum(len(each.live) for each in browser.sessions.values())


async def _finished(started: Cluster) -> None:
    """Wait until no answer is streaming."""
    while await started.is_streaming(SESSIONS):  # noqa: ASYNC110 - what is asked is another process
        await asyncio.sleep(0.2)


async def _agree(say: Callable[[str], None], started: Cluster, browsers: list[Browser]) -> None:
    """Check that both browsers show what is stored, and have seen nothing twice and no hole."""
    await _finished(started)
    texts = await started.texts(SESSIONS)
    for session_id, stored in texts.items():
        for name, (text, status) in stored.items():
            if status == messages.FINISHED and text != messages.answer_to(PROMPT):
                raise Failed(f"{session_id}: the finished answer {name} is not whole: {text!r}")
    for browser in browsers:
        try:
            async with asyncio.timeout(10):
                await browser.agrees(texts)
        except TimeoutError:
            raise Failed(f"browser {browser.name} does not show what is stored") from None
        if browser.faults:
            raise Failed(f"browser {browser.name}: {'; '.join(browser.faults)}")
    words = sum(len(text) for stored in texts.values() for text, _ in stored.values())
    say(f"   ok  both browsers show what is stored ({words:,} characters), and saw every word once")


def _check_events(
    say: Callable[[str], None], browsers: list[Browser], started: Cluster, streams: dict[str, str]
) -> None:
    """Check that the words of other nodes came as events."""
    foreign = came = 0
    for browser in browsers:
        for session_id, name in streams.items():
            if name != browser.node_of(session_id, started.balancer):
                foreign += words_of(PROMPT)
                came += len(browser.sessions[session_id].live)
    if not foreign or came < AS_EVENTS * foreign:
        raise Failed(f"of {foreign} words of other nodes only {came} came as events")
    say(f"   ok  of {foreign} words that another node streamed, {came} came as events ({came / foreign:.0%})")


async def _check_page(say: Callable[[str], None], port: int, browsers: list[Browser], started: Cluster) -> None:
    """Check that the page says which node serves each browser."""
    async with httpx2.AsyncClient() as http:
        page = (await http.get(f"http://127.0.0.1:{port}/")).text
    for browser in browsers:
        for session_id in SESSIONS:
            node = browser.node_of(session_id, started.balancer)
            label = browser.label(session_id)
            if f"<td>{label}</td><td>{node}</td>" not in page:
                raise Failed(f"the page of the nodes does not say that {node} serves browser {label}")
    say("   ok  the page of the nodes says which node serves each browser")
