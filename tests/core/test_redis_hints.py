"""Hints over Redis while the server, or the way to it, is away."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from sessionstream import redis_hints
from sessionstream.redis_hints import RedisHints
from sessionstream.testing.hints_contract import Heard
from tests.servers.proxy import Proxy
from tests.servers.valkey import ValkeyServer


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_hints, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(redis_hints, "LONGEST_PAUSE", 0.1)


@asynccontextmanager
async def started(url: str) -> AsyncIterator[tuple[RedisHints, Heard]]:
    hints, heard = RedisHints(url), Heard()
    try:
        await hints.start("channel", heard)
        yield hints, heard
    finally:
        await hints.close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


async def test_a_restart_is_healed_with_one_warning(valkey: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sessionstream")
    async with started(valkey.url) as (hints, heard):
        await heard.until(lambda: heard.includes("before"), lambda: hints.send(["before"]))
        for number in (1, 2):
            valkey.stop(signal.SIGKILL)
            await heard.until(lambda: not hints.works)
            times = heard.all
            hints.send(["meanwhile"])
            valkey.start()
            await heard.until(partial(heard.includes, f"after {number}"), partial(hints.send, [f"after {number}"]))
            await heard.until(lambda: hints.works)
            assert heard.all == times + 1
            assert len(warnings(caplog)) == number
    assert str(valkey.socket) in warnings(caplog)[0]


async def test_what_is_sent_while_nothing_answers_is_sent_later(valkey: ValkeyServer) -> None:
    async with Proxy(valkey.socket) as proxy, started(valkey.url) as (hints, heard):
        await heard.until(lambda: hints.works)
        proxy.stall()
        async with started(f"redis://127.0.0.1:{proxy.port}") as (cut_off, _):
            cut_off.send(["first"])
            await proxy.requests.caught()
            cut_off.send(["second"])
            proxy.cut()
            proxy.go_on()
            await heard.until(lambda: heard.session_ids == {"first", "second"})


async def test_more_ids_than_can_wait_become_every_session(valkey: ValkeyServer) -> None:
    async with started(valkey.url) as (hints, heard):
        await heard.until(lambda: hints.works)
        times = heard.all
        hints.send([str(number) for number in range(redis_hints.LIMIT + 1)])
        await heard.until(lambda: heard.all == times + 1)
        assert not heard.session_ids


async def test_a_server_that_falls_silent_is_left(valkey: ValkeyServer) -> None:
    async with Proxy(valkey.socket) as proxy, started(f"redis://127.0.0.1:{proxy.port}") as (hints, heard):
        await heard.until(lambda: heard.includes("before"), lambda: hints.send(["before"]))
        times = heard.all
        proxy.stall()
        await heard.until(lambda: not hints.works)
        proxy.cut()
        proxy.go_on()
        await heard.until(lambda: heard.all > times and heard.includes("after"), lambda: hints.send(["after"]))
        assert hints.works


async def test_silence_without_hints_is_no_failure(valkey: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    async with Proxy(valkey.socket) as proxy, started(f"redis://127.0.0.1:{proxy.port}") as (hints, heard):
        await heard.until(lambda: hints.works)
        for _ in range(2):
            proxy.answers.stall()
            await proxy.answers.caught()  # of a ping
            proxy.answers.go_on()
        assert hints.works
        assert heard.all == 1
    assert not warnings(caplog)


async def test_a_connection_that_was_closed_while_idle_is_no_failure(
    valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Proxy(valkey.socket) as proxy, started(f"redis://127.0.0.1:{proxy.port}") as (hints, heard):
        await heard.until(lambda: heard.includes("a"), lambda: hints.send(["a"]))
        assert valkey.ask("CLIENT KILL TYPE normal SKIPME yes") == ":1"  # not that which listens
        await heard.until(lambda: proxy.connections == 1)
        hints.send(["b"])
        await heard.until(lambda: heard.includes("b"))
    assert not warnings(caplog)


async def test_closing_while_nothing_answers_is_quick(valkey: ValkeyServer) -> None:
    before = asyncio.all_tasks()
    async with Proxy(valkey.socket) as proxy:
        proxy.stall()
        async with started(f"redis://127.0.0.1:{proxy.port}") as (hints, _):
            hints.send(["a"])
            await proxy.requests.caught()
            async with asyncio.timeout(1):
                await hints.close()
    assert asyncio.all_tasks() == before


async def test_messages_of_others_on_the_channel_harm_nothing(valkey: ValkeyServer) -> None:
    async with started(valkey.url) as (hints, heard):
        await heard.until(lambda: hints.works)
        times = heard.all
        for message in ('"\\xff"', "'no JSON'", "7", "{}", """'["x", 7]'""", "null"):
            assert valkey.ask(f"PUBLISH channel {message}") == ":1"
        await heard.until(lambda: heard.includes("after"), lambda: hints.send(["after"]))
        assert heard.all == times + 4


async def test_a_password_is_given(valkey: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    valkey.stop()
    valkey.start("--requirepass", "s@cret")
    wrong = valkey.url.replace("unix://", "unix://default:wrong@")
    for url in (valkey.url, wrong):
        async with started(url) as (hints, heard):
            caplog.clear()
            await heard.until(lambda: bool(warnings(caplog)))
            assert not hints.works
        assert re.search("Authentication required|invalid username-password", caplog.text)
        assert "wrong@" not in caplog.text
    for user in (":s%40cret@", "default:s%40cret@"):
        async with started(valkey.url.replace("unix://", f"unix://{user}")) as (hints, heard):
            await heard.until(lambda: heard.includes("a"), lambda: hints.send(["a"]))


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 100_000, b"$x\r\n", b""])
async def test_another_kind_of_server_is_a_warning(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    class Other(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.WriteTransport)
            transport.write(answer)
            transport.close()

    async with await asyncio.get_running_loop().create_server(Other, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with started(f"redis://127.0.0.1:{port}") as (hints, heard):
            await heard.until(lambda: bool(warnings(caplog)))
            assert not hints.works
    assert f"127.0.0.1:{port}" in caplog.text


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made, key = tmp_path / "certificate", tmp_path / "key"
    subprocess.run([*command, *subject, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


async def test_over_tls(valkey: ValkeyServer, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    async with Proxy(valkey.socket, tls=context) as proxy:
        hints, heard = RedisHints(f"rediss://localhost:{proxy.port}?ssl_ca_certs={certificate[0]}"), Heard()
        await hints.start("channel", heard)
        await heard.until(lambda: heard.includes("a"), lambda: hints.send(["a"]))
        await hints.close()


@pytest.mark.parametrize(
    "url",
    ["localhost:6379", "http://localhost", "", "redis://", "unix://", "redis://a?nonsense=1", "redis://a:b"],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"url is|url has|[Pp]ort"):
        RedisHints(url)


def test_passwords_are_not_shown() -> None:
    assert repr(RedisHints("redis://user:secret@example/1")) == "RedisHints('example:6379')"
