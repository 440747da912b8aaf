"""The story of `make demo-cluster`. Every claim is checked where it is printed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from sessionstream.examples.chatdemo import messages
from tests.servers.postgres import PostgresServer

from .browser import Browser
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
        browsers = [Browser(name, started.balancer.port, SESSIONS) for name in ("A", "B")]
        try:
            await _talk(say, started, database, browsers)
        except TimeoutError:
            raise Failed(f"it has taken longer than {PATIENCE:g} seconds") from None
        finally:
            for browser in browsers:
                await browser.close()
    say(f"All checks passed in {monotonic() - began:.1f} seconds.")


async def _talk(
    say: Callable[[str], None], started: Cluster, database: PostgresServer, browsers: list[Browser]
) -> None:
    async with asyncio.timeout(PATIENCE):
        for browser in browsers:
            await browser.agrees({session_id: {} for session_id in SESSIONS})
        where = {browser.name: started.balancer.node_of(browser.request) for browser in browsers}
        say(f"\n1. Nothing is killed. Browser A is on {where['A']}, browser B on {where['B']}")
        streams = await _ask_all(say, started)
        await _agree(say, started, browsers)
        _check_events(say, browsers, where, streams)

        victim = started.nodes[where["A"]]
        say(f"\n2. Node {victim.name}, on which browser A is, is killed with -9 while four answers are streaming")
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
        say(f"   browser A is now on {started.balancer.node_of(browsers[0].request)}")
        for browser in browsers:
            say(f"   browser {browser.name}: {_words(browser) - before[browser.name]} words came as events")
        await victim.start()

        say("\n3. PostgreSQL is killed with -9 while four answers are streaming")
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


async def _ask_all(say: Callable[[str], None], started: Cluster) -> dict[str, str]:
    """Ask in every session; return the names of the nodes that answer."""
    streams = {session_id: (await started.ask(session_id, PROMPT)).node for session_id in SESSIONS}
    for session_id, name in streams.items():
        say(f"   {name:5} answers in {session_id}")
    return streams


async def _some_words(browsers: list[Browser]) -> None:
    """Wait until an answer is in the middle, in each browser."""
    for browser in browsers:
        await browser.until(SESSIONS[-1], len(browser.pages[SESSIONS[-1]].live) + 5)


def _words(browser: Browser) -> int:
    return sum(len(each.live) for each in browser.pages.values())


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
    say: Callable[[str], None], browsers: list[Browser], where: dict[str, str], streams: dict[str, str]
) -> None:
    """Check that the words of other nodes came as events."""
    foreign = came = 0
    for browser in browsers:
        for session_id, name in streams.items():
            if name != where[browser.name]:
                foreign += words_of(PROMPT)
                came += len(browser.pages[session_id].live)
    if not foreign or came < AS_EVENTS * foreign:
        raise Failed(f"of {foreign} words of other nodes only {came} came as events")
    say(f"   ok  of {foreign} words that another node streamed, {came} came as events ({came / foreign:.0%})")
