"""Digests without a version byte, of this protobuf build or another: a repeat is recognised as a repeat."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf.struct_pb2 import Value
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import (
    Command,
    CommandConflict,
    Event,
    EventConflict,
    EventPublisher,
    Hub,
    SchemaRegistry,
    Session,
    SQLiteStore,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

MAP = Value()
MAP.struct_value.update({"a": True, "ab": True, "b": True})
PLAIN = StringValue(value="x")


def schemas() -> SchemaRegistry:
    registry = SchemaRegistry()
    for name, message in (("Map", Value), ("Plain", StringValue)):
        registry.register_event(name, message)
        registry.register_command(name, message)
    return registry


def old_digest(name: str, payload: Message, data: bytes | None = None) -> bytes:
    """The digest of an earlier version; of these bytes, if another build made it."""
    identity = sha256()
    data = payload.SerializeToString(deterministic=True) if data is None else data
    for part in (name.encode(), payload.DESCRIPTOR.full_name.encode(), data):
        identity.update(len(part).to_bytes(8, "big") + part)
    return identity.digest()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    registry = schemas()
    async with SQLiteStore.open(tmp_path / "x.db", registry) as store, Hub(registry, store=store) as hub:

        async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
            raise AssertionError("it ran again")

        for name in ("Map", "Plain"):
            hub.register_command(name, handle)
        await store.claim_command("s", "here", old_digest("Map", MAP))
        await store.claim_command("s", "elsewhere", old_digest("Map", MAP, b"other bytes"))
        await store.claim_command("s", "plain", old_digest("Plain", PLAIN))
        for key in ("here", "elsewhere", "plain"):
            await store.end_command("s", key, finished=True)
        for event_id, name, payload in (("here", "Map", MAP), ("elsewhere", "Map", MAP), ("plain", "Plain", PLAIN)):
            await hub.publish(Event(name, payload, "s", event_id=event_id))
        await hub.publish(Event("Plain", PLAIN, "s"))
        await store.prune("s", before=4)
        yield hub


def make_old(path: Path, event_id: str, digest: bytes) -> None:
    """Put the digest of an earlier version into the file, as that left it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        changed = db.execute("UPDATE events SET digest = ?, type = NULL WHERE event_id = ?", (digest, event_id))
        assert changed.rowcount == 1


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_command_that_comes_again_does_not_run_again(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    await hub.submit("s", "Map", MAP, idempotency_key="here")
    await hub.submit("s", "Plain", PLAIN, idempotency_key="plain")
    assert warnings(caplog) == []
    await hub.submit("s", "Map", MAP, idempotency_key="elsewhere")
    (warning,) = warnings(caplog)
    assert warning.startswith(
        "idempotency key 'elsewhere' of session 's' was used again with 'Map' (google.protobuf.Value), and is taken "
        "for a repeat: its digest is an old one"
    )
    with pytest.raises(CommandConflict):
        await hub.submit("s", "Plain", StringValue(value="y"), idempotency_key="plain")


async def test_a_pruned_event_that_comes_again_is_not_logged_again(
    hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for event_id, digest in (
        ("here", old_digest("Map", MAP)),
        ("elsewhere", old_digest("Map", MAP, b"other bytes")),
        ("plain", old_digest("Plain", PLAIN)),
    ):
        make_old(tmp_path / "x.db", event_id, digest)
    assert (await hub.publish(Event("Map", MAP, "s", event_id="here"))).ordinal == 1
    assert (await hub.publish(Event("Plain", PLAIN, "s", event_id="plain"))).ordinal == 3
    assert warnings(caplog) == []
    assert (await hub.publish(Event("Map", MAP, "s", event_id="elsewhere"))).ordinal == 2
    (warning,) = warnings(caplog)
    assert warning.startswith("event 'elsewhere' of session 's' was used again with 'Map'")
    with pytest.raises(EventConflict):
        await hub.publish(Event("Plain", StringValue(value="y"), "s", event_id="plain"))


@pytest.mark.parametrize("vanished", [False, True])
async def test_an_event_of_a_vanished_class_is_compared_with_the_schema_that_the_file_keeps(
    tmp_path: Path, vanished: bool
) -> None:
    registry = schemas()
    async with SQLiteStore.open(tmp_path / "x.db", registry) as store:
        hub = Hub(registry, store=store)
        await hub.publish(Event("Map", MAP, "s", event_id="e"))
        kept = await store.find_event("s", "e")
        await hub.shutdown()
    async with SQLiteStore.open(tmp_path / "x.db", SchemaRegistry() if vanished else registry) as store:
        assert await store.find_event("s", "e") == kept
        await store.prune("s", before=1)
