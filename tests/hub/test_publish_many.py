"""publish_many: commits are passed to the store without waiting in between; otherwise it behaves like publish."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from sessionstream import (
    BusError,
    Command,
    CommandUnfinished,
    Commit,
    Event,
    EventConflict,
    EventPublisher,
    Hub,
    HubClosed,
    HydrationStore,
    InvalidIdError,
    LaneReentryError,
    MemoryBus,
    MemoryStore,
    OrdinalConflict,
    PayloadTypeError,
    ProjectionError,
    Session,
    SQLiteStore,
    StoreError,
    TimelineEntity,
    TimelineView,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity, StopInferenceCommand
from sessionstream.hub import turn
from sessionstream.hub.pipeline import DRAFTS_AT_ONCE
from sessionstream.hub.turn import MAX_UNDER_WAY
from sessionstream.testing import StoreProxy

from .support import App, Gate, Store, registry, said, say, settle, soon, text, until


def app_on(*, futures: bool = True) -> tuple[App, Store]:
    schemas = registry()
    store = Store(MemoryStore(schemas), futures=futures)
    return App(store, schemas=schemas), store


async def test_events_come_back_in_order_with_ordinals_and_ids() -> None:
    app = App()
    events = [said(each) for each in "abc"]
    published = await app.hub.publish_many("s", iter(events))
    assert [event.ordinal for event in published] == [1, 2, 3]
    assert all(event.payload is given.payload for event, given in zip(published, events, strict=True))
    assert [event.event_id for event in published] == [event.event_id for event in await app.store.events("s")]
    assert await app.texts() == {"1": "abc"}
    assert app.recorder.ordinals() == [1, 2, 3]
    assert [record.view_ordinal for record in app.recorder.records] == [0, 1, 2]


async def test_publishing_no_events_changes_nothing() -> None:
    app = App()
    assert await app.hub.publish_many("s", []) == []
    assert await app.store.sessions() == []


async def test_commits_are_handed_over_before_the_first_is_acknowledged() -> None:
    app, store = app_on()
    await app.publish("a")
    store.calls.clear()
    gate = store.stop_before("commit")
    publishing = asyncio.create_task(app.hub.publish_many("s", [said(each) for each in "bcd"]))
    await gate.reached()
    await until(lambda: store.calls.count("commit") == 3)
    assert (app.recorder.ordinals(), await app.texts()) == ([1], {"1": "a"})  # nobody is shown what is not true yet
    gate.open()  # this store lets the others overtake the first, and refuses them: they are handed over again
    assert [event.ordinal for event in await soon(publishing)] == [2, 3, 4]
    assert app.recorder.ordinals() == [1, 2, 3, 4]


async def test_uncommitted_changes_are_not_visible() -> None:
    app, store = app_on()
    await app.publish("a")
    gate = store.stop_after("commit")
    publishing = asyncio.create_task(app.hub.publish_many("s", [said(each) for each in "bc"]))
    await gate.reached()
    await settle()
    assert app.recorder.ordinals() == [1]
    gate.open()
    await soon(publishing)
    assert app.recorder.ordinals() == [1, 2, 3]
    assert await app.texts() == {"1": "abc"}


async def test_each_event_is_projected_on_what_those_before_it_made() -> None:
    app, store = app_on()
    await app.hub.publish_many("s", [said("k", entity="kept"), said("g", entity="gone"), said("c", entity="changed")])
    seen: list[object] = []

    def look(event: Event, session: Session, view: TimelineView) -> None:
        every = [(entity.id, text(entity), entity.created_ordinal) for entity in view.list()]
        assert view.list("Text") == view.list()
        assert view.list("Other") == []
        for entity in view.list():
            assert view.get("Text", entity.id) == entity
            assert isinstance(entity.payload, ChatMessageEntity)
            entity.payload.text = "changed by a projection"
        assert view.get("Text", "gone" if "gone" not in [each[0] for each in every] else "nobody") is None
        seen.append((view.ordinal, every))

    app.hub.register_timeline_projection(look)
    store.stop_after("commit").open()
    await app.hub.publish_many(
        "s",
        [
            said("!", entity="changed"),
            said("", entity="gone", status="delete"),
            said("n", entity="new"),
            said("again", entity="gone"),
            said("?", entity="new"),
        ],
    )
    assert seen == [
        (3, [("kept", "k", 1), ("gone", "g", 2), ("changed", "c", 3)]),
        (4, [("kept", "k", 1), ("gone", "g", 2), ("changed", "c!", 3)]),
        (5, [("kept", "k", 1), ("changed", "c!", 3)]),
        (6, [("kept", "k", 1), ("changed", "c!", 3), ("new", "n", 6)]),
        (7, [("kept", "k", 1), ("changed", "c!", 3), ("new", "n", 6), ("gone", "again", 7)]),
    ]
    assert await app.texts() == {"kept": "k", "changed": "c!", "new": "n?", "gone": "again"}


async def test_an_id_that_comes_twice_is_one_event() -> None:
    app = App()
    await app.hub.publish(said("a", event_id="known"))
    events = [said("b", event_id="new"), said("a", event_id="known"), said("b", event_id="new"), said("c")]
    published = await app.hub.publish_many("s", events)
    assert [event.ordinal for event in published] == [2, 1, 2, 3]
    assert await app.log() == ["a", "b", "c"]


async def test_the_call_can_be_repeated() -> None:
    app, store = app_on()
    events = [said(each, event_id=each) for each in "abcde"]
    store.first("commit", settle)
    store.fail_after("commit", StoreError("the answer is lost"))
    with pytest.raises(StoreError, match="lost") as failed:
        await app.hub.publish_many("s", events)
    assert failed.value.__notes__ == ["publish_many: of 5 events, the first 0 are published"]
    published = await app.hub.publish_many("s", events)
    assert [event.ordinal for event in published] == [1, 2, 3, 4, 5]
    assert await app.log() == list("abcde")
    assert app.recorder.ordinals() == [1, 2, 3, 4, 5]  # also of what was true although its commit failed
    assert await app.texts() == {"1": "abcde"}


@pytest.mark.parametrize("futures", [False, True], ids=["async def", "future"])
@pytest.mark.parametrize("fails", range(4))
@pytest.mark.parametrize("late", [False, True], ids=["refused", "true all the same"])
async def test_the_first_commit_that_fails_ends_it(futures: bool, fails: int, late: bool) -> None:
    app, store = app_on(futures=futures)
    await app.publish("a")
    for _ in range(fails):
        store.first("commit", nothing)
    store.first("commit", lambda: failing(store, late))
    with pytest.raises(StoreError, match="broken") as failed:
        await soon(app.hub.publish_many("s", [said(each) for each in "bcde"]))
    assert failed.value.__notes__ == [f"publish_many: of 4 events, the first {fails} are published"]
    log = await app.log()
    assert log[: fails + 1] == list("abcde")[: fails + 1]
    assert len(log) >= fails + 1 + late
    await app.usable()
    assert app.recorder.ordinals() == list(range(1, len(log) + 2))
    assert app.recorder.kinds().count("store") >= 1


async def nothing() -> None:
    """Let a call pass."""


async def failing(store: Store, late: bool) -> None:
    error = StoreError("broken")
    if late:
        store.fail_after("commit", error)
    else:
        store.fail("commit", error)


class EveryOtherConflicts(StoreProxy):
    """Refuses every second commit, as if another process had moved the session."""

    commits = 0

    def commit(self, commit: Commit, /) -> Awaitable[None]:
        self.commits += 1
        if self.commits % 2:
            return super().commit(commit)
        refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        refused.set_exception(OrdinalConflict(commit.session_id, expected="this", actual="that"))
        return refused


async def test_conflicts_are_counted_from_the_last_event_that_was_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "MAX_ATTEMPTS", 3)
    schemas = registry()
    app = App(EveryOtherConflicts(MemoryStore(schemas)), schemas=schemas)
    await app.hub.publish_many("s", [said(str(number)) for number in range(10)])
    assert await app.log() == [str(number) for number in range(10)]
    assert app.recorder.ordinals() == list(range(1, 11))


@pytest.mark.parametrize("lost", range(3))
async def test_a_race_that_is_lost_begins_again_where_it_was_lost(lost: int) -> None:
    app, store = app_on()
    other = App(store.inner, schemas=app.schemas)
    for _ in range(lost):
        store.first("commit", nothing)
    store.first("commit", lambda: other.publish("o"))
    published = await soon(app.hub.publish_many("s", [said(each) for each in "abc"]))
    assert "".join(await app.log()).replace("o", "") == "abc"
    assert sorted(await app.log()) == ["a", "b", "c", "o"]
    assert [(await app.log())[event.ordinal - 1] for event in published] == ["a", "b", "c"]
    await app.usable()


class InOrder(StoreProxy):
    """Takes commits one after the other, as a store with a thread does, and another hub's before the next."""

    def __init__(self, inner: HydrationStore) -> None:
        super().__init__(inner)
        self.overtake: Callable[[], Awaitable[None]] | None = None
        self._last: asyncio.Future[None] | None = None

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        self._last = asyncio.ensure_future(self._commit(commit, self._last))
        return self._last

    async def _commit(self, commit: Commit, before: asyncio.Future[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        if self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            await overtake()
        await self.inner.commit(commit)


@pytest.mark.parametrize("theirs", ["five", "other"], ids=["the same event", "another event"])
@pytest.mark.parametrize("on", ["memory", "sqlite"])
async def test_a_faster_hub_that_publishes_the_same_id_is_no_reason_to_go_on(
    tmp_path: Path, on: str, theirs: str
) -> None:
    """What was projected on a commit that lost must not be stored, though its ordinal and its id are in the log."""
    async with AsyncExitStack() as stack:
        schemas = registry()
        stores: list[HydrationStore] = [MemoryStore(schemas)] * 2
        if on == "sqlite":
            stores = [await stack.enter_async_context(SQLiteStore.open(tmp_path / "s.db", schemas)) for _ in range(2)]
        store = InOrder(stores[0])
        app, other = App(store, schemas=schemas), App(stores[1], schemas=schemas)
        await app.publish("0")

        async def overtake() -> None:
            await other.hub.publish(said("Z"))
            await other.hub.publish(said(theirs, event_id="5"))

        store.overtake = overtake
        events = [said("X"), said("five", event_id="5"), said("Y")]
        if theirs == "five":
            published = await soon(app.hub.publish_many("s", events))
            assert [event.ordinal for event in published] == [4, 3, 5]
            assert await app.log() == ["0", "Z", "five", "X", "Y"]
        else:
            with pytest.raises(EventConflict) as failed:
                await soon(app.hub.publish_many("s", events))
            assert failed.value.__notes__ == ["publish_many: of 3 events, the first 1 are published"]
            assert await app.log() == ["0", "Z", "other", "X"]
        assert await app.texts() == {"1": "".join(await app.log())}
        assert app.recorder.ordinals() == sorted(app.recorder.ordinals())
        assert (await app.hub.rebuild_timeline("s")).cursor == len(await app.log())
        assert await app.texts() == {"1": "".join(await app.log())}


async def test_a_call_that_is_repeated_asks_for_each_id_about_twice() -> None:
    app, store = app_on()
    events = [said("x", entity=str(number % 7), event_id=str(number)) for number in range(3 * MAX_UNDER_WAY)]
    await app.hub.publish_many("s", events)
    assert store.calls.count("find_event") == len(events)
    store.calls.clear()
    await app.hub.publish_many("s", [*events, said("last")])
    assert store.calls.count("find_event") <= 2 * len(events)
    assert await app.hub.cursor("s") == len(events) + 1


async def test_a_generator_may_use_one_message_for_all() -> None:
    app, event = App(), said()

    def each() -> Iterator[Event]:
        for chunk in "abc":
            event.payload.chunk = chunk  # type: ignore[attr-defined]
            yield event

    await app.hub.publish_many("s", each())
    assert await app.log() == ["a", "b", "c"]


async def test_others_run_while_many_events_are_taken() -> None:
    app, turns = App(), 0
    seen: list[int] = []

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def look(event: Event, session: Session, view: TimelineView) -> None:
        seen.append(turns)

    app.hub.register_ui_projection(look)
    counting = asyncio.create_task(count())
    await app.hub.publish_many("s", [said(event_id=str(number)) for number in range(2_000)])
    counting.cancel()
    assert seen[0] >= 2_000 // DRAFTS_AT_ONCE  # while they are checked and copied
    assert turns - seen[0] >= 2_000 // 32 - 1  # while they are published


@pytest.mark.parametrize("kind", ["ui", "timeline"])
async def test_the_first_that_a_projection_fails_on_ends_it_and_holds_the_session(kind: str) -> None:
    app = App()
    app.broken[kind] = {"c"}
    with pytest.raises(ProjectionError) as failed:
        await app.hub.publish_many("s", [said(each) for each in "abcde"])
    assert (failed.value.event.ordinal, failed.value.__notes__) == (
        3,
        ["publish_many: of 5 events, the first 2 are published"],
    )
    assert (await app.log(), await app.texts()) == (["a", "b", "c"], {"1": "ab"})
    app.broken[kind].clear()
    published = await app.hub.publish_many("s", [said("d"), said("e")])
    assert [event.ordinal for event in published] == [4, 5]
    assert await app.texts() == {"1": "abcde"}
    assert app.recorder.ordinals() == [1, 2, 3, 4, 5]


async def test_more_than_may_be_under_way() -> None:
    app, _ = app_on()
    await app.hub.publish_many("s", [said("x", entity=str(number % 7)) for number in range(3 * MAX_UNDER_WAY)])
    assert await app.hub.cursor("s") == 3 * MAX_UNDER_WAY
    assert app.recorder.ordinals() == list(range(1, 3 * MAX_UNDER_WAY + 1))
    await app.usable()


async def test_other_events_of_the_session_wait_behind_all_of_them() -> None:
    app, store = app_on()
    gate = store.stop_before("timeline")
    many = asyncio.create_task(app.hub.publish_many("s", [said(each) for each in "abc"]))
    await gate.reached()
    one = asyncio.create_task(app.hub.publish(said("d")))
    elsewhere = await soon(app.hub.publish(said("x", "other")))
    gate.open()
    await soon(asyncio.gather(many, one))
    assert (await app.log(), elsewhere.ordinal) == (list("abcd"), 1)


async def test_cancelled_while_a_projection_waits_what_was_handed_over_is_finished() -> None:
    app, _ = app_on()
    gate = Gate()

    async def wait(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        if event.ordinal == 3:
            await gate.stop()
        return []

    app.hub.register_timeline_projection(wait)
    publishing = asyncio.create_task(app.hub.publish_many("s", [said(each) for each in "abcd"]))
    await gate.reached()
    publishing.cancel()
    await soon(asyncio.wait([publishing]))
    assert publishing.cancelled()
    assert (await app.log(), app.recorder.ordinals()) == (["a", "b"], [1, 2])
    gate.open()
    await app.usable()


@pytest.mark.parametrize(
    ("session_id", "events", "error", "words"),
    [
        ("", [said()], InvalidIdError, "session id"),
        ("s", [said(), said(session_id="t")], ValueError, "is of session 't', and publish_many was called for session"),
        ("s", [said(), Event("Said", said().payload, "s", 7)], ValueError, "has ordinal 7 already"),
        ("s", [said(), Event("Said", StopInferenceCommand(), "s")], PayloadTypeError, "payload type mismatch"),
        ("s", [said(), "said"], TypeError, "takes an Event"),
        ("s", [said(), said(event_id=" ")], InvalidIdError, "event id"),
        ("s", said(), TypeError, "takes an iterable of events"),
    ],
)
async def test_nothing_is_published_where_an_event_is_refused(
    session_id: str, events: Any, error: type[Exception], words: str
) -> None:
    app = App()
    with pytest.raises(error, match=words):
        await app.hub.publish_many(session_id, events)
    assert await app.log() == []


async def test_not_from_a_projection_nor_after_the_end() -> None:
    app = App()

    async def publish(event: Event, session: Session, view: TimelineView) -> None:
        await app.hub.publish_many("s", [said()])

    app.hub.register_ui_projection(publish)
    with pytest.raises(ProjectionError) as failed:
        await app.publish("x")
    assert isinstance(failed.value.__cause__, LaneReentryError)
    assert failed.value.__cause__.call == "publish_many"
    await app.hub.shutdown()
    with pytest.raises(HubClosed):
        await app.hub.publish_many("s", [said()])


async def test_a_handler_publishes_many_and_its_key_counts_as_used() -> None:
    app, runs = App(), 0

    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        nonlocal runs
        runs += 1
        await publisher.publish_many(session.id, [said(each) for each in "ab"])
        raise RuntimeError("after that")

    app.hub.register_command("Say", handle)
    with pytest.raises(RuntimeError, match="after that"):
        await app.hub.submit("s", "Say", say(), idempotency_key="key")
    with pytest.raises(CommandUnfinished):
        await app.hub.submit("s", "Say", say(), idempotency_key="key")
    assert (runs, await app.log()) == (1, ["a", "b"])


class Failing(MemoryBus):
    """A bus that fails on its second message."""

    count = 0

    async def publish(self, message: Any, /) -> None:
        self.count += 1
        if self.count == 2:
            raise RuntimeError("broken")
        await super().publish(message)


@pytest.mark.parametrize("new_bus", [MemoryBus, Failing])
async def test_on_a_bus_they_are_handed_over_in_order(new_bus: Callable[[], MemoryBus]) -> None:
    app = App(bus=new_bus())
    hub: Hub = app.hub
    async with hub:
        if new_bus is Failing:
            with pytest.raises(BusError, match="broken"):
                await hub.publish_many("s", [said(each) for each in "abc"])
        else:
            published = await hub.publish_many("s", [said(each) for each in "abc"])
            assert [event.ordinal for event in published] == [0, 0, 0]
        expected = ["a"] if new_bus is Failing else ["a", "b", "c"]
        await until(lambda: hub.consumer is not None and hub.consumer.consumed == len(expected))
        assert await app.log() == expected
