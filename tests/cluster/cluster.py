"""Starts a database, nodes and a balancer, sends prompts, and reads what is stored in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple

import httpx2

from sessionstream import PostgresStore
from sessionstream.examples.chatdemo import messages
from sessionstream.examples.chatdemo.schemas import START_INFERENCE, STOP_INFERENCE, chat_schemas
from tests.servers import postgres
from tests.servers.postgres import PostgresServer
from tests.servers.run import short_folder

from .balancer import Balancer
from .browser import texts_of
from .nodes import Node

PATIENCE = 60.0
"""Seconds for whatever is waited for."""


class Asked(NamedTuple):
    """The node that answered a command last, and whether the command has surely been carried out.

    A node that was killed may have carried it out or not: then its repetition is answered with 409.
    """

    node: str
    is_sure: bool


class Cluster:
    """Nodes on one database, behind a balancer.

    Args:
        dsn: the database.
    """

    def __init__(self, dsn: str, nodes: Sequence[Node], balancer: Balancer) -> None:
        self.dsn = dsn
        self.nodes = {node.name: node for node in nodes}
        self.balancer = balancer
        self._numbers = count(1)

    async def ask(self, session_id: str, prompt: str) -> Asked:
        """Send a prompt, again and again until a node accepts it.

        It takes effect at most once, because it has an idempotency key.
        """
        return await self._post(START_INFERENCE, session_id, {"prompt": prompt})

    async def stop(self, session_id: str) -> Asked:
        """End the answer of a session, also one whose node is gone."""
        return await self._post(STOP_INFERENCE, session_id, {})

    async def _post(self, command: str, session_id: str, payload: dict[str, str]) -> Asked:
        number = next(self._numbers)
        document = {"sessionId": session_id, "payload": payload, "idempotencyKey": f"{number}"}
        path = f"/commands/{command}?number={number}"
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with httpx2.AsyncClient(timeout=10.0) as http:
                        answer = await http.post(f"http://127.0.0.1:{self.balancer.port}{path}", json=document)
                except httpx2.TransportError:  # the node is gone, or stands still: another one may take it
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code in (202, 409):
                    return Asked(self.balancer.node_of(f"POST {path}"), answer.status_code == 202)
                await asyncio.sleep(0.1)

    async def texts(self, session_ids: Sequence[str]) -> dict[str, dict[str, tuple[str, str]]]:
        """Return the text and the status of each message of each session, as they are stored.

        Raises:
            AssertionError: a log has a hole or an event twice.
        """
        texts = {}
        async with PostgresStore.connect(self.dsn, chat_schemas()) as store:
            for session_id in session_ids:
                logged = await store.events(session_id)
                assert [event.ordinal for event in logged] == list(range(1, len(logged) + 1)), session_id
                assert len({event.event_id for event in logged}) == len(logged), session_id
                texts[session_id] = texts_of((await store.snapshot(session_id)).entities)
        return texts

    async def is_streaming(self, session_ids: Sequence[str]) -> bool:
        """Return whether an answer is being streamed, as far as is stored."""
        texts = await self.texts(session_ids)
        return any(status == messages.STREAMING for stored in texts.values() for _, status in stored.values())


@asynccontextmanager
async def cluster(names: Sequence[str], delay: float) -> AsyncIterator[tuple[Cluster, PostgresServer]]:
    """Start a database and nodes; end them, and remove their files, when the block ends."""
    with short_folder() as folder:
        database = PostgresServer(folder / "postgres", next(iter(postgres.programs().values())))
        nodes = [Node(name, database.dsn, folder, delay) for name in names]
        try:
            await asyncio.to_thread(database.start)
            await asyncio.gather(*(node.start() for node in nodes))
            async with Balancer(nodes) as balancer:
                yield Cluster(database.dsn, nodes, balancer), database
        finally:
            await asyncio.gather(*(node.end() for node in nodes))
            await asyncio.to_thread(database.end)


def words_of(prompt: str) -> int:
    """Return the number of pieces in which the answer to a prompt comes."""
    return len(list(messages.pieces(messages.answer_to(prompt))))
