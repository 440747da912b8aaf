"""What a server cannot show takes nothing else with it: clients see that it is there and why it cannot be read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from google.protobuf import any_pb2, json_format, struct_pb2
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream import (
    ErrorRecord,
    Event,
    Hub,
    HydrationStore,
    MemoryStore,
    PayloadValueError,
    SchemaRegistry,
    Session,
    Snapshot,
    SQLiteStore,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.admin.cli import main
from sessionstream.subscription import Basis
from sessionstream.transport.http import sse_endpoint
from sessionstream.transport.ws import LiveEvent, WebSocketServer
from sessionstream.transport.ws.client.frames import SnapshotFrame, UIEventFrame, read
from sessionstream.transport.ws.client.payloads import PayloadDecoder
from sessionstream.transport.ws.client.subscription import apply_snapshot
from sessionstream.transport.ws.client.updates import JsonSnapshot
from sessionstream.transport.ws.server.effects import Hydration
from sessionstream.transport.ws.server.loading import SnapshotLoader, SnapshotRequest
from sessionstream.v1.transport_pb2 import UnreadablePayload
from tests.core.wild import Wild, packed, wild

from .client.test_client import client_of, take, take_snapshot
from .http.events import watching
from .http.support import client as http_client
from .running import PATIENCE, client, served
from .source import Source

UNREADABLE = "type.googleapis.com/sessionstream.v1.UnreadablePayload"
UNKNOWN = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"x")
NOT_KNOWN = UnreadablePayload(
    type="test.wild.Wild", reason="any: no message is known of the type 'type.googleapis.com/no.Such'"
)
NO_NUMBER = 'args.fields["x"].number_value: inf is no JSON number'


def registry() -> SchemaRegistry:
    schemas = SchemaRegistry()
    schemas.register_event("Did", Wild)
    schemas.register_ui_event("Told", Wild)
    schemas.register_timeline_entity("Text", StringValue)
    schemas.register_timeline_entity("Wild", Wild)
    return schemas


def tell(event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
    return [UIEvent("Told", event.payload)]


def keep(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
    text = TimelineEntity("Text", "t", StringValue(value=str(event.ordinal)))
    return [TimelineEntity("Wild", str(event.ordinal), event.payload), text]


class Errors:
    """An error observer that can be waited for."""

    def __init__(self) -> None:
        self.records: list[ErrorRecord] = []
        self.came = asyncio.Event()

    def __call__(self, record: ErrorRecord) -> None:
        self.records.append(record)
        self.came.set()


@dataclass
class Running:
    hub: Hub
    address: str
    store: HydrationStore
    errors: Errors

    async def recorded(self, count: int) -> list[ErrorRecord]:
        """Return the records of session ``s``, once there are so many."""
        async with asyncio.timeout(PATIENCE):
            while len(self.errors.records) < count:
                self.errors.came.clear()
                await self.errors.came.wait()
        stored = await self.store.error_records("s")
        assert stored == self.errors.records
        return stored


@asynccontextmanager
async def running(store: HydrationStore, schemas: SchemaRegistry) -> AsyncIterator[Running]:
    errors = Errors()
    async with Hub(schemas, store=store, error_observer=errors) as hub:
        hub.register_timeline_projection(keep)
        hub.register_ui_projection(tell)
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        async with served(server) as address:
            yield Running(hub, address, store, errors)


async def did(hub: Hub, *payloads: Any) -> None:
    for payload in payloads:
        await hub.publish(Event("Did", payload, "s"))


def unreadable(reason: str, full_name: str = "test.wild.Wild") -> dict[str, str]:
    return {"@type": UNREADABLE, "type": full_name, "reason": reason}


def plant(path: Path, entity_id: str, payload: Any) -> None:
    """Do what an older version let happen: have an entity hold what no newer one would take."""
    with sqlite3.connect(path) as db:
        changed = db.execute(
            "UPDATE entities SET payload = ? WHERE kind = 'Wild' AND id = ?", (payload.SerializeToString(), entity_id)
        )
        assert changed.rowcount == 1
    db.close()


@pytest.fixture
async def planted(tmp_path: Path) -> Path:
    """A file whose session ``s`` has two events; the entity of the first holds an infinity."""
    path = tmp_path / "x.db"
    async with SQLiteStore.open(path, registry()) as store, running(store, registry()) as app:
        await did(app.hub, Wild(), Wild(double=2))
    infinite = struct_pb2.Struct(fields={"x": struct_pb2.Value(number_value=float("inf"))})
    plant(path, "1", Wild(args=infinite))
    return path


async def test_one_bad_entity_of_an_older_version_takes_nothing_with_it(
    planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with SQLiteStore.open(planted, registry()) as store, running(store, registry()) as app:
        for _ in range(2):
            async with client(app.address) as one, client(app.address) as other:
                for each in (one, other):
                    snapshot, subscribed = await each.subscribe("s")
                    assert [
                        (entity["kind"], entity["id"], entity["payload"]) for entity in snapshot["snapshot"]["entities"]
                    ] == [
                        ("Wild", "1", unreadable(NO_NUMBER)),
                        ("Text", "t", {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "2"}),
                        ("Wild", "2", {"@type": "type.googleapis.com/test.wild.Wild", "double": 2.0}),
                    ]
                    assert subscribed == {"subscribed": {"sessionId": "s"}}
        (record,) = await app.recorded(1)
        assert (record.kind, record.ordinal) == ("fanout", 1)
        assert NO_NUMBER in record.error
        assert record.metadata["entityId"] == "1"
    assert await asyncio.to_thread(main, ["inspect", str(planted), "--errors", "--json"]) == 0
    assert "cannot be shown to clients" in capsys.readouterr().out


async def test_clients_with_and_without_schemas_are_given_it_and_go_on(planted: Path) -> None:
    async with (
        SQLiteStore.open(planted, registry()) as store,
        running(store, registry()) as app,
        client_of(app.address, schemas=registry()) as typed,
        client_of(app.address) as plain,
    ):
        message, document = typed.subscribe("s"), plain.subscribe("s")
        snapshot = await take_snapshot(message)
        assert snapshot.entities[0].payload == UnreadablePayload(type="test.wild.Wild", reason=NO_NUMBER)
        assert (await take_snapshot(document)).entities[0].payload == unreadable(NO_NUMBER)
        await did(app.hub, Wild(any=UNKNOWN), Wild(double=4))
        for updates, shown in ((message, NOT_KNOWN), (document, unreadable(NOT_KNOWN.reason))):
            assert await take(updates) == LiveEvent(3, "Told", shown)
            following = await take(updates)
            assert isinstance(following, LiveEvent)
            assert following.ordinal == 4


async def test_server_sent_events_show_it_and_it_is_recorded_once(planted: Path) -> None:
    async with (
        SQLiteStore.open(planted, registry()) as store,
        running(store, registry()) as app,
        http_client(sse_endpoint(app.hub)) as http,
    ):
        last_id = ""
        for _ in range(2):
            async with watching(http) as source:
                snapshot, last_id = await source.snapshot(), source.last_id
                shown = {entity["id"]: entity["payload"] for entity in snapshot["entities"]}
                assert (shown["1"], shown["2"]["double"]) == (unreadable(NO_NUMBER), 2.0)
        await did(app.hub, Wild(any=UNKNOWN))
        async with watching(http, headers={"last-event-id": last_id}) as changed:
            snapshot = await changed.snapshot()
            assert (snapshot["since"], snapshot["entities"][-1]["payload"]) == ("2", unreadable(NOT_KNOWN.reason))
        assert [record.ordinal for record in await app.recorded(2)] == [1, 3]


async def test_a_message_that_vanished_is_shown_as_that(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    later = SchemaRegistry()
    later.register_timeline_entity("Text", StringValue)
    async with SQLiteStore.open(path, registry()) as store, running(store, registry()) as app:
        await did(app.hub, Wild())
    async with (
        SQLiteStore.open(path, later) as store,
        Hub(later, store=store) as hub,
        served(WebSocketServer(hub)) as address,
        client_of(address, schemas=registry()) as old,
        client_of(address, schemas=later) as new,
    ):
        expected = UnreadablePayload(type="test.wild.Wild", reason="its message is not registered")
        for reader in (old, new):  # the new client does not know the kind either
            snapshot = await take_snapshot(reader.subscribe("s"))
            shown = {entity.kind: entity.payload for entity in snapshot.entities}
            assert shown == {"Text": StringValue(value="1"), "Wild": expected}


@pytest.mark.parametrize("kept_in", ["memory", "sqlite"])
async def test_an_any_of_an_unknown_type_is_accepted_and_shown_as_unreadable(kept_in: str, tmp_path: Path) -> None:
    """A process of a newer version may know it: nothing is lost, live or in snapshots and deltas."""
    schemas = registry()
    store: HydrationStore = MemoryStore(schemas)
    if kept_in == "sqlite":
        store = await SQLiteStore.open(tmp_path / "x.db", schemas)
    async with running(store, schemas) as app, client(app.address) as watching:
        await watching.subscribe("s")
        await did(app.hub, Wild(any=UNKNOWN), Wild())
        live = [(await watching.hear())["uiEvent"]["payload"] for _ in range(2)]
        assert live == [unreadable(NOT_KNOWN.reason), {"@type": "type.googleapis.com/test.wild.Wild"}]
        async with client(app.address) as late:
            snapshot, *_ = await late.subscribe("s", delta=True)
            entities = {entity["id"]: entity["payload"] for entity in snapshot["snapshot"]["entities"]}
            assert entities["1"] == unreadable(NOT_KNOWN.reason)
            await did(app.hub, Wild(many_any=[UNKNOWN]))
            epoch = snapshot["snapshot"]["epoch"]
        async with client(app.address) as back:
            delta, *_ = await back.subscribe("s", delta=True, sinceSnapshotOrdinal="2", epoch=epoch)
            assert delta["snapshot"]["since"] == "2"
            changed = {entity["id"]: entity["payload"] for entity in delta["snapshot"]["entities"]}
            assert changed["3"]["@type"] == UNREADABLE
        # Each was told of as a live event and as an entity; nobody came a second time to either.
        told = [(record.kind, record.ordinal, record.event_name) for record in await app.recorded(4)]
        assert sorted(told) == [("fanout", 1, ""), ("fanout", 1, "Did"), ("fanout", 3, ""), ("fanout", 3, "Did")]
        assert in_bytes((await app.hub.snapshot("s")).entities[0].payload) == in_bytes(Wild(any=UNKNOWN))
    await store.close()


class Asking:
    """A subscriber of a loader: what it is given becomes a timeline as a client with schemas has it."""

    def __init__(self, schemas: SchemaRegistry) -> None:
        self.payloads = PayloadDecoder(schemas)
        self.held: JsonSnapshot | None = None

    async def ask(self, loader: SnapshotLoader) -> None:
        given: asyncio.Future[Hydration | Exception] = asyncio.get_running_loop().create_future()
        basis = Basis(self.held.snapshot_ordinal, self.held.epoch) if self.held is not None else None
        loader.request(SnapshotRequest("s", basis, True, given.set_result))
        result = await asyncio.wait_for(given, PATIENCE)
        assert isinstance(result, Hydration), result
        came = read(result.frame.text)
        assert isinstance(came, SnapshotFrame)
        self.held = apply_snapshot(self.held, came)

    def timeline(self) -> dict[tuple[str, str], Any]:
        assert self.held is not None
        return {(entity.kind, entity.id): entity.payload for entity in self.payloads.snapshot(self.held).entities}


def as_json_says(payload: Any) -> bytes:
    """A payload as one who reads JSON has it, whatever that leaves out."""
    happened = UIEventFrame("s", 1, "Told", json_format.MessageToDict(packed(payload)))
    return in_bytes(PayloadDecoder(registry()).event(happened).payload)


def in_bytes(message: Any) -> bytes:
    """A message as something that is equal to itself, NaN or not."""
    written: bytes = message.SerializeToString(deterministic=True)
    return written


async def is_shown(payloads: list[Any], store: HydrationStore) -> None:
    """Publish what is accepted; whoever subscribes, then or later, is shown all of it, and errors say what is not."""
    schemas = registry()
    hub = Hub(schemas, store=store)
    hub.register_timeline_projection(keep)
    loader = SnapshotLoader(hub, concurrency=1, timeout_seconds=PATIENCE, cache_bytes=1_000_000)
    early, late = Asking(schemas), Asking(schemas)
    stored: list[Any] = []
    for payload in payloads:
        try:
            await did(hub, payload)
        except PayloadValueError:
            continue
        stored.append(payload)
        await early.ask(loader)  # a full snapshot first, deltas from then on
    await late.ask(loader)
    await loader.close()
    timeline = {key: in_bytes(shown) for key, shown in late.timeline().items()}
    assert len(timeline) == len(stored) + bool(stored)
    if stored:
        assert {key: in_bytes(shown) for key, shown in early.timeline().items()} == timeline
    hidden = set()
    for number, payload in enumerate(stored, start=1):
        shown = late.timeline()["Wild", str(number)]
        if isinstance(shown, UnreadablePayload):
            assert "no message is known of the type" in shown.reason
            hidden.add(number)
        else:
            assert in_bytes(shown) == as_json_says(payload)
    assert [record.ordinal for record in await store.error_records("s")] == sorted(hidden)
    await hub.shutdown()


@given(st.lists(wild(), max_size=3))
def test_whatever_the_registry_accepts_every_subscriber_is_shown(payloads: list[Any]) -> None:
    asyncio.run(is_shown(payloads, MemoryStore(registry())))


@settings(max_examples=15)
@given(st.lists(wild(), max_size=3))
def test_whatever_the_registry_accepts_is_shown_out_of_a_file(payloads: list[Any]) -> None:
    async def in_a_file() -> None:
        with TemporaryDirectory() as directory:
            async with SQLiteStore.open(Path(directory) / "x.db", registry()) as store:
                await is_shown(payloads, store)

    asyncio.run(in_a_file())


async def test_a_source_that_cannot_report_has_it_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Opaque(Source):
        async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
            return Snapshot(session_id, 1, (TimelineEntity("Wild", "1", Wild(any=UNKNOWN), 1, 1),), 7)

    loader = SnapshotLoader(Opaque(), concurrency=1, timeout_seconds=PATIENCE, cache_bytes=1_000_000)
    asking = Asking(registry())
    await asking.ask(loader)
    assert asking.timeline() == {("Wild", "1"): NOT_KNOWN}
    await loader.close()
    assert "1 entities of session 's' cannot be shown" in caplog.text


async def test_a_report_that_fails_costs_nobody_the_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(registry())
    hub.register_timeline_projection(keep)
    await did(hub, Wild(any=UNKNOWN))

    async def fail(session_id: str, entities: object) -> None:
        raise RuntimeError("no")

    hub.report_unreadable = fail  # type: ignore[method-assign]
    loader = SnapshotLoader(hub, concurrency=1, timeout_seconds=PATIENCE, cache_bytes=1_000_000)
    for _ in range(2):
        asking = Asking(registry())
        await asking.ask(loader)
        assert asking.timeline()["Wild", "1"] == NOT_KNOWN
    await loader.close()
    assert "failed to report what of session 's' is unreadable" in caplog.text
    await hub.shutdown()
