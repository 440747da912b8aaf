"""The client against real servers."""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from websockets.asyncio.server import ServerConnection, serve

from sessionstream import Hub, InvalidIdError, SchemaRegistry, Snapshot, TimelineEntity, TransportError
from sessionstream.testing import ManualClock
from sessionstream.transport.ws import (
    Backoff,
    ClientClosed,
    ConnectionEnded,
    ConnectionRecord,
    HandshakeRefused,
    JsonEntity,
    JsonSnapshot,
    Limits,
    LiveEvent,
    Stage,
    SubscriptionEnded,
    UnexpectedPayload,
    Update,
    Updates,
    WebSocketServer,
    connect,
)
from sessionstream.transport.ws.client.client import Client
from sessionstream.transport.ws.client.feed import Feed

from .. import notes
from ..clock import MovedClock
from ..proxy import proxied
from ..running import PATIENCE, served

NOTE = "type.googleapis.com/google.protobuf.StringValue"


class Stages:
    """Records of a server, and waiting for one."""

    def __init__(self) -> None:
        self.records: list[ConnectionRecord] = []
        self._came = asyncio.Event()

    def __call__(self, record: ConnectionRecord) -> None:
        self.records.append(record)
        self._came.set()

    def of(self, stage: Stage) -> list[ConnectionRecord]:
        return [record for record in self.records if record.stage == stage]

    async def seen(self, stage: Stage, times: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.of(stage)) < times:
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[Hub, WebSocketServer, str]]:
    async with notes.application() as hub:
        server = WebSocketServer(hub, **options)
        hub.set_fanout(server)
        async with served(server) as address:
            yield hub, server, address


def client_of(address: str, **options: Any) -> Client:
    return connect(address, **{"clock": MovedClock(), "heartbeat_seconds": None, **options})


async def take(updates: AsyncIterator[Update]) -> Update:
    async with asyncio.timeout(PATIENCE):
        return await anext(updates)


async def take_snapshot(updates: AsyncIterator[Update]) -> Snapshot:
    update = await take(updates)
    assert isinstance(update, Snapshot)
    return update


# -- what is given ---------------------------------------------------------------------------------------------


async def test_a_snapshot_then_live_events_as_messages() -> None:
    async with serving() as (hub, _, address):
        await notes.publish(hub, "s-1", put={"b": "B", "a": "A"})
        async with client_of(address, schemas=notes.registry()) as client:
            updates = client.subscribe("s-1")
            snapshot = await take(updates)
            assert snapshot == await hub.snapshot("s-1")
            assert isinstance(snapshot, Snapshot)
            assert [entity.payload for entity in snapshot.entities] == [StringValue(value="A"), StringValue(value="B")]
            await notes.publish(hub, "s-1", put={"c": "C"}, tell=["one", "two"])
            assert await take(updates) == LiveEvent(2, "Told", StringValue(value="one"))
            assert await take(updates) == LiveEvent(2, "Told", StringValue(value="two"))


async def test_without_a_registry_payloads_are_json() -> None:
    async with serving() as (hub, _, address):
        await notes.publish(hub, "s-1", put={"a": "A"})
        async with client_of(address) as client:
            updates = client.subscribe("s-1")
            snapshot = await take(updates)
            entity = JsonEntity("Note", "a", {"@type": NOTE, "value": "A"}, 1, 1)
            assert snapshot == JsonSnapshot("s-1", 1, (entity,))
            await notes.publish(hub, "s-1", tell=["one"])
            assert await take(updates) == LiveEvent(2, "Told", {"@type": NOTE, "value": "one"})


async def test_what_the_registry_does_not_know_comes_as_json() -> None:
    """The server may be newer than the client."""
    async with serving() as (hub, _, address):
        await notes.publish(hub, "s-1", put={"a": "A"})
        async with client_of(address, schemas=SchemaRegistry()) as client:
            updates = client.subscribe("s-1")
            snapshot = await take_snapshot(updates)
            assert type(snapshot) is Snapshot
            assert snapshot.entities == (JsonEntity("Note", "a", {"@type": NOTE, "value": "A"}, 1, 1),)
            await notes.publish(hub, "s-1", tell=["one"])
            assert await take(updates) == LiveEvent(2, "Told", {"@type": NOTE, "value": "one"})


@pytest.mark.parametrize(("kind", "step"), [("Note", {"put": {"a": "A"}}), ("Told", {"tell": ["one"]})])
async def test_another_message_than_the_registered_one_ends_the_subscription(kind: str, step: dict[str, Any]) -> None:
    schemas = SchemaRegistry()
    schemas.register_ui_event("Told", Int64Value)
    schemas.register_timeline_entity("Note", Int64Value)
    stages = Stages()
    async with serving(observer=stages) as (hub, server, address):
        if "put" in step:
            await notes.publish(hub, "s-1", **step)
        async with client_of(address, schemas=schemas) as client:
            updates = client.subscribe("s-1")
            if "tell" in step:
                await take(updates)
                await notes.publish(hub, "s-1", **step)
            with pytest.raises(UnexpectedPayload) as raised:
                await take(updates)
            assert (raised.value.name, raised.value.expected) == (kind, "google.protobuf.Int64Value")
            with pytest.raises(StopAsyncIteration):
                await take(updates)
            await stages.seen("unsubscribed")
            assert [info.subscriptions for info in server.connections()] == [()]


async def test_what_is_given_is_the_users_own() -> None:
    """Changing it changes nothing of what the next snapshot is made from."""
    for schemas in (None, notes.registry()):
        async with serving() as (hub, _, address), proxied(address) as (proxy, through):
            await notes.publish(hub, "s-1", put={"a": "A"})
            async with client_of(through, schemas=schemas) as client:
                updates = client.subscribe("s-1")
                payload: Any = (await take_snapshot(updates)).entities[0].payload
                if schemas is None:
                    payload["value"] = "changed"
                else:
                    payload.value = "changed"
                proxy.reset()
                again: Any = (await take_snapshot(updates)).entities[0].payload
                assert "A" in str(again)


# -- coming back -----------------------------------------------------------------------------------------------


async def test_it_survives_a_restart_and_is_given_what_changed() -> None:
    stages = Stages()
    clock = MovedClock()
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        first, second = WebSocketServer(hub), WebSocketServer(hub, observer=stages)
        hub.set_fanout(first)
        async with served(first) as address:
            proxy, through = await stack.enter_async_context(proxied(address))
            client = await stack.enter_async_context(client_of(through, schemas=notes.registry(), clock=clock))
            updates = client.subscribe("s-1")
            await notes.publish(hub, "s-1", put={"a": "A", "b": "B"})
            assert await take(updates) == await hub.snapshot("s-1")
            proxy.target = 0  # a handshake with a server that is ending may never be answered
            await first.shutdown(retry_after=30)
        hub.set_fanout(second)
        await notes.publish(hub, "s-1", put={"a": "A2"}, drop=["b"], tell=["unheard"])
        proxy.target = int((await stack.enter_async_context(served(second))).rpartition(":")[2])
        assert await take(updates) == await hub.snapshot("s-1")
        assert clock.slept[0] > 30
        (sent,) = stages.of("snapshot_sent")
        assert sent.delta
        await notes.publish(hub, "s-1", tell=["heard"])
        assert await take(updates) == LiveEvent(3, "Told", StringValue(value="heard"))


async def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    async with serving() as (_, _, address), proxied(address) as (proxy, through):
        port, proxy.target = proxy.target, 0
        clock = MovedClock()
        async with client_of(through, clock=clock, backoff=Backoff(1, 2, 4), draw=lambda: 1.0) as client:
            waiting = asyncio.create_task(take(client.subscribe("s-1")))
            async with asyncio.timeout(PATIENCE):
                await clock.slept_times(3)
            proxy.target = port
            assert await waiting == JsonSnapshot("s-1", 0, ())
            assert clock.slept[:3] == [2, 4, 4]


async def test_a_server_that_is_full_says_when_to_return() -> None:
    clock = MovedClock()
    async with serving(limits=Limits(connections=1)) as (_, _, address):
        async with client_of(address) as first:
            await take(first.subscribe("s-1"))
            second = await first_attempt(client_of(address, clock=clock), clock)
        assert clock.slept[0] > 5  # as its Retry-After says
        async with asyncio.timeout(PATIENCE):
            assert await second == JsonSnapshot("s-1", 0, ())


async def test_a_snapshot_that_could_not_be_loaded_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = MovedClock()

    class Stumbling:
        """A source that fails, once."""

        def __init__(self, hub: Hub) -> None:
            self.hub = hub
            self.failures = iter([OSError("the disk is away")])

        async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
            for failure in self.failures:
                raise failure
            return await self.hub.snapshot(session_id, since=since)

    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        address = await stack.enter_async_context(served(WebSocketServer(Stumbling(hub))))
        client = await stack.enter_async_context(client_of(address, clock=clock))
        assert await take(client.subscribe("s-1")) == JsonSnapshot("s-1", 0, ())
    assert "the disk is away" in caplog.text
    (waited,) = clock.slept
    assert 0.5 <= waited <= 2


async def first_attempt(client: Client, clock: MovedClock) -> asyncio.Task[Update]:
    """Watch from a client that is turned away for now; return when it waits for its second attempt."""

    async def watch() -> Update:
        async with client:
            return await take(client.subscribe("s-1"))

    watching = asyncio.create_task(watch())
    async with asyncio.timeout(PATIENCE):
        await clock.slept_times(1)
    return watching


async def test_a_silent_server_is_given_up() -> None:
    clock = MovedClock()
    said: list[str | bytes] = []
    connections = asyncio.Semaphore(0)
    pings = asyncio.Semaphore(0)

    async def deaf(socket: ServerConnection) -> None:
        connections.release()
        async for message in socket:
            said.append(message)
            pings.release()

    async with serve(deaf, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"ws://127.0.0.1:{port}", clock=clock, heartbeat_seconds=4_000, patience_seconds=4_000):
            async with asyncio.timeout(PATIENCE):
                await connections.acquire()
                for _ in range(4):
                    await clock.asleep()
                    clock.advance(1_000)
                await pings.acquire()
                assert said == ['{"ping":{"nonce":"1"}}']
                for _ in range(4):
                    await clock.asleep()
                    clock.advance(1_000)
                await connections.acquire()


async def test_headers_are_asked_for_before_each_attempt() -> None:
    tokens = iter(["first", "second"])
    seen: list[str] = []

    def authenticate(scope: dict[str, Any]) -> str:
        seen.append(dict(scope["headers"])[b"authorization"].decode())
        return "somebody"

    async def headers() -> dict[str, str]:
        return {"Authorization": next(tokens)}

    async with AsyncExitStack() as stack:
        _, _, address = await stack.enter_async_context(serving(authenticate=authenticate))
        proxy, through = await stack.enter_async_context(proxied(address))
        client = await stack.enter_async_context(client_of(through, headers=headers))
        updates = client.subscribe("s-1")
        await take(updates)
        proxy.reset()
        await take(updates)
    assert seen == ["first", "second"]


async def test_headers_that_cannot_be_had_are_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    failures = iter([RuntimeError("the token service is down")])

    def headers() -> dict[str, str]:
        for failure in failures:
            raise failure
        return {}

    async with serving() as (_, _, address), client_of(address, headers=headers) as client:
        await take(client.subscribe("s-1"))
    assert "the token service is down" in caplog.text


async def test_headers_that_do_not_come_are_asked_for_again() -> None:
    answers: Iterator[asyncio.Future[None]] = iter([asyncio.get_running_loop().create_future()])

    async def headers() -> dict[str, str]:
        for never in answers:
            await never
        return {}

    async with serving() as (_, _, address), client_of(address, headers=headers, open_timeout_seconds=0.5) as client:
        await take(client.subscribe("s-1"))


# -- what ends -------------------------------------------------------------------------------------------------


async def test_a_session_that_is_not_for_this_client() -> None:
    async with AsyncExitStack() as stack:
        _, _, address = await stack.enter_async_context(serving(authorize=lambda _, session_id: session_id == "mine"))
        async with client_of(address) as client:
            with pytest.raises(SubscriptionEnded, match="unauthorized") as raised:
                await take(client.subscribe("yours"))
            assert (raised.value.session_id, raised.value.code) == ("yours", "unauthorized")
            await take(client.subscribe("mine"))


async def test_a_client_that_is_not_let_in() -> None:
    async with serving(authenticate=lambda _: None) as (_, _, address), client_of(address) as client:
        for _ in range(2):
            with pytest.raises(HandshakeRefused) as raised:
                await take(client.subscribe("s-1"))
            assert raised.value.status == 403


async def test_a_snapshot_that_is_too_long_to_be_accepted() -> None:
    async with serving() as (hub, _, address):
        await notes.publish(hub, "s-1", put={"a": "A" * 2_000})
        async with client_of(address, frame_bytes=1_000) as client:
            with pytest.raises(ConnectionEnded) as raised:
                await take(client.subscribe("s-1"))
            assert raised.value.code == 1009


async def test_leaving_the_loop_unsubscribes() -> None:
    stages = Stages()
    async with serving(observer=stages) as (_, server, address), client_of(address) as client:
        async for _ in client.subscribe("s-1"):
            break
        await stages.seen("unsubscribed")
        async for _ in client.subscribe("s-1"):
            break
        async for _ in client.subscribe("s-1"):
            break
        async with client.subscribe("s-2") as updates:
            await take(updates)
            assert [info.subscriptions for info in server.connections()] == [("s-2",)]
        await stages.seen("unsubscribed", times=4)
        assert [info.subscriptions for info in server.connections()] == [()]


async def test_an_iterator_that_is_collected_in_another_thread_unsubscribes() -> None:
    stages = Stages()
    async with serving(observer=stages) as (_, _, address), client_of(address) as client:
        held = [client.subscribe("s-1")]
        await take(held[0])
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        gc.collect()
        await stages.seen("unsubscribed")


async def test_closing_an_iterator_wakes_whoever_waits() -> None:
    async with serving() as (_, _, address), client_of(address) as client:
        updates = client.subscribe("s-1")
        await take(updates)
        waiting = asyncio.create_task(take(updates))
        await asyncio.sleep(0)
        await updates.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
        await updates.aclose()


async def test_closing_ends_what_runs_without_an_error() -> None:
    async with serving() as (_, _, address):
        before = asyncio.all_tasks()
        async with client_of(address) as client:
            one, two = client.subscribe("s-1"), client.subscribe("s-2")
            await take(one)
            waiting = [asyncio.create_task(_all(one)), asyncio.create_task(_all(two))]
            await asyncio.sleep(0)
        assert await asyncio.gather(*waiting) in ([[], []], [[], [JsonSnapshot("s-2", 0, ())]])
        left = {task.get_name() for task in asyncio.all_tasks() - before}
        assert not [name for name in left if "client" in name]
        with pytest.raises(ClientClosed):
            await take(client.subscribe("s-1"))
        with pytest.raises(TransportError, match="once"):
            await client.__aenter__()


async def _all(updates: Updates) -> list[Update]:
    return [update async for update in updates]


async def test_a_client_that_was_never_opened() -> None:
    client = connect("ws://127.0.0.1:9/ws")
    with pytest.raises(ClientClosed):
        await take(client.subscribe("s-1"))
    with pytest.raises(InvalidIdError):
        client.subscribe("")
    with pytest.raises(ClientClosed):
        await client.__aexit__(None, None, None)


async def test_another_event_loop_is_refused_while_the_client_lives_in_its_own() -> None:
    async with serving() as (_, _, address):
        async with client_of(address) as client:
            for misuse in (lambda: take(client.subscribe("s-1")), lambda: client.__aexit__(None, None, None)):
                with pytest.raises(TransportError, match="another event loop"):
                    await asyncio.to_thread(_in_a_loop_of_its_own, misuse)
            await take(client.subscribe("s-1"))
        with pytest.raises(ClientClosed):
            await asyncio.to_thread(_in_a_loop_of_its_own, lambda: take(client.subscribe("s-1")))


def _in_a_loop_of_its_own(work: Callable[[], Awaitable[object]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE):
            await work()

    asyncio.run(main())


async def test_a_thread_without_an_event_loop_is_told_how_to_hand_the_call_over() -> None:
    """Whoever notices that the network has changed may well be a thread."""
    async with connect("ws://127.0.0.1:9/ws") as client:
        with pytest.raises(TransportError, match="call_soon_threadsafe"):
            await asyncio.to_thread(client.reconnect)
    await asyncio.to_thread(client.reconnect)  # it is closed, and belongs to nobody


async def test_a_server_that_sends_bytes_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    connections = 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await connection.send(b"\0" if connections == 1 else '{"hello":{}}')
        async for _ in connection:
            await connection.send('{"snapshot":{"sessionId":"s-1"}}')

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with client_of(f"ws://127.0.0.1:{port}") as client:
            assert (await take(client.subscribe("s-1"))) == JsonSnapshot("s-1", 0, (), 0)
    assert connections == 2
    assert "the server sent a binary message" in caplog.text


async def test_what_is_given_after_the_end_is_not_kept() -> None:
    feed = Feed(1)
    update = LiveEvent(1, "Told", StringValue(value="x"))
    feed.put(update)
    feed.end(TransportError("over"))
    feed.put(update)
    assert len(feed) == 1
    assert await feed.take() == update
    with pytest.raises(TransportError, match="over"):
        await feed.take()
    assert await feed.take() is None


async def test_there_is_room_only_below_the_limit() -> None:
    feed = Feed(1)
    for ordinal in (1, 2):
        feed.put(LiveEvent(ordinal, "Told", StringValue(value="x")))
    waiting = asyncio.create_task(feed.room())
    await feed.take()  # one is left, which is as many as may wait
    await asyncio.sleep(0)
    assert not waiting.done()
    await feed.take()
    async with asyncio.timeout(PATIENCE):
        await waiting


async def test_closing_while_it_waits_to_come_back() -> None:
    async with client_of("ws://127.0.0.1:9/ws", clock=_Forever()) as client:
        waiting = asyncio.create_task(_all(client.subscribe("s-1")))
        await asyncio.sleep(0)
    assert await waiting == []


async def test_a_fault_of_the_client_is_told_to_whoever_waits(caplog: pytest.LogCaptureFixture) -> None:
    async with client_of("ws://127.0.0.1:9/ws", clock=_Broken()) as client:
        for _ in range(2):
            with pytest.raises(TransportError, match="the clock stopped"):
                await take(client.subscribe("s-1"))
    assert "cannot go on" in caplog.text


class _Broken(MovedClock):
    async def sleep(self, seconds: float) -> None:
        raise RuntimeError("the clock stopped")


class _Forever(MovedClock):
    async def sleep(self, seconds: float) -> None:
        await asyncio.get_running_loop().create_future()


# -- back-pressure ---------------------------------------------------------------------------------------------


async def test_a_user_who_takes_nothing_is_waited_for_and_misses_nothing() -> None:
    stages = Stages()
    async with serving(observer=stages) as (hub, _, address), client_of(address, buffered_updates=2) as client:
        updates = client.subscribe("s-1")
        await take(updates)
        for number in range(300):
            await notes.publish(hub, "s-1", tell=[str(number)])
        await stages.seen("written", times=303)  # hello, snapshot, subscribed: nobody is stuck but the client
        (feed,) = client._feeds.values()
        assert len(feed) <= 2
        heard = [await take(updates) for _ in range(300)]
        assert [update.payload["value"] for update in cast("list[LiveEvent]", heard)] == list(map(str, range(300)))


async def test_a_user_who_takes_nothing_for_long_is_not_taken_for_a_silent_server() -> None:
    clock = MovedClock()
    stages = Stages()
    async with AsyncExitStack() as stack:
        hub, _, address = await stack.enter_async_context(serving(observer=stages))
        times = {"heartbeat_seconds": 4_000, "patience_seconds": 4_000}
        client = await stack.enter_async_context(client_of(address, clock=clock, buffered_updates=1, **times))
        updates = client.subscribe("s-1")
        await take(updates)
        for number in range(5):
            await notes.publish(hub, "s-1", tell=[str(number)])
        async with asyncio.timeout(PATIENCE):
            while not all(client._feeds.values()):  # noqa: ASYNC110 - nobody is told of it
                await asyncio.sleep(0)
        for _ in range(12):
            await clock.asleep()
            clock.advance(1_000)
        heard = [await take(updates) for _ in range(5)]
        assert [update.payload["value"] for update in cast("list[LiveEvent]", heard)] == list(map(str, range(5)))
        assert len(stages.of("connected")) == 1


# -- arguments and imports -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("http://127.0.0.1/ws", {}),
        ("127.0.0.1", {}),
        ("ws://127.0.0.1/ws", {"ssl_context": ssl.create_default_context()}),
        ("ws://127.0.0.1/ws", {"buffered_updates": 0}),
        ("ws://127.0.0.1/ws", {"frame_bytes": -1}),
        ("ws://127.0.0.1/ws", {"heartbeat_seconds": 0}),
        ("ws://127.0.0.1/ws", {"patience_seconds": 0}),
        ("ws://127.0.0.1/ws", {"hurry_patience_seconds": 0}),
        ("ws://127.0.0.1/ws", {"open_timeout_seconds": 0}),
        ("ws://127.0.0.1/ws", {"close_timeout_seconds": -1}),
        ("ws://127.0.0.1/ws", {"close_timeout_seconds": float("nan")}),
    ],
)
def test_arguments_that_make_no_sense(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"WebSocket URL|not encrypted|above 0"):
        connect(url, **options)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("headers", {"Authorization": "Bearer secret\n"}),  # as it is read from a file
        ("headers", {"Authorization": "Bearer secret…"}),
        ("headers", {"X Token": "secret"}),
        ("subprotocols", ["sessionstream.v1", "token.secret=="]),
        ("subprotocols", [""]),
    ],
)
def test_credentials_that_no_handshake_can_carry_are_refused_at_once_and_not_told(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{argument}") as raised:
        connect("ws://127.0.0.1/ws", **{argument: value})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("url", None),
        ("schemas", StringValue),
        ("headers", "cookie: a=b"),
        ("headers", [("cookie", "a=b")]),
        ("headers", {"cookie": None}),
        ("headers", {5: "a=b"}),
        ("subprotocols", "sessionstream.v1"),
        ("subprotocols", ["sessionstream.v1", 5]),
        ("on_state", 5),
        ("refusal", "never"),
        ("hurry_patience_seconds", None),
        ("backoff", 2.0),
        ("frame_bytes", 2.5),
        ("buffered_updates", 2.5),
        ("heartbeat_seconds", "20"),
        ("patience_seconds", None),
    ],
)
def test_arguments_of_another_type(argument: str, value: object) -> None:
    options: dict[str, Any] = {"url": "ws://127.0.0.1/ws", argument: value}
    with pytest.raises(TypeError, match=f"^{argument} "):
        connect(options.pop("url"), **options)


@pytest.mark.parametrize("numbers", [(0, 1, 2), (2, 1, 3), (1, 3, 2), (1, 2, float("inf"))])
def test_waits_that_make_no_sense(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="floor_seconds"):
        Backoff(*numbers)


def test_without_websockets_the_server_is_there_and_the_client_says_how_to_get_it() -> None:
    script = """
import sys
sys.modules["websockets"] = None
import sessionstream.transport.ws as ws
print(ws.WebSocketServer.__name__, ws.LiveEvent.__name__)
try:
    ws.connect
except ImportError as error:
    print(error)
try:
    ws.disconnected
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names, how, other = done.stdout.splitlines()
    assert names == "WebSocketServer LiveEvent"
    assert how.endswith("pip install 'sessionstream[ws]'")
    assert "disconnected" in other


def test_entities_of_json_are_entities() -> None:
    assert issubclass(JsonEntity, TimelineEntity)
    assert issubclass(JsonSnapshot, Snapshot)


async def test_an_alarm_rings_at_its_time_however_late_its_task_begins() -> None:
    clock = ManualClock()
    client = connect("ws://127.0.0.1:1", clock=clock)
    client._loop = asyncio.get_running_loop()
    client._conversation._connect_at = 1_000.0
    client._set_alarm()
    clock.advance(400.0)  # before the task begins
    await clock.asleep()
    clock.advance(600.0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert client._wanted.is_set()
    client._perform(client._conversation.close())
