"""Conversations recorded from an existing server, held again with this one: frames have to be equal as JSON."""

from __future__ import annotations

from typing import Any

from sessionstream.examples.chatdemo import Chat
from sessionstream.transport.ws import WebSocketServer
from sessionstream.transport.ws.conformance import load

from ..running import Client, client, served

TRANSCRIPTS: dict[str, list[dict[str, Any]]] = load("transcripts")


def comparable(frame: dict[str, Any]) -> dict[str, Any]:
    """A frame without what may differ: connection ids and the wording of errors."""
    if "hello" in frame:
        return {"hello": set(frame["hello"])}
    if "error" in frame:
        return {"error": {**frame["error"], "message": bool(frame["error"].get("message"))}}
    return frame


async def play(transcript: list[dict[str, Any]], connected: Client, chat: Chat) -> None:
    for number, step in enumerate(transcript[1:], start=1):
        match step["dir"]:
            case "client":
                await connected.say(step["raw"])
            case "do":
                await chat.start("s-1", step["submit"])
            case "server":
                assert comparable(await connected.hear()) == comparable(step["json"]), f"step {number}"


async def test_the_recorded_conversations() -> None:
    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub)
        chat.hub.set_fanout(server)
        async with served(server) as address:
            for name in ("live", "reconnect_since", "frames_one_by_one"):
                async with client(address) as connected:
                    await play(TRANSCRIPTS[name], connected, chat)
