"""The official clients of AG-UI and of the AI SDK on the chat example, on one server and on two over one file."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route

from sessionstream import SchemaRegistry, SQLiteStore
from sessionstream.examples.chatdemo.app import Chat
from sessionstream.examples.chatdemo.engine import EmptyPromptError
from sessionstream.examples.chatdemo.mapping import CHAT
from sessionstream.examples.chatdemo.schemas import chat_schemas
from sessionstream.transport.http import agui_endpoint, ai_sdk_endpoint, commands_endpoint

from ...node import environment, newest_node, npm_of
from ...servers.fixtures import missing
from ..running import PATIENCE, served
from .agent import agent_schemas, agent_server

HERE = Path(__file__).parent / "js"

LONG = f"Answer: {'x' * 400}"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the clients from npm, which all workers of a run share."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "npm-clients"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            making = shared.with_suffix(".making")
            shutil.copytree(HERE, making)
            node = shutil.which("node") or "node"
            install: list[str | Path] = [node, npm_of(Path(node)), "install", "--no-audit", "--no-fund", "--silent"]
            got = subprocess.run(install, cwd=making, capture_output=True, text=True, check=False, timeout=200)
            if got.returncode != 0:
                missing(f"the clients cannot be had from npm, so NOTHING was tried: {got.stderr.strip()[:200]}")
            making.rename(shared)
    return shared


@asynccontextmanager
async def chat_server(store: SQLiteStore) -> AsyncIterator[str]:
    async with Chat(store=store, delay=0.03) as chat:
        errors = {EmptyPromptError: 422}
        agent = agui_endpoint(chat.hub, CHAT, errors=errors)
        answers = ai_sdk_endpoint(chat.hub, CHAT, errors=errors)
        commands = commands_endpoint(chat.hub)

        async def rebuild(request: Any) -> Response:
            await chat.hub.rebuild_timeline("s")
            return Response()

        routes = [
            Mount("/agent", agent),
            Route("/api/chat", answers),
            Mount("/api/chat", answers),
            Route("/rebuild", rebuild, methods=["POST"]),
            Mount("/", commands),
        ]
        async with served(Starlette(routes=routes)) as address:
            yield address.replace("ws:", "http:")
            for endpoint in (agent, answers, commands):
                await endpoint.shutdown()
        assert agent.streams == answers.streams == commands.running == 0


Serving = Callable[[SQLiteStore], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def two_servers(path: Path, schemas: SchemaRegistry, serving: Serving) -> AsyncIterator[tuple[str, str]]:
    async with AsyncExitStack() as stack:
        addresses = []
        for _ in range(2):
            store = await stack.enter_async_context(SQLiteStore.open(path / "chat.db", schemas))
            addresses.append(await stack.enter_async_context(serving(store)))
        yield addresses[0], addresses[1]


async def play(node: Path, packages: Path, script: str, scene: str, path: Path) -> Any:
    schemas, serving = chat_schemas(), chat_server
    if scene == "tools":
        schemas, serving = agent_schemas(), partial(agent_server, go_on=asyncio.Semaphore(0))
    async with two_servers(path, schemas, serving) as addresses:
        process = await asyncio.create_subprocess_exec(
            node, script, scene, *addresses,
            cwd=packages, env=environment(node), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return json.loads(out)


HELLO = {"user": "hello", "assistant": "Answer: hello"}

AGUI = {
    "start": {"texts": HELLO, "first": "RUN_STARTED", "last": "RUN_FINISHED", "deltas": True},
    "leave_and_come_back": {
        "left": True, "texts": {"user": "x" * 400, "assistant": LONG}, "started": "RUN_STARTED", "sent_again": 2,
    },
    "second_tab": {"same": True, "texts": {"user": "x" * 400, "assistant": LONG}, "deltas": True},
    "stop": {"outcome": {"type": "cancelled"}, "equal": True, "whole": False},
    "rebuild": {"texts": {"user": "x" * 400, "assistant": LONG}, "last": "RUN_FINISHED"},
    "nothing_runs": {"texts": HELLO, "types": ["RUN_STARTED", "MESSAGES_SNAPSHOT", "RUN_FINISHED"]},
}  # fmt: skip


@pytest.mark.parametrize("node", newest_node())
@pytest.mark.parametrize("scene", AGUI)
async def test_agui(node: Path, packages: Path, scene: str, tmp_path: Path) -> None:
    assert await play(node, packages, "agui.mjs", scene, tmp_path) == AGUI[scene]


ASKED = {"id": "u-the weather?", "role": "user", "content": "the weather?"}
THOUGHT = {"id": "think", "role": "reasoning", "content": "The weather of Paris, then."}


def agui_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {
        "id": call_id,
        "role": "assistant",
        "toolCalls": [{"id": call_id, "type": "function", "function": function}],
    }


@pytest.mark.parametrize("node", newest_node())
async def test_agui_tool_calls(node: Path, packages: Path, tmp_path: Path) -> None:
    found = await play(node, packages, "agui.mjs", "tools", tmp_path)
    types = found.pop("types")
    assert set(types) >= {
        "STATE_SNAPSHOT", "TOOL_CALL_ARGS", "TOOL_CALL_RESULT", "STATE_DELTA", "TEXT_MESSAGE_CONTENT", "RUN_FINISHED",
    }  # fmt: skip
    result = {"role": "tool", "toolCallId": "call", "id": "call-result", "content": '{"sky": "blue"}'}
    broken = {"role": "tool", "toolCallId": "broken", "id": "broken-result", "content": "no sea there"}
    assert found == {
        "left": '{"city": "Pa',
        "running": agui_call("call", "weather", '{"city": "Paris"}'),
        "same": True,
        "messages": [
            ASKED, THOUGHT, agui_call("call", "weather", '{"city": "Paris"}'), result,
            agui_call("broken", "tides", "{}"), broken,
            {"id": "answer", "role": "assistant", "content": "It is sunny."},
        ],
        "state": {"plan": ["answer"]},
        "last": "RUN_FINISHED",
    }  # fmt: skip


AI_SDK = {
    "start": {"text": "Answer: hello", "id": "chat-msg-1", "first": "start", "last": "finish"},
    "leave_and_come_back": {"left": True, "text": LONG, "first": "start", "last": "finish"},
    "second_tab": {"texts": [LONG, LONG], "ids": True},
    "stop": {"last": "abort", "equal": True, "whole": False},
    "rebuild": {"text": LONG, "last": "finish"},
    "nothing_runs": {"none": None, "text": "Answer: hello", "messages": [list(each) for each in HELLO.items()]},
}


@pytest.mark.parametrize("node", newest_node())
@pytest.mark.parametrize("scene", AI_SDK)
async def test_ai_sdk(node: Path, packages: Path, scene: str, tmp_path: Path) -> None:
    assert await play(node, packages, "ai_sdk.mjs", scene, tmp_path) == AI_SDK[scene]


CALL = {"type": "tool-weather", "input": {"city": "Paris"}}


@pytest.mark.parametrize("node", newest_node())
async def test_ai_sdk_tool_calls(node: Path, packages: Path, tmp_path: Path) -> None:
    found = await play(node, packages, "ai_sdk.mjs", "tools", tmp_path)
    running = found.pop("running")
    assert (running["type"], running["state"], running["input"]) == ("tool-weather", "input-available", CALL["input"])
    plan = {"type": "data-plan", "data": ["answer"]}
    parts = [
        {"type": "reasoning", "state": "done", "text": THOUGHT["content"]},
        {**CALL, "state": "output-available", "output": {"sky": "blue"}},
        {"type": "tool-tides", "input": {}, "state": "output-error", "errorText": "no sea there"},
        {"type": "text", "text": "It is sunny.", "state": "done"},
    ]
    assert found == {"same": True, "parts": [plan, *parts], "stored": [*parts, plan], "last": "finish"}


REFUSAL = "ChatStartInference needs a prompt: this one is empty; send the text to answer"


@pytest.mark.parametrize("node", newest_node())
async def test_a_command_that_is_refused_is_told(node: Path, packages: Path, tmp_path: Path) -> None:
    agui = await play(node, packages, "agui.mjs", "refused", tmp_path)
    assert {name: agui["last"][name] for name in ("type", "message", "code")} == {
        "type": "RUN_ERROR", "message": REFUSAL, "code": "EmptyPromptError",
    }  # fmt: skip
    sdk = await play(node, packages, "ai_sdk.mjs", "refused", tmp_path)
    assert (sdk["last"], REFUSAL in sdk["error"]) == ("error", True)
