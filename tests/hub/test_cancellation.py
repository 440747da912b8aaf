"""Cancellation: no effect before the commit is passed to the store; after that, the event is completed."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream import (
    Event,
    MemoryStore,
    ProjectionError,
    ProjectionPolicies,
    Session,
    StoreError,
    TimelineView,
)

from .support import App, Gate, Recorder, Store, chunk, registry, said, settle, soon

styles = pytest.mark.parametrize("futures", [False, True], ids=["async def", "future"])


def app_on(*, futures: bool) -> tuple[App, Store]:
    schemas = registry()
    store = Store(MemoryStore(schemas), futures=futures)
    return App(store, schemas=schemas), store


async def cancelled(task: asyncio.Task[Event]) -> None:
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert task.cancelled()


async def nothing_happened(app: App) -> None:
    assert await app.log() == []
    assert app.recorder.sent == []
    assert app.recorder.records == []
    assert app.recorder.errors == []
    await app.usable()


async def test_while_waiting_for_the_lane() -> None:
    app, store = app_on(futures=False)
    gate = store.stop_before("commit")
    first = asyncio.create_task(app.hub.publish(said("first")))
    await gate.reached()
    waiting = asyncio.create_task(app.hub.publish(said("waiting")))
    third = asyncio.create_task(app.hub.publish(said("third")))
    await settle()
    waiting.cancel()
    await cancelled(waiting)
    gate.open()
    assert [(await soon(task)).ordinal for task in (first, third)] == [1, 2]
    assert await app.log() == ["first", "third"]


async def test_when_the_lane_was_just_handed_over() -> None:
    app, store = app_on(futures=True)
    gate = store.stop_before("commit")
    first = asyncio.create_task(app.hub.publish(said("first")))
    await gate.reached()
    waiting = asyncio.create_task(app.hub.publish(said("waiting")))
    third = asyncio.create_task(app.hub.publish(said("third")))
    await settle()
    first.add_done_callback(lambda _: waiting.cancel())
    gate.open()
    await soon(asyncio.wait([first, waiting, third]))
    assert (await third).ordinal == len(await app.log())
    await app.usable()


async def test_while_metadata_loads() -> None:
    gate, calls = Gate(), list[str]()

    async def metadata(session_id: str) -> str:
        calls.append(session_id)
        if len(calls) == 1:
            await gate.stop()
        return "loaded"

    app = App(session_metadata=metadata)
    first = asyncio.create_task(app.hub.publish(said("first")))
    await gate.reached()
    second = asyncio.create_task(app.hub.publish(said("second")))
    await settle()
    first.cancel()
    await cancelled(first)
    assert (await soon(second)).ordinal == 1
    assert calls == ["s", "s"]
    assert (await app.hub.session("s")).metadata == "loaded"


@pytest.mark.parametrize("family", ["ui", "timeline"])
async def test_in_a_projection(family: str) -> None:
    app, gate = App(), Gate()

    async def project(event: Event, session: Session, view: TimelineView) -> None:
        if chunk(event) == "x":
            await gate.stop()

    if family == "ui":
        app.hub.register_ui_projection(project)
    else:
        app.hub.register_timeline_projection(project)
    task = asyncio.create_task(app.hub.publish(said("x")))
    await gate.reached()
    waiting = asyncio.create_task(app.hub.publish(said("next")))
    task.cancel()
    await cancelled(task)
    assert (await soon(waiting)).ordinal == 1
    assert await app.log() == ["next"]
    assert app.recorder.kinds() == []
    await app.usable()


@styles
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_while_the_store_is_asked(moment: str, futures: bool) -> None:
    app, store = app_on(futures=futures)
    gate = store.stop_before("timeline") if moment == "before" else store.stop_after("timeline")
    task = asyncio.create_task(app.hub.publish(said("x", event_id="id")))
    await gate.reached()
    task.cancel()
    await cancelled(task)
    assert "commit" not in store.calls
    await nothing_happened(app)


@styles
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("times", [1, 2, 5])
async def test_in_the_commit(moment: str, times: int, futures: bool) -> None:
    app, store = app_on(futures=futures)
    gate = store.stop_before("commit") if moment == "before" else store.stop_after("commit")
    task = asyncio.create_task(app.hub.publish(said("x")))
    await gate.reached()
    waiting = asyncio.create_task(app.hub.publish(said("next")))
    for _ in range(times):
        task.cancel()
        await settle()
        assert not task.done()
    gate.open()
    await cancelled(task)
    assert (await soon(waiting)).ordinal == 2
    assert await app.log() == ["x", "next"]
    assert await app.texts() == {"1": "xnext"}
    assert app.recorder.ordinals() == [1, 2]
    assert [record.cursor_moved for record in app.recorder.records] == [True, True]
    await app.usable()


@styles
async def test_when_the_commit_fails_the_cancellation_comes_out_and_the_error_is_recorded(futures: bool) -> None:
    app, store = app_on(futures=futures)
    gate = store.stop_before("commit")
    store.fail("commit", StoreError("the disk is full"))
    task = asyncio.create_task(app.hub.publish(said("x")))
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    await cancelled(task)
    assert app.recorder.kinds() == ["store"]
    assert "the disk is full" in app.recorder.errors[0].error
    (record,) = app.recorder.records
    assert isinstance(record.error, StoreError)
    assert await app.log() == []
    await app.usable()


@styles
async def test_while_an_error_is_recorded(futures: bool) -> None:
    app, store = app_on(futures=futures)
    app.broken["timeline"].add("x")
    gate = store.stop_before("record_error")
    task = asyncio.create_task(app.hub.publish(said("x")))
    await gate.reached()
    task.cancel()
    await settle()
    assert not task.done()
    gate.open()
    await cancelled(task)
    assert await app.log() == ["x"]
    assert app.recorder.kinds() == ["timeline-projection"]
    assert [record.kind for record in await store.error_records("s")] == ["timeline-projection"]
    app.broken["timeline"].clear()
    await app.usable()
    assert await app.texts() == {"1": "x!"}


@styles
async def test_a_timeout_is_a_timeout(futures: bool) -> None:
    app, store = app_on(futures=futures)
    gate = store.stop_before("commit")
    asyncio.get_running_loop().call_later(0.05, gate.open)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await app.hub.publish(said("x"))
    assert await app.log() == ["x"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await app.usable()


@styles
async def test_a_session_that_is_resumed_stops_between_two_events(futures: bool) -> None:
    app, store = app_on(futures=futures)
    app.broken["timeline"].add("a")
    for each in "abc":
        with pytest.raises(Exception, match=r"failed|held"):
            await app.publish(each)
    app.broken["timeline"].clear()
    gate = store.stop_before("commit")
    task = asyncio.create_task(app.hub.publish(said("d")))
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    await cancelled(task)
    assert await app.log() == ["a", "b", "c"]
    assert await app.hub.cursor("s") == 1
    assert app.recorder.ordinals() == [1]
    await app.usable()
    assert await app.texts() == {"1": "abc!"}


@styles
async def test_an_event_behind_those_that_are_resumed_is_not_begun(futures: bool) -> None:
    app, store = app_on(futures=futures)
    app.broken["timeline"].add("a")
    with pytest.raises(ProjectionError):
        await app.publish("a")
    app.broken["timeline"].clear()
    gate = store.stop_before("commit")
    task = asyncio.create_task(app.hub.publish(said("b")))
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    await cancelled(task)
    assert await app.log() == ["a"]
    assert await app.texts() == {"1": "a"}
    await app.usable()


@styles
async def test_a_commit_that_lost_a_race_is_not_believed_and_not_doubled(futures: bool) -> None:
    app, store = app_on(futures=futures)
    other = App(store.inner, schemas=app.schemas)
    gate = store.stop_before("commit")
    task = asyncio.create_task(app.hub.publish(said("mine")))
    await gate.reached()
    await other.publish("theirs")
    task.cancel()
    await settle()
    gate.open()
    await cancelled(task)
    log = await app.log()
    assert log in (["theirs"], ["theirs", "mine"])
    assert await app.texts() == {"1": "".join(log)}
    assert len(app.recorder.sent) == len(log) - 1
    await app.usable()


async def test_a_store_that_cancels_its_own_commit_is_asked_again_what_is_true() -> None:
    schemas = registry()

    store = Store(MemoryStore(schemas))
    store.fail_after("commit", asyncio.CancelledError())
    app = App(store, schemas=schemas)
    with pytest.raises(asyncio.CancelledError):
        await app.publish("x")
    assert await app.log() == ["x"]
    assert await app.texts() == {"1": "x"}
    before = store.calls.count("commit")
    await app.usable()
    assert store.calls.count("commit") == before + 1, "it went on with a timeline that was out of date"


@styles
async def test_a_retry(futures: bool) -> None:
    app, store = app_on(futures=futures)
    app.broken["timeline"].add("a")
    with pytest.raises(ProjectionError):
        await app.publish("a")
    app.broken["timeline"].clear()
    gate = store.stop_before("commit")
    task = asyncio.create_task(app.hub.retry_timeline("s"))
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert await app.texts() == {"1": "a"}
    await app.usable()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_rebuild_that_is_being_swapped_in(moment: str) -> None:
    app, store = app_on(futures=False)
    await app.publish("a")
    epoch = (await store.cursors("s")).epoch
    gate = store.stop_before("replace_timeline") if moment == "before" else store.stop_after("replace_timeline")
    task = asyncio.create_task(app.hub.rebuild_timeline("s"))
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert (await store.cursors("s")).epoch != epoch
    await app.usable()
    assert await app.texts() == {"1": "a!"}


@pytest.mark.parametrize("method", ["cursors", "events"])
async def test_a_rebuild_that_still_reads(method: str) -> None:
    app, store = app_on(futures=False)
    await app.publish("a")
    epoch = (await store.cursors("s")).epoch
    gate = store.stop_before(method)
    task = asyncio.create_task(app.hub.rebuild_timeline("s"))
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert (await store.cursors("s")).epoch == epoch
    await app.usable()


async def test_a_rebuild_that_records_an_error() -> None:
    schemas = registry()
    store = Store(MemoryStore(schemas))
    app = App(store, schemas=schemas, policies=ProjectionPolicies(timeline="advance"))
    app.broken["timeline"].add("a")
    await app.publish("a", "b")
    epoch = (await store.cursors("s")).epoch
    gate = store.stop_before("record_error")
    task = asyncio.create_task(app.hub.rebuild_timeline("s"))
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await soon(task)
    assert (await store.cursors("s")).epoch == epoch
    await app.usable()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("family", ["ui", "timeline"])
def test_what_is_no_exception_passes_through_and_leaves_the_session_usable(
    interruption: type[BaseException], family: str
) -> None:
    with asyncio.Runner() as runner:
        app = App(recorder=Recorder())

        def interrupt(event: Event, session: Session, view: TimelineView) -> None:
            if chunk(event) == "x":
                raise interruption

        if family == "ui":
            app.hub.register_ui_projection(interrupt)
        else:
            app.hub.register_timeline_projection(interrupt)

        async def publish() -> None:
            await app.publish("x")

        with pytest.raises(interruption):
            runner.run(publish())
        runner.run(nothing_happened(app))


def test_an_event_loop_that_ends_in_the_middle_of_a_commit_leaves_the_lane_free() -> None:
    app, store = app_on(futures=True)
    loop = asyncio.new_event_loop()

    async def begin() -> None:
        gate = store.stop_before("commit")
        task = asyncio.ensure_future(app.hub.publish(said("left")))
        left.append(task)
        await gate.reached()

    left: list[asyncio.Task[Event]] = []
    loop.run_until_complete(begin())
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.get_coro().close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    store.futures = False

    async def go_on() -> None:
        assert await app.log() == []
        await app.usable()

    asyncio.run(go_on())


def test_one_hub_in_two_event_loops_one_after_the_other() -> None:
    app = App()

    async def use(chunks: str) -> None:
        await app.publish(*chunks)

    for chunks in ("ab", "cd"):
        asyncio.run(use(chunks))
    assert asyncio.run(app.log()) == list("abcd")


async def test_a_projection_s_own_cancellation_error_is_a_failure_and_not_a_cancellation() -> None:
    """Somebody else cancelled what the projection was waiting for; nobody cancelled the publisher."""
    app = App()

    @app.hub.ui_projection
    async def project(event: Event, session: Session, view: TimelineView) -> None:
        if chunk(event) == "x":
            elsewhere: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            elsewhere.cancel()
            await elsewhere

    with pytest.raises(ProjectionError) as failed:
        await app.publish("x")
    assert failed.value.event.ordinal == 1
    assert app.recorder.kinds() == ["ui-projection"]
