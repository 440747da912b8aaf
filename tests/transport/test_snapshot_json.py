"""JSON that is kept for later snapshots is what encoding them anew would give, and is bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import any_pb2
from google.protobuf.wrappers_pb2 import StringValue
from hypothesis import given
from hypothesis import strategies as st

from sessionstream import Event, Hub, SchemaRegistry, Session, Snapshot, TimelineEntity, TimelineView
from sessionstream.subscription import Basis
from sessionstream.transport import frame_json, snapshot_json
from sessionstream.transport.snapshot_json import SnapshotJsonCache
from sessionstream.transport.ws.server.effects import Hydration
from sessionstream.transport.ws.server.loading import SnapshotLoader, SnapshotRequest
from sessionstream.v1.transport_pb2 import UnreadablePayload
from tests.core.wild import Wild

UNKNOWN = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"x")


def naive(snapshot: Snapshot, *, epochs: bool, since: int) -> str:
    """Encode a snapshot at once and from nothing."""
    written = []
    for entity in snapshot.entities:
        try:
            written.append(frame_json.entity(entity))
        except frame_json.Unwritable as failure:
            written.append(frame_json.entity(replace(entity, payload=failure.shown)))
    body: dict[str, Any] = {"sessionId": snapshot.session_id}
    if snapshot.snapshot_ordinal:
        body["snapshotOrdinal"] = str(snapshot.snapshot_ordinal)
    if written:
        body["entities"] = [json.loads(each) for each in written]
    if epochs:
        body["epoch"] = str(snapshot.epoch)
    if since:
        body["since"] = str(since)
    return json.dumps({"snapshot": body}, ensure_ascii=False, separators=(",", ":"))


def schemas() -> SchemaRegistry:
    registry = SchemaRegistry()
    registry.register_event("Did", StringValue)
    registry.register_timeline_entity("Text", StringValue)
    registry.register_timeline_entity("Wild", Wild)
    return registry


def project(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
    what, entity_id, text = event.payload.value.split(" ", 2)  # type: ignore[attr-defined]
    if what == "drop":
        return [TimelineEntity("Text", entity_id, None, tombstone=True)] if view.get("Text", entity_id) else []
    if what == "hide":
        return [TimelineEntity("Wild", entity_id, Wild(any=UNKNOWN))]
    return [TimelineEntity("Text", entity_id, StringValue(value=text))] if what == "put" else []


async def load(loader: SnapshotLoader, session_id: str, basis: Basis | None, *, epochs: bool) -> Hydration:
    results: asyncio.Queue[Hydration | Exception] = asyncio.Queue()
    loader.request(SnapshotRequest(session_id, basis, epochs, results.put_nowait))
    async with asyncio.timeout(10):
        result = await results.get()
    assert isinstance(result, Hydration)
    return result


async def is_as_encoded_anew(steps: Sequence[tuple[Any, ...]], cache_entities: int, cache_bytes: int) -> None:
    hub = Hub(schemas(), cache_entities=cache_entities)
    hub.register_timeline_projection(project)
    loader = SnapshotLoader(hub, concurrency=2, timeout_seconds=10, cache_bytes=cache_bytes)
    for session_id, epochs, back, what, *values in steps:
        if what == "rebuild":
            await hub.rebuild_timeline(session_id)
        elif what != "nothing":
            payload = StringValue(value=" ".join((what, *values, "")))
            await hub.publish(Event("Did", payload, session_id))
        now = await hub.snapshot(session_id)
        held = now.snapshot_ordinal - back
        basis = Basis(held, now.epoch) if held > 0 and back else None
        found = await load(loader, session_id, basis, epochs=epochs)
        since = held if found.delta else 0
        expected = await hub.snapshot(session_id, since=since or None)
        assert found.frame.text == naive(expected, epochs=epochs, since=since)
        assert found.frame.size == len(found.frame.text.encode())
        assert (found.ordinal, found.epoch, found.entities) == (
            expected.snapshot_ordinal,
            expected.epoch,
            len(expected.entities),
        )
        assert loader._cache._memory == sum(kept.memory for kept in loader._cache._kept.values()) <= cache_bytes
    await loader.close()
    await hub.shutdown()


ids = st.sampled_from("abc")
changes = (
    st.tuples(st.just("put"), ids, st.text("xé\u20ac\U0001f600\0", max_size=3))
    | st.tuples(st.sampled_from(["drop", "hide", "other"]), ids)
    | st.tuples(st.sampled_from(["rebuild", "nothing"]))
)
steps = st.lists(
    st.builds(
        lambda *step: (*step[:-1], *step[-1]),
        st.sampled_from("st"),
        st.booleans(),
        st.sampled_from([0, 0, 1, 3]),
        changes,
    ),
    max_size=20,
)


@given(steps, st.sampled_from([0, 3, 100]), st.sampled_from([1, 1_600, 3_000, 100_000]), st.integers(1, 5))
def test_every_snapshot_is_as_one_that_is_encoded_anew(
    steps: list[tuple[Any, ...]], cache_entities: int, cache_bytes: int, piece: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_json, "_PIECE", piece)
        asyncio.run(is_as_encoded_anew(steps, cache_entities, cache_bytes))


class Counted:
    """Counts the entities that are encoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entities: list[TimelineEntity] = []
        self._encode = frame_json.entity
        monkeypatch.setattr(frame_json, "entity", self)

    def __call__(self, entity: TimelineEntity) -> str:
        self.entities.append(entity)
        return self._encode(entity)

    def taken(self) -> list[str]:
        taken, self.entities = self.entities, []
        return [entity.id for entity in taken]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


async def test_what_is_kept_is_not_encoded_again(encoded: Counted) -> None:
    hub = Hub(schemas())
    hub.register_timeline_projection(project)

    async def did(what: str) -> None:
        await hub.publish(Event("Did", StringValue(value=f"{what} "), "s"))

    loader = SnapshotLoader(hub, concurrency=1, timeout_seconds=10, cache_bytes=100_000)
    for what in ("put a", "put b", "put c", "hide d"):
        await did(what)
    for epochs in (False, True):
        await load(loader, "s", None, epochs=epochs)
    assert encoded.taken() == ["a", "b", "c", "d", "d", "d", "d"]  # what cannot be written is tried again, and shown
    for what in ("put b", "drop c", "put c"):
        await did(what)
        await load(loader, "s", None, epochs=False)
    assert encoded.taken() == ["b", "d", "d", "d", "d", "d", "d", "c"]
    await hub.rebuild_timeline("s")
    await load(loader, "s", None, epochs=False)
    assert encoded.taken() == ["a", "b", "d", "d", "c"]
    await loader.close()
    await hub.shutdown()


def text(entity_id: str, value: str = "x") -> TimelineEntity:
    return TimelineEntity("Text", entity_id, StringValue(value=value), 1, 1)


async def test_other_objects_are_encoded_anew_even_if_they_are_equal(encoded: Counted) -> None:
    cache = SnapshotJsonCache(100_000)
    for _ in range(3):
        await cache.write("s", (text("a"), text("b")), full=True)
        assert encoded.taken() == ["a", "b"]
    zero = TimelineEntity("Text", "a", Wild(double=0.0), 1, 1)
    minus = TimelineEntity("Text", "a", Wild(double=-0.0), 1, 1)
    pieces = [(await cache.write("s", (each,), full=True)).pieces for each in (zero, minus)]
    assert pieces[0] != pieces[1]


async def test_an_id_that_is_used_again_is_no_old_entity() -> None:
    """Nothing but the cache holds the entities, so without it each would be where the one before was."""
    cache = SnapshotJsonCache(100_000)
    for number in range(200):
        written = await cache.write("s", (text("a", str(number)),), full=True)
        assert f'"value":"{number}"' in written.pieces[0]


async def test_a_delta_is_not_kept_in_place_of_the_snapshot(encoded: Counted) -> None:
    cache, one, other = SnapshotJsonCache(100_000), text("a"), text("b")
    await cache.write("s", (one, other), full=True)
    await cache.write("s", (other,), full=False)
    await cache.write("s", (one, other), full=True)
    assert encoded.taken() == ["a", "b"]


async def test_the_least_recently_used_session_is_dropped(encoded: Counted) -> None:
    sessions = {name: tuple(text(f"{name}{number}", "x" * 100) for number in range(10)) for name in "abc"}
    size = (await SnapshotJsonCache(0).write("a", sessions["a"], full=True)).memory
    encoded.taken()
    cache = SnapshotJsonCache(int(size * 2.5))
    for name in "abaca":
        await cache.write(name, sessions[name], full=True)
    assert list(cache._kept) == ["c", "a"]
    assert [each[0] for each in encoded.taken()] == ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    await cache.write("b", sessions["a"] + sessions["b"] + sessions["c"], full=True)  # more than there is room for
    assert list(cache._kept) == ["c", "a"]
    for name in "ca":
        await cache.write(name, (), full=True)
    assert (list(cache._kept), cache._memory) == ([], 0)


async def test_the_bytes_that_are_counted_are_those_in_memory() -> None:
    import tracemalloc

    for letter in ("x", "é", "\u20ac", "\U0001f600"):
        entities = tuple(text(str(number), letter * 300) for number in range(2_000))
        cache = SnapshotJsonCache(100_000_000)
        tracemalloc.start()
        await cache.write("s", entities, full=True)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 0.7 < held / cache._memory < 1.05


async def test_a_source_whose_entities_may_change_is_encoded_every_time(encoded: Counted) -> None:
    entity = text("a", "before")

    class Changing:
        async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
            return Snapshot(session_id, 1, (entity,), 7)

    class Lasting(Changing):
        async def states(self, session_id: str, *, since: int | None = None) -> Snapshot:
            return await self.snapshot(session_id, since=since)

    for source, times in ((Changing(), 2), (Lasting(), 1)):
        loader = SnapshotLoader(source, concurrency=1, timeout_seconds=10, cache_bytes=100_000)
        for value in ("before", "after"):
            entity.payload.value = value  # type: ignore[union-attr]
            found = await load(loader, "s", None, epochs=False)
            if times == 2:
                assert f'"value":"{value}"' in found.frame.text
        assert encoded.taken() == ["a"] * times
        await loader.close()


async def test_entities_that_are_shown_as_unreadable_are_told_of_with_every_snapshot() -> None:
    hidden = TimelineEntity("Text", "a", UnreadablePayload(type="a.B", reason="it is gone"), 1, 1)
    cache = SnapshotJsonCache(100_000)
    for entities in ((hidden, text("b")), (hidden, text("c"))):
        for _ in range(2):
            assert list((await cache.write("s", entities, full=True)).unreadable) == [hidden]
