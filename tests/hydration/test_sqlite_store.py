"""What is special about SQLiteStore: threads, groups, several stores on one file, readable without the app."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from sessionstream.descriptors import descriptor_set
from sessionstream.errors import (
    EventConflict,
    OrdinalConflict,
    StoreClosed,
    StoreError,
    UnknownSchemaError,
    Unstorable,
)
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.hydration.sqlite.writer import GROUP_LIMIT
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Commit
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.types import Event, TimelineEntity
from sessionstream.v1 import transport_pb2

from .hasty import HastyDatabase

REGISTRY = sample_registry()
NOT_UNICODE = drop("\ud800")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


class Gate:
    """Keeps a store's writer busy, so that what is handed over meanwhile waits together."""

    def __init__(self, store: SQLiteStore) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()
        self.passed = store._writer.submit(self._wait)

    @classmethod
    async def shut(cls, store: SQLiteStore) -> Gate:
        gate = cls(store)
        await asyncio.to_thread(gate.entered.wait, 30)
        return gate

    def open(self) -> None:
        self._open.set()

    def _wait(self, _: object) -> None:
        self.entered.set()
        self._open.wait(30)


def groups(store: SQLiteStore) -> list[int]:
    """Return a list that the sizes of the store's transactions are added to."""
    sizes: list[int] = []
    transact = store._writer._transact

    def noted(writing: Any, group: Any, together: bool) -> None:
        sizes.append(len(group))
        transact(writing, group, together)

    store._writer._transact = noted  # type: ignore[method-assign]
    return sizes


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


async def test_what_waits_goes_into_one_transaction(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        sizes, gate = groups(store), await Gate.shut(store)
        writers = [SessionWriter(store, f"s{number}") for number in range(30)]
        outcomes = [store.commit(writer.step(put("a"))) for writer in writers]
        assert not any(outcome.done() for outcome in outcomes)
        gate.open()
        await asyncio.gather(*outcomes, gate.passed)
        assert sizes == [1, 30]


async def test_a_round_of_the_loop_goes_into_one_transaction(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        sizes, writers = groups(store), [SessionWriter(store, f"s{number}") for number in range(30)]
        for _ in range(4):  # in the first, the first change may be alone
            await asyncio.gather(*(writer.log(put("a")) for writer in writers))
        assert sizes[-3:] == [30, 30, 30]


async def test_a_change_that_is_alone_goes_to_the_thread_within_the_round(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        for _ in range(3):
            gate = Gate(store)
            assert gate.entered.wait(30)
            gate.open()
            await gate.passed


async def test_a_round_may_be_more_than_a_transaction(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        sizes, gate = groups(store), await Gate.shut(store)
        outcomes = [store._writer.submit(id) for _ in range(2 * GROUP_LIMIT + 1)]
        await asyncio.sleep(0)
        gate.open()
        closed = asyncio.ensure_future(store.close())
        await asyncio.gather(*outcomes)
        await closed
        assert sizes == [1, GROUP_LIMIT, GROUP_LIMIT, 1]


async def test_commits_of_one_session_may_be_handed_over_ahead(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        gate, writer = await Gate.shut(store), SessionWriter(store)
        outcomes = []
        for number in range(10):
            step = writer.step(put("a", str(number)))
            outcomes.append(store.commit(step))
            writer.remember(step)
        gate.open()
        await asyncio.gather(*outcomes)
        assert (await store.snapshot("session")).entities == writer.at(10)


async def test_bad_commits_of_a_group_fail_alone(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        await SessionWriter(store, "taken").log(event_id="id")
        taken, fine, late = (SessionWriter(store, name) for name in ("taken", "fine", "taken"))
        taken.event = taken.timeline = 1
        taken.states[1] = {}
        not_unicode = SessionWriter(store, "odd").step(NOT_UNICODE)
        gate = await Gate.shut(store)
        bad = [taken.step(event_id="id"), late.step(), not_unicode]
        good = fine.step(put("a"))
        outcomes = [store.commit(bad[0]), store.commit(bad[1]), store.commit(good), store.commit(bad[2])]
        gate.open()
        results = await asyncio.gather(*outcomes, return_exceptions=True)
        assert [type(result) for result in results] == [EventConflict, OrdinalConflict, type(None), Unstorable]
        fine.remember(good)
        assert (await store.snapshot("fine")).entities == fine.at(1)
        assert await store.sessions() == ["fine", "taken"]


async def test_a_new_payload_type_of_a_commit_that_failed_is_still_known_later(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        gate, one, two = await Gate.shut(store), SessionWriter(store, "one"), SessionWriter(store, "two")
        outcomes = [store.commit(one.step(put("a"), NOT_UNICODE)), store.commit(two.step(put("a")))]
        gate.open()
        results = await asyncio.gather(*outcomes, return_exceptions=True)
        assert [type(result) for result in results] == [Unstorable, type(None)]
        await one.log(put("a"))
        assert (await store.snapshot("one")).entities == one.at(1)


async def test_a_cancelled_commit_is_carried_out(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        gate, writer = await Gate.shut(store), SessionWriter(store)
        step = writer.step(put("a"))
        outcome = store.commit(step)
        waiting = asyncio.ensure_future(asyncio.wait_for(outcome, 30))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert outcome.cancelled()
        gate.open()
        await gate.passed
        writer.remember(step)
        await writer.log(put("b"))
        assert (await store.snapshot("session")).entities == writer.at(2)
        assert complaints == []


async def test_questions_are_answered_while_the_writer_is_busy(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        gate = await Gate.shut(store)
        outcome = store.commit(writer.step(put("a", "later")))
        for _ in range(20):
            assert (await store.snapshot("session")).entities == writer.at(1)
        assert not outcome.done()
        gate.open()
        await outcome
        assert (await store.cursors("session")).event == 2


async def test_every_acknowledged_commit_is_seen(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store, SQLiteStore.open(path, REGISTRY) as other:
        writer = SessionWriter(store)
        for number in range(100):
            await writer.log(put("a", str(number)))
            seen = await asyncio.gather(*[each.cursors("session") for each in (store, other, store, store)])
            assert {cursors.event for cursors in seen} == {number + 1}


async def test_two_stores_on_one_file_never_lose_or_double_an_event(path: Path) -> None:
    async def write(store: SQLiteStore, name: str) -> int:
        conflicts = 0
        for number in range(40):
            while True:
                cursor = (await store.cursors("session")).event
                event = SessionWriter(store).new_event(cursor + 1, f"{name}-{number}")
                try:
                    await store.commit(Commit("session", event, (), cursor, cursor + 1))
                    break
                except OrdinalConflict:
                    conflicts += 1
        return conflicts

    async with SQLiteStore.open(path, REGISTRY) as one, SQLiteStore.open(path, REGISTRY) as two:
        conflicts = await asyncio.gather(write(one, "one"), write(two, "two"))
        events = await one.events("session")
        assert events == await two.events("session")
    assert [event.ordinal for event in events] == list(range(1, 81))
    assert len({event.event_id for event in events}) == 80
    assert sum(conflicts) > 0


async def test_a_rebuild_by_another_store_is_noticed(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as one, SQLiteStore.open(path, REGISTRY) as two:
        writer = SessionWriter(one)
        await writer.log(put("a"))
        epoch = (await one.cursors("session")).epoch
        await two.delete_session("session")
        with pytest.raises(OrdinalConflict):
            await one.commit(writer.step(put("a"), epoch=epoch))


async def test_a_lock_of_another_program_delays_the_writer_and_nobody_else(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            outcome = store.commit(writer.step(put("b")))
            assert (await store.snapshot("session")).entities == writer.at(1)
            assert not outcome.done()
            other.execute("COMMIT")
        await outcome


async def test_a_lock_that_stays_is_a_store_error_and_no_harm(path: Path) -> None:
    async with Opening(HastyDatabase(str(path)), REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            outcomes = [store.commit(writer.step(put("b"))), store.claim_command("session", "key", b"")]
            for error in await asyncio.gather(*outcomes, return_exceptions=True):
                assert isinstance(error, StoreError)
                assert isinstance(error.__cause__, sqlite3.OperationalError)
                assert "locked" in str(error)
        await writer.log(put("b"))
        assert (await store.snapshot("session")).entities == writer.at(2)


async def test_what_was_handed_over_is_finished_before_closing(path: Path) -> None:
    store = await SQLiteStore.open(path, REGISTRY)
    gate, writers = await Gate.shut(store), [SessionWriter(store, f"s{number}") for number in range(20)]
    outcomes = [store.commit(writer.step(put("a"))) for writer in writers]
    question = asyncio.ensure_future(store.sessions())
    await asyncio.sleep(0)
    closing_it = [asyncio.ensure_future(store.close()) for _ in range(2)]
    await asyncio.sleep(0)
    late = store.commit(writers[0].step(put("late")))
    with pytest.raises(StoreClosed):
        await late
    gate.open()
    await asyncio.gather(*outcomes, *closing_it, question)
    assert [each.name for each in path.parent.iterdir()] == ["sessions.db"]
    async with SQLiteStore.open(path, REGISTRY) as again:
        assert len(await again.sessions()) == 20


async def test_what_one_round_of_the_loop_has_gathered_is_finished_before_closing(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        gate = await Gate.shut(store)
        outcomes = [store.commit(SessionWriter(store, name).step(put("a"))) for name in ("one", "two")]
        store._writer.stop()  # within the same round
        gate.open()
        await asyncio.gather(*outcomes, gate.passed)
    async with SQLiteStore.open(path, REGISTRY) as store:
        assert [(await store.cursors(name)).event for name in ("one", "two")] == [1, 1]


def let_it_idle() -> None:
    """Return, within the same round of the event loop, when the writer thread most likely has nothing to do."""
    time.sleep(0.05)


async def test_what_is_handed_over_later_never_overtakes(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        gate = await Gate.shut(store)
        writer = SessionWriter(store)
        steps = [writer.step(put("a", "1"))]
        writer.remember(steps[0])
        steps.append(writer.step(put("a", "2")))
        first = store.commit(steps[0])
        gate.open()
        let_it_idle()  # the loop has not passed on the first commit yet
        await asyncio.gather(first, store.commit(steps[1]), gate.passed)
        assert (await store.cursors("session")).event == 2


async def test_a_closed_store_leaves_no_thread(path: Path) -> None:
    before = threading.active_count()
    async with SQLiteStore.open(path, REGISTRY) as store:
        await asyncio.gather(*[store.cursors("s") for _ in range(20)])
        writer_thread = store._writer._thread
    await asyncio.to_thread(writer_thread.join, 10)
    assert [thread.name for thread in threading.enumerate() if "sessionstream" in thread.name] == []
    assert threading.active_count() <= before + 1  # to_thread's own


async def test_a_store_serves_several_event_loops(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:

        def elsewhere(name: str) -> None:
            async def write() -> None:
                writer = SessionWriter(store, name)
                for number in range(10):
                    await writer.log(put("a", str(number)))
                assert (await store.snapshot(name)).entities == writer.at(10)

            asyncio.run(write())

        await asyncio.gather(*[asyncio.to_thread(elsewhere, f"s{number}") for number in range(3)])
        assert await store.sessions() == ["s0", "s1", "s2"]


async def test_payloads_are_captured_at_the_call(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        gate, writer = await Gate.shut(store), SessionWriter(store)
        step = writer.step(put("a", "as it was"))
        outcome = store.commit(step)
        payload: Any = step.entities[0].payload
        payload.text = "changed afterwards"
        gate.open()
        await outcome
        (entity,) = (await store.snapshot("session")).entities
        assert entity.payload == put("a", "as it was").payload


async def test_only_superseded_states_are_versions(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a", "1"), put("b", "1"))
        await writer.log(put("a", "2"))
        await writer.log(drop("a"))
    assert rows(path, "SELECT id, changed, superseded, tombstone FROM entity_versions ORDER BY changed") == [
        ("a", 1, 2, 0),
        ("a", 2, 3, 0),
    ]
    assert rows(path, "SELECT id, changed, tombstone FROM entities ORDER BY id") == [("a", 3, 1), ("b", 1, 0)]


async def test_a_rebuild_or_deletion_leaves_no_row_of_the_old_timeline(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("a", "1"))
        await writer.log(put("a", "2"))
        await store.delete_session("session")
    for table in ("events", "entities", "entity_versions"):
        assert rows(path, f"SELECT * FROM {table}") == []
    assert len(rows(path, "SELECT * FROM timelines")) == 1


async def test_a_file_is_readable_without_the_application(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        await SessionWriter(store).log(put("a", "read me"))
    ((name, descriptors, payload),) = rows(
        path, "SELECT name, descriptors, payload FROM entities JOIN payload_types USING (type)"
    )
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
        pool.Add(file)
    message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName(name)).FromString(payload)
    assert message.text == "read me"


def test_a_descriptor_set_has_what_a_message_imports_before_its_own_file() -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set(transport_pb2.ServerFrame)).file
    assert [file.name for file in files] == ["google/protobuf/any.proto", "sessionstream/v1/transport.proto"]
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    assert pool.FindMessageTypeByName("sessionstream.v1.ServerFrame").full_name == "sessionstream.v1.ServerFrame"


async def test_a_commit_that_cannot_be_encoded_is_a_store_error_and_no_harm(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        broken = Event("Delta", object(), "session", 1, "event-1")  # type: ignore[arg-type]
        with pytest.raises(StoreError, match="cannot be encoded"):
            await store.commit(Commit("session", broken, (), 0, 1))
        await writer.log(put("a"))


def schema_with(*fields: str) -> Any:
    """Return the class of message m.M with string fields of these names."""
    file = descriptor_pb2.FileDescriptorProto(name="m.proto", package="m", syntax="proto3")
    message = file.message_type.add(name="M")
    for number, name in enumerate(fields, 1):
        message.field.add(name=name, number=number, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("m.M"))


async def test_each_schema_is_kept_once_and_rows_name_the_one_they_were_written_with(path: Path) -> None:
    older, newer = schema_with("a"), schema_with("a", "b")
    for ordinal, cls in enumerate((older, older, newer, older, newer), 1):
        registry = SchemaRegistry()
        registry.register_event("E", cls)
        async with SQLiteStore.open(path, registry) as store:
            event = Event("E", cls(a=str(ordinal)), "session", ordinal, f"e{ordinal}")
            await store.commit(Commit("session", event, (), ordinal - 1, ordinal))
            assert [each.payload.a for each in await store.events("session")] == [  # type: ignore[attr-defined]
                str(number) for number in range(1, ordinal + 1)
            ]
    kept = rows(path, "SELECT descriptors FROM events JOIN payload_types USING (type) ORDER BY ordinal")
    assert [row[0] for row in kept] == [descriptor_set(cls) for cls in (older, older, newer, older, newer)]
    assert rows(path, "SELECT count(*) FROM payload_types") == [(2,)]


async def test_equal_events_are_equal_bytes(path: Path) -> None:
    from google.protobuf import struct_pb2

    registry = SchemaRegistry()
    registry.register_timeline_entity("K", struct_pb2.ListValue)
    keys = [f"key {number}" for number in range(50)]
    async with SQLiteStore.open(path, registry) as store:
        for session_id, order in (("one", keys), ("two", keys[::-1])):
            value = struct_pb2.ListValue()
            value.add_struct().update({key: key for key in order})
            event = Event("E", value, session_id, 1, "e")
            entity = TimelineEntity("K", "k", value, 1, 1)
            await store.commit(Commit(session_id, event, (entity,), 0, 1))
        found = [await store.find_event(session_id, "e") for session_id in ("one", "two")]
        assert found[0] == found[1]
    assert len(rows(path, "SELECT DISTINCT payload FROM events UNION SELECT payload FROM entities")) == 1


async def test_pruning_removes_the_rows_it_can(path: Path) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        for number in range(1, 11):
            await writer.log(put("a", str(number)), drop("b") if number % 2 else put("b"))
        await store.prune("session", before=7)
    assert [row[0] for row in rows(path, "SELECT ordinal FROM events WHERE payload IS NOT NULL")] == [7, 8, 9, 10]
    assert rows(path, "SELECT count(*) FROM events WHERE length(digest) = 33") == [(6,)]
    versions = rows(path, "SELECT id, changed FROM entity_versions ORDER BY id, changed")
    assert versions == [("a", 7), ("a", 8), ("a", 9), ("b", 8), ("b", 9)]


@pytest.mark.parametrize(
    "question",
    [
        lambda store: store.events("session"),
        lambda store: store.snapshot("session"),
        lambda store: store.snapshot("session", as_of=2),
        lambda store: store.snapshot("session", since=0),
    ],
)
async def test_an_error_that_is_kept_keeps_no_connection_open(
    tmp_path: Path, question: Callable[[SQLiteStore], Awaitable[object]]
) -> None:
    """A statement that was not read to its end would: its read transaction, and so the whole log, would stay."""
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        writer = SessionWriter(store)
        for number in range(4):
            await writer.log(put("a", str(number)), put("b", str(number)))
    async with SQLiteStore.open(tmp_path / "x.db", SchemaRegistry()) as store:
        with pytest.raises(UnknownSchemaError) as raised:
            await question(store)
    assert await asyncio.to_thread(os.listdir, tmp_path) == ["x.db"]
    assert raised.value.__traceback__ is not None


async def test_changes_of_several_stores_are_in_one_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.db"
    async with SQLiteStore.open(path, REGISTRY) as first, SQLiteStore.open(path, REGISTRY) as second:
        a, b, c = SessionWriter(first, "a"), SessionWriter(second, "b"), SessionWriter(first, "c")
        await a.log()
        monkeypatch.setattr(time, "time_ns", lambda: 1_000)  # the clock goes back
        for writer in (b, c, a, b):
            await writer.log()
        assert [each.session_id for each in await second.changes()] == ["c", "a", "b"]


async def test_changes_after_a_file_went_back_are_found(tmp_path: Path) -> None:
    path, earlier = tmp_path / "x.db", tmp_path / "earlier.db"
    async with SQLiteStore.open(path, REGISTRY) as store:
        await SessionWriter(store, "kept").log()
    shutil.copy(path, earlier)
    async with SQLiteStore.open(path, REGISTRY) as store:
        await SessionWriter(store, "lost").log()
        lost = (await store.changes())[-1].position
    shutil.copy(earlier, path)
    async with SQLiteStore.open(path, REGISTRY) as store:
        with pytest.raises(ValueError, match="of a state that is gone"):
            await store.changes(after=lost)
        await SessionWriter(store, "new").log()
        assert [each.session_id for each in await store.changes(after=lost)] == ["new"]


async def test_a_copy_does_not_know_the_positions_of_the_original(tmp_path: Path) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        await SessionWriter(store).log()
        (change,) = await store.changes()
    await asyncio.to_thread(SQLiteStore.back_up, tmp_path / "x.db", tmp_path / "copy.db")
    async with SQLiteStore.open(tmp_path / "copy.db", REGISTRY) as store:
        with pytest.raises(ValueError, match="of another store"):
            await store.changes(after=change.position)
        assert [each.session_id for each in await store.changes()] == ["session"]
