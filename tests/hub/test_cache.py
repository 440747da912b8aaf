"""The session cache: its limit, its correctness, and that evicted sessions are loaded again."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import ItemsView, Iterator, ValuesView
from types import FrameType

import pytest

from sessionstream import (
    Event,
    Hub,
    MemoryStore,
    SchemaRegistry,
    Session,
    StoreError,
    TimelineEntity,
    TimelineView,
    UIEvent,
    UnknownSchemaError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate, TokensDeltaEvent
from sessionstream.hub import sessions
from sessionstream.hub.timeline import Timeline
from sessionstream.store import Cursors

from .support import App, Broken, Gate, Store, registry, said, settle, soon, text, texts


def chunks_of(sent: tuple[str, int, tuple[UIEvent, ...]]) -> list[str]:
    return [event.payload.chunk for event in sent[2] if isinstance(event.payload, ChatMessageUpdate)]


def app_on(**options: object) -> tuple[App, Store]:
    schemas = registry()
    store = Store(MemoryStore(schemas))
    return App(store, schemas=schemas, **options), store


async def test_a_timeline_is_asked_for_once() -> None:
    app, store = app_on()
    await app.publish(*"abc")
    assert store.calls.count("timeline") == 1
    assert await app.texts() == {"1": "abc"}
    assert store.calls.count("snapshot") == 1, "only the check itself asked for a snapshot"


async def test_sessions_leave_least_recently_used_first() -> None:
    app, store = app_on(cache_entities=4)  # two sessions of one entity each
    for session_id in ("one", "two"):
        await app.publish("a", session_id=session_id)
    await app.publish("b", session_id="one")
    await app.publish("a", session_id="three")  # "two" leaves
    store.calls.clear()
    await app.publish("c", session_id="one")
    assert "timeline" not in store.calls
    await app.publish("b", session_id="two")
    assert store.calls.count("timeline") == 1
    assert [await app.texts(each) for each in ("one", "two", "three")] == [{"1": "abc"}, {"1": "ab"}, {"1": "a"}]


async def test_a_session_that_grows_makes_others_leave() -> None:
    app, store = app_on(cache_entities=5)
    await app.publish("a", session_id="small")
    for number in range(4):
        await app.hub.publish(said("x", "large", entity=str(number)))
    store.calls.clear()
    await app.publish("b", session_id="small")
    assert "timeline" in store.calls


@pytest.mark.parametrize("capacity", [0, 1, 3, 7])
async def test_eviction_loses_nothing(capacity: int) -> None:
    app, _ = app_on(cache_entities=capacity)
    sessions = ["one", "two", "three", "four"]
    for each in "abcd":
        await asyncio.gather(*(app.publish(each, session_id=session_id) for session_id in sessions))
    for session_id in sessions:
        assert await app.texts(session_id) == {"1": "abcd"}
    assert len(app.hub._sessions) <= max(capacity // 2, 1)


async def test_a_session_in_use_does_not_leave() -> None:
    app, store = app_on(cache_entities=0)
    gate = store.stop_before("commit")
    first = asyncio.create_task(app.hub.publish(said("a")))
    await gate.reached()
    second = asyncio.create_task(app.hub.publish(said("b")))
    for number in range(5):
        await app.publish("x", session_id=f"other {number}")
    third = asyncio.create_task(app.hub.publish(said("c")))
    await settle()
    assert not third.done()
    gate.open()
    assert [(await soon(task)).ordinal for task in (first, second, third)] == [1, 2, 3]
    assert store.calls.count("timeline") == 6
    assert await app.texts() == {"1": "abc"}


class Counting(OrderedDict[str, sessions.SessionState]):
    """Counts how many sessions are looked at."""

    looked_at = 0

    def _count(self, states: Iterator[sessions.SessionState]) -> Iterator[sessions.SessionState]:
        for state in states:
            self.looked_at += 1
            yield state

    def values(self) -> ValuesView[sessions.SessionState]:  # type: ignore[override]
        return self._count(iter(super().values()))  # type: ignore[return-value]

    def items(self) -> ItemsView[str, sessions.SessionState]:  # type: ignore[override]
        self.looked_at += len(self)
        return super().items()


async def test_making_room_looks_at_no_more_sessions_than_leave() -> None:
    app, _ = app_on(cache_entities=1000, pipeline_observer=None)
    app.hub._sessions._states = counting = Counting()
    for number in range(700):
        await app.publish("x", session_id=f"s-{number}")
    assert 450 <= len(counting) <= 500
    assert counting.looked_at <= 700


async def test_metadata_is_asked_for_once_while_its_session_is_cached() -> None:
    asked: list[str] = []

    def metadata(session_id: str) -> dict[str, str]:
        asked.append(session_id)
        return {"of": session_id}

    app, _ = app_on(session_metadata=metadata)
    for _ in range(2):
        await app.publish("a", "b")
        assert (await app.hub.session("s")).metadata == {"of": "s"}
    assert asked == ["s"]


async def test_and_again_when_it_has_left() -> None:
    asked: list[str] = []
    app, _ = app_on(session_metadata=asked.append, cache_entities=1)
    for session_id in ("one", "two", "one"):
        await app.publish("a", session_id=session_id)
    assert asked == ["one", "two", "one"]


async def test_several_at_once_ask_once() -> None:
    asked: list[str] = []
    gate = Gate()

    async def metadata(session_id: str) -> int:
        asked.append(session_id)
        await gate.stop()
        return 42

    app, _ = app_on(session_metadata=metadata)
    tasks = [asyncio.create_task(app.hub.session("s")) for _ in range(3)]
    publishing = asyncio.create_task(app.hub.publish(said("a")))
    await gate.reached()
    await settle()
    gate.open()
    assert [(await soon(task)).metadata for task in tasks] == [42, 42, 42]
    await soon(publishing)
    assert asked == ["s"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_metadata_that_fails_comes_out_unchanged_and_is_asked_for_again(asynchronous: bool) -> None:
    answers: list[object] = [Broken("no metadata"), "metadata"]

    def metadata(session_id: str) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def later(session_id: str) -> object:
        await asyncio.sleep(0)
        return metadata(session_id)

    app, store = app_on(session_metadata=later if asynchronous else metadata)
    with pytest.raises(Broken, match="no metadata"):
        await app.publish("a")
    assert await app.log() == []
    assert "commit" not in store.calls
    assert (await app.hub.session("s")).metadata == "metadata"
    await app.usable()


async def test_a_second_hub_s_writes_are_seen_by_snapshots() -> None:
    app, store = app_on()
    other = App(store.inner, schemas=app.schemas)
    await app.publish("a")
    await other.publish("b")
    assert texts(await app.hub.snapshot("s")) == {"1": "ab"}
    assert (await app.hub.cursor("s"), await app.hub.event_cursor("s")) == (2, 2)


async def test_and_by_publishing_each_event_once() -> None:
    app, store = app_on()
    other = App(store.inner, schemas=app.schemas)
    for each in "abcdef":
        await (app if each in "ace" else other).publish(each)
    assert await app.log() == list("abcdef")
    assert await app.texts() == await other.texts() == {"1": "abcdef"}
    assert (app.recorder.ordinals(), other.recorder.ordinals()) == ([1, 3, 5], [2, 4, 6])
    assert [*app.recorder.errors, *other.recorder.errors] == []
    assert len(app.recorder.records) == 3, "a lost race is not an event's way through the pipeline"


async def test_the_loser_of_a_race_is_told_only_what_changed() -> None:
    app, store = app_on()
    other = App(store.inner, schemas=app.schemas)
    for number in range(50):
        await app.hub.publish(said("x", entity=str(number)))
    await other.publish("warm")
    store.told.clear()
    for each in "abc":
        await other.hub.publish(said(each, entity="7"))
        await other.hub.publish(said("", entity="8", status="delete"))
        await app.hub.publish(said(each, entity="9"))
        await app.hub.publish(said(each, entity="8"))
        assert await app.texts() == await other.texts()
    assert store.told == [3, 2, 2]


async def test_what_vanished_and_what_came_back_is_taken_over() -> None:
    app, store = app_on()
    other = App(store.inner, schemas=app.schemas)
    await app.publish("a")
    await app.hub.publish(said("b", entity="2"))
    known = Timeline()
    await known.take_over(await store.timeline("s"))
    assert isinstance(store.inner, MemoryStore)
    await other.hub.publish(said("c", entity="2"))
    known_cursors = Cursors(2, 2, known.epoch)
    store.inner._registry = SchemaRegistry()
    store.inner._readable.clear()
    await known.take_over(await store.timeline("s", known=known_cursors))
    assert (known.size, known.ordinal, known.created_ordinal("Text", "2")) == (2, 3, 2)
    assert text(known.copy_of("Text", "1")) == "a"
    with pytest.raises(UnknownSchemaError, match="ChatMessageEntity"):
        known.copy_of("Text", "2")
    store.inner._registry = app.schemas
    await known.take_over(await store.timeline("s", known=known_cursors))
    assert (known.size, text(known.copy_of("Text", "2"))) == (2, "bc")
    assert await known.states("s") == await store.snapshot("s")


async def test_many_hubs_at_once() -> None:
    first, store = app_on()
    apps = [first, *(App(store, schemas=first.schemas) for _ in range(3))]
    await soon(asyncio.gather(*(app.publish(str(number)) for number, app in enumerate(apps * 10))))
    log = await first.log()
    assert sorted(log, key=int) == [str(number) for number in range(40)]
    assert await first.texts() == {"1": "".join(log)}
    assert sorted(ordinal for app in apps for ordinal in app.recorder.ordinals()) == list(range(1, 41))


async def test_a_session_deleted_by_somebody_else() -> None:
    app, store = app_on()
    await app.publish("a")
    await store.inner.delete_session("s")
    assert texts(await app.hub.snapshot("s")) == {}
    assert await app.publish("b") == [2]
    assert await app.texts() == {"1": "b"}


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("futures", [False, True])
async def test_a_commit_that_fails_is_recorded_and_the_timeline_read_again(landed: bool, futures: bool) -> None:
    app, store = app_on()
    store.futures = futures
    await app.publish("a")
    (store.fail_after if landed else store.fail)("commit", StoreError("the disk is full"))
    with pytest.raises(StoreError, match="full"):
        await app.publish("b")
    expected = "ab" if landed else "a"
    assert await app.log() == list(expected)
    assert await app.texts() == {"1": expected}
    (record,) = app.recorder.errors
    assert (record.kind, record.session_id, record.ordinal, record.event_name) == ("store", "s", 2, "Said")
    assert record.error == "StoreError: the disk is full"
    assert await app.store.error_records("s") == [record]
    seen = app.recorder.records[-1]
    assert (seen.stored, seen.cursor_moved, seen.fanned_out, seen.committed) == (False, False, (), ())
    assert isinstance(seen.error, StoreError)
    before = store.calls.count("timeline")
    await app.usable()
    assert store.calls.count("timeline") == before + 1
    assert await app.texts() == {"1": f"{expected}!"}
    assert [chunks_of(sent) for sent in app.recorder.sent] == [[each] for each in f"{expected}!"]
    assert app.recorder.ordinals() == list(range(1, len(expected) + 2))


async def test_a_store_that_cannot_be_read() -> None:
    app, store = app_on()
    store.fail("timeline", StoreError("the disk is gone"))
    with pytest.raises(StoreError, match="gone"):
        await app.hub.publish(said("a", event_id="id"))
    assert await app.log() == []
    await app.usable()


async def test_an_error_that_cannot_be_recorded_is_told_first() -> None:
    app, store = app_on()
    app.broken["timeline"].add("a")
    store.fail("record_error", StoreError("the disk is full"))
    with pytest.raises(Exception, match="timeline a"):
        await app.publish("a")
    first, second = app.recorder.errors
    assert (first.kind, first.error, dict(first.metadata)) == (
        "store",
        "StoreError: the disk is full",
        {"originalKind": "timeline-projection"},
    )
    assert (first.session_id, first.ordinal, first.event_name) == ("s", 1, "Said")
    assert (second.kind, second.error) == ("timeline-projection", "Broken: timeline a")
    assert await app.store.error_records("s") == []


async def test_an_entity_whose_message_vanished_is_an_error_only_for_who_touches_it() -> None:
    app, store = app_on()
    await app.publish("a")
    later = SchemaRegistry()
    later.register_event("Said", TokensDeltaEvent)
    later.register_ui_event("Told", ChatMessageUpdate)
    later.register_timeline_entity("Text", ChatMessageUpdate)
    assert isinstance(store.inner, MemoryStore)
    store.inner._registry = later
    store.inner._readable.clear()
    hub = Hub(later, store=store)
    seen: list[str] = []

    @hub.timeline_projection
    def touch(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        for look in (lambda: view.get("Text", "1"), lambda: view.list("Text"), view.list):
            with pytest.raises(UnknownSchemaError, match="ChatMessageEntity"):
                look()
        assert (view.get("Text", "2"), view.list("Other")) == (None, [])
        seen.append("touched")
        return [TimelineEntity("Text", "2", ChatMessageUpdate())]

    assert (await hub.publish(said("b"))).ordinal == 2
    assert seen == ["touched"]
    for _ in range(2):
        with pytest.raises(UnknownSchemaError) as caught:
            await hub.snapshot("s")
        assert caught.value.name == "Text"
    assert await hub.cursor("s") == 2
    replacing = Hub(later, store=store)

    @replacing.timeline_projection
    def replace(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        return [TimelineEntity("Text", "1", ChatMessageUpdate())]

    await replacing.publish(said("c"))
    entities = (await replacing.snapshot("s")).entities
    assert [(entity.id, entity.created_ordinal, entity.last_event_ordinal) for entity in entities] == [
        ("1", 1, 3),
        ("2", 2, 2),
    ]


class Copies:
    """Counts how often a message is copied; a context manager."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Copies:
        sys.setprofile(self._called)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: FrameType, kind: str, called: object) -> None:
        self.count += kind == "c_call" and getattr(called, "__name__", "") in ("__deepcopy__", "CopyFrom")


async def test_publishing_touches_no_more_entities_when_there_are_many() -> None:
    app, store = app_on()
    costs: list[tuple[int, list[str]]] = []
    for size in (1, 10_000):
        for number in range(len((await app.store.snapshot("s")).entities), size):
            await app.hub.publish(said("x", entity=str(number)))
        store.calls.clear()
        with Copies() as copies:
            await app.hub.publish(said("y", entity="0"))
        costs.append((copies.count, list(store.calls)))
    assert costs[0] == costs[1]
    assert 0 < costs[0][0] < 20
    assert costs[0][1] == ["commit"]


async def test_publishing_in_a_loop_lets_others_run() -> None:
    app = App(pipeline_observer=None)
    turns = 0
    publishing = asyncio.create_task(app.publish(*(["x"] * 1000)))
    while not publishing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 10


async def test_deleting_one_of_several_and_deleting_what_cannot_be_read() -> None:
    app, store = app_on()
    for name in ("1", "2"):
        await app.hub.publish(said(name, entity=name))
    await app.hub.publish(said(entity="1", status="delete"))
    assert await app.texts() == {"2": "2"}
    assert isinstance(store.inner, MemoryStore)
    store.inner._registry = later = SchemaRegistry()
    later.register_event("Said", TokensDeltaEvent)
    later.register_timeline_entity("Text", ChatMessageUpdate)
    store.inner._readable.clear()
    hub = Hub(later, store=store)
    hub.register_timeline_projection(app.project_timeline)
    await hub.publish(said(entity="2", status="delete"))
    assert (await hub.snapshot("s")).entities == ()
    (deleted,) = (await hub.snapshot("s", since=3)).entities
    assert (deleted.id, deleted.tombstone, deleted.created_ordinal, deleted.last_event_ordinal) == ("2", True, 2, 4)
