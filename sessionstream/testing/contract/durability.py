"""Contract tests of durability: the contents of a store after it is closed and reopened. Only for durable stores."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from google.protobuf import wrappers_pb2

from sessionstream.errors import EventConflict, OrdinalConflict, UnknownSchemaError
from sessionstream.examples.chatdemo.v1 import chat_pb2
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Commit, HydrationStore, UnreadableEntity
from sessionstream.testing.contract.base import ContractBase, claimed, raised_by
from sessionstream.testing.contract.changes import changes_of
from sessionstream.testing.contract.records import record
from sessionstream.testing.contract.retention import check_above_floor
from sessionstream.testing.contract.timelines import eventful
from sessionstream.testing.sessions import EVENT, KIND, OTHER_EVENT, OTHER_KIND, SessionWriter, put, sample_registry
from sessionstream.types import Event

T = TypeVar("T")


def smaller_registry() -> SchemaRegistry:
    """Return the sample registry without the other event and the other kind."""
    registry = SchemaRegistry()
    registry.register_event(EVENT, chat_pb2.TokensDeltaEvent)
    registry.register_timeline_entity(KIND, chat_pb2.ChatMessageEntity)
    return registry


class DurabilityContract(ContractBase):
    """Tests of stores that are closed and reopened."""

    def test_everything_survives_closing(self) -> None:
        async def write(store: HydrationStore) -> tuple[SessionWriter, int]:
            writer = await eventful(store)
            await writer.commit(writer.waiting())
            await store.prune("session", before=2)
            await store.claim_command("session", "key", b"digest")
            await store.record_error(record("session", 1))
            return writer, (await writer.cursors()).epoch

        async def read(store: HydrationStore, written: tuple[SessionWriter, int]) -> None:
            writer, epoch = written
            writer.store = store
            await check_above_floor(writer, 2)
            assert (await writer.cursors()).epoch == epoch
            assert await claimed(store.claim_command("session", "key", b"new")) == b"digest"
            assert await store.error_records() == [record("session", 1)]
            (change,) = await changes_of(store, "", [("session", False)], seconds=self.settles_within)
            assert await store.changes(after=change.position) == []
            assert isinstance(await raised_by(store.commit(SessionWriter(store).step())), OrdinalConflict)
            again = writer.step(event_id=writer.events[0].event_id)
            assert isinstance(await raised_by(store.commit(again)), EventConflict)
            await writer.commit(writer.resumption(put("a", "resumed")))
            await check_above_floor(writer, 2)
            await changes_of(store, change.position, [("session", False)], seconds=self.settles_within)

        self._twice(write, read, sample_registry())

    def test_a_claim_survives_as_the_last_write(self) -> None:
        async def write(store: HydrationStore) -> None:
            await store.claim_command("session", "key", b"digest")

        async def read(store: HydrationStore, _: None) -> None:
            assert await claimed(store.claim_command("session", "key", b"new")) == b"digest"

        self._twice(write, read, sample_registry())

    def test_a_release_survives_as_the_last_write(self) -> None:
        async def write(store: HydrationStore) -> None:
            await store.claim_command("session", "key", b"digest")
            await store.release_command("session", "key")

        async def read(store: HydrationStore, _: None) -> None:
            assert await store.claim_command("session", "key", b"new") is None

        self._twice(write, read, sample_registry())

    def test_pruning_survives_as_the_last_write(self) -> None:
        async def write(store: HydrationStore) -> SessionWriter:
            writer = await eventful(store)
            await store.prune("session", before=3)
            return writer

        async def read(store: HydrationStore, writer: SessionWriter) -> None:
            writer.store = store
            await check_above_floor(writer, 3)

        self._twice(write, read, sample_registry())

    def test_a_record_and_a_deletion_survive_as_the_last_write(self) -> None:
        async def write(store: HydrationStore) -> None:
            await store.record_error(record("other", 1))
            await eventful(store)
            await store.delete_session("session")

        async def read(store: HydrationStore, _: None) -> None:
            assert await store.sessions() == ["other"]
            assert await store.error_records() == [record("other", 1)]
            await store.delete_session("other")

        self._twice(write, read, sample_registry())

    def test_the_epoch_of_unused_sessions_survives_closing(self) -> None:
        async def write(store: HydrationStore) -> int:
            return (await store.cursors("unused")).epoch

        async def read(store: HydrationStore, epoch: int) -> None:
            assert (await store.cursors("unused")).epoch == epoch

        self._twice(write, read, sample_registry())

    def test_what_was_handed_over_before_closing_is_kept(self) -> None:
        async def write(store: HydrationStore) -> SessionWriter:
            writer = SessionWriter(store)
            step = writer.step(put("a"))
            handed_over = asyncio.ensure_future(store.commit(step))
            await asyncio.sleep(0)  # an async def begins with this
            await store.close()
            await handed_over
            writer.remember(step)
            return writer

        async def read(store: HydrationStore, writer: SessionWriter) -> None:
            writer.store = store
            await check_above_floor(writer, 0)

        self._twice(write, read, sample_registry())

    def test_a_vanished_schema_is_an_error_only_for_whoever_touches_it(self) -> None:
        async def write(store: HydrationStore) -> SessionWriter:
            writer = SessionWriter(store)
            await writer.log(put("a", "1"), put("b", "1", kind=OTHER_KIND))
            note = Event(OTHER_EVENT, wrappers_pb2.BytesValue(value=b"2"), "session", 2, "note")
            await writer.commit(Commit("session", note, writer.placed([put("a", "2")], 2), 1, 2))
            await writer.log(put("a", "3"))
            await SessionWriter(store, "other").log(put("a"))
            return writer

        async def read(store: HydrationStore, writer: SessionWriter) -> None:
            writer.store = store
            for question in ({}, {"as_of": 1}, {"since": 0}):
                with pytest.raises(UnknownSchemaError) as raised:
                    await store.snapshot("session", **question)
                assert (raised.value.family, raised.value.name) == ("timeline entity", OTHER_KIND)
                assert raised.value.payload_type == "google.protobuf.StringValue"
            with pytest.raises(UnknownSchemaError) as raised:
                await store.events("session")
            assert (raised.value.family, raised.value.name, raised.value.ordinal) == ("event", OTHER_EVENT, 2)
            await self._untouched(store, writer)

        self._twice(write, read, smaller_registry())

    async def _untouched(self, store: HydrationStore, writer: SessionWriter) -> None:
        assert [entity.id for entity in (await store.snapshot("session", since=1)).entities] == ["a"]
        assert await store.events("session", limit=1) == writer.events[:1]
        assert await store.events("session", after=2) == writer.events[2:]
        timeline = await store.timeline("session")
        assert [entity.id for entity in timeline.entities] == ["a"]
        assert list(timeline.unreadable) == [UnreadableEntity(OTHER_KIND, "b", 1, 1, "google.protobuf.StringValue")]
        told = await store.timeline("session", known=replace(timeline.cursors, timeline=0))
        assert (told.since, list(told.entities), told.unreadable) == (0, timeline.entities, timeline.unreadable)
        told = await store.timeline("session", known=replace(timeline.cursors, timeline=1))
        assert (told.since, list(told.entities), list(told.unreadable)) == (1, timeline.entities, [])
        assert await store.find_event("session", "note") is not None
        assert len((await store.snapshot("other")).entities) == 1
        await writer.log(put("a", "4"))
        assert (await store.cursors("session")).event == 4
        await store.prune("session", before=4)
        assert await store.find_event("session", "note") is not None

    def _twice(
        self,
        write: Callable[[HydrationStore], Awaitable[T]],
        read: Callable[[HydrationStore, T], Awaitable[None]],
        registry: SchemaRegistry,
    ) -> None:
        """Write to a store, close it, reopen it and read."""
        if not self.durable:
            pytest.skip("this store does not claim to be durable")

        async def both() -> None:
            async with self.open(sample_registry()) as store:
                written = await write(store)
            async with self.reopen(registry) as store:
                await read(store, written)

        asyncio.run(both())
