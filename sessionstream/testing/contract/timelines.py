"""Contract tests of timelines: current, as of and since every ordinal, rebuilt, with copies of payloads."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

from dataclasses import replace

import pytest

from sessionstream.errors import OrdinalConflict
from sessionstream.examples.chatdemo.v1 import chat_pb2
from sessionstream.store import Cursors, HydrationStore, TimelineReplacement
from sessionstream.testing.contract.base import ContractBase, on_fresh_store
from sessionstream.testing.sessions import KIND, OTHER_KIND, SessionWriter, applied, drop, put, texts
from sessionstream.types import TimelineEntity


async def eventful(store: HydrationStore, session_id: str = "session") -> SessionWriter:
    """Write a session in which entities are created, updated, deleted and created again."""
    writer = SessionWriter(store, session_id)
    await writer.log(put("a", "1"), put("b", "1"))
    await writer.log(put("a", "2"))
    await writer.log()
    await writer.log(drop("a"), put("c", "4", kind=OTHER_KIND), put("a", "4", kind=OTHER_KIND))
    await writer.log(put("b", "5"), drop("c", kind=OTHER_KIND), ordinal=9)
    await writer.log(put("a", "10"))
    await writer.log(drop("b"), put("a", "11"))
    return writer


class TimelineContract(ContractBase):
    """Tests of ``snapshot``, ``timeline`` and ``replace_timeline``."""

    @on_fresh_store
    async def test_an_unknown_session_is_empty_and_leaves_no_trace(self, store: HydrationStore) -> None:
        for as_of, since in ((None, None), (5, None), (None, 5)):
            snapshot = await store.snapshot("nobody", as_of=as_of, since=since)
            assert (snapshot.session_id, snapshot.snapshot_ordinal, snapshot.entities) == ("nobody", 0, ())
            assert snapshot.epoch != 0
        cursors = await store.cursors("nobody")
        assert (cursors.event, cursors.timeline, cursors.floor) == (0, 0, 0)
        timeline = await store.timeline("nobody")
        assert (timeline.cursors, list(timeline.entities), list(timeline.unreadable)) == (cursors, [], [])
        assert await store.events("nobody") == []
        assert await store.find_event("nobody", "event") is None
        await store.prune("nobody", before=3)
        await store.delete_session("nobody")
        await store.release_command("nobody", "key")
        assert await store.sessions() == []
        assert await store.cursors("nobody") == cursors

    @on_fresh_store
    async def test_the_epoch_is_there_before_the_first_event_and_stays(self, store: HydrationStore) -> None:
        before = await store.cursors("session")
        assert before.epoch != 0
        await eventful(store)
        assert (await store.cursors("session")).epoch == before.epoch
        assert (await store.snapshot("session", since=1)).epoch == before.epoch
        assert (await store.snapshot("session", as_of=1)).epoch == before.epoch

    @on_fresh_store
    async def test_as_of_is_right_at_every_ordinal(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        for ordinal in range(writer.timeline + 3):
            snapshot = await store.snapshot("session", as_of=ordinal)
            assert snapshot.entities == writer.at(ordinal)
            assert snapshot.snapshot_ordinal == min(ordinal, writer.timeline)

    @on_fresh_store
    async def test_as_of_is_right_all_along_a_text_that_grows(self, store: HydrationStore) -> None:
        writer, text = SessionWriter(store), ""
        newer = b"\xfa\x3e\x03new"  # a field that no class here knows
        for number in range(1, 151):
            text += f"word {number}, "
            payload = chat_pb2.ChatMessageEntity(
                text=text, content=text if number % 50 > 25 else "", status="streaming"
            )
            known = payload.SerializeToString() + (newer if number % 7 else b"")
            entity = TimelineEntity(KIND, "answer", chat_pb2.ChatMessageEntity.FromString(known))
            await writer.log(drop("answer") if number == 90 else entity, put("label", text[:99], kind=OTHER_KIND))
        for floor in (0, 3, 70, 91, 149):
            await store.prune("session", before=floor)
            for ordinal in range(floor, 151):
                assert (await store.snapshot("session", as_of=ordinal)).entities == writer.at(ordinal)

    @on_fresh_store
    async def test_since_leads_from_every_ordinal_to_now(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        whole = await store.snapshot("session")
        assert whole.since is None
        now = whole.entities
        for ordinal in range(writer.timeline + 3):
            changes = await store.snapshot("session", since=ordinal)
            assert (changes.snapshot_ordinal, changes.since) == (writer.timeline, ordinal)
            assert applied(writer.at(ordinal), changes.entities) == now
            assert all(entity.last_event_ordinal > ordinal for entity in changes.entities)

    @on_fresh_store
    async def test_since_shows_deletions_as_tombstones_without_payload(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a"), put("b"))
        await writer.log(drop("a"))
        changes = await store.snapshot("session", since=1)
        assert changes.entities == (TimelineEntity(KIND, "a", None, 1, 2, tombstone=True),)
        assert (await store.snapshot("session", since=2)).entities == ()

    @on_fresh_store
    async def test_full_snapshots_have_no_tombstones(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        for as_of in (None, *range(writer.timeline + 1)):
            snapshot = await store.snapshot("session", as_of=as_of)
            assert not any(entity.tombstone or entity.payload is None for entity in snapshot.entities)

    @on_fresh_store
    async def test_an_entity_created_again_has_a_new_created_ordinal(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a", "first"))
        await writer.log(drop("a"))
        await writer.log(put("a", "second"))
        (entity,) = (await store.snapshot("session")).entities
        assert (entity.created_ordinal, entity.last_event_ordinal) == (3, 3)
        (entity,) = (await store.snapshot("session", as_of=1)).entities
        assert (entity.created_ordinal, entity.last_event_ordinal) == (1, 1)

    @on_fresh_store
    async def test_snapshots_are_in_order(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("z"), put("b", kind=OTHER_KIND), put("a"), put("ä"), put("B"))
        await writer.log(put("0"), put("a", "again"))
        for question in ({}, {"as_of": 1}, {"since": 0}):
            entities = (await store.snapshot("session", **question)).entities
            keys = [(e.created_ordinal, e.last_event_ordinal, e.kind, e.id) for e in entities]
            assert keys == sorted(keys)
        assert [e.id for e in (await store.snapshot("session")).entities] == ["b", "B", "z", "ä", "a", "0"]

    @on_fresh_store
    async def test_another_epoch_is_told_whole(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        known = await writer.cursors()
        assert list((await store.timeline("session", known=known)).entities) == []
        for elsewhere in (replace(known, epoch=known.epoch ^ 1), replace(known, timeline=known.timeline + 1)):
            told = await store.timeline("session", known=elsewhere)
            assert told.since is None
            assert applied((), told.entities) == writer.at(writer.timeline)
        replaced = await store.replace_timeline(TimelineReplacement("session", (), known.timeline, known))
        told = await store.timeline("session", known=known)
        assert (told.since, list(told.entities), told.cursors) == (None, [], replaced)

    @on_fresh_store
    async def test_payloads_are_private_copies(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a", "kept"))
        event_text = chat_pb2.TokensDeltaEvent.FromString(writer.events[0].payload.SerializeToString()).chunk
        for _ in range(2):
            now, then = await store.snapshot("session"), await store.snapshot("session", as_of=1)
            changes = await store.snapshot("session", since=0)
            for entities in (now.entities, then.entities, changes.entities):
                (entity,) = entities
                assert isinstance(entity.payload, chat_pb2.ChatMessageEntity)
                assert entity.payload.text == "kept"
                entity.payload.text = "scribbled over"
            (event,) = await store.events("session")
            assert isinstance(event.payload, chat_pb2.TokensDeltaEvent)
            assert event.payload.chunk == event_text
            event.payload.chunk = "scribbled over"

    @on_fresh_store
    async def test_unknown_fields_survive(self, store: HydrationStore) -> None:
        newer = chat_pb2.ChatMessageEntity(text="known").SerializeToString() + b"\xfa\x3e\x03new"
        payload = chat_pb2.ChatMessageEntity.FromString(newer)
        writer = SessionWriter(store)
        await writer.log(TimelineEntity(KIND, "a", payload))
        (entity,) = (await store.snapshot("session")).entities
        assert entity.payload is not None
        assert entity.payload.SerializeToString() == newer

    @on_fresh_store
    async def test_a_rebuilt_timeline_is_swapped_in_under_a_new_epoch(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        before = await store.cursors("session")
        other = {"a": ((2, "x"), (4, ""), (9, "y")), "b": ((1, "z"),)}
        versions = [
            TimelineEntity(
                KIND, name, put(name, text).payload if text else None, min(o for o, _ in states), ordinal, not text
            )
            for name, states in other.items()
            for ordinal, text in states
        ]
        versions.sort(key=lambda entity: entity.last_event_ordinal)
        after = await store.replace_timeline(TimelineReplacement("session", versions, 11, before))
        assert (after.event, after.timeline, after.floor) == (before.event, 11, before.floor)
        assert after.epoch not in (0, before.epoch)
        assert await store.cursors("session") == after
        assert (await store.snapshot("session")).epoch == after.epoch
        for ordinal in range(12):
            found = (await store.snapshot("session", as_of=ordinal)).entities
            expected = {
                name: [text for at, text in states if at <= ordinal][-1]
                for name, states in other.items()
                if states[0][0] <= ordinal
            }
            assert texts(found) == {name: text for name, text in expected.items() if text}
        assert {e.id for e in (await store.snapshot("session", since=2)).entities} == {"a"}
        assert await store.events("session") == writer.events

    @on_fresh_store
    async def test_a_rebuild_may_end_before_the_log_does(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        before = await store.cursors("session")
        await store.replace_timeline(TimelineReplacement("session", [], 2, before))
        cursors = await store.cursors("session")
        assert (cursors.event, cursors.timeline, cursors.held) == (writer.event, 2, True)
        assert (await store.snapshot("session")).snapshot_ordinal == 2

    @on_fresh_store
    async def test_a_rebuild_of_a_session_that_moved_is_a_conflict(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        before = await store.cursors("session")
        await writer.log(put("a", "meanwhile"))
        now, snapshot = await store.cursors("session"), await store.snapshot("session")
        stale = [before, replace(now, epoch=now.epoch + 1), replace(now, timeline=now.timeline - 1), Cursors(0, 0, 1)]
        for expected in stale:
            with pytest.raises(OrdinalConflict):
                await store.replace_timeline(TimelineReplacement("session", [], expected.timeline, expected))
        assert await store.cursors("session") == now
        assert await store.snapshot("session") == snapshot

    @on_fresh_store
    async def test_a_rebuilt_session_goes_on(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        after = await store.replace_timeline(
            TimelineReplacement("session", [], writer.timeline, await store.cursors("session"))
        )
        again = SessionWriter(store)
        again.event = again.timeline = after.event
        again.states[after.timeline] = {}
        await again.commit(again.step(put("a", "new"), epoch=after.epoch))
        assert (await store.snapshot("session")).entities == again.at(again.timeline)
        assert (await store.cursors("session")).epoch == after.epoch
