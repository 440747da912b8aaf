"""Contract tests of commits: atomic, based on the current cursors, and once for each event id."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TypeVar

import pytest

from sessionstream.digests import payload_digest
from sessionstream.errors import EventConflict, OrdinalConflict, Unstorable
from sessionstream.ordinals import MAX_ORDINAL
from sessionstream.store import Commit, Cursors, HydrationStore, LoggedEvent
from sessionstream.testing.contract.base import ContractBase, on_fresh_store, raised_by
from sessionstream.testing.sessions import SessionWriter, drop, put

E = TypeVar("E", bound=Exception)


class CommitContract(ContractBase):
    """Tests of ``commit``."""

    @on_fresh_store
    async def test_a_commit_moves_everything_at_once(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a", "one"), put("b", "two"))
        snapshot = await store.snapshot("session")
        assert (snapshot.snapshot_ordinal, snapshot.entities) == (1, writer.at(1))
        assert await store.events("session") == writer.events
        cursors = await store.cursors("session")
        assert (cursors.event, cursors.timeline, cursors.floor, cursors.held) == (1, 1, 0, False)
        assert snapshot.epoch == cursors.epoch

    @on_fresh_store
    async def test_a_commit_may_change_nothing_but_the_cursors(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log()
        assert (await store.snapshot("session")).snapshot_ordinal == 1
        assert (await store.snapshot("session")).entities == ()

    @on_fresh_store
    async def test_ordinals_may_leave_gaps(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a"), ordinal=10)
        await writer.log(put("b"), ordinal=1_700_000_000_000_000_002)
        assert await store.events("session", after=10) == writer.events[1:]
        assert (await store.snapshot("session", as_of=500)).entities == writer.at(10)

    @on_fresh_store
    async def test_a_stale_event_cursor_is_a_conflict(self, store: HydrationStore) -> None:
        writer, late = SessionWriter(store), SessionWriter(store)
        await writer.log(put("a", "new"))
        await writer.log(put("a", "newer"))
        await self._refused(writer, late.step(put("a", "stale"), event_id="other"), OrdinalConflict)

    @on_fresh_store
    async def test_a_cursor_from_the_future_is_a_conflict(self, store: HydrationStore) -> None:
        writer, early = SessionWriter(store), SessionWriter(store)
        await writer.log(put("a"))
        early.event = early.timeline = 7
        early.states[7] = {}
        await self._refused(writer, early.step(put("a", "early")), OrdinalConflict)

    @on_fresh_store
    async def test_a_stale_timeline_cursor_is_a_conflict(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        await writer.commit(writer.waiting())
        event = writer.new_event()
        blind = Commit("session", event, (), expected_ordinal=2, timeline_cursor=3)
        await self._refused(writer, blind, OrdinalConflict)

    @on_fresh_store
    async def test_another_epoch_is_a_conflict(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        epoch = (await writer.cursors()).epoch
        await self._refused(writer, writer.step(put("a"), epoch=epoch + 1), OrdinalConflict)
        await writer.commit(writer.step(put("a"), epoch=epoch))
        await self._refused(writer, writer.step(put("a", "x"), epoch=epoch + 1), OrdinalConflict)

    @on_fresh_store
    async def test_another_last_commit_is_a_conflict(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await self._refused(writer, replace(writer.step(put("a")), expected_commit_id="nothing"), OrdinalConflict)
        await writer.commit(replace(writer.step(put("a"), event_id="same"), commit_id="one"))
        await self._refused(writer, replace(writer.step(put("a", "x")), expected_commit_id="two"), OrdinalConflict)
        await writer.commit(replace(writer.step(put("a", "x")), commit_id="two", expected_commit_id="one"))
        await writer.commit(writer.step(put("a", "y")))
        await self._refused(writer, replace(writer.step(put("a", "z")), expected_commit_id="two"), OrdinalConflict)

    @on_fresh_store
    async def test_another_commit_of_the_same_event_is_another_commit(self, store: HydrationStore) -> None:
        writer, faster = SessionWriter(store), SessionWriter(store)
        await faster.commit(replace(faster.step(put("a", "theirs"), event_id="same"), commit_id="theirs"))
        first = replace(writer.step(put("a", "ours"), event_id="same"), commit_id="ours")
        behind = Commit(
            "session", writer.new_event(2, "next"), (), 1, 2, 1, commit_id="next", expected_commit_id="ours"
        )
        for commit in (first, behind):
            await self._refused(faster, commit, OrdinalConflict)

    @on_fresh_store
    async def test_an_event_id_is_taken_once(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a"), event_id="same")
        error = await self._refused(writer, writer.step(put("a", "x"), event_id="same"), EventConflict)
        assert (error.session_id, error.event_id, error.ordinal) == ("session", "same", 1)

    @on_fresh_store
    async def test_a_taken_id_is_told_with_the_digest_of_its_event(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a"), event_id="same")
        await writer.log(put("a"))
        for _ in range(2):
            logged, error = (
                await store.find_event("session", "same"),
                await raised_by(store.commit(writer.step(event_id="same"))),
            )
            assert isinstance(error, EventConflict)
            assert logged is not None
            assert logged == LoggedEvent(1, payload_digest("Delta", writer.events[0].payload))
            assert LoggedEvent(error.ordinal, error.digest) == logged
            assert error.descriptors == logged.descriptors
            await store.prune("session", before=2)

    @on_fresh_store
    async def test_an_event_id_belongs_to_its_session(self, store: HydrationStore) -> None:
        for session_id in ("one", "two"):
            await SessionWriter(store, session_id).log(put("a"), event_id="same")
        assert len(await store.events("two")) == 1

    @on_fresh_store
    async def test_moved_cursors_are_told_before_taken_ids(self, store: HydrationStore) -> None:
        writer, late = SessionWriter(store), SessionWriter(store)
        await writer.log(put("a"), event_id="same")
        await self._refused(writer, late.step(put("a"), event_id="same"), OrdinalConflict)

    @on_fresh_store
    async def test_sessions_do_not_touch_each_other(self, store: HydrationStore) -> None:
        one, two = SessionWriter(store, "one"), SessionWriter(store, "two")
        await one.log(put("a", "of one"))
        await two.log(put("a", "of two"))
        await one.log(drop("a"))
        assert (await store.snapshot("one")).entities == ()
        assert (await store.snapshot("two")).entities == two.at(1)

    @on_fresh_store
    async def test_held_events_are_logged_and_resumed_in_order(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a", "one"))
        for _ in range(3):
            await writer.commit(writer.waiting())
        cursors = await store.cursors("session")
        assert (cursors.event, cursors.timeline, cursors.held) == (4, 1, True)
        assert (await store.snapshot("session")).entities == writer.at(1)
        assert await store.events("session", after=1) == writer.events[1:]
        for text in ("two", "three"):
            await writer.commit(writer.resumption(put("a", text), put(text)))
        snapshot = await store.snapshot("session")
        assert (snapshot.snapshot_ordinal, snapshot.entities) == (3, writer.at(3))
        await writer.commit(writer.resumption())
        assert not (await store.cursors("session")).held
        await writer.log(put("a", "five"))
        for ordinal in range(6):
            assert (await store.snapshot("session", as_of=ordinal)).entities == writer.at(ordinal)

    @on_fresh_store
    async def test_of_concurrent_writers_of_a_session_one_wins(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        steps = [writer.step(put("a", str(number)), event_id=f"id-{number}") for number in range(10)]
        errors = await asyncio.gather(*[raised_by(store.commit(step)) for step in steps])
        winners = [step for step, error in zip(steps, errors, strict=True) if error is None]
        assert len(winners) == 1
        assert {type(error) for error in errors if error is not None} == {OrdinalConflict}
        writer.remember(winners[0])
        await self._unchanged(writer)

    @on_fresh_store
    async def test_many_sessions_may_commit_at_once(self, store: HydrationStore) -> None:
        writers = [SessionWriter(store, f"session-{number}") for number in range(20)]

        async def write(writer: SessionWriter) -> None:
            for number in range(5):
                await writer.log(put("a", str(number)), put(f"b{number}"))

        await asyncio.gather(*[write(writer) for writer in writers])
        for writer in writers:
            await self._unchanged(writer)

    @on_fresh_store
    async def test_one_bad_commit_among_many_fails_alone(self, store: HydrationStore) -> None:
        writers = [SessionWriter(store, f"session-{number}") for number in range(9)]
        bad = writers[4]
        await bad.log(put("a"), event_id="taken")
        steps = [writer.step(put("b"), event_id="taken") for writer in writers]
        errors = await asyncio.gather(*[raised_by(store.commit(step)) for step in steps])
        assert [type(error) for error in errors if error is not None] == [EventConflict]
        for writer, step in zip(writers, steps, strict=True):
            if writer is not bad:
                writer.remember(step)
            await self._unchanged(writer)

    @on_fresh_store
    async def test_a_store_holds_ordinals_of_63_bits(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        assert 2**63 - 1 <= store.max_ordinal <= MAX_ORDINAL
        for ordinal in (2**31, 2**53 + 1, 2**63 - 1):
            await writer.log(put("a", str(ordinal)), ordinal=ordinal)
        await self._unchanged(writer)
        assert (await store.snapshot("session", as_of=2**63 - 2)).entities == writer.at(2**53 + 1)
        assert (await store.snapshot("session", as_of=2**64 - 1)).entities == writer.at(2**63 - 1)
        assert (await store.snapshot("session", since=2**64 - 1)).entities == ()
        assert await store.events("session", after=2**64 - 1) == []

    @pytest.mark.parametrize("ordinal", [2**63, 2**64 - 1])
    def test_an_ordinal_is_held_or_refused_but_never_wrapped(self, ordinal: int) -> None:
        async def check(store: HydrationStore) -> None:
            writer = SessionWriter(store)
            await writer.log(put("a"))
            step = writer.step(put("a", "last"), ordinal=ordinal)
            error = await raised_by(store.commit(step))
            if error is None:
                writer.remember(step)
            else:
                assert isinstance(error, Unstorable)
                await writer.log(put("b"))
            await self._unchanged(writer)

        self.with_store(check)

    @on_fresh_store
    async def test_no_ordinal_above_the_highest_is_held(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await self._refused(writer, writer.step(put("a"), ordinal=store.max_ordinal + 1), Unstorable)
        await writer.log(put("a"), ordinal=store.max_ordinal)
        await self._unchanged(writer)

    @on_fresh_store
    async def test_a_commit_that_is_refused_begins_no_session(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        writer.event = writer.timeline = 7
        writer.states[7] = {}
        blind = writer.step(put("a", "blind"))
        writer.event = writer.timeline = 0
        await self._refused(writer, blind, OrdinalConflict)
        assert await store.sessions() == []

    @on_fresh_store
    async def test_unused_sessions_have_one_epoch_and_begin_with_it(self, store: HydrationStore) -> None:
        epoch = (await store.cursors("session")).epoch
        assert epoch
        for session_id in ("one", "two"):
            assert (await store.cursors(session_id)).epoch == epoch
            await SessionWriter(store, session_id).log(put("a"))
            assert (await store.cursors(session_id)).epoch == epoch

    async def _refused(self, writer: SessionWriter, commit: Commit, kind: type[E]) -> E:
        """Check that a commit is refused and changes nothing; return the error."""
        before = await _traces(writer, commit)
        error = await raised_by(writer.store.commit(commit))
        assert isinstance(error, kind), f"{error!r} instead of {kind.__name__}"
        await self._unchanged(writer)
        assert await _traces(writer, commit) == before
        return error

    async def _unchanged(self, writer: SessionWriter) -> None:
        """Check that the store holds exactly the contents that the writer expects."""
        store, session_id = writer.store, writer.session_id
        cursors = await store.cursors(session_id)
        assert cursors == Cursors(writer.event, writer.timeline, cursors.epoch)
        assert await store.events(session_id) == writer.events
        snapshot = await store.snapshot(session_id)
        assert (snapshot.snapshot_ordinal, snapshot.entities) == (writer.timeline, writer.at(writer.timeline))
        timeline = await store.timeline(session_id)
        assert timeline.cursors == cursors
        assert sorted(timeline.entities, key=lambda entity: (entity.kind, entity.id)) == sorted(
            writer.at(writer.timeline), key=lambda entity: (entity.kind, entity.id)
        )


async def _traces(writer: SessionWriter, commit: Commit) -> list[object]:
    """Return the contents that a refused commit must not change."""
    store, session_id, event = writer.store, writer.session_id, commit.event
    found: list[object] = [await store.sessions(), (await store.cursors(session_id)).epoch]
    found.append(None if event is None else await store.find_event(session_id, event.event_id))
    for ordinal in sorted({0, *writer.states, commit.timeline_cursor}):
        found.append(await store.snapshot(session_id, as_of=ordinal))
        found.append(await store.snapshot(session_id, since=ordinal))
    return found
