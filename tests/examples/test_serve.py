"""``serve``: where it listens, what it lets a browser ask, whom it refuses, and how it ends."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sessionstream import MemoryStore, Snapshot, SQLiteStore
from sessionstream.examples.chatdemo import Chat, chat_schemas, cli
from sessionstream.examples.chatdemo.serve.app import web_app
from sessionstream.examples.chatdemo.serve.running import serve as running_serve
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity
from sessionstream.serving.address import Address
from sessionstream.serving.bodies import MAX_BYTES
from sessionstream.serving.running import RETURN_AFTER
from sessionstream.transport.ws import LiveEvent, WebSocketServer, connect

from ..browser.serving import Served
from ..transport.running import PATIENCE, served

START = "/commands/ChatStartInference"
JSON = {"content-type": "application/json"}


# -- addresses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port", "url"),
    [
        (cli.ADDRESS, "127.0.0.1", 8092, "http://127.0.0.1:8092/"),
        (":0", "127.0.0.1", 0, "http://127.0.0.1:0/"),
        ("LocalHost:80", "localhost", 80, "http://localhost:80/"),
        ("[::1]:8092", "::1", 8092, "http://[::1]:8092/"),
        ("0.0.0.0:1", "0.0.0.0", 1, "http://0.0.0.0:1/"),
    ],
)
def test_an_address(text: str, host: str, port: int, url: str) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.url(port)) == (host, port, url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8092",
        "localhost",
        "host:",
        "host:http",
        "host:65536",
        "host:-1",
        "me@host:1",
        "host:1/x",
        "host:1?x",
        "[::1:1",
    ],
)
def test_no_address(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        Address.parse(text)
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", f"--addr={text}"])
    assert caught.value.code == 2
    assert "write HOST:PORT, with a port up to 65535" in capsys.readouterr().err


def test_only_this_machine_may_come_where_only_it_can() -> None:
    assert Address.parse("127.0.0.2:1").names == {"localhost", "127.0.0.1", "::1", "127.0.0.2"}
    assert Address.parse("localhost:1").local
    for other in ("0.0.0.0:1", "example.org:1", "192.168.1.1:1", "[::]:1"):
        address = Address.parse(other)
        assert (address.local, address.names) == (False, None)


# -- the application ---------------------------------------------------------------------------------------------------


class Site:
    """The application under a real server."""

    def __init__(self, chat: Chat, address: str) -> None:
        self.chat = chat
        self.address = address
        self._at = address.removeprefix("ws://")

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request, with a body of bytes or of JSON; return status, headers and body."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return await asyncio.to_thread(self._ask, method, path, data, headers)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._at, timeout=PATIENCE)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    async def command(self, body: object, path: str = START, **headers: str) -> tuple[int, dict[str, Any]]:
        status, _, said = await self.ask("POST", path, body, {**JSON, **headers})
        return status, json.loads(said)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Chat(delay=0) as chat:
        server = WebSocketServer(chat.hub)
        chat.hub.set_fanout(server)
        async with served(web_app(chat, server, Address.parse(cli.ADDRESS).names), lifespan="off") as address:
            yield Site(chat, address)


@pytest.mark.parametrize(
    ("path", "media_type", "within"),
    [
        ("/", "text/html; charset=utf-8", b"<title>Chat"),
        ("/static/index.html", "text/html; charset=utf-8", b"<title>Chat"),
        ("/static/chat.css", "text/css; charset=utf-8", b"{"),
        ("/static/chat.js", "text/javascript; charset=utf-8", b"/static/sessionstream.js"),
        ("/static/icon.svg", "image/svg+xml", b"<svg"),
        ("/static/sessionstream.js", "text/javascript; charset=utf-8", b"export class Protocol"),
    ],
)
async def test_the_files_of_the_page(site: Site, path: str, media_type: str, within: bytes) -> None:
    status, headers, body = await site.ask("GET", path)
    assert (status, headers["content-type"]) == (200, media_type)
    assert within in body
    assert headers["content-security-policy"].startswith("default-src 'self'; frame-ancestors 'none'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/pages.py", "/static/..%2fpages.py", "/static/", "/elsewhere", "/commands/"])
async def test_nothing_else_is_served(site: Site, path: str) -> None:
    assert (await site.ask("GET", path))[0] in (404, 405)


async def test_a_command_is_taken_once_and_whoever_watches_hears_of_it(site: Site) -> None:
    body = {"sessionId": "s-1", "payload": {"prompt": "Explain ordinals"}, "idempotencyKey": "k-1"}
    async with connect(f"{site.address}/ws", schemas=chat_schemas()) as client:
        watching = client.subscribe("s-1")
        assert isinstance(await anext(watching), Snapshot)
        assert [await site.command(body) for _ in range(2)] == [(202, {}), (202, {})]
        names = []
        while "ChatMessageFinished" not in names:
            update = await anext(watching)
            assert isinstance(update, LiveEvent)
            names.append(update.name)
    await site.chat.wait("s-1")
    entities = (await site.chat.hub.snapshot("s-1")).entities
    assert [entity.id for entity in entities] == ["chat-msg-1-user", "chat-msg-1"]
    assert isinstance(entities[1].payload, ChatMessageEntity)
    assert entities[1].payload.text == "Answer: Explain ordinals"
    assert await site.command({"sessionId": "s-1"}, "/commands/ChatStopInference") == (202, {})


PROMPT = {"prompt": "Hello"}


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"{", 400, "a command is JSON"),
        (b"\xff", 400, "a command is JSON"),
        (b"[" * 50_000, 400, "a command is JSON"),
        (b'{"payload": {"prompt": "a\\ud83d"}}', 400, "half of a surrogate pair"),
        ([], 400, "a command is a JSON object"),
        ({"payload": PROMPT}, 400, "session id"),
        ({"sessionId": 7, "payload": PROMPT}, 400, "sessionId is a string"),
        ({"sessionId": "s", "payload": PROMPT, "idempotencyKey": ["k"]}, 400, "idempotencyKey is a string"),
        ({"sessionId": "s", "payload": PROMPT, "idempotencyKey": ""}, 400, "idempotency"),
        ({"sessionId": "s", "payload": {"prompt": 7}}, 400, "prompt"),
        ({"sessionId": "s", "payload": {"unknown": ""}}, 400, "unknown"),
        ({"sessionId": "s", "payload": None}, 400, "ChatStartInference"),
        ({"sessionId": "s", "payload": "Hello"}, 400, "ChatStartInference"),
        ({"sessionId": "s", "payload": {"prompt": "  "}}, 400, "prompt"),
        ({"sessionId": "s"}, 400, "prompt"),
        (b" " * (MAX_BYTES + 1), 413, f"at most {MAX_BYTES} bytes"),
    ],
)
async def test_what_is_no_command_changes_nothing(site: Site, body: object, status: int, why: str) -> None:
    said = await site.command(body)
    assert said[0] == status
    assert why in said[1]["error"]
    assert await site.chat.hub.cursor("s") == 0


async def test_a_command_that_is_not_there_and_one_of_the_wrong_type(site: Site) -> None:
    body = {"sessionId": "s", "payload": PROMPT}
    status, said = await site.command(body, "/commands/NoSuchThing")
    assert (status, "NoSuchThing" in said["error"]) == (404, True)
    for content_type in ("text/plain", "", "application/x-www-form-urlencoded"):
        status, said = await site.command(body, **{"content-type": content_type})
        assert (status, said["error"]) == (415, "a command is application/json")
    assert (await site.command(body, **{"content-type": "application/json; charset=utf-8"}))[0] == 202


async def test_an_idempotency_key_is_for_one_command(site: Site) -> None:
    body = {"sessionId": "s", "payload": PROMPT, "idempotencyKey": "k"}
    assert (await site.command(body))[0] == 202
    status, said = await site.command({**body, "payload": {}}, "/commands/ChatStopInference")
    assert (status, "'k'" in said["error"]) == (409, True)


async def test_commands_after_the_end(site: Site) -> None:
    await site.chat.close()
    status, said = await site.command({"sessionId": "s", "payload": PROMPT})
    assert (status, "shutting down" in said["error"]) == (503, True)


async def test_a_store_that_fails_is_an_error_of_the_server_s(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(chat_schemas())
    async with (
        Chat(store=store, delay=0) as chat,
        served(web_app(chat, WebSocketServer(chat.hub)), lifespan="off") as address,
    ):
        await store.close()
        said = await Site(chat, address).command({"sessionId": "s", "payload": PROMPT})
    assert said == (500, {"error": "the command failed; the server's log says why"})
    assert "a command failed" in caplog.text
    assert "Traceback" in caplog.text


async def test_a_request_that_breaks_off(site: Site) -> None:
    host, port = site.address.removeprefix("ws://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {START} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        'Content-Length: 999\r\n\r\n{"sessionId"'.encode()
    )
    await writer.drain()
    writer.transport.abort()
    assert (await site.command({"sessionId": "s", "payload": PROMPT}))[0] == 202


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8092", "localhost.evil.example", "[", ""])
async def test_requests_for_another_host_are_refused(site: Site, host: str) -> None:
    """As those of a page whose name was made to point at this machine. (400 is uvicorn's, for what is no host.)"""
    assert (await site.ask("GET", "/", headers={"host": host}))[0] in (400, 421)
    said = await site.ask("POST", START, {"sessionId": "s", "payload": PROMPT}, {**JSON, "host": host})
    assert said[0] in (400, 421)
    assert await site.chat.hub.cursor("s") == 0


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8092"])
async def test_requests_for_this_machine_are_answered(site: Site, host: str) -> None:
    assert (await site.ask("GET", "/", headers={"host": host}))[0] == 200


async def test_a_websocket_for_another_host_is_refused(site: Site) -> None:
    port = int(site.address.rpartition(":")[2])
    with pytest.raises(InvalidStatus) as caught:
        await dial("ws://evil.example/ws", host="127.0.0.1", port=port)
    assert caught.value.response.status_code == 403
    async with dial("ws://localhost/ws", host="127.0.0.1", port=port) as socket:
        assert "hello" in json.loads(await socket.recv())


# -- the process -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Served]:
    serving = Served(tmp_path / "chat.db")
    yield serving
    await serving.close()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_well_with_an_answer_under_way(
    process: Served, tmp_path: Path, by: signal.Signals
) -> None:
    """Whoever watches hears how the answer ended, and when to return; the next process finds nothing left over."""
    await process.start(delay=0.05)
    body = {"sessionId": "s-1", "payload": {"prompt": "Tell me something long. " * 200}}
    async with dial(f"{process.url.replace('http', 'ws')}ws") as socket:
        await socket.send('{"subscribe":{"sessionId":"s-1"}}')
        port = process.url.rpartition(":")[2].strip("/")
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)
        await asyncio.to_thread(connection.request, "POST", START, json.dumps(body), JSON)
        heard = ""
        async with asyncio.timeout(PATIENCE):
            while "ChatMessageAppended" not in heard:
                heard = str(await socket.recv())
            ending = asyncio.create_task(process.end(by))
            said = []
            with suppress(ConnectionClosed):
                while True:
                    said.append(json.loads(await socket.recv()))
        assert said[-1]["uiEvent"]["name"] == "ChatMessageStopped"
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (1012, f"retry-after={RETURN_AFTER:g}")
        await ending
        connection.close()
    assert names_in(tmp_path) == ["chat.db"]


async def test_a_chat_that_cannot_be_read_keeps_no_other_from_being_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In this process: an answer that was cut off is declared stopped, and the damaged chat is named in the log."""
    path = tmp_path / "chat.db"
    text = "Tell me something long. " * 50
    async with SQLiteStore.open(path, chat_schemas()) as store:
        chats = Chat(store=store, delay=60)
        async with chats.hub:
            for session_id in ("damaged", "other"):
                await chats.start(session_id, text)
            running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in running:  # as a process that is killed: nothing is said
                task.cancel()
            await asyncio.wait(running)
    with closing(sqlite3.connect(path)) as connection, connection:
        timeline = "SELECT timeline FROM sessions WHERE session_id = 'damaged'"
        changed = connection.execute(f"UPDATE entities SET payload = X'FF' WHERE timeline = ({timeline})")
        assert changed.rowcount > 0
    lines: asyncio.Queue[str] = asyncio.Queue()
    serving = asyncio.create_task(running_serve(Address.parse(":0"), str(path), 0.0, lines.put_nowait))
    async with asyncio.timeout(PATIENCE):
        url, where = await lines.get(), await lines.get()
        assert where == f"store: {path}"
        async with connect(f"{url.split()[1].replace('http', 'ws')}ws", schemas=chat_schemas()) as client:
            snapshot = await anext(client.subscribe("other"))
        signal.raise_signal(signal.SIGINT)
        await serving
    assert isinstance(snapshot, Snapshot)
    statuses = [entity.payload.status for entity in snapshot.entities if isinstance(entity.payload, ChatMessageEntity)]
    assert statuses == ["", "stopped"]
    assert "session 'damaged'" in caplog.text


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def chatdemo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "sessionstream.examples.chatdemo", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * 3,
    )


async def shown(process: Served, session_id: str = "s-1") -> list[str]:
    """What a page is shown of a chat: the text of each message, with its status."""
    async with connect(f"{process.url.replace('http', 'ws')}ws", schemas=chat_schemas()) as client:
        snapshot = await anext(client.subscribe(session_id))
    payloads = [entity.payload for entity in getattr(snapshot, "entities", ())]
    return [f"{each.status}:{each.text}" for each in payloads if isinstance(each, ChatMessageEntity)]


async def ask(process: Served, prompt: str) -> None:
    body = {"sessionId": "s-1", "payload": {"prompt": prompt}}
    connection = http.client.HTTPConnection(process.url.removeprefix("http://").strip("/"), timeout=PATIENCE)
    with closing(connection):
        await asyncio.to_thread(connection.request, "POST", START, json.dumps(body), JSON)
        assert (await asyncio.to_thread(connection.getresponse)).status == 202


@pytest.fixture
async def by_itself(tmp_path: Path) -> AsyncIterator[Served]:
    """A server that is told of no file."""
    serving = Served(None, tmp_path)
    yield serving
    await serving.close()


async def until(process: Served, beginning: str) -> list[str]:
    """What a page is shown, once its last message begins like this."""
    async with asyncio.timeout(PATIENCE):
        while True:
            said = await shown(process)
            if said and said[-1].startswith(beginning):
                return said


async def test_a_server_that_is_told_of_no_file_keeps_its_chats(by_itself: Served, tmp_path: Path) -> None:
    await by_itself.start()
    await ask(by_itself, "Explain ordinals")
    said = await until(by_itself, "finished:")
    await by_itself.end()
    assert names_in(tmp_path) == [cli.STORE]
    await by_itself.start()
    assert await shown(by_itself) == said
    await by_itself.end()
    await by_itself.start("--fresh")
    assert await shown(by_itself) == []
    await ask(by_itself, "Again")
    assert (await until(by_itself, "finished:"))[0] == ":Again"


async def test_an_answer_that_was_streamed_when_the_server_was_killed_is_shown_as_stopped(by_itself: Served) -> None:
    await by_itself.start(delay=60)
    await ask(by_itself, "Explain ordinals")
    (_, streamed) = await until(by_itself, "streaming:Answer")
    await by_itself.kill()
    await by_itself.start()
    assert await shown(by_itself) == [":Explain ordinals", streamed.replace("streaming", "stopped")]


async def test_a_second_server_of_the_same_file_is_refused(by_itself: Served, tmp_path: Path) -> None:
    await by_itself.start(delay=60)
    await ask(by_itself, "Explain ordinals")
    path = tmp_path / cli.STORE
    for options in ((), ("--fresh",)):
        ran = await asyncio.to_thread(chatdemo, "serve", "--addr", ":0", "--store", path, *options)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == (
            f"error: {path} is served by another process: end that one, or give another file with --store\n"
        )
    said = await shown(by_itself)
    assert said[-1].startswith("streaming:")  # it is as it was
    await by_itself.kill()  # which leaves nothing that would refuse the next one
    await by_itself.start()
    assert len(await shown(by_itself)) == len(said)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = chatdemo("serve", "--addr", f"127.0.0.1:{port}")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: cannot listen on http://127.0.0.1:{port}/: ")
    assert ran.stderr.endswith("; take another port with --addr, 0 for any that is free\n")
    assert (len(ran.stderr.splitlines()), "attempting" in ran.stderr) == (1, False)


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and none of them is a database. " * 100, "utf-8")
    ran = chatdemo("serve", "--addr", ":0", "--store", path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: ")
    assert "notes.txt" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert path.read_text("utf-8").startswith("These are notes")


def test_without_its_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "WEB", ("starlette", "no_such_package"))
    assert cli.main(["serve"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "the page needs a web server, and no_such_package is not installed:",
        "  pip install 'sessionstream[lab]'",
    ]
