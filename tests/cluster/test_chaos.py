"""Nodes, connections and the database are broken at random while prompts come in; afterwards nothing is missing.

``CHAOS_SECONDS`` says for how long (default 60), ``CHAOS_SEED`` repeats a choice of misfortunes.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from sessionstream import Event, PostgresStore
from sessionstream.examples.chatdemo import messages
from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.schemas import chat_schemas
from sessionstream.examples.chatdemo.v1.chat_pb2 import UserMessageAcceptedEvent
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Proxy

from .balancer import Balancer
from .browser import ClientBrowser, texts_of
from .cluster import Cluster
from .nodes import Node

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
NAMES = ("north", "east", "south", "west")
SESSIONS = [f"session-{number}" for number in range(12)]
HEALED = 60.0
"""Seconds after the last misfortune in which everything has to be as it should."""

pytestmark = [pytest.mark.torture, pytest.mark.timeout(SECONDS + 3 * HEALED)]


class Misfortunes:
    """What happens to a cluster. Each is over when its call returns; some overlap, because several tasks call them."""

    def __init__(self, cluster: Cluster, database: PostgresServer, proxies: dict[str, Proxy], random: Random) -> None:
        self._cluster = cluster
        self._server = database
        self._proxies = proxies
        self._random = random
        self._database = asyncio.Lock()
        self._nodes = {name: asyncio.Lock() for name in proxies}
        self.log: list[str] = []

    async def next(self) -> None:
        """Let one happen."""
        name = self._random.choice(list(self._proxies))
        what = self._random.choice(
            [self._kill_node, self._pause_node, self._cut, self._stall, self._lose_answers, self._restart_database]
        )
        await what(name)

    async def _kill_node(self, name: str) -> None:
        async with self._nodes[name]:
            self.log.append(f"{name} is killed")
            await self._cluster.nodes[name].kill()
            await self._cluster.nodes[name].start()

    async def _pause_node(self, name: str) -> None:
        async with self._nodes[name]:
            self.log.append(f"{name} is stopped for a while")
            self._cluster.nodes[name].pause()
            await asyncio.sleep(self._random.uniform(0.5, 4.0))
            self._cluster.nodes[name].go_on()

    async def _cut(self, name: str) -> None:
        self.log.append(f"the connections of {name} to the database are cut")
        self._proxies[name].cut()

    async def _stall(self, name: str) -> None:
        self.log.append(f"{name} reaches the database, and gets no answer for a while")
        proxy = self._proxies[name]
        self._random.choice([proxy.requests, proxy.answers]).stall()
        await asyncio.sleep(self._random.uniform(0.2, 3.0))
        proxy.cut()
        proxy.go_on()

    async def _lose_answers(self, name: str) -> None:
        self.log.append(f"{name} loses the answers of the database, hints among them")
        proxy = self._proxies[name]
        proxy.answers.drop()
        await asyncio.sleep(self._random.uniform(0.05, 1.0))
        proxy.cut()
        proxy.go_on()

    async def _restart_database(self, _name: str) -> None:
        async with self._database:
            how = self._random.choice([signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
            self.log.append(f"the database gets {how.name}")
            stop = self._server.kill if how == signal.SIGKILL else lambda: self._server.stop(how)
            await asyncio.to_thread(stop)
            await asyncio.sleep(self._random.uniform(0.0, 2.0))
            await asyncio.to_thread(self._server.start)


async def test_nothing_is_missing_after_everything_that_may_happen(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    random = Random(SEED)
    print(f"CHAOS_SEED={SEED}")
    asked: dict[str, dict[str, bool]] = {session_id: {} for session_id in SESSIONS}
    async with AsyncExitStack() as stack:
        proxies = {name: await stack.enter_async_context(Proxy(own_postgres.socket)) for name in NAMES}
        nodes = [Node(name, own_postgres.dsn_at(proxy.port), tmp_path, 0.02) for name, proxy in proxies.items()]
        for node in nodes:
            stack.push_async_callback(node.end)
        await asyncio.gather(*(node.start() for node in nodes))
        balancer = await stack.enter_async_context(Balancer(nodes))
        cluster = Cluster(own_postgres.dsn, nodes, balancer)
        browsers = [ClientBrowser(name, balancer.port, SESSIONS) for name in "ABCD"]
        for browser in browsers:
            stack.push_async_callback(browser.close)
        misfortunes = Misfortunes(cluster, own_postgres, proxies, random)

        async def ask(session_id: str) -> None:
            async with asyncio.timeout(SECONDS + HEALED):
                while not over.is_set():
                    prompt = f"{session_id} {len(asked[session_id])} " + "word " * random.randrange(100)
                    asked[session_id][prompt] = (await cluster.ask(session_id, prompt)).is_sure
                    await asyncio.sleep(random.uniform(0.0, 3.0))

        async def suffer() -> None:
            while not over.is_set():
                await asyncio.sleep(random.uniform(0.0, 2.0))
                await misfortunes.next()

        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for session_id in SESSIONS:
                group.create_task(ask(session_id))
            for _ in range(2):
                group.create_task(suffer())
            await asyncio.sleep(SECONDS)
            over.set()
        print("\n".join(misfortunes.log))
        async with asyncio.timeout(HEALED):
            for session_id in SESSIONS:
                await cluster.stop(session_id)
            texts = await cluster.texts(SESSIONS)
            for browser in browsers:
                await browser.agrees(texts)
        assert [browser.faults for browser in browsers] == [[], [], [], []]
        await _check_logs(own_postgres.dsn, asked)


async def _check_logs(dsn: str, asked: dict[str, dict[str, bool]]) -> None:
    """Check that each prompt is logged once, that those which are sure are in order, and that timelines are folds."""
    async with PostgresStore.connect(dsn, chat_schemas()) as store, Chat(store=store) as chat:
        for session_id, prompts in asked.items():
            logged = [prompt for event in await store.events(session_id) for prompt in _prompts(event)]
            assert len(set(logged)) == len(logged)
            assert set(logged) <= set(prompts)
            sure = [prompt for prompt, is_sure in prompts.items() if is_sure]
            # One that is not sure may be carried out late, by a node that was stopped for a while.
            assert [prompt for prompt in logged if prompts[prompt]] == sure
            before = texts_of((await chat.hub.snapshot(session_id)).entities)
            assert messages.STREAMING not in {status for _, status in before.values()}
            await chat.hub.rebuild_timeline(session_id)
            assert texts_of((await chat.hub.snapshot(session_id)).entities) == before


def _prompts(event: Event) -> list[str]:
    return [event.payload.content] if isinstance(event.payload, UserMessageAcceptedEvent) else []
