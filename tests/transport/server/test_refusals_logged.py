"""Who is refused is in the log of an ordinary server, with the reason, and never floods it."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_sync

from sessionstream.logs import LINES, BoundedLog
from sessionstream.transport.ws import Limits, WebSocketServer
from sessionstream.transport.ws.wire.budget import WINDOW

from ..asgi import ManualClock, Peer, peers
from ..running import unused_port
from ..source import Source


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


SERVED = """
from sessionstream import Hub, SchemaRegistry
from sessionstream.transport.ws import WebSocketServer

def authenticate(scope):
    if b"token" not in dict(scope["headers"]):
        raise PermissionError("no token")
    return "ada"

app = WebSocketServer(Hub(SchemaRegistry()), authenticate=authenticate)
"""


def test_under_uvicorn_as_it_is_started_the_log_says_which_origin_was_refused(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(SERVED, encoding="utf-8")
    port = unused_port()
    command = [sys.executable, "-m", "uvicorn", "--port", str(port), "served:app"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("Application startup complete" in line for line in process.stderr)
        assert any("Uvicorn running" in line for line in process.stderr)
        for headers in ({"Origin": "https://evil.example"}, {}):
            with pytest.raises(InvalidStatus):
                connect_sync(f"ws://127.0.0.1:{port}/ws", additional_headers=headers)
    finally:
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=30)
    assert re.search(
        "^a handshake was refused with 403: the origin https://evil.example is not this server's", printed, re.MULTILINE
    )
    assert "a handshake was refused with 403: authenticate raised PermissionError: no token" in printed
    assert re.search(r'File ".*served\.py", line 7, in authenticate', printed)


def raising(*_: object) -> Any:
    raise LookupError("the directory is down")


@pytest.mark.parametrize(
    ("options", "scope", "why"),
    [
        (
            {},
            {"headers": [(b"host", b"a"), (b"origin", b"https://b")]},
            "403: the origin https://b is not this server's",
        ),
        ({"allowed_origins": []}, {"headers": [(b"origin", b"https://b")]}, "403: the origin https://b is not in"),
        ({"authenticate": lambda scope: None}, {}, "403: authenticate returned None"),
        ({"authenticate": raising}, {}, "403: authenticate raised LookupError: the directory is down"),
    ],
)
async def test_a_refused_handshake_is_one_warning(
    options: dict[str, Any], scope: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    await Peer(WebSocketServer(Source(), **options), **scope).ended()
    (line,) = lines(caplog)
    assert line.startswith(f"a handshake was refused with {why}")
    assert [bool(record.exc_info) for record in caplog.records] == [options.get("authenticate") is raising]


async def test_a_limit_that_refuses_is_one_warning_for_each_handshake(caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(connections=2, connections_per_principal=1)
    server = WebSocketServer(Source(), authenticate=lambda scope: scope["path"], limits=limits)
    async with peers(server, 1, path="/ada"):
        await Peer(server, path="/ada").ended()
        async with peers(server, 1, path="/bob"):
            await Peer(server, path="/eve").ended()
    assert lines(caplog) == [
        "a handshake was refused with 503: '/ada' has 1 connections already",
        "a handshake was refused with 503: there are 2 connections already",
    ]


async def test_a_refused_subscription_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    server = WebSocketServer(Source(), authenticate=lambda scope: "ada", authorize=lambda who, session: False)
    async with peers(server, 1) as (peer,):
        peer.subscribe("s")
        assert (await peer.hear())["error"]["code"] == "unauthorized"
    assert lines(caplog) == ["a subscription was refused: authorize('ada', 's') did not return True"]


async def test_an_authorize_that_fails_is_one_error_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async with peers(WebSocketServer(Source(), authorize=raising), 1) as (peer,):
        peer.subscribe("s")
        assert (await peer.hear())["error"]["code"] == "unauthorized"
    assert lines(caplog, logging.ERROR) == ["authorize failed for session 's': the client is refused"]
    assert "in raising" in caplog.text
    assert lines(caplog) == []


@pytest.mark.parametrize(
    ("limits", "frame", "why"),
    [
        (Limits(frame_bytes=10), "x" * 11, "1009: a frame of 11 bytes; 10 are allowed"),
        (Limits(frames_burst=1), "{}", "1008: too many frames, whatever the answer"),
    ],
)
async def test_a_client_that_is_sent_away_by_a_limit_is_one_warning(
    limits: Limits, frame: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await Peer(WebSocketServer(Source(), limits=limits, clock=ManualClock())).accepted()
    for _ in range(1 + WINDOW + 1):
        peer.say(frame)
    assert await peer.ended() == int(why[:4])
    assert lines(caplog) == [f"connection {peer.id} was closed with {why}"]


async def test_refusals_are_logged_at_a_bounded_rate_and_the_others_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    server = WebSocketServer(
        Source(), allowed_origins=["https://a"], limits=Limits(connections=3, heartbeat_seconds=None), clock=clock
    )

    async def refused(times: int) -> None:
        for _ in range(times):
            await Peer(server, headers=[(b"origin", b"https://evil.example")]).ended()

    await refused(LINES + 1_234)
    assert len(lines(caplog)) == LINES
    async with peers(server, 3):
        await Peer(server).ended()  # another kind of refusal is not drowned by the first
        assert lines(caplog)[LINES:] == ["a handshake was refused with 503: there are 3 connections already"]
        await clock.advance(61)
        assert lines(caplog)[LINES + 1 :] == ["handshakes refused with 403: 1,234 more"]
    await refused(LINES + 2)
    assert len(lines(caplog)) == 2 * LINES + 2
    await clock.advance(61)
    await refused(1)
    assert lines(caplog)[2 * LINES + 2 :] == ["handshakes refused with 403: 2 more", lines(caplog)[0]]
    await refused(LINES)
    await server.shutdown()
    assert lines(caplog)[-1] == "handshakes refused with 403: 1 more"


async def test_an_observer_that_always_fails_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with peers(WebSocketServer(Source(), observer=raising), 1) as (peer,):
        for _ in range(LINES):
            await peer.subscribed("s")
    assert len(lines(caplog, logging.ERROR)) == LINES
    assert lines(caplog, logging.ERROR)[0] == "the connection observer failed on 'connected'"


def test_what_a_client_sends_makes_no_long_line(caplog: pytest.LogCaptureFixture) -> None:
    log = BoundedLog()
    log.log("refusals", "x" * 10_000)
    assert len(lines(caplog)[0]) < 1_000


async def test_a_source_that_fails_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        async def snapshot(self, session_id: str, *, since: int | None = None) -> Any:
            await asyncio.sleep(0)
            raising()

    async with peers(WebSocketServer(Failing()), 1) as (peer,):
        peer.subscribe("s")
        assert (await peer.hear())["error"]["code"] == "snapshot_failed"
    (line,) = lines(caplog)
    assert line == "the snapshot of session 's' could not be loaded: LookupError: the directory is down"
    assert "in raising" in caplog.text
