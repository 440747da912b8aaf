"""A real hub, a store and the real server under random schedules: every client ends with what is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import (
    Event,
    Hub,
    LiveEvents,
    MemoryStore,
    PipelineRecord,
    SchemaRegistry,
    Session,
    Snapshot,
    TimelineEntity,
    TimelineView,
    TransportError,
    UIEvent,
    Watch,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent
from sessionstream.subscription import State
from sessionstream.transport import frame_json
from sessionstream.transport.http import SSEEndpoint, StreamLimits, sse_endpoint
from sessionstream.transport.ws import Limits, WebSocketServer, conflate, disconnect
from sessionstream.transport.ws.server import frames

from .asgi import Peer
from .snapshots import snapshot_frame
from .world import Listener, SessionModel, View

SESSIONS = ("a", "b")
WEIGHTS = {
    "publish": 40,
    "elsewhere": 4,
    "turn": 40,
    "read": 20,
    "stall": 3,
    "resume": 8,
    "subscribe": 6,
    "lose": 1,
    "rebuild": 1,
}


class Told:
    """An application whose UI events say exactly what its timeline becomes; it has a new version for each rebuild."""

    def __init__(self) -> None:
        schemas = SchemaRegistry()
        schemas.register_event("Set", TokensDeltaEvent)
        schemas.register_ui_event("Put", StringValue)
        schemas.register_timeline_entity("Text", StringValue)
        self.store = MemoryStore(schemas)
        self.hub, self.elsewhere = (
            Hub(schemas, store=self.store, cache_entities=2, pipeline_observer=self.note) for _ in range(2)
        )
        for hub in (self.hub, self.elsewhere):
            hub.register_ui_projection(self.tell)
            hub.register_timeline_projection(self.write)
        self.models = {session_id: SessionModel(session_id) for session_id in SESSIONS}
        self.version = ""

    def tell(self, event: Event, session: Session, view: TimelineView) -> Iterable[UIEvent]:
        payload = event.payload
        assert isinstance(payload, TokensDeltaEvent)
        if not payload.status:
            text = payload.chunk + self.version if payload.chunk else None
            yield UIEvent("Put", StringValue(value=json.dumps([payload.message_id, text])))

    def note(self, record: PipelineRecord) -> None:
        """What was committed, not what the loser of a race would have said."""
        if record.mode == "live" and record.stored:
            payloads = [event.payload for event in record.ui_events]
            changes = [json.loads(payload.value) for payload in payloads if isinstance(payload, StringValue)]
            self.models[record.event.session_id].told[record.event.ordinal] = [(key, text) for key, text in changes]

    def write(self, event: Event, session: Session, view: TimelineView) -> Iterable[TimelineEntity]:
        payload = event.payload
        assert isinstance(payload, TokensDeltaEvent)
        if payload.status:
            return
        text = payload.chunk + self.version
        gone = not payload.chunk
        yield TimelineEntity("Text", payload.message_id, None if gone else StringValue(value=text), tombstone=gone)

    async def finish(self) -> None:
        for session_id, model in self.models.items():
            snapshot = await self.hub.snapshot(session_id)
            assert snapshot.snapshot_ordinal == max(model.told, default=0)
            model.state = {
                entity.id: entity.payload.value
                for entity in snapshot.entities
                if isinstance(entity.payload, StringValue)
            }


class Watcher:
    """A client that reads at its own pace, and comes back when it is sent away or loses its connection."""

    def __init__(self, server: WebSocketServer, app: Told) -> None:
        self.server = server
        self.client = Listener(app.models)
        self.peer = Peer(server)

    def subscribe(self, session_id: str, *, delta: bool, hold: bool) -> None:
        self.revive()
        self.peer.say(self.client.subscribe(session_id, delta=delta, hold=hold))

    def revive(self) -> None:
        """Connect again if the server closed, after reading what it had sent before."""
        if self.peer.task.done() or self.peer.close is not None:
            self.read()
            self.reconnect(hold=True)

    def reconnect(self, *, hold: bool) -> None:
        self.peer.lose()
        self.peer = Peer(self.server)
        self.client.disconnected()
        for session_id, view in list(self.client.views.items()):
            self.peer.say(self.client.subscribe(session_id, delta="delta" in view.asked, hold=hold))

    def read(self) -> None:
        while self.peer.texts:
            self.client.hear(self.peer.texts.pop(0))

    @property
    def is_content(self) -> bool:
        connected = self.peer.close is None and not self.peer.task.done()
        heard = all(view.ready or not view.hydrated for view in self.client.views.values())
        return connected and heard and not self.peer.texts


class Reader:
    """Iterates ``hub.watch`` at its own pace, and tells a Listener the frames that a WebSocket would have sent."""

    def __init__(self, app: Told, session_id: str, limit: int) -> None:
        self.hub = app.hub
        self.session_id = session_id
        self.limit = limit
        self.client = Listener(app.models)
        self.watch: Watch | None = None
        self.reading: asyncio.Task[Snapshot | LiveEvents] | None = None

    async def subscribe(self, *, delta: bool, hold: bool) -> None:
        await self.leave()
        self.client.disconnected()
        self.client.subscribe(self.session_id, delta=delta, hold=hold)
        asked = self.view.asked
        since, epoch = (int(asked.get(field, 0)) for field in ("sinceSnapshotOrdinal", "epoch"))
        held = (since, epoch) if delta else (None, None)
        self.watch = self.hub.watch(self.session_id, since=held[0], epoch=held[1], limit=self.limit)
        await self.watch.__aenter__()

    @property
    def view(self) -> View:
        return self.client.views[self.session_id]

    async def leave(self) -> None:
        self.give_up()
        if self.watch is not None:
            await self.watch.__aexit__(None, None, None)
            self.watch = None

    def give_up(self) -> None:
        """Cancel the wait for the next update."""
        reading, self.reading = self.reading, None
        if reading is not None and not reading.cancel():
            self.hear(reading)

    def read(self) -> None:
        """Hear what has come, or wait for the next update."""
        if self.reading is None and self.watch is not None:
            self.reading = asyncio.create_task(anext_of(self.watch))
        elif self.reading is not None and self.reading.done():
            reading, self.reading = self.reading, None
            self.hear(reading)

    def hear(self, reading: asyncio.Task[Snapshot | LiveEvents]) -> None:
        if isinstance(reading.exception(), TransportError):
            return  # too many events came while snapshots were loading
        match reading.result():
            case Snapshot() as came:
                entities = [frame_json.entity(entity) for entity in came.entities]
                epoch, since = came.epoch if self.view.ever_delta else 0, came.since or 0
                frame = snapshot_frame(self.session_id, came.snapshot_ordinal, entities, epoch=epoch, since=since)
                self.client.hear(frame.text)
                asked = int(self.view.asked.get("sinceSnapshotOrdinal", 0))
                if not self.view.ready:
                    self.client.hear(frames.subscribed(self.session_id, asked).text)
            case LiveEvents(ordinal, events):
                for event in events:
                    self.client.hear(frames.ui_event(self.session_id, ordinal, event)[0].text)

    @property
    def is_content(self) -> bool:
        """Whether it waits for an update, and there is none."""
        if self.watch is None:
            return True
        waits = self.reading is not None and not self.reading.done()
        return waits and not self.watch._ready and self.watch._subscription.state is State.LIVE


class Tab:
    """A page with an ``EventSource``: it folds the UI events, and comes back with the id of the last one."""

    def __init__(self, endpoint: SSEEndpoint, app: Told, session_id: str) -> None:
        self.endpoint = endpoint
        self.session_id = session_id
        self.client = Listener(app.models)
        self.told = app.models[session_id].told
        self.last_id = ""
        self.body = b""
        self.request: asyncio.Task[None] | None = None
        self._reads, self._gone = asyncio.Event(), asyncio.Event()
        self._reads.set()

    async def subscribe(self, *, hold: bool) -> None:
        """Open a stream in place of the present one; with ``hold``, one that continues what the page has."""
        await self.leave()
        self.client.disconnected()
        self.client.subscribe(self.session_id, delta=True, hold=hold)
        self.body, self._gone = b"", asyncio.Event()
        headers = [(b"last-event-id", self.last_id.encode())] if hold and self.last_id else []
        path = f"/sessions/{self.session_id}/events"
        scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
        self.request = asyncio.create_task(self.endpoint(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, str]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self._reads.wait()
        self.body += message.get("body", b"")

    def stall(self) -> None:
        self._reads.clear()

    def resume(self) -> None:
        self._reads.set()

    async def leave(self) -> None:
        if self.request is not None:
            self._gone.set()
            self._reads.set()
            await self.request

    def read(self) -> None:
        """Read the blocks that have come."""
        *blocks, self.body = self.body.split(b"\n\n")
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
            if "data" in fields:
                self.client.hear(fields["data"])
                view = self.client.views[self.session_id]
                view.ready = view.hydrated
                if "id" in fields:
                    self.last_id = fields["id"]
                    assert fields["id"] == f"{view.epoch}:{view.ordinal}"
                    assert view.heard in (0, len(self.told.get(view.ordinal, ()))), "an event is not complete"
                    view.held, view.held_at = dict(view.state), view.ordinal

    @property
    def has_ended(self) -> bool:
        return self.request is not None and self.request.done()

    @property
    def is_content(self) -> bool:
        if self.request is None:
            return True
        view = self.client.views[self.session_id]
        return view.hydrated and view.ordinal == max(self.told, default=0) and not self.body


async def anext_of(watch: Watch) -> Snapshot | LiveEvents:
    return await anext(watch)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def run_schedule(seed: int, steps: int = 150) -> list[Listener]:
    random, app = Random(seed), Told()
    policy = random.choice([conflate, disconnect])
    limits = Limits(outbox_frames=random.choice([3, 8, 100]), buffered_frames=random.choice([2, 50]))
    server = WebSocketServer(app.hub, limits=limits, slow_consumers=policy)
    app.hub.set_fanout(server)
    watchers = [Watcher(server, app) for _ in range(3)]
    readers = [Reader(app, session_id, random.choice([2, 100])) for session_id in SESSIONS * 2]
    endpoint = sse_endpoint(app.hub, limits=StreamLimits(buffered_events=random.choice([2, 100])))
    tabs = [Tab(endpoint, app, session_id) for session_id in SESSIONS]
    everyone: list[Watcher | Reader | Tab] = [*watchers, *readers, *tabs]
    tasks: set[asyncio.Task[object]] = set()

    async def publish(hub: Hub, session_id: str, key: str, text: str, status: str) -> None:
        await hub.publish(Event("Set", TokensDeltaEvent(message_id=key, chunk=text, status=status), session_id))

    for _ in range(steps):
        watcher, reader, tab = random.choice(watchers), random.choice(readers), random.choice(tabs)
        session_id = random.choice(SESSIONS)
        match random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]:
            case "publish" | "elsewhere" as where:
                hub = app.hub if where == "publish" else app.elsewhere
                text, status = random.choice(["1", "2", "", "3"]), random.choice(["", "", "", "quiet"])
                tasks.add(asyncio.create_task(publish(hub, session_id, random.choice("xyz"), text, status)))
            case "turn":
                await turns(random.randint(1, 12))
            case "read":
                watcher.read()
                reader.read()
                tab.read()
            case "stall":
                watcher.peer.stall()
                tab.stall()
            case "resume":
                watcher.peer.resume()
                watcher.revive()
                tab.resume()
            case "subscribe":
                watcher.subscribe(session_id, delta=random.random() < 0.7, hold=random.random() < 0.7)
                await reader.subscribe(delta=random.random() < 0.7, hold=random.random() < 0.7)
                await tab.subscribe(hold=random.random() < 0.7)
            case "lose":
                watcher.reconnect(hold=random.random() < 0.7)
                reader.give_up()
                await tab.subscribe(hold=True)
            case _:
                app.version += "'"
                tasks.add(asyncio.create_task(app.hub.rebuild_timeline(session_id)))
    await asyncio.gather(*tasks)
    for session_id in SESSIONS:  # what was done elsewhere is noticed with the next event
        await publish(app.hub, session_id, "x", "last", "")
    await app.finish()
    async with asyncio.timeout(10):
        while True:
            for watcher in watchers:
                watcher.peer.resume()
                watcher.revive()
                await turns(5)
                watcher.read()
            for reader in readers:
                reader.read()
            for tab in tabs:
                tab.resume()
                tab.read()
                if tab.has_ended:  # too many events came while its snapshots were loading
                    await tab.subscribe(hold=True)
            if is_idle(server) and all(each.is_content for each in everyone):
                break
    clients = [each.client for each in everyone]
    for client in clients:
        client.check()
    for reader in readers:
        await reader.leave()
    for tab in tabs:
        await tab.leave()
    assert endpoint.streams == 0
    await server.shutdown()
    for watcher in watchers:
        watcher.peer.lose()
        await watcher.peer.ended()
    await app.hub.shutdown()
    await app.elsewhere.shutdown()
    return clients


def is_idle(server: WebSocketServer) -> bool:
    """Nothing loads, nothing waits to be sent, nobody is being asked."""
    busy = any(connection._idle_loads or connection._loads or connection._asking for connection in server._connections)
    return not busy and all(info.queue_depth == 0 for info in server.connections())


async def test_random_schedules() -> None:
    clients = [client for seed in range(25) for client in await run_schedule(seed)]
    assert sum(client.events for client in clients) > 500
    assert sum(client.snapshots for client in clients) > 150
    assert sum(client.deltas for client in clients) > 10


@pytest.mark.torture
@pytest.mark.parametrize("block", range(20))
async def test_many_random_schedules(block: int) -> None:
    for seed in range(block * 100, (block + 1) * 100):
        await run_schedule(seed)
