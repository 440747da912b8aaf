"""What is refused over HTTP: what the client is told, and what the log says of it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from starlette.applications import Starlette
from starlette.routing import Mount

from sessionstream import Hub, SQLiteStore
from sessionstream.logs import LINES
from sessionstream.transport.http import (
    Admitted,
    ChatMapping,
    ChatMessage,
    agui_endpoint,
    ai_sdk_endpoint,
    commands_endpoint,
    sse_endpoint,
)
from sessionstream.transport.ws import WebSocketServer

from .. import notes
from ..asgi import Peer
from ..source import Source
from .support import SAY, World, client, code

EVENTS = "/sessions/s/events"
LONG = "x" * 1025


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def forbidding(scope: Any) -> str:
    raise PermissionError("no token")


async def test_an_authenticate_that_raises_is_a_warning_at_a_bounded_rate(caplog: pytest.LogCaptureFixture) -> None:
    async with client(sse_endpoint(World().hub, authenticate=forbidding)) as http:
        for _ in range(LINES + 5):
            assert code(await http.get(EVENTS)) == (403, "forbidden")
    line = "a request was refused with 403: authenticate raised PermissionError: no token"
    assert lines(caplog, logging.WARNING) == [line] * LINES + ["requests refused with 403: 5 more"]
    assert "in forbidding" in caplog.text
    assert lines(caplog, logging.ERROR) == []


async def test_an_authorize_that_raises_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    def broken(principal: object, session_id: str) -> bool:
        raise LookupError("the directory is down")

    async with client(sse_endpoint(World().hub, authorize=broken)) as http:
        assert code(await http.get(EVENTS)) == (403, "forbidden")
    assert lines(caplog, logging.ERROR) == [
        "a request was refused with 403: authorize failed for session 's': the client is refused"
    ]


async def test_a_principal_that_cannot_be_one_is_named(caplog: pytest.LogCaptureFixture) -> None:
    words = "authenticate returned a list as principal: return a hashable value, such as the id of a user"
    async with client(sse_endpoint(World().hub, authenticate=lambda scope: ["ada", "secret"])) as http:
        assert code(await http.get(EVENTS)) == (500, "internal")
    assert words in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("principal", ["", Admitted("")])
async def test_an_empty_principal_is_nobody(principal: object, caplog: pytest.LogCaptureFixture) -> None:
    """As ``headers.get("x-user", "")`` returns it for whoever is not signed in."""
    async with client(sse_endpoint(World().hub, authenticate=lambda scope: principal)) as http:
        assert code(await http.get(EVENTS)) == (401, "not_signed_in")
    assert lines(caplog, logging.WARNING) == ["a request was refused with 401: authenticate returned ''"]
    peer = Peer(WebSocketServer(Source(), authenticate=lambda scope: principal))
    await peer.ended()
    assert peer.status == 403


@pytest.mark.parametrize(
    ("answer", "challenge"),
    [
        (None, 'Bearer realm="sessionstream"'),
        ("past", 'Bearer realm="sessionstream", error="invalid_token"'),
    ],
)
async def test_who_is_not_signed_in_gets_a_challenge(answer: object, challenge: str) -> None:
    """RFC 9110 requires one with 401. For this one, browsers show no dialog."""
    from datetime import UTC, datetime

    principal = Admitted("ada", until=datetime(2020, 1, 1, tzinfo=UTC)) if answer == "past" else answer
    async with client(commands_endpoint(World().hub, authenticate=lambda scope: principal)) as http:
        refused = await http.post(SAY, json={})
        assert code(refused) == (401, "not_signed_in")
        assert refused.headers["www-authenticate"] == challenge
    if answer == "past":
        peer = Peer(WebSocketServer(Source(), authenticate=lambda scope: principal))
        await peer.ended()
        assert (peer.status, peer.headers[b"www-authenticate"]) == (401, challenge.encode())


MAPPING = ChatMapping(
    message=lambda entity: ChatMessage(entity.id, "user"),
    changes=lambda event: (),
    command=lambda message: ("Typo", StringValue()),
)
ASKING = {
    "threadId": "s", "runId": "r", "id": "s",
    "messages": [{"id": "u1", "role": "user", "content": "hi", "parts": []}],
}  # fmt: skip
CHATS = pytest.mark.parametrize("make", [agui_endpoint, ai_sdk_endpoint])


@CHATS
async def test_a_command_that_only_the_mapping_knows_is_in_the_log(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    endpoint = make(World().hub, MAPPING)
    async with client(Starlette(routes=[Mount("/chat", endpoint)])) as http:
        answer = await http.post("/chat/", json=ASKING)
        assert "the command failed; the server's log says why" in answer.text
        assert "Typo" not in answer.text
        await endpoint.shutdown()
    assert lines(caplog, logging.ERROR) == [
        "command 'Typo' of session 's' was answered with 500 command_failed: ChatMapping.command has named it, and the "
        "hub has no handler for it"
    ]


# -- ids and paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [sse_endpoint, agui_endpoint, ai_sdk_endpoint])
async def test_an_id_that_no_session_can_have(make: Any) -> None:
    endpoint = make(World().hub) if make is sse_endpoint else make(World().hub, MAPPING)
    async with client(Starlette(routes=[Mount("/at", endpoint)])) as http:
        if make is sse_endpoint:
            refused = await http.get(f"/at/sessions/{LONG}/events")
        else:
            refused = await http.post("/at/", json={**ASKING, "threadId": LONG, "id": LONG})
        assert code(refused) == (400, "invalid_id")
        assert "1025 bytes" in refused.json()["error"]["message"]


async def test_a_session_of_an_old_file_that_has_such_an_id(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    hub = notes.application()
    async with SQLiteStore.open(path, hub.schemas) as store:
        written = notes.application(store)
        await notes.publish(written, "s")
        await written.shutdown()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE sessions SET session_id = ?", (LONG,))
        db.commit()
    async with SQLiteStore.open(path, hub.schemas) as store:
        served = notes.application(store)
        async with client(sse_endpoint(served)) as http, http.stream("GET", f"/sessions/{LONG}/events") as response:
            assert response.status_code == 200
            await served.shutdown()
    await hub.shutdown()


async def test_a_line_break_in_a_path_does_not_come_through_a_mount_of_starlette() -> None:
    """The reference says so; the endpoint itself takes it."""
    endpoint = commands_endpoint(World().hub)
    async with client(endpoint) as http:
        assert (await http.post("/sessions/a%0Ab/commands/Say", json={})).status_code == 200
    async with client(Starlette(routes=[Mount("/api", endpoint)])) as http:
        refused = await http.post("/api/sessions/a%0Ab/commands/Say", json={})
        assert (refused.status_code, refused.text) == (404, "Not Found")


@CHATS
async def test_a_path_below_a_chat_that_is_none_of_its_own(make: Any) -> None:
    endpoint = make(World().hub, MAPPING)
    async with client(Starlette(routes=[Mount("/api/chat", endpoint)])) as http:
        for path in ("/api/chat/x/foo", "/api/chat/x"):
            assert code(await http.get(path)) == (404, "not_found")
        assert code(await http.get("/api/chat/")) == (405, "method_not_allowed")
        assert code(await http.put("/api/chat/")) == (405, "method_not_allowed")
        if make is ai_sdk_endpoint:
            assert code(await http.put("/api/chat/x/stream")) == (405, "method_not_allowed")


# -- arguments ---------------------------------------------------------------------------------------------


def test_errors_that_are_no_mapping() -> None:
    for errors in (ValueError, [ValueError], 422):
        with pytest.raises(TypeError, match=r"errors must be a mapping, such as \{ValueError: 422\}, not "):
            commands_endpoint(Hub(World().hub.schemas), errors=errors)  # type: ignore[arg-type]
