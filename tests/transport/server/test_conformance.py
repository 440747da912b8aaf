"""The server holds the conversations that the wire contract is made of."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sessionstream import Hub
from sessionstream.transport.ws import Limits, WebSocketServer
from sessionstream.transport.ws.conformance import load

from .. import notes
from ..running import Client, served
from ..scripts import Script, Step, Variables, scripts

SETTINGS = load("server")["settings"]
LIMITS = Limits(
    subscriptions_per_connection=SETTINGS["subscriptions"],
    frame_bytes=SETTINGS["frameBytes"],
    frames_burst=SETTINGS["framesBurst"],
    frames_per_second=SETTINGS["framesPerSecond"],
)


class Runner:
    """Plays the clients and the application."""

    def __init__(self, address: str, hub: Hub, server: WebSocketServer, stack: AsyncExitStack) -> None:
        self.address = address
        self.hub = hub
        self.server = server
        self.stack = stack
        self.clients: dict[str, Client] = {}
        self.open: set[str] = set()
        self.variables = Variables()

    async def take(self, step: Step) -> None:
        client = self.clients.get(step.get("on", ""))
        match step:
            case {"connect": name}:
                offered = step.get("offers")
                connecting = connect(self.address, compression=None, subprotocols=offered)
                socket = await self.stack.enter_async_context(connecting)
                self.clients[name] = Client(socket)
                self.open.add(name)
            case {"client": frame} if client:
                await client.say(self.variables.filled(frame))
            case {"raw": text} if client:
                await client.socket.send(text)
            case {"binary": text} if client:
                await client.socket.send(text.encode())
            case {"publish": what}:
                await notes.publish(self.hub, what["session"], **{key: what[key] for key in what if key != "session"})
            case {"rebuild": session_id}:
                await self.hub.rebuild_timeline(session_id)
            case {"shutdown": seconds}:
                self.stack.push_async_callback(self.server.shutdown, seconds)
                await self.server.shutdown(seconds)
            case {"server": frame} if client:
                self.variables.check(await client.hear(), frame)
            case {"closed": {"code": code, "reason": reason}, "on": name} if client:
                with pytest.raises(ConnectionClosed):
                    await client.hear()
                heard = {"code": client.socket.close_code, "reason": client.socket.close_reason}
                self.variables.check(heard, {"code": code, "reason": reason})
                self.open.discard(name)
            case {"selects": name} if client:
                assert client.socket.subprotocol == name
            case _:
                raise AssertionError(f"a step that means nothing: {step}")

    async def nothing_is_left(self) -> None:
        """The answer to a ping is the next that every client hears."""
        for name in sorted(self.open):
            await self.clients[name].say({"ping": {"nonce": "what is left"}})
            assert await self.clients[name].hear() == {"pong": {"nonce": "what is left"}}, name


def _doing(step: Step) -> bool:
    return not {"server", "closed", "selects"} & set(step)


async def play(script: Script) -> None:
    async with notes.application() as hub, AsyncExitStack() as stack:
        server = WebSocketServer(hub, limits=LIMITS)
        hub.set_fanout(server)
        address = await stack.enter_async_context(served(server))
        runner = Runner(address, hub, server, stack)
        for number, step in enumerate(script["steps"]):
            try:
                await runner.take(step)
            except Exception as error:
                error.add_note(f"in step {number}: {json.dumps(step)[:200]}")
                raise
            # A ping among the client's frames would be in the way of their answers; elsewhere it is in nobody's.
            if not _doing(step) and all(_doing(after) for after in script["steps"][number + 1 : number + 2]):
                await runner.nothing_is_left()


@pytest.mark.parametrize("script", scripts("server"), ids=lambda script: script["name"])
async def test_a_script(script: Script) -> None:
    await play(script)


async def test_a_frame_that_no_step_expects_is_noticed() -> None:
    steps = [step for step in scripts("server")[1]["steps"] if not ("server" in step and "two" in json.dumps(step))]
    with pytest.raises(AssertionError, match=r"uiEvent|what is left"):
        await play({"steps": steps})
