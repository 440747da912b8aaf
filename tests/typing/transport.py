"""The WebSocket transport in typed use: checked by mypy --strict and pyright, never run."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any, assert_type

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

import sessionstream as ss
from sessionstream.transport import ws


async def authenticate(scope: dict[str, Any]) -> str | None:
    return str(scope["path"])


def admit(scope: dict[str, Any]) -> ws.Admitted:
    return ws.Admitted(str(scope["path"]), until=datetime.fromtimestamp(1, UTC))


def authorize(principal: str, session_id: str) -> bool:
    return session_id.startswith(principal)


def never(overflow: ws.Overflow) -> AbstractSet[str]:
    assert_type(overflow.frames, int)
    return set(overflow.ui_sizes)


def observe(record: ws.ConnectionRecord) -> None:
    assert_type(record.stage, ws.Stage)


async def serve(hub: ss.Hub, source: ss.SnapshotSource) -> None:
    server = ws.WebSocketServer(
        hub,
        allowed_origins=["https://app.example"],
        authenticate=authenticate,
        authorize=authorize,
        limits=ws.Limits(connections=5, heartbeat_seconds=None),
        slow_consumers=never,
        observer=observe,
    )
    ws.WebSocketServer(source, authenticate=admit)
    ws.WebSocketServer(source, authenticate=lambda scope: "x", slow_consumers=ws.conflate)
    hub.set_fanout(server)
    fanout: ss.UIFanout = server
    fanout.publish_ui("s", 1, [])
    server.resync("s")
    Starlette(routes=[WebSocketRoute("/ws", server), Mount("/other", server)])
    FastAPI().mount("/ws", server)
    assert_type(server.connections(), list[ws.ConnectionInfo])
    assert_type(server.connections()[0].subscriptions, tuple[str, ...])
    assert_type(server.connections()[0].lag, float)
    assert_type(await server.revoke("ada", "s", reason="you left"), int)
    assert_type(await server.revoke("ada"), int)
    await server.shutdown(retry_after=2.5)
    assert_type(ws.CLOSE_CODES[0].reconnect in ("no", "at once"), bool)


async def token() -> dict[str, str]:
    return {"Authorization": "Bearer …"}


async def address() -> str:
    return "wss://app.example/ws"


def show(state: ws.ConnectionState) -> None:
    assert_type(state.retry_in, float | None)
    assert_type(state.status, int | None)


async def watch(registry: ss.SchemaRegistry) -> None:
    client = ws.connect("wss://app.example/ws", schemas=registry, headers=token, backoff=ws.Backoff(1, 2, 60))
    ws.connect("ws://127.0.0.1/ws", headers={"Cookie": "…"}, heartbeat_seconds=None)
    ws.connect(lambda: "ws://127.0.0.1/ws", subprotocols=["sessionstream.v1", "token.…"], on_state=show)
    ws.connect(address, subprotocols=lambda: ["sessionstream.v1"], refusal=lambda status, attempt: attempt < status)
    client.reconnect()
    assert_type(client.state, ws.ConnectionState)
    async with client as entered, entered.subscribe("s") as updates:
        assert_type(entered, ws.Client)
        assert_type(updates, ws.Updates)
        assert_type(await anext(updates), ss.Snapshot | ws.LiveEvent)
        async for update in updates:
            match update:
                case ws.JsonSnapshot():
                    assert_type(update.entities, tuple[ws.JsonEntity, ...])
                case ss.Snapshot():
                    assert_type(update.entities, tuple[ss.TimelineEntity, ...])
                case ws.LiveEvent():
                    assert_type(update.ordinal, int)
        await updates.aclose()


def what_went_wrong(error: ss.TransportError) -> object:
    match error:
        case ws.SubscriptionEnded():
            return assert_type(error.code, str)
        case ws.ConnectionEnded():
            return assert_type(error.code, int)
        case ws.HandshakeRefused():
            return assert_type(error.status, int)
        case ws.UnexpectedPayload():
            return assert_type(error.expected, str)
        case _:
            return None
