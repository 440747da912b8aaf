"""Server-sent events: the story of a session, come back to where it was left, and how a stream ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from sessionstream import Event, Hub, MemoryStore, SQLiteStore, StoreError
from sessionstream.transport.http import Admitted, SSEEndpoint, StreamLimits, sse_endpoint
from sessionstream.transport.ws import WebSocketServer

from .. import notes
from ..asgi import ManualClock
from ..running import PATIENCE
from ..running import client as ws_client
from .events import Source, notes_of, watching
from .support import client, code, until


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[tuple[Hub, SSEEndpoint, httpx2.AsyncClient]]:
    hub = options.pop("hub", None) or notes.application()
    endpoint = sse_endpoint(hub, **options)
    async with client(endpoint) as http:
        yield hub, endpoint, http


# -- the story ---------------------------------------------------------------------------------------------


async def test_a_snapshot_and_then_each_event() -> None:
    async with world() as (hub, endpoint, http):
        await notes.publish(hub, "s", put={"a": "1"})
        async with watching(http) as source:
            snapshot = await source.snapshot()
            assert notes_of(snapshot) == {"a": "1"}
            assert (snapshot["sessionId"], snapshot["snapshotOrdinal"], "since" in snapshot) == ("s", "1", False)
            assert source.last_id == f"{snapshot['epoch']}:1"
            await notes.publish(hub, "s", tell=["x", "y", "z"])
            await notes.publish(hub, "s")
            await notes.publish(hub, "t", tell=["elsewhere"])
            await notes.publish(hub, "s", tell=["w"])
            ids = [(await source.told(), source.last_id.partition(":")[2]) for _ in range(4)]
            assert ids == [((2, "x"), "1"), ((2, "y"), "1"), ((2, "z"), "2"), ((4, "w"), "4")]
            assert endpoint.streams == 1
        await until(lambda: endpoint.streams == 0)


async def test_the_headers_that_proxies_need() -> None:
    async with world() as (_, _, http), watching(http) as source:
        headers = source.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert "content-length" not in headers
        first = await source.block()
        assert first is not None
        assert (first.data, first.comments) == ([], [""])
        await source.snapshot()
        assert 2_000 <= source.retry <= 4_000


async def test_the_frames_are_those_of_the_websocket() -> None:
    hub = notes.application()
    server = WebSocketServer(hub)
    hub.set_fanout(server)
    app = Starlette(routes=[WebSocketRoute("/ws", server), Mount("/", sse_endpoint(hub))])
    async with client(app) as http, AsyncExitStack() as stack:
        await notes.publish(hub, "s", put={"a": "1", "o": None})
        socket = await stack.enter_async_context(ws_client(str(http.base_url).replace("http:", "ws:") + "/ws"))
        frames = (await socket.subscribe("s", delta=True))[:1]
        source = await stack.enter_async_context(watching(http))
        assert await source.hear() == ("snapshot", frames[0]["snapshot"])
        await notes.publish(hub, "s", tell=["ü\n\r\n\u2028\U0001f600", None])
        for _ in range(2):
            assert await source.hear() == ("uiEvent", (await socket.hear())["uiEvent"])


async def test_a_session_that_nobody_has_used_and_an_id_with_any_characters() -> None:
    async with world() as (hub, _, http), watching(http, "a%2Fb%20%C3%BC") as source:
        snapshot = await source.snapshot()
        assert (snapshot["sessionId"], notes_of(snapshot)) == ("a/b ü", {})
        await notes.publish(hub, "a/b ü", tell=["x"])
        assert await source.told() == (1, "x")


async def test_a_large_snapshot_comes_in_pieces() -> None:
    async with world() as (hub, _, http):
        many = {f"n{number}": "x" * 100 for number in range(2_000)}
        await notes.publish(hub, "s", put=many)
        for _ in range(2):
            async with watching(http) as source:
                assert notes_of(await source.snapshot()) == many


# -- to come back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["header", "query", "both"])
async def test_who_comes_back_gets_what_has_changed(by: str) -> None:
    async with world() as (hub, _, http):
        await notes.publish(hub, "s", put={"a": "1", "b": "1", "c": "1"})
        async with watching(http) as source:
            await source.snapshot()
        await notes.publish(hub, "s", put={"b": "2"}, drop=["c"], tell=["missed"])
        told: dict[str, Any] = {}
        if by != "query":
            told["headers"] = {"last-event-id": source.last_id}
        if by != "header":
            told["params"] = {"last_event_id": source.last_id if by == "query" else "1:1"}
        async with watching(http, **told) as source:
            snapshot = await source.snapshot()
            assert (snapshot["since"], snapshot["snapshotOrdinal"]) == ("1", "2")
            assert notes_of(snapshot) == {"b": "2", "c": None}
            await notes.publish(hub, "s", tell=["x"])
            assert await source.told() == (3, "x")
        async with watching(http, headers={"last-event-id": source.last_id}) as source:
            snapshot = await source.snapshot()
            assert (snapshot["since"], notes_of(snapshot)) == ("3", {})


@pytest.mark.parametrize(
    "position",
    ["", "1", "1:", ":1", "x:1", "1:-1", "0:1", "1:1", "{epoch}:0", "{epoch}:3", "{epoch}:18446744073709551615",
     "{epoch}:18446744073709551616", "9999999999999999:1", "{epoch}:1 ", "\xff:1", "{epoch}:" + "9" * 5_000],
)  # fmt: skip
@pytest.mark.parametrize("durable", [False, True])
async def test_a_position_that_leads_nowhere_gets_everything(position: str, durable: bool, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        store: Any = MemoryStore(notes.registry())
        if durable:
            store = await stack.enter_async_context(SQLiteStore.open(tmp_path / "x.db", notes.registry()))
        hub = await stack.enter_async_context(notes.application(store))
        messages: list[bytes] = []
        await notes.publish(hub, "s", put={"a": "1"})
        await notes.publish(hub, "s", put={"b": "1"})
        epoch = (await hub.snapshot("s")).epoch
        told = position.format(epoch=epoch).encode("latin-1")
        headers = [(b"last-event-id", told)]
        body = await first_bytes(sse_endpoint(hub), headers, messages)
        snapshot = body.partition(b"data: ")[2]
        assert b'"since"' not in snapshot
        assert snapshot.count(b'"kind":"Note"') == 2


async def first_bytes(endpoint: SSEEndpoint, headers: list[tuple[bytes, bytes]], got: list[bytes]) -> bytes:
    """Call the application itself; return what it sends up to the end of its first block with data."""
    gone, enough = asyncio.Event(), asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        got.append(message.get("body", b""))
        if b"data: " in b"".join(got) and got[-1].endswith(b"\n\n"):
            enough.set()

    scope = {"type": "http", "method": "GET", "path": "/sessions/s/events", "headers": headers, "query_string": b""}
    request = asyncio.create_task(endpoint(scope, receive, send))
    async with asyncio.timeout(PATIENCE):
        await enough.wait()
        gone.set()
        await request
    return b"".join(got)


async def test_a_rebuild_under_an_open_stream_and_under_one_that_comes_back() -> None:
    async with world() as (hub, _, http):
        await notes.publish(hub, "s", put={"a": "1"})
        async with watching(http) as source:
            first = await source.snapshot()
            await hub.rebuild_timeline("s")
            again = await source.snapshot()
            assert again["epoch"] != first["epoch"]
            assert ("since" in again, notes_of(again)) == (False, {"a": "1"})
            await notes.publish(hub, "s", tell=["x"])
            assert (await source.told(), source.last_id) == ((2, "x"), f"{again['epoch']}:2")
        async with watching(http, headers={"last-event-id": f"{first['epoch']}:1"}) as source:
            assert "since" not in await source.snapshot()


async def test_clients_of_two_processes_on_one_file(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        hubs, clients = [], []
        for _ in range(2):
            store = await stack.enter_async_context(SQLiteStore.open(tmp_path / "x.db", notes.registry()))
            hub = await stack.enter_async_context(notes.application(store))
            clients.append(await stack.enter_async_context(client(sse_endpoint(hub))))
            hubs.append(hub)
        sources = []
        for http in clients:
            sources.append(await stack.enter_async_context(watching(http)))
            await sources[-1].snapshot()
        for number in range(4):
            await notes.publish(hubs[number % 2], "s", put={"n": str(number)}, tell=[str(number)])
        for source in sources:
            told: list[Any] = []
            while not told or told[-1] != (4, "3"):
                member, frame = await source.hear() or ("", {})
                if member == "snapshot":  # a hint that came before the other process had left its rows
                    told = [(int(frame["snapshotOrdinal"]), frame["entities"][0]["payload"]["value"])]
                else:
                    told.append((int(frame["eventOrdinal"]), frame["payload"]["value"]))
            assert told == sorted(told)


# -- heartbeats and slow clients ---------------------------------------------------------------------------


async def test_an_idle_client_gets_a_comment_now_and_then() -> None:
    clock = ManualClock()
    async with world(clock=clock) as (hub, _, http), watching(http) as source:
        await source.snapshot()
        for expected in (1, 2):
            await clock.advance(14)
            await clock.advance(2)
            block = await source.block()
            assert block is not None
            assert (block.data, block.comments, source.pings) == ([], ["ping"], expected)
        await clock.advance(10)
        await notes.publish(hub, "s", tell=["x"])
        assert await source.told() == (1, "x")
        await clock.advance(14)
        await notes.publish(hub, "s", tell=["y"])
        assert (await source.told(), source.pings) == ((2, "y"), 2)


class Stuck:
    """A client that takes nothing more, once it has ``enough``, or from ``stop_reading`` on, until ``read``."""

    def __init__(self, endpoint: SSEEndpoint, enough: bytes = b"never said") -> None:
        self._enough = enough
        self.got = b""
        self.finished = False
        self._reads = asyncio.Event()
        self._reads.set()
        self._gone = asyncio.Event()
        self.blocked = asyncio.Event()
        scope = {"type": "http", "method": "GET", "path": "/sessions/s/events", "headers": [], "query_string": b""}
        self.task = asyncio.create_task(endpoint(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if not self._reads.is_set():
            self.blocked.set()
        await self._reads.wait()
        assert not self.finished
        self.got += message.get("body", b"")
        if self._enough in self.got:
            self._enough = b"never said"
            self._reads.clear()
        self.finished = message["type"] == "http.response.body" and not message["more_body"]

    def stop_reading(self) -> None:
        self._reads.clear()

    def read(self) -> None:
        self._reads.set()

    def leave(self) -> None:
        self._gone.set()


async def test_a_client_that_takes_nothing_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    clock, hub = ManualClock(), notes.application()
    endpoint = sse_endpoint(hub, clock=clock)
    stuck = Stuck(endpoint)
    await until(lambda: b"snapshot" in stuck.got)
    stuck.stop_reading()
    await notes.publish(hub, "s", tell=["x"])
    await asyncio.wait_for(stuck.blocked.wait(), PATIENCE)
    await clock.advance(19)
    assert endpoint.streams == 1
    await clock.advance(2)
    await asyncio.wait_for(stuck.task, PATIENCE)
    assert (endpoint.streams, stuck.finished) == (0, False)
    assert "cut off" in caplog.text


async def test_a_heartbeat_that_is_not_taken_cuts_off_too() -> None:
    clock, hub = ManualClock(), notes.application()
    endpoint = sse_endpoint(hub, clock=clock)
    stuck = Stuck(endpoint)
    await until(lambda: b"snapshot" in stuck.got)
    stuck.stop_reading()
    await clock.advance(16)
    await asyncio.wait_for(stuck.blocked.wait(), PATIENCE)
    await clock.advance(21)
    await asyncio.wait_for(stuck.task, PATIENCE)
    assert endpoint.streams == 0


async def test_the_end_of_a_stream_that_is_not_taken_is_given_up() -> None:
    clock, hub = ManualClock(), notes.application()
    endpoint = sse_endpoint(hub, clock=clock)
    stuck = Stuck(endpoint)
    await until(lambda: b"snapshot" in stuck.got)
    stuck.stop_reading()
    ending = asyncio.create_task(endpoint.shutdown())
    await asyncio.wait_for(stuck.blocked.wait(), PATIENCE)
    await clock.advance(21)
    await asyncio.wait_for(ending, PATIENCE)
    await asyncio.wait_for(stuck.task, PATIENCE)
    assert not stuck.finished


async def test_a_snapshot_that_is_cut_off_is_no_event() -> None:
    """What stands behind a part of a snapshot would be part of it, so nothing does."""
    hub = notes.application()
    await notes.publish(hub, "s", put={f"n{number}": "x" * 200 for number in range(2_000)})
    endpoint = sse_endpoint(hub)
    slow = Stuck(endpoint, enough=b"snapshot")
    await asyncio.wait_for(slow.blocked.wait(), PATIENCE)
    assert await endpoint.revoke(None) == 1
    slow.read()
    await asyncio.wait_for(slow.task, PATIENCE)
    assert slow.finished
    assert b"unauthorized" not in slow.got
    assert not slow.got.endswith(b"\n\n")


async def test_a_slow_client_gets_a_snapshot_in_place_of_what_it_missed_and_holds_up_nobody() -> None:
    hub = notes.application()
    endpoint = sse_endpoint(hub, limits=StreamLimits(buffered_events=3))
    slow, quick = Stuck(endpoint), Stuck(endpoint)
    await until(lambda: b"snapshot" in slow.got and b"snapshot" in quick.got)
    slow.stop_reading()
    for number in range(10):
        await notes.publish(hub, "s", put={"n": str(number)}, tell=[str(number)])
        await until(lambda: quick.got.count(b"uiEvent") == number + 1)  # noqa: B023 - called here
    slow.read()
    await until(lambda: slow.got.count(b'"snapshot"') == 2)
    assert slow.got.count(b'"uiEvent"') == 1, "the one that it was about to be sent"
    assert b'"snapshotOrdinal":"10"' in slow.got
    assert quick.got.count(b'"snapshot"') == 1
    await notes.publish(hub, "s", tell=["after"])
    await until(lambda: b"after" in slow.got)
    for each in (slow, quick):
        each.leave()
        await asyncio.wait_for(each.task, PATIENCE)


async def test_an_event_is_encoded_once_for_all_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    from sessionstream.transport import frame_json

    encoded: list[int] = []
    original = frame_json.ui_event

    def counting(session_id: str, ordinal: int, event: Any) -> Any:
        encoded.append(ordinal)
        return original(session_id, ordinal, event)

    monkeypatch.setattr(frame_json, "ui_event", counting)
    hub = notes.application()
    endpoint = sse_endpoint(hub)
    all_ = [Stuck(endpoint) for _ in range(10)]
    await until(lambda: all(b"snapshot" in each.got for each in all_))
    for _ in range(3):
        await notes.publish(hub, "s", tell=["x"])
    await until(lambda: all(each.got.count(b"uiEvent") == 3 for each in all_))
    assert encoded == [1, 2, 3]
    for each in all_:
        each.leave()
        await asyncio.wait_for(each.task, PATIENCE)


# -- who may, and for how long -----------------------------------------------------------------------------


async def test_who_may() -> None:
    def authenticate(scope: Any) -> object:
        token = dict(scope["headers"]).get(b"authorization", b"").decode()
        if token == "banned":
            raise PermissionError
        return token or None

    def authorize(principal: object, session_id: str) -> bool:
        return (principal, session_id) == ("ada", "s")

    async with world(authenticate=authenticate, authorize=authorize) as (_, _, http):
        for path, token, expected in [
            ("/sessions/s/events", "", (401, "not_signed_in")),
            ("/sessions/s/events", "banned", (403, "forbidden")),
            ("/sessions/s/events", "eve", (403, "forbidden")),
            ("/sessions/t/events", "ada", (403, "forbidden")),
            ("/sessions/%00/events", "ada", (400, "invalid_id")),
            ("/sessions/s/event", "ada", (404, "not_found")),
        ]:
            assert code(await http.get(path, headers={"authorization": token})) == expected
        assert code(await http.post("/sessions/s/events")) == (405, "method_not_allowed")
        assert (await http.head("/sessions/s/events")).headers["allow"] == "GET, OPTIONS"
        foreign = await http.get("/sessions/s/events", headers={"origin": "https://evil.example"})
        assert code(foreign) == (403, "origin_not_allowed")
        async with watching(http, headers={"authorization": "ada"}) as source:
            await source.snapshot()


async def test_a_page_of_another_origin_that_is_allowed() -> None:
    page = {"origin": "https://app.example"}
    async with world(allowed_origins=["https://app.example"]) as (_, _, http), watching(http, headers=page) as source:
        assert source.response.headers["access-control-allow-origin"] == "https://app.example"
        assert source.response.headers["access-control-allow-credentials"] == "true"


async def test_an_admission_ends_at_its_time() -> None:
    clock = ManualClock()
    admitted = Admitted("ada", until=datetime.now(UTC) + timedelta(seconds=60))
    async with world(authenticate=lambda scope: admitted, clock=clock) as (_, endpoint, http), watching(http) as source:
        await source.snapshot()
        await clock.advance(58)
        assert endpoint.streams == 1
        await clock.advance(3)
        assert await source.hear() is None


async def test_a_right_that_is_taken_away_ends_the_stream() -> None:
    members = {"ada", "eve"}
    hooks: dict[str, Any] = {
        "authenticate": lambda scope: dict(scope["headers"])[b"authorization"].decode(),
        "authorize": lambda principal, session_id: principal in members,
    }
    async with world(**hooks) as (hub, endpoint, http), AsyncExitStack() as stack:
        sources: dict[str, Source] = {}
        for name, session_id in (("ada", "s"), ("ada", "t"), ("eve", "s")):
            options = {"headers": {"authorization": name}}
            source = await stack.enter_async_context(watching(http, session_id, **options))
            await source.snapshot()
            sources[name + session_id] = source
        assert await endpoint.revoke("ada", "u") == 0
        assert await endpoint.revoke("ada", "s", reason="you are off this list") == 1
        error = {"code": "unauthorized", "message": "you are off this list", "sessionId": "s"}
        assert await sources["adas"].hear() == ("error", error)
        assert await sources["adas"].hear() is None
        await notes.publish(hub, "s", tell=["x"])
        assert await sources["eves"].told() == (1, "x")
        members.clear()
        assert await endpoint.revoke("ada") == 1
        assert (await sources["adat"].hear() or ("", {}))[1]["code"] == "unauthorized"
        again = await http.get("/sessions/s/events", headers={"authorization": "ada", "accept": "text/event-stream"})
        assert code(again) == (403, "forbidden")


@pytest.mark.parametrize("slow", ["authenticate", "authorize"])
async def test_a_right_that_is_taken_away_while_it_is_asked_about(slow: str) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def ask(name: str) -> None:
        if name == slow:
            asked.set()
            await answer.wait()

    async def authenticate(scope: Any) -> object:
        await ask("authenticate")
        return "ada"

    async def authorize(principal: object, session_id: str) -> bool:
        await ask("authorize")
        return True

    async with world(authenticate=authenticate, authorize=authorize) as (_, endpoint, http):
        asking = asyncio.create_task(http.get("/sessions/s/events"))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        assert await endpoint.revoke("ada") == 0
        answer.set()
        assert code(await asking) == (403, "forbidden")


async def test_limits_of_streams() -> None:
    limits = StreamLimits(streams=3, streams_per_principal=2)
    hooks = {"authenticate": lambda scope: dict(scope["headers"])[b"authorization"].decode()}
    async with world(limits=limits, **hooks) as (_, endpoint, http), AsyncExitStack() as stack:
        ada: dict[str, Any] = {"headers": {"authorization": "ada"}}
        eve: dict[str, Any] = {"headers": {"authorization": "eve"}}
        first = await stack.enter_async_context(watching(http, **ada))
        await stack.enter_async_context(watching(http, **ada))
        await first.snapshot()
        plain = await http.get("/sessions/s/events", headers=ada["headers"])
        assert (code(plain), plain.headers["retry-after"]) == ((503, "busy"), "5")
        async with watching(http, **ada) as told:  # EventSource would give up at any other status than 200
            assert (await told.hear() or ("", {}))[1]["code"] == "busy"
            assert 5_000 <= told.retry <= 10_000
            assert await told.hear() is None
        await stack.enter_async_context(watching(http, **eve))
        assert code(await http.get("/sessions/s/events", headers=eve["headers"])) == (503, "busy")
        assert endpoint.streams == 3


# -- ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retry_after", [None, 7])
async def test_a_shutdown_ends_open_streams(retry_after: float | None) -> None:
    async with world() as (_, endpoint, http):
        async with watching(http) as source:
            await source.snapshot()
            await endpoint.shutdown(retry_after)
            assert await source.hear() is None
            low = 1_000 * (retry_after or 2)
            assert low <= source.retry <= 2 * low
        assert endpoint.streams == 0
        assert code(await http.get("/sessions/s/events")) == (503, "shutting_down")
        await endpoint.shutdown()


async def test_a_hub_that_is_shut_down_ends_open_streams() -> None:
    async with world() as (hub, _, http):
        async with watching(http) as source:
            await source.snapshot()
            await hub.shutdown()
            assert await source.hear() is None
        assert code(await http.get("/sessions/s/events")) == (503, "shutting_down")


async def test_a_server_that_stops_waiting_ends_open_streams() -> None:
    endpoint = sse_endpoint(notes.application())
    async with AsyncExitStack() as outer:
        stack = await outer.enter_async_context(AsyncExitStack())
        http = await stack.enter_async_context(client(endpoint, timeout_graceful_shutdown=0.05))
        source = await outer.enter_async_context(watching(http))
        await source.snapshot()
        closing = asyncio.create_task(stack.aclose())
        with pytest.raises(httpx2.TransportError):
            await source.hear()
        await closing
    assert endpoint.streams == 0


class Failing(MemoryStore):
    """A store whose reads fail while ``broken``."""

    broken = False

    async def _timeline(self, *args: Any, **kwargs: Any) -> Any:
        if self.broken:
            raise StoreError("secret")
        return await super()._timeline(*args, **kwargs)


async def test_a_store_that_fails_ends_the_stream_with_an_error(caplog: pytest.LogCaptureFixture) -> None:
    store = Failing(notes.registry())
    async with world(hub=notes.application(store)) as (_, _, http):
        store.broken = True
        async with watching(http) as source:
            member, error = await source.hear() or ("", {})
            assert (member, error["code"], "secret" in error["message"]) == ("error", "snapshot_failed", False)
            assert await source.hear() is None
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info


async def test_what_cannot_be_shown_is_said_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as (hub, _, http), watching(http) as source:
        await source.snapshot()
        await notes.publish(hub, "s", tell=[None, "x"])
        member, frame = await source.hear() or ("", {})
        assert (member, frame["payload"]["@type"].rpartition(".")[2]) == ("uiEvent", "UnreadablePayload")
        assert await source.told() == (1, "x")
    assert "'Opaque'" in caplog.text


def test_arguments_that_cannot_be() -> None:
    hub = notes.application()
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"sessions": object()}, TypeError),
        ({"authenticate": 1}, TypeError),
        ({"limits": 1}, TypeError),
        ({"allowed_origins": ["x"]}, ValueError),
    ]
    for arguments, error in wrong:
        with pytest.raises(error):
            sse_endpoint(**{"sessions": hub, **arguments})
    with pytest.raises(ValueError, match="streams"):
        StreamLimits(streams=0)
    with pytest.raises(TypeError, match="buffered_events"):
        StreamLimits(buffered_events=1.5)  # type: ignore[arg-type]


async def test_methods_refuse_what_cannot_be() -> None:
    endpoint = sse_endpoint(notes.application())
    with pytest.raises(TypeError, match="unhashable"):
        await endpoint.revoke([])
    with pytest.raises(ValueError, match="retry_after"):
        await endpoint.shutdown(0)


async def test_publishing_many_comes_in_order() -> None:
    async with world() as (hub, _, http), watching(http) as source:
        await source.snapshot()
        payloads = [StringValue(value=f'{{"tell": ["{number}"]}}') for number in range(200)]
        await hub.publish_many("s", [Event("Step", each, "s") for each in payloads])
        assert [await source.told() for _ in range(200)] == [(number + 1, str(number)) for number in range(200)]
