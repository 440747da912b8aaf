"""The whole public API in typed use: checked by mypy --strict and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import assert_type

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

import sessionstream as ss
from sessionstream.hydration import stores as places
from sessionstream.hydration.stored import StoredEvent, StoredSession, StoredSnapshot, StoredState


def schemas() -> ss.SchemaRegistry:
    registry = ss.SchemaRegistry()
    registry.register_command("Deploy", StringValue)
    registry.register_event("StepDone", StringValue())
    registry.register_ui_event("LogLine", StringValue)
    registry.register_timeline_entity("Deployment", Int64Value)
    assert_type(registry.command_schema("Deploy"), type[Message] | None)
    assert_type(registry.event_schema("StepDone"), type[Message] | None)
    assert_type(registry.ui_event_schema("LogLine"), type[Message] | None)
    assert_type(registry.timeline_entity_schema("Deployment"), type[Message] | None)
    assert_type(registry.decode_command_json("Deploy", b'"v1"'), Message)
    return registry


async def deploy(command: ss.Command, session: ss.Session, publisher: ss.EventPublisher) -> None:
    event = await publisher.publish(ss.Event("StepDone", StringValue(value="build"), session.id, event_id="e-1"))
    assert_type(event.ordinal, int)
    assert_type(command.payload, Message)


def plain_handler(command: ss.Command, session: ss.Session, publisher: ss.EventPublisher) -> None: ...


def log_lines(event: ss.Event, session: ss.Session, view: ss.TimelineView) -> list[ss.UIEvent]:
    return [ss.UIEvent("LogLine", event.payload)]


async def count(event: ss.Event, session: ss.Session, view: ss.TimelineView) -> Iterable[ss.TimelineEntity] | None:
    before = view.get("Deployment", "current")
    assert_type(before, ss.TimelineEntity | None)
    assert_type(view.list(), list[ss.TimelineEntity])
    assert_type(view.ordinal, int)
    return [ss.TimelineEntity("Deployment", "current", Int64Value(value=event.ordinal))]


class Deletions:
    """A projection as an object."""

    def project(self, event: ss.Event, session: ss.Session, view: ss.TimelineView) -> Iterable[ss.TimelineEntity]:
        yield ss.TimelineEntity("Deployment", "old", None, tombstone=True)


class Broadcast:
    """A fan-out as an object."""

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[ss.UIEvent]) -> None: ...


def observe(record: ss.PipelineRecord) -> None:
    assert_type(record.fanned_out, tuple[ss.UIEvent, ...])


def observe_error(record: ss.ErrorRecord) -> None:
    assert_type(record.raw_message, bytes)


async def metadata(session_id: str) -> dict[str, str]:
    return {"id": session_id}


@asynccontextmanager
async def durable_hub(path: str) -> AsyncIterator[ss.Hub]:
    registry = schemas()
    async with ss.SQLiteStore.open(path, registry, synchronous="full") as store:
        assert_type(store, ss.SQLiteStore)
        hub = ss.Hub(
            schemas=registry,
            store=store,
            fanout=Broadcast(),
            policies=ss.ProjectionPolicies(ui="advance", timeline="fail"),
            session_metadata=metadata,
            pipeline_observer=observe,
            error_observer=observe_error,
        )
        hub.register_command("Deploy", deploy)
        hub.register_ui_projection(log_lines)
        hub.register_timeline_projection(count)
        hub.register_timeline_projection(Deletions())
        hub.set_fanout(lambda session_id, ordinal, events: print(session_id, ordinal, len(events)))
        hub.set_fanout(None)
        async with hub:
            yield hub


async def decorated(view: ss.TimelineView) -> None:
    hub = ss.Hub(schemas())
    hub.command("Deploy")(plain_handler)
    kept = hub.ui_projection(log_lines)
    kept(ss.Event("StepDone", StringValue(), "s"), await hub.session("s"), view)
    hub.timeline_projection(count)
    await hub.submit("s", "Deploy", StringValue(value="v1"), idempotency_key="k")
    assert_type(await hub.publish(ss.Event("StepDone", StringValue(), "s")), ss.Event)
    assert_type(await hub.snapshot("s"), ss.Snapshot)
    assert_type(await hub.snapshot("s", as_of=3), ss.Snapshot)
    assert_type(await hub.snapshot("s", since=3), ss.Snapshot)
    assert_type(await hub.states("s", since=3), ss.Snapshot)
    await hub.report_unreadable("s", (await hub.states("s")).entities)
    assert_type(await hub.session("s"), ss.Session)
    assert_type(await hub.cursor("s"), int)
    assert_type(await hub.event_cursor("s"), int)
    assert_type(hub.follower, ss.FollowerStatus | None)
    assert_type(hub.statistics(), ss.HubStatistics)
    assert_type(await hub.retry_timeline("s"), ss.ReplayReport)
    assert_type(await hub.rebuild_timeline("s"), ss.ReplayReport)
    await hub.run()
    await hub.ready(within=2)
    await hub.shutdown()


def looking(path: str) -> None:
    assert_type(ss.SQLiteStore.look(path, lambda file: file.sessions()), list[str])
    ss.SQLiteStore.back_up(path, "copy.db")
    ss.SQLiteStore.restore("copy.db", path, replace=True)
    assert_type(ss.SQLiteStore.upgrade(path, dry_run=True).changes, tuple[str, ...])
    assert_type(ss.SQLiteStore.look(path, lambda file: file.session("s")), StoredSession | None)
    assert_type(ss.SQLiteStore.look(path, lambda file: file.timeline("s", as_of=3)), StoredSnapshot)
    (event,) = ss.SQLiteStore.look(path, lambda file: file.events("s", after=2, limit=1))
    assert_type(event, StoredEvent)
    assert_type(event.payload.type.descriptors, bytes)
    state: StoredState = ss.SQLiteStore.look(path, lambda file: file)
    assert_type(state.version, int)
    assert_type(places.look(path, lambda state: state.sessions(after="a", limit=1)), list[str])
    assert_type(places.shown(path), str)


async def placed(path: str) -> None:
    async with places.open(path, schemas()) as store:
        assert_type(store, ss.HydrationStore)


async def stores(path: str) -> None:
    registry = schemas()
    memory: ss.HydrationStore = ss.MemoryStore(registry)
    sqlite: ss.HydrationStore = await ss.SQLiteStore.open(path, registry)
    for store in (memory, sqlite):
        event = ss.Event("StepDone", StringValue(), "s", 1, "e-1")
        assert_type(await store.changes(after="", limit=3), list[ss.Change])
        await store.commit(ss.Commit("s", event, (), expected_ordinal=0, timeline_cursor=1))
        assert_type(await store.cursors("s"), ss.Cursors)
        assert_type(await store.events("s", after=0, limit=10), list[ss.Event])
        assert_type(await store.find_event("s", "e-1"), ss.LoggedEvent | None)
        assert_type(ss.stored_digest("Delta", "a.Delta", b"", b""), bytes)
        assert_type(await store.timeline("s"), ss.StoredTimeline)
        assert_type(await store.error_records("s", limit=5), list[ss.ErrorRecord])
        assert_type(await store.sessions(after="", limit=5), list[str])
        await store.prune("s", before=1)
        assert_type(await store.ordinal_before("s", datetime.now(UTC)), int)
        assert_type(await store.ordinal_from_end("s", 2), int)
        assert_type(await store.forget_errors("s", datetime.now(UTC)), int)
        assert_type(await store.forget_claims("s", datetime.now(UTC)), int)
        policy = ss.RetentionPolicy(keep_events=100, keep_for=timedelta(days=7), delete_idle=timedelta(days=90))
        async for step in policy.apply(store, ["s"]):
            assert_type(step, ss.RetentionStep)
            assert_type(step.deleted, bool)
        await store.delete_session("s", expected=await store.cursors("s"))
        await store.close()


def errors(error: ss.SessionstreamError) -> object:
    match error:
        case ss.ProjectionError():
            return assert_type(error.event, ss.Event)
        case ss.SessionHeld():
            return assert_type(error.failed_ordinal, int)
        case ss.EventConflict():
            return assert_type(error.ordinal, int)
        case ss.PayloadTypeError():
            return assert_type(error.expected, str)
        case ss.StoreDamaged():
            return assert_type(error.table, str)
        case _:
            return None


assert_type(ss.derive_ordinal("1-1"), int | None)
assert_type(ss.assign_ordinal(1, "1-1"), int)
