"""The JavaScript client under every Node there is: its protocol, its types, and real servers that stop and return."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from sessionstream import Snapshot, SQLiteStore
from sessionstream.examples.chatdemo import Chat, chat_schemas
from sessionstream.transport.ws import ConnectionRecord, Limits, WebSocketServer

from ..node import environment, every_node
from .following import following
from .running import PATIENCE, served, unused_port

HERE = Path(__file__).parent / "js"
STATIC = resources.files("sessionstream.transport.ws") / "static"

pytestmark = pytest.mark.parametrize("node", every_node())


# -- files of tests in JavaScript ----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_under_node(node: Path, file: str) -> None:
    ran = subprocess.run(
        [node, "--test", "--test-reporter", "tap", HERE / file],
        env=environment(node),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * 6,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    passed = re.search(r"^# pass (\d+)$", ran.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 1, ran.stdout
    assert "Warning" not in ran.stderr


# -- types ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["sessionstream", "store"])
def test_the_types_are_those_of_the_module(node: Path, module: str, tmp_path: Path) -> None:
    """What the declarations export as values is what the module exports."""
    script = f"import * as all from {json.dumps(str(STATIC / f'{module}.js'))}; console.log(Object.keys(all).join())"
    (tmp_path / "exports.mjs").write_text(script, "utf-8")
    ran = subprocess.run([node, tmp_path / "exports.mjs"], capture_output=True, text=True, check=True)
    declared = re.findall(
        r"^export (?:class|function) (\w+)", (STATIC / f"{module}.d.ts").read_text("utf-8"), re.MULTILINE
    )
    assert ran.stdout.strip().split(",") == sorted(declared)


# -- real servers --------------------------------------------------------------------------------------------------


def comparable(snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot as the follower prints one."""
    return {
        "sessionId": snapshot.session_id,
        "ordinal": str(snapshot.snapshot_ordinal),
        "epoch": str(snapshot.epoch),
        "entities": [
            {
                "kind": entity.kind,
                "id": entity.id,
                "createdOrdinal": str(entity.created_ordinal),
                "lastEventOrdinal": str(entity.last_event_ordinal),
                "payload": {
                    "@type": f"type.googleapis.com/{entity.payload.DESCRIPTOR.full_name}",
                    **json_format.MessageToDict(entity.payload),
                },
            }
            for entity in snapshot.entities
            if entity.payload is not None
        ],
    }


@asynccontextmanager
async def chat_server(path: Path, port: int, **limits: Any) -> AsyncIterator[tuple[Chat, WebSocketServer]]:
    """A chat on a SQLite file, and its WebSocket server under uvicorn."""
    async with SQLiteStore.open(path, chat_schemas()) as store, Chat(store=store, delay=0) as chat:
        server = WebSocketServer(chat.hub, limits=Limits(**limits))
        chat.hub.set_fanout(server)
        async with served(server, port=port):
            yield chat, server


async def ask(chat: Chat, session_id: str, prompt: str) -> None:
    await chat.start(session_id, prompt)
    await chat.wait(session_id)


async def test_a_snapshot_then_live_and_again_after_restarts(node: Path, tmp_path: Path) -> None:
    path, port = tmp_path / "chat.db", unused_port()
    async with following(node, f"ws://127.0.0.1:{port}", "s-1") as follower:
        assert (await follower.state("reconnecting"))["code"] == 1006  # nobody is there yet
        async with chat_server(path, port) as (chat, server):
            assert (await follower.snapshot())["ordinal"] == "0"
            await ask(chat, "s-1", "Explain ordinals")
            await follower.event("ChatMessageFinished")
            assert follower.ordinals() == list(range(1, await chat.hub.cursor("s-1") + 1))
            await server.shutdown(retry_after=0.1)
            lost = await follower.state("reconnecting")
            assert (lost["code"], lost["reason"]) == (1012, "retry-after=0.1")
            assert lost["retryIn"] >= 100
            await ask(chat, "s-1", "While nobody watches")
        for round_ in range(3):
            async with chat_server(path, port) as (chat, server):
                expected = await chat.hub.snapshot("s-1")
                assert await follower.snapshot() == comparable(expected)
                await ask(chat, "s-1", f"Round {round_}")
                await follower.event("ChatMessageFinished")
                cursor = await chat.hub.cursor("s-1")
                assert follower.ordinals() == list(range(expected.snapshot_ordinal + 1, cursor + 1))


async def test_a_reconnect_is_sent_a_delta_and_shows_the_whole(node: Path, tmp_path: Path) -> None:
    port = unused_port()
    records: list[ConnectionRecord] = []
    async with SQLiteStore.open(tmp_path / "chat.db", chat_schemas()) as store, Chat(store=store, delay=0) as chat:
        for number in range(30):
            await ask(chat, "s-1", f"Question {number}")
        async with following(node, f"ws://127.0.0.1:{port}", "s-1") as follower:
            for delta in (False, True, True):
                server = WebSocketServer(chat.hub, observer=records.append)
                chat.hub.set_fanout(server)
                async with served(server, port=port):
                    assert await follower.snapshot() == comparable(await chat.hub.snapshot("s-1"))
                    assert [record.delta for record in records if record.stage == "snapshot_sent"] == [delta]
                    records.clear()
                await ask(chat, "s-1", "One more")


async def test_a_rebuilt_timeline_and_a_second_session(node: Path, tmp_path: Path) -> None:
    port = unused_port()
    async with chat_server(tmp_path / "chat.db", port) as (chat, server):
        await ask(chat, "s-1", "Explain epochs")
        async with following(node, f"ws://127.0.0.1:{port}", "s-1") as follower:
            before = await follower.snapshot()
            await chat.hub.rebuild_timeline("s-1")
            after = await follower.snapshot()
            assert after == comparable(await chat.hub.snapshot("s-1"))
            assert after["epoch"] != before["epoch"]
            await follower.order(subscribe="s-2")
            assert (await follower.snapshot())["sessionId"] == "s-2"
            await follower.order(unsubscribe="s-1")
            await follower.order(subscribe="s-1")  # answered only when the unsubscribe was
            assert (await follower.snapshot())["sessionId"] == "s-1"
            (connection,) = server.connections()
            assert connection.subscriptions == ("s-1", "s-2")


async def test_a_client_that_pings_and_is_pinged_stays(node: Path, tmp_path: Path) -> None:
    port = unused_port()
    async with chat_server(tmp_path / "chat.db", port, heartbeat_seconds=0.05, pong_timeout_seconds=5.0) as (chat, _):
        async with following(node, f"ws://127.0.0.1:{port}", "s-1") as follower:
            await follower.snapshot()
            for number in range(3):
                await chat.start("s-1", f"Question {number}")
                await follower.event("ChatMessageFinished")
        assert [line["state"]["state"] for line in follower.heard if "state" in line] == ["live"]


async def test_a_subscription_that_is_refused_ends(node: Path) -> None:
    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub, authorize=lambda _, session_id: session_id == "mine")
        async with served(server) as address, following(node, address, "theirs", "mine") as follower:
            ended = (await follower.until(lambda line: "end" in line))["end"]
            assert (ended["sessionId"], ended["error"]["code"]) == ("theirs", "unauthorized")
            assert (await follower.snapshot())["sessionId"] == "mine"
