"""``serve`` in several processes on one PostgreSQL database."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sessionstream.examples.chatdemo import messages
from tests.cluster.balancer import Balancer
from tests.cluster.browser import ClientBrowser
from tests.cluster.cluster import Cluster
from tests.cluster.nodes import Node
from tests.servers.postgres import Postgres

PROMPT = "a word " * 60


async def test_a_server_that_starts_stops_no_answer_of_another(
    postgres: Postgres, postgres_schema: str, tmp_path: Path
) -> None:
    dsn = await postgres.create_database(postgres_schema)
    one, two = Node("one", dsn, tmp_path, 0.02), Node("two", dsn, tmp_path, 0.02)
    try:
        await one.start()
        async with Balancer([one, two]) as balancer, asyncio.timeout(60):
            assert await Cluster(dsn, [one, two], balancer).ask("s", PROMPT) == ("one", True)
            await two.start()
            first, second = (ClientBrowser(name, balancer.port, ["s"]) for name in "AB")
            shown = {
                messages.prompt_id(1): (PROMPT, ""),
                messages.answer_id(1): (messages.answer_to(PROMPT), messages.FINISHED),
            }
            for browser in (first, second):
                await browser.agrees({"s": shown})
                assert browser.faults == []
                await browser.close()
            assert {browser.node_of("s", balancer) for browser in (first, second)} == {"one", "two"}
    finally:
        await one.end()
        await two.end()
