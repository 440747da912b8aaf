"""Idempotency keys: a command with a key runs at most once."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream import (
    Command,
    CommandConflict,
    CommandUnfinished,
    EventPublisher,
    HubClosed,
    InvalidIdError,
    MemoryStore,
    ProjectionError,
    Session,
    SQLiteStore,
    StoreError,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand, StopInferenceCommand

from .support import App, Broken, Gate, Store, registry, said, say, settle, soon, until

Then = Callable[[EventPublisher], Awaitable[None]]


class Talking(App):
    """An app whose "Say" publishes what it is told to say, unless a test gives it something else to do."""

    def __init__(self, store: Store | None = None) -> None:
        schemas = registry()
        self.stopping = store if store is not None else Store(MemoryStore(schemas))
        super().__init__(self.stopping, schemas=schemas)
        self.runs = 0
        self.then: list[Then] = []
        self.hub.register_command("Say", self.handle)

        @self.hub.command("Stop")
        async def stop(command: Command, session: Session, publisher: EventPublisher) -> None:
            self.runs += 1

    async def handle(self, command: Command, session: Session, publisher: EventPublisher) -> None:
        self.runs += 1
        if self.then:
            await self.then.pop(0)(publisher)
            return
        assert isinstance(command.payload, StartInferenceCommand)
        await publisher.publish(said(command.payload.prompt))

    async def submit(self, prompt: str = "hello", key: str = "key") -> None:
        await soon(self.hub.submit("s", "Say", say(prompt), idempotency_key=key))

    async def waiting(self) -> asyncio.Task[None]:
        """Repeat the command, which has to wait."""
        claims = self.stopping.calls.count("claim_command")
        repeat = asyncio.create_task(self.submit())
        await until(lambda: self.stopping.calls.count("claim_command") > claims + 1)
        assert not repeat.done()
        return repeat

    async def unfinished(self) -> None:
        with pytest.raises(CommandUnfinished, match="ended before it had finished") as caught:
            await self.submit()
        assert (caught.value.session_id, caught.value.key, caught.value.name) == ("s", "key", "Say")


async def fail(publisher: EventPublisher) -> None:
    raise Broken("before it published")


async def publish_and_fail(publisher: EventPublisher) -> None:
    await publisher.publish(said("half"))
    raise Broken("after it published")


async def test_a_repeat_has_no_effect() -> None:
    app = Talking()
    for _ in range(3):
        await app.submit()
    assert (app.runs, await app.log()) == (1, ["hello"])
    await app.usable()


async def test_without_a_key_a_command_runs_each_time() -> None:
    app = Talking()
    for _ in range(2):
        await app.hub.submit("s", "Say", say())
    assert app.runs == 2
    assert "claim_command" not in app.stopping.calls


async def test_keys_belong_to_a_session() -> None:
    app = Talking()
    await app.hub.submit("one", "Stop", StopInferenceCommand(), idempotency_key="key")
    await app.hub.submit("two", "Stop", StopInferenceCommand(), idempotency_key="key")
    assert app.runs == 2


async def test_another_payload_is_a_conflict() -> None:
    app = Talking()
    await app.submit("hello")
    with pytest.raises(CommandConflict, match="new key") as caught:
        await app.submit("goodbye")
    error = caught.value
    assert (error.session_id, error.key, error.name) == ("s", "key", "Say")
    assert (app.runs, await app.log()) == (1, ["hello"])
    await app.usable()


async def test_another_command_is_a_conflict() -> None:
    app = Talking()
    await app.submit()
    with pytest.raises(CommandConflict):
        await app.hub.submit("s", "Stop", StopInferenceCommand(), idempotency_key="key")
    assert app.runs == 1


@pytest.mark.parametrize("key", ["", " ", "a\0b", 5])
async def test_an_unusable_key(key: str) -> None:
    app = Talking()
    with pytest.raises(InvalidIdError) as caught:
        await app.submit(key=key)
    assert (caught.value.what, caught.value.value) == ("idempotency key", key)
    assert app.runs == 0


async def test_two_at_once_run_once() -> None:
    app, gate = Talking(), Gate()

    async def wait(publisher: EventPublisher) -> None:
        await gate.stop()
        await publisher.publish(said("once"))

    app.then.append(wait)
    first = asyncio.create_task(app.submit())
    await gate.reached()
    again = await app.waiting()
    gate.open()
    await soon(first)
    await soon(again)
    assert (app.runs, await app.log()) == (1, ["once"])


async def test_a_repeat_of_one_that_then_fails_before_it_published_runs_itself() -> None:
    app, gate = Talking(), Gate()

    async def stop_and_fail(publisher: EventPublisher) -> None:
        await gate.stop()
        raise Broken("before it published")

    app.then.append(stop_and_fail)
    first = asyncio.create_task(app.submit())
    await gate.reached()
    again = await app.waiting()
    gate.open()
    with pytest.raises(Broken):
        await first
    await again
    assert (app.runs, await app.log()) == (2, ["hello"])


async def test_a_repeat_that_is_cancelled_while_it_waits_does_nothing() -> None:
    app, gate = Talking(), Gate()
    app.then.append(lambda _: gate.stop())
    first = asyncio.create_task(app.submit())
    await gate.reached()
    again = await app.waiting()
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
    gate.open()
    await first
    assert app.runs == 1


async def test_a_hub_that_closes_ends_the_waiting() -> None:
    app, gate = Talking(), Gate()
    app.then.append(lambda _: gate.stop())
    first = asyncio.create_task(app.submit())
    await gate.reached()
    again = await app.waiting()
    await app.hub.shutdown()
    with pytest.raises(HubClosed):
        await again
    gate.open()
    await first


async def test_it_survives_the_hub() -> None:
    app = Talking()
    await app.submit()
    again = Talking(app.stopping)
    await again.submit()
    assert again.runs == 0
    with pytest.raises(CommandConflict):
        await again.submit("goodbye")


async def test_a_handler_that_published_nothing_gives_its_key_back() -> None:
    app = Talking()
    app.then.append(fail)
    with pytest.raises(Broken, match="before"):
        await app.submit()
    await app.submit()
    assert (app.runs, await app.log()) == (2, ["hello"])


async def test_it_may_be_used_for_another_command_then() -> None:
    app = Talking()
    app.then.append(fail)
    with pytest.raises(Broken):
        await app.submit("hello")
    await app.submit("goodbye")
    assert await app.log() == ["goodbye"]


async def test_a_handler_that_published_keeps_its_key() -> None:
    app = Talking()
    app.then.append(publish_and_fail)
    with pytest.raises(Broken, match="after"):
        await app.submit()
    await app.unfinished()
    assert (app.runs, await app.log()) == (1, ["half"])


@pytest.mark.parametrize("family", ["ui", "timeline"])
async def test_an_event_that_holds_its_session_was_published(family: str) -> None:
    app = Talking()
    app.broken[family].add("hello")
    with pytest.raises(ProjectionError):
        await app.submit()
    await app.unfinished()
    assert (app.runs, await app.log()) == (1, ["hello"])


async def test_an_event_that_may_have_been_stored_counts_as_published() -> None:
    app = Talking()
    app.stopping.fail_after("commit", StoreError("the connection broke before the answer came"))
    with pytest.raises(StoreError):
        await app.submit()
    await app.unfinished()
    assert (app.runs, await app.log()) == (1, ["hello"])


async def test_a_commit_that_an_ending_event_loop_cancelled_counts_as_published() -> None:
    app = Talking()
    app.stopping.fail_after("commit", asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await app.submit()
    await app.unfinished()
    assert (app.runs, await app.log()) == (1, ["hello"])


async def test_an_event_that_was_refused_was_not_published() -> None:
    app = Talking()

    async def publish_nonsense(publisher: EventPublisher) -> None:
        await publisher.publish(said("x", " "))

    app.then.append(publish_nonsense)
    with pytest.raises(InvalidIdError):
        await app.submit()
    await app.submit()
    assert app.runs == 2


async def test_a_repeated_event_was_published() -> None:
    app = Talking()
    await app.hub.publish(said("x", event_id="id"))

    async def repeat_and_fail(publisher: EventPublisher) -> None:
        await publisher.publish(said("x", event_id="id"))
        raise Broken

    app.then.append(repeat_and_fail)
    with pytest.raises(Broken):
        await app.submit()
    await app.unfinished()
    assert app.runs == 1


async def test_a_handler_cancelled_before_it_published_gives_its_key_back() -> None:
    app, gate = Talking(), Gate()
    app.then.append(lambda _: gate.stop())
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.submit()
    assert (app.runs, await app.log()) == (2, ["hello"])


async def test_a_handler_cancelled_in_its_commit_keeps_its_key() -> None:
    app = Talking()
    gate = app.stopping.stop_before("commit")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.unfinished()
    assert (app.runs, await app.log()) == (1, ["hello"])


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_cancelled_while_the_key_is_claimed(moment: str) -> None:
    app = Talking()
    gate = app.stopping.stop_before("claim_command") if moment == "before" else app.stopping.stop_after("claim_command")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.runs == 0
    await app.submit()
    assert (app.runs, await app.log()) == (1, ["hello"])


async def test_a_repeat_cancelled_while_the_key_is_claimed() -> None:
    app = Talking()
    await app.submit()
    gate = app.stopping.stop_before("claim_command")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.submit()
    assert app.runs == 1


async def test_a_key_that_cannot_be_claimed() -> None:
    app = Talking()
    app.stopping.fail("claim_command", StoreError("the disk is full"))
    with pytest.raises(StoreError, match="full"):
        await app.submit()
    assert (app.runs, "release_command" in app.stopping.calls) == (0, False)
    await app.submit()
    assert app.runs == 1


async def test_a_key_that_cannot_be_given_back_does_not_hide_the_handler_s_error() -> None:
    app = Talking()
    app.then.append(fail)
    app.stopping.fail("release_command", StoreError("the disk is full"))
    with pytest.raises(Broken, match="before it published"):
        await app.submit()
    (record,) = app.recorder.errors
    assert (record.kind, record.session_id, record.ordinal) == ("store", "s", 0)
    assert record.error == "StoreError: the disk is full"
    assert record.metadata == {"command": "Say", "key": "key"}
    assert await app.store.error_records("s") == [record]


async def test_nor_a_cancellation() -> None:
    app, gate = Talking(), Gate()
    app.then.append(lambda _: gate.stop())
    app.stopping.fail("release_command", StoreError("the disk is full"))
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert app.recorder.kinds() == ["store"]


async def test_a_cancellation_while_the_key_is_given_back_is_not_lost() -> None:
    app = Talking()
    app.then.append(fail)
    gate = app.stopping.stop_before("release_command")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.submit()
    assert app.runs == 2


async def test_a_hub_that_closes_meanwhile_says_so() -> None:
    schemas = registry()
    app = App(schemas=schemas)
    gate = Gate()
    own = type(app.hub)(schemas, error_observer=app.recorder.error)

    @own.command("Say")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await gate.stop()
        await publisher.publish(said("x"))

    task = asyncio.create_task(own.submit("s", "Say", say(), idempotency_key="key"))
    await gate.reached()
    await own.shutdown()
    gate.open()
    with pytest.raises(HubClosed):
        await soon(task)


async def test_a_handler_that_its_event_loop_left_behind_is_closed_without_waiting_for_anything() -> None:
    app = Talking()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(publisher: EventPublisher) -> None:
        await never

    app.then.append(wait)
    left = app.hub.submit("s", "Say", say(), idempotency_key="key")
    left.send(None)
    await settle()
    left.send(None)
    left.close()
    assert "release_command" not in app.stopping.calls


async def test_a_handler_cancelled_between_two_events_is_unfinished() -> None:
    app, gate = Talking(), Gate()

    async def half(publisher: EventPublisher) -> None:
        await publisher.publish(said("half"))
        await gate.stop()

    app.then.append(half)
    task = asyncio.create_task(app.submit())
    await gate.reached()
    again = await app.waiting()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(CommandUnfinished):
        await again
    for _ in range(2):
        await app.unfinished()
    with pytest.raises(CommandConflict):
        await app.submit("goodbye")
    assert (app.runs, await app.log()) == (1, ["half"])


async def test_an_end_that_cannot_be_stored_is_recorded() -> None:
    app = Talking()
    app.stopping.fail("end_command", StoreError("the disk is full"))
    await app.submit()
    assert app.recorder.kinds() == ["store"]
    app.stopping.fail("end_command", StoreError("the disk is still full"))
    with pytest.raises(StoreError, match="still full"):
        await app.submit()
    for _ in range(2):
        await app.submit()
    assert app.runs == 1


async def test_a_key_that_could_not_be_given_back_counts_as_used() -> None:
    app = Talking()
    app.then.append(fail)
    app.stopping.fail("release_command", StoreError("the disk is full"))
    with pytest.raises(Broken):
        await app.submit()
    await app.unfinished()


async def test_a_cancellation_while_the_end_is_stored_comes_after_it() -> None:
    app = Talking()
    gate = app.stopping.stop_before("end_command")
    task = asyncio.create_task(app.submit())
    await gate.reached()
    task.cancel()
    await settle()
    gate.open()
    with pytest.raises(asyncio.CancelledError):
        await task
    await app.submit()
    assert app.runs == 1


async def test_a_command_of_another_process_runs_while_that_is_there(tmp_path: Path) -> None:
    path, schemas = tmp_path / "x.db", registry()
    async with SQLiteStore.open(path, schemas) as theirs, SQLiteStore.open(path, schemas) as ours:
        other, app, gate = Talking(Store(theirs)), Talking(Store(ours)), Gate()
        other.then.append(lambda _: gate.stop())
        task = asyncio.create_task(other.submit())
        await gate.reached()
        again = await app.waiting()
        gate.open()
        await task
        await again
        await app.submit()
        assert app.runs == 0


@pytest.mark.parametrize(
    ("until", "just_opened", "gone"),
    [(None, True, False), (-1, True, False), (None, False, True), (-1, False, True), (3600, False, False)],
)
async def test_a_command_of_a_process_that_may_be_gone(
    tmp_path: Path, until: int | None, just_opened: bool, gone: bool
) -> None:
    """A process says until when it is there at least; one that was alone says so again when it sees another one."""
    path, schemas = tmp_path / "x.db", registry()
    async with SQLiteStore.open(path, schemas) as store:
        app, gate = Talking(Store(store)), Gate()
        app.then.append(lambda _: gate.stop())
        task = asyncio.create_task(app.submit())
        await gate.reached()
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("UPDATE command_claims SET node = 'another'")
            if until is not None:
                db.execute("INSERT INTO nodes VALUES ('another', ?)", (time.time_ns() // 1000 + until * 1_000_000,))
        store._writer._node._joined_at += 3600 if just_opened else -60
        if gone:
            await app.unfinished()
            gate.open()
        else:
            again = await app.waiting()
            gate.open()
            await again
        await task
        assert app.runs == 1


async def test_a_copy_of_the_file_has_no_command_that_runs(tmp_path: Path) -> None:
    schemas = registry()
    async with SQLiteStore.open(tmp_path / "x.db", schemas) as store:
        await Talking(Store(store)).submit(key="finished")
        app, gate = Talking(Store(store)), Gate()
        app.then.append(lambda _: gate.stop())
        task = asyncio.create_task(app.submit())
        await gate.reached()
        SQLiteStore.back_up(tmp_path / "x.db", tmp_path / "copy.db")
        gate.open()
        await task
    async with SQLiteStore.open(tmp_path / "copy.db", schemas) as store:
        app = Talking(Store(store))
        await app.submit(key="finished")
        await app.unfinished()
