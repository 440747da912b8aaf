"""hub.watch: a snapshot, then exactly the UI events above it, for whoever writes a transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sessionstream import (
    ErrorRecord,
    EventLoopError,
    Hub,
    HubClosed,
    InvalidIdError,
    LiveEvents,
    MemoryStore,
    SchemaRegistry,
    Snapshot,
    SQLiteStore,
    StoreError,
    TransportError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate
from sessionstream.v1.transport_pb2 import UnreadablePayload

from .support import App, Recorder, Store, not_a, registry, said, settle, soon, texts

if TYPE_CHECKING:
    from sessionstream import LiveSessions, UIEvent, Watch


def is_live(hub: LiveSessions) -> LiveSessions:
    return hub


def chunk_of(event: UIEvent) -> str:
    assert isinstance(event.payload, ChatMessageUpdate)
    return event.payload.chunk


async def snapshot_of(watch: AsyncIterator[Snapshot | LiveEvents]) -> Snapshot:
    came = await soon(anext(watch))
    assert isinstance(came, Snapshot)
    return came


async def live_of(watch: AsyncIterator[Snapshot | LiveEvents]) -> tuple[int, list[str]]:
    came = await soon(anext(watch))
    assert isinstance(came, LiveEvents)
    return came.ordinal, [chunk_of(event) for event in came.events]


async def test_a_snapshot_and_then_each_event() -> None:
    app = App()
    await app.publish("a", "b")
    async with is_live(app.hub).watch("s") as watch:
        await app.publish("c")
        first = await snapshot_of(watch)
        assert (first.snapshot_ordinal, texts(first), first.since) == (3, {"1": "abc"}, None)
        waiting = asyncio.create_task(live_of(watch))
        await settle()
        await app.publish("d", "e")
        await app.hub.publish(said("elsewhere", "another"))
        assert await waiting == (4, ["d"])
        assert await live_of(watch) == (5, ["e"])
    assert app.recorder.ordinals() == [1, 2, 3, 4, 5], "the fan-out that was set still gets everything"


async def test_a_session_that_nobody_has_used() -> None:
    app = App()
    async with app.hub.watch("s") as watch:
        assert await snapshot_of(watch) == Snapshot("s", 0, ())
        await app.publish("a")
        assert await live_of(watch) == (1, ["a"])


async def test_events_that_come_while_the_snapshot_loads() -> None:
    store = Store(MemoryStore(registry()))
    app = App(store)
    await app.publish("a")
    async with app.hub.watch("s") as watch:
        gate = store.stop_after("cursors")
        waiting = asyncio.create_task(snapshot_of(watch))
        await gate.reached()
        await app.publish("b")
        gate.open()
        loaded = await waiting
        rest = [await live_of(watch) for _ in range(2 - loaded.snapshot_ordinal)]
        assert (loaded.snapshot_ordinal, rest) in ((1, [(2, ["b"])]), (2, []))


async def test_the_values_are_the_readers_own_unless_it_shares() -> None:
    app = App()
    await app.publish("a")
    async with (
        app.hub.watch("s") as own,
        app.hub.watch("s", shared=True) as one,
        app.hub.watch("s", shared=True) as two,
    ):
        snapshots = [await snapshot_of(watch) for watch in (own, one, two)]
        assert snapshots[1].entities is snapshots[2].entities
        assert snapshots[0].entities[0].payload is not None
        snapshots[0].entities[0].payload.Clear()
        await app.publish("b")
        mine, ours, theirs = [await soon(anext(watch)) for watch in (own, one, two)]
        assert ours is theirs
        assert isinstance(mine, LiveEvents)
        mine.events[0].payload.Clear()
        assert isinstance(ours, LiveEvents)
        assert chunk_of(ours.events[0]) == "b"
    assert await app.texts() == {"1": "ab"}


async def test_a_rebuild_and_a_deletion_give_a_snapshot() -> None:
    app = App()
    await app.publish("a")
    async with app.hub.watch("s") as watch:
        first = await snapshot_of(watch)
        await app.hub.rebuild_timeline("s")
        rebuilt = await snapshot_of(watch)
        assert (rebuilt, rebuilt.epoch == first.epoch) == (first, False)
        await app.publish("b")
        assert await live_of(watch) == (2, ["b"])


async def test_a_resync_to_where_the_watch_is_gives_no_snapshot() -> None:
    app = App()
    async with app.hub.watch("s") as watch:
        await snapshot_of(watch)
        await app.publish("a")
        app.hub._watchers.resync("s", 1, (await app.hub.snapshot("s")).epoch)
        await app.publish("b")
        assert [await live_of(watch), await live_of(watch)] == [(1, ["a"]), (2, ["b"])]


async def test_a_load_that_finds_out_that_the_timeline_has_moved_is_not_begun_anew() -> None:
    """As with a store without feed, and a cache that holds no session: each load tells the watch of it."""
    app = App()
    await app.publish("a")
    states, loads = app.hub.states, []

    async def moving(session_id: str) -> Snapshot:
        loads.append(session_id)
        assert len(loads) < 20, "it is loaded for ever"
        await app.publish("b")  # somebody publishes all the time
        found = await states(session_id)
        app.hub._watchers.resync(session_id, found.snapshot_ordinal, found.epoch)
        return found

    not_a(app.hub).states = moving
    async with app.hub.watch("s") as watch:
        assert (await snapshot_of(watch)).snapshot_ordinal == 2
        assert loads == ["s"]
        await app.publish("c")
        assert await live_of(watch) == (3, ["c"])


@pytest.mark.parametrize("why", ["missed", "rebuilt"])
async def test_a_timeline_that_moves_after_it_was_read_is_read_again(why: str) -> None:
    app = App()
    await app.publish("a")
    states, loads = app.hub.states, []

    async def moving(session_id: str) -> Snapshot:
        found = await states(session_id)
        loads.append(found.snapshot_ordinal)
        if len(loads) == 1:
            await app.publish("b")  # told, and kept
            if why == "rebuilt":
                await app.hub.rebuild_timeline("s")
            else:
                elsewhere = App(app.store, schemas=app.schemas)
                await elsewhere.publish("c")  # not told
            await app.publish("d")
        return found

    not_a(app.hub).states = moving
    async with app.hub.watch("s") as watch:
        snapshot = await snapshot_of(watch)
        assert snapshot.snapshot_ordinal == loads[-1] == (4 if why == "missed" else 3)
        assert len(loads) == 2
        assert snapshot.epoch == (await states("s")).epoch


async def test_a_slow_reader_gets_a_snapshot_instead_of_what_it_missed() -> None:
    app = App()
    async with app.hub.watch("s", limit=3) as watch:
        await snapshot_of(watch)
        await app.publish("a", "b", "c")
        assert await live_of(watch) == (1, ["a"])
        await app.publish("d", "e", "f")
        late = await snapshot_of(watch)
        assert (late.snapshot_ordinal, texts(late)) == (6, {"1": "abcdef"})
        await app.publish("g")
        assert await live_of(watch) == (7, ["g"])


async def test_one_event_may_have_more_ui_events_than_may_wait() -> None:
    app = App()
    app.hub.register_ui_projection(app.project_ui)
    async with app.hub.watch("s", limit=1) as watch:
        await snapshot_of(watch)
        await app.publish("a")
        assert await live_of(watch) == (1, ["a", "a"])


async def test_bytes_are_limited_as_well() -> None:
    app = App()
    large = "x" * 1_500_000
    async with app.hub.watch("s") as watch:
        await snapshot_of(watch)
        await app.publish(large, large, large)
        assert (await snapshot_of(watch)).snapshot_ordinal == 3


async def test_too_many_events_while_each_snapshot_loads() -> None:
    app = App()
    await app.publish("a")
    states, flooding = app.hub.states, ["yes"]

    async def slowly(session_id: str) -> Snapshot:
        found = await states(session_id)
        if flooding:
            await app.publish("b", "c")
        return found

    not_a(app.hub).states = slowly
    async with app.hub.watch("s", limit=1) as watch:
        with pytest.raises(TransportError, match=r"'s'.*more than 1 UI events.*5 snapshots.*higher limit"):
            await soon(anext(watch))
        flooding.clear()
        assert (await snapshot_of(watch)).snapshot_ordinal == 11


async def test_changes_for_whoever_holds_the_timeline() -> None:
    app = App()
    await app.publish("a", "b")
    held = await app.hub.snapshot("s")
    await app.hub.publish(said("x", entity="2"))
    async with app.hub.watch("s", since=held.snapshot_ordinal, epoch=held.epoch, limit=1) as watch:
        changes = await snapshot_of(watch)
        assert (changes.since, texts(changes), changes.snapshot_ordinal) == (2, {"2": "x"}, 3)
        await app.publish("c", "d")
        changes = await snapshot_of(watch)
        assert (changes.since, texts(changes)) == (3, {"1": "abcd"})
        await app.hub.rebuild_timeline("s")
        whole = await snapshot_of(watch)
        assert (whole.since, len(whole.entities)) == (None, 2)


async def test_changes_begin_where_the_reader_has_read() -> None:
    """A snapshot that was dropped before it was read is no state from which changes may start."""
    app = App()
    await app.publish("a")
    held = await app.hub.snapshot("s")
    async with app.hub.watch("s", since=1, epoch=held.epoch, limit=1) as watch:
        await app.hub.publish(said("x", entity="2"))
        loading = asyncio.create_task(watch._load())
        await soon(loading)
        await app.publish("b", "c")
        changes = await snapshot_of(watch)
        assert (changes.since, texts(changes)) == (1, {"1": "abc", "2": "x"})


@pytest.mark.parametrize("since", [0, 9])
async def test_a_position_that_nobody_can_hold_gives_everything(since: int) -> None:
    app = App()
    await app.publish("a")
    epoch = (await app.hub.snapshot("s")).epoch
    async with app.hub.watch("s", since=since, epoch=epoch) as watch:
        assert (await snapshot_of(watch)).since is None
    for read in (app.hub.snapshot, app.hub.states):
        assert (await read("s", since=since, epoch=epoch)).since is None


async def test_snapshot_since_in_another_epoch_or_below_the_floor(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", registry()) as store:
        app = App(store)
        await app.publish("a", "b", "c")
        held = await app.hub.snapshot("s")
        for read in (app.hub.snapshot, app.hub.states):
            assert (await read("s", since=1, epoch=held.epoch)).since == 1
            assert (await read("s", since=1, epoch=held.epoch + 1)).since is None
        await store.prune("s", before=3)
        for read in (app.hub.snapshot, app.hub.states):
            assert (await read("s", since=1, epoch=held.epoch)).since is None
            assert (await read("s", since=3, epoch=held.epoch)).since == 3


async def test_what_another_process_publishes(tmp_path: Path) -> None:
    schemas = registry()
    async with (
        SQLiteStore.open(tmp_path / "x.db", schemas) as here,
        SQLiteStore.open(tmp_path / "x.db", schemas) as there,
    ):
        app, other = App(here, schemas=schemas, fanout=None), App(there, schemas=schemas)
        async with app.hub.watch("s") as watch:
            await snapshot_of(watch)
            for chunk in "abcd":
                await (app if chunk in "ac" else other).publish(chunk)
                seen = await live_of(watch)
                assert seen == ("abcd".index(chunk) + 1, [chunk])
            await other.hub.rebuild_timeline("s")
            assert texts(await snapshot_of(watch)) == {"1": "abcd"}
        assert app.hub._pipeline.follower is not None
        assert not app.hub._pipeline.follower.watched


async def test_a_cancelled_reader_misses_nothing() -> None:
    store = Store(MemoryStore(registry()))
    app = App(store, cache_entities=0)
    await app.publish("a")
    async with app.hub.watch("s") as watch:
        gate = store.stop_before("timeline")
        waiting = asyncio.create_task(soon(anext(watch)))
        await gate.reached()
        waiting.cancel()
        await asyncio.wait({waiting})
        assert texts(await snapshot_of(watch)) == {"1": "a"}
        waiting = asyncio.create_task(soon(anext(watch)))
        await settle()
        waiting.cancel()
        await asyncio.wait({waiting})
        await app.publish("b")
        assert await live_of(watch) == (2, ["b"])


async def test_a_store_that_fails_is_asked_again() -> None:
    store = Store(MemoryStore(registry()))
    app = App(store, cache_entities=0)
    async with app.hub.watch("s") as watch:
        store.fail("timeline", StoreError("no disk"))
        with pytest.raises(StoreError, match="no disk"):
            await snapshot_of(watch)
        await app.publish("a")
        assert texts(await snapshot_of(watch)) == {"1": "a"}


async def test_a_load_that_a_rebuild_overtakes_is_not_used() -> None:
    store = Store(MemoryStore(registry()))
    app = App(store, cache_entities=0)
    await app.publish("a")
    async with app.hub.watch("s") as watch:
        gate = store.stop_after("timeline")
        waiting = asyncio.create_task(snapshot_of(watch))
        await gate.reached()
        await app.hub.rebuild_timeline("s")
        gate.open()
        assert (await waiting).epoch == (await app.hub.snapshot("s")).epoch


async def test_an_entity_that_cannot_be_read_is_shown_and_recorded_once(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", registry()) as store:
        await App(store).publish("a")
    fewer = SchemaRegistry()
    async with SQLiteStore.open(tmp_path / "x.db", fewer) as store:
        errors: list[ErrorRecord] = []
        hub = Hub(fewer, store=store, error_observer=errors.append)
        for _ in range(2):
            async with hub.watch("s") as watch:
                (entity,) = (await snapshot_of(watch)).entities
                assert isinstance(entity.payload, UnreadablePayload)
        assert [record.kind for record in errors] == ["fanout"]


async def test_it_ends_with_the_hub_and_with_its_context() -> None:
    app = App()
    async with app.hub.watch("s") as watch:
        await snapshot_of(watch)
        waiting = asyncio.create_task(soon(anext(watch)))
        await settle()
        await app.hub.shutdown()
        with pytest.raises(StopAsyncIteration):
            await waiting
    with pytest.raises(HubClosed):
        app.hub.watch("s")
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_it_has_to_be_entered_once() -> None:
    app = App()
    watch = app.hub.watch("s")
    with pytest.raises(RuntimeError, match=r"async with hub\.watch"):
        await anext(watch)
    async with watch:
        with pytest.raises(RuntimeError, match="entered once"):
            await watch.__aenter__()
        await snapshot_of(watch)
    with pytest.raises(RuntimeError, match="entered once"):
        await watch.__aenter__()


async def test_nothing_is_left_when_the_last_watch_has_ended() -> None:
    app = App(fanout=None)

    def in_use() -> list[bool]:
        pipeline, watchers = app.hub._pipeline, app.hub._watchers
        return [pipeline.fan_out is not None, pipeline.resync is not None, bool(watchers._by_session)]

    assert in_use() == [False] * 3
    async with app.hub.watch("s"), app.hub.watch("s"), app.hub.watch("t"):
        assert in_use() == [True] * 3
    assert in_use() == [False] * 3


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"since": 1}, ValueError, "since needs the epoch"),
        ({"epoch": 1}, ValueError, "pass both, or neither"),
        ({"since": -1, "epoch": 1}, ValueError, "since is never negative"),
        ({"since": 1, "epoch": "1"}, TypeError, "epoch is an int or None"),
        ({"limit": 0}, ValueError, "limit must be at least 1"),
        ({"limit": 1.5}, TypeError, "limit is an int"),
    ],
)
async def test_arguments_are_checked(arguments: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        App().hub.watch("s", **not_a(arguments))


async def test_the_session_id_and_the_loop_are_checked() -> None:
    app = App()
    await app.publish("a")
    with pytest.raises(InvalidIdError):
        app.hub.watch("")

    async def elsewhere() -> Watch:
        return app.hub.watch("s")

    with pytest.raises(EventLoopError):
        await asyncio.to_thread(asyncio.run, elsewhere())
    for read in (app.hub.snapshot, app.hub.states):
        with pytest.raises(ValueError, match="pass both, or neither"):
            await read("s", epoch=1)


async def test_a_recorder_beside_watches_gets_events_of_its_own() -> None:
    class Vandal(Recorder):
        def publish_ui(self, session_id: str, ordinal: int, events: object, /) -> None:
            super().publish_ui(session_id, ordinal, not_a(events))
            for event in not_a(events):
                event.payload.Clear()

    app = App(recorder=Vandal())
    async with app.hub.watch("s") as watch:
        await snapshot_of(watch)
        await app.publish("a")
        assert app.recorder.ordinals() == [1]
        assert await live_of(watch) == (1, ["a"])
