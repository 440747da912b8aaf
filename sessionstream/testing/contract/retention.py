"""Contract tests of pruning and deleting: which data is removed, and that all other data stays."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sessionstream.digests import payload_digest
from sessionstream.errors import EventConflict, HistoryPruned, OrdinalConflict
from sessionstream.retention import RetentionPolicy
from sessionstream.store import HydrationStore
from sessionstream.testing.clock import WallClock
from sessionstream.testing.contract.base import ContractBase, claimed, on_clocked_store, on_fresh_store, raised_by
from sessionstream.testing.contract.records import record
from sessionstream.testing.contract.timelines import eventful
from sessionstream.testing.sessions import SessionWriter, applied, drop, put

SECOND, MINUTE, HOUR, YEARS = (timedelta(seconds=seconds) for seconds in (1, 60, 3600, 50 * 365 * 86_400))


async def check_above_floor(writer: SessionWriter, floor: int) -> None:
    """Check that the history from the floor on is unchanged, and that reads below it are refused."""
    store, session_id = writer.store, writer.session_id
    cursors = await store.cursors(session_id)
    assert (cursors.event, cursors.timeline, cursors.floor) == (writer.event, writer.timeline, floor)
    now = writer.at(writer.timeline)
    assert (await store.snapshot(session_id)).entities == now
    for ordinal in range(floor, writer.timeline + 2):
        assert (await store.snapshot(session_id, as_of=ordinal)).entities == writer.at(ordinal)
        changes = await store.snapshot(session_id, since=ordinal)
        assert applied(writer.at(ordinal), changes.entities) == now
        await check_known(writer, ordinal)
    await check_known(writer, floor - 1)
    for ordinal in range(floor):
        for question in ({"as_of": ordinal}, {"since": ordinal}):
            with pytest.raises(HistoryPruned) as raised:
                await store.snapshot(session_id, **question)
            assert (raised.value.ordinal, raised.value.floor) == (ordinal, floor)
    for after in range(max(floor - 1, 0), writer.event + 1):
        kept = [event for event in writer.events if event.ordinal > after]
        assert await store.events(session_id, after=after) == kept
    assert all(event.ordinal >= floor for event in await store.events(session_id))


async def a_moment() -> datetime:
    """Return a time on this machine's clock, after all earlier calls and before all later ones."""
    moment = later = datetime.now(UTC)
    while later <= moment:
        later = datetime.now(UTC)
    return later


async def check_known(writer: SessionWriter, ordinal: int) -> None:
    """Check that a hub that holds the timeline as of ``ordinal`` gets exactly the changes after it."""
    cursors = await writer.cursors()
    known = replace(cursors, timeline=ordinal)
    told = await writer.store.timeline(writer.session_id, known=known)
    assert (told.cursors, list(told.unreadable)) == (cursors, [])
    if cursors.floor <= ordinal <= cursors.timeline:
        assert told.since == ordinal
        assert all(entity.last_event_ordinal > ordinal for entity in told.entities)
        assert applied(writer.at(ordinal), told.entities) == writer.at(writer.timeline)
    else:
        assert told.since is None
        assert applied((), told.entities) == writer.at(writer.timeline)


class RetentionContract(ContractBase):
    """Tests of ``prune`` and ``delete_session``."""

    @on_fresh_store
    async def test_pruning_keeps_every_remaining_answer(self, store: HydrationStore) -> None:
        writers = {before: await eventful(store, f"pruned below {before}") for before in (0, 1, 2, 3, 4, 6, 9, 10, 11)}
        for before, writer in writers.items():
            epoch = (await writer.cursors()).epoch
            await store.prune(writer.session_id, before=before)
            await check_above_floor(writer, before)
            assert (await writer.cursors()).epoch == epoch
        for before, writer in writers.items():
            await check_above_floor(writer, before)
            await writer.log(put("a", "later"), put("b", "again"))
            await check_above_floor(writer, before)

    @on_fresh_store
    async def test_the_floor_rises_step_by_step_and_never_falls(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        for before, floor in ((2, 2), (1, 2), (0, 2), (5, 5), (9, 9), (4, 9), (100, 11), (2**63, 11)):
            await store.prune("session", before=before)
            await check_above_floor(writer, floor)

    @on_fresh_store
    async def test_held_events_outlive_pruning(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        for _ in range(2):
            await writer.commit(writer.waiting())
        await store.prune("session", before=1000)
        await check_above_floor(writer, 11)
        await writer.commit(writer.resumption(drop("a")))
        await writer.commit(writer.resumption(put("a", "13")))
        await check_above_floor(writer, 11)

    @on_fresh_store
    async def test_event_ids_outlive_pruning(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        await store.prune("session", before=1000)
        for event in writer.events:
            found = await store.find_event("session", event.event_id)
            assert found is not None
            assert (found.ordinal, found.digest) == (event.ordinal, payload_digest(event.name, event.payload))
        error = await raised_by(store.commit(writer.step(event_id=writer.events[0].event_id)))
        assert isinstance(error, EventConflict)
        assert error.ordinal == writer.events[0].ordinal
        assert await store.sessions() == ["session"]

    @on_fresh_store
    async def test_a_deleted_session_is_empty_but_for_its_ordinals(self, store: HydrationStore) -> None:
        writer, other = await eventful(store), await eventful(store, "other")
        for each in ("session", "other"):
            await store.claim_command(each, "key", b"digest")
            await store.record_error(record(each, 1))
        await store.prune("session", before=3)
        before = await store.cursors("session")
        await store.delete_session("session")
        after = await store.cursors("session")
        assert (after.event, after.timeline, after.floor) == (before.event, before.event, 0)
        assert after.epoch not in (0, before.epoch)
        for question in ({}, {"as_of": 1}, {"since": 1}):
            snapshot = await store.snapshot("session", **question)
            assert (snapshot.entities, snapshot.epoch) == ((), after.epoch)
        assert await store.events("session") == []
        assert await store.find_event("session", writer.events[0].event_id) is None
        assert await store.error_records("session") == []
        assert await store.sessions() == ["other"]
        assert await store.claim_command("session", "key", b"new") is None
        await check_above_floor(other, 0)
        assert await claimed(store.claim_command("other", "key", b"new")) == b"digest"
        assert await store.error_records() == [record("other", 1)]

    @on_fresh_store
    async def test_a_session_of_keys_and_errors_alone_keeps_its_epoch(self, store: HydrationStore) -> None:
        await store.claim_command("session", "key", b"digest")
        await store.record_error(record("session", 1))
        before = await store.cursors("session")
        assert before == await store.cursors("nobody")
        await store.delete_session("session")
        assert await store.cursors("session") == before
        assert await store.sessions() == []
        assert await store.error_records() == []
        assert await store.claim_command("session", "key", b"new") is None

    @on_fresh_store
    async def test_a_deleted_session_goes_on_above_its_ordinals(self, store: HydrationStore) -> None:
        first = await eventful(store)
        await first.commit(first.waiting())
        await store.delete_session("session")
        cursors = await store.cursors("session")
        assert (cursors.event, cursors.held) == (first.event, False)
        stale = SessionWriter(store)
        assert await raised_by(store.commit(stale.step(put("a", "stale")))) is not None
        second = SessionWriter(store)
        second.event = second.timeline = cursors.event
        second.states[cursors.event] = {}
        await second.commit(second.step(put("a", "new"), event_id="event-1", epoch=cursors.epoch))
        await second.log(drop("a"), put("b", "newer"))
        await check_above_floor(second, 0)
        assert (await store.cursors("session")).epoch == cursors.epoch
        assert await store.sessions() == ["session"]

    @on_fresh_store
    async def test_a_session_that_moved_is_not_deleted(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        seen = await writer.cursors()
        await writer.log(put("a", "meanwhile"))
        now = await writer.cursors()
        for expected in (seen, replace(now, epoch=now.epoch ^ 1), replace(now, floor=1)):
            with pytest.raises(OrdinalConflict) as raised:
                await store.delete_session("session", expected=expected)
            assert (raised.value.expected, raised.value.actual) == (expected, now)
            await check_above_floor(writer, 0)
        await store.delete_session("session", expected=now)
        assert await store.events("session") == []
        await store.delete_session("nobody", expected=await store.cursors("nobody"))
        with pytest.raises(OrdinalConflict):
            await store.delete_session("nobody", expected=now)
        assert await store.sessions() == []

    @on_fresh_store
    async def test_it_is_known_what_was_logged_before_a_moment(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        moments = [await a_moment()]
        for ordinal in (1, 2, 5, 6, 2**40):
            await writer.commit(writer.step(put("a"), ordinal=ordinal))
            moments.append(await a_moment())
        await writer.commit(writer.waiting())
        moments.append(await a_moment())
        await eventful(store, "other")
        logged = [0, 1, 2, 5, 6, 2**40, 2**40 + 1]
        assert [await store.ordinal_before("session", moment) for moment in moments] == logged
        assert await store.ordinal_before("session", datetime.max.replace(tzinfo=UTC)) == 2**40 + 1
        assert await store.ordinal_before("session", datetime.min.replace(tzinfo=UTC)) == 0
        assert await store.ordinal_before("nobody", moments[-1]) == 0
        await store.prune("session", before=5)
        logged = [0, 0, 0, 5, 6, 2**40, 2**40 + 1]
        assert [await store.ordinal_before("session", moment) for moment in moments] == logged
        await store.delete_session("session")
        assert await store.ordinal_before("session", moments[-1]) == 0

    @on_clocked_store
    async def test_a_clock_that_goes_back_makes_no_event_old(self, store: HydrationStore, clock: WallClock) -> None:
        writer, start = SessionWriter(store), clock.now
        for moment in (start, start - YEARS, start - HOUR, start + HOUR, start - YEARS):
            clock.now = moment
            await writer.log(put("a"))
        found = [await store.ordinal_before("session", start + add) for add in (-HOUR, SECOND - SECOND, SECOND, HOUR)]
        assert found == [0, 0, 3, 3]
        assert await store.ordinal_before("session", start + HOUR + SECOND) == 5
        await SessionWriter(store, "other").log(put("a"))  # a new session, so its times are those of the clock
        assert await store.ordinal_before("other", start - YEARS + SECOND) == 1

    @on_clocked_store
    async def test_a_clock_that_goes_back_makes_no_error_record_old(
        self, store: HydrationStore, clock: WallClock
    ) -> None:
        start = clock.now
        for session_id in ("session", ""):
            for moment in (start, start - YEARS, start + HOUR, start - YEARS):
                clock.now = moment
                await store.record_error(record(session_id, 1))
            records = await store.error_records(session_id)
            assert [each.recorded_at for each in records] == [start, start, start + HOUR, start + HOUR]
            assert await store.forget_errors(session_id, start) == 0
            assert await store.forget_errors(session_id, start + HOUR) == 2
            assert await store.forget_errors(session_id, start + HOUR + SECOND) == 2
            clock.now = start - YEARS
            await store.record_error(record(session_id, 1))
            assert [each.recorded_at for each in await store.error_records(session_id)] == [start - YEARS]
            clock.now = start
        await SessionWriter(store, "used").log(put("a"))
        clock.now = start - YEARS
        await store.record_error(record("used", 1))
        assert await store.forget_errors("used", start) == 0

    @on_clocked_store
    async def test_a_clock_that_goes_back_makes_no_key_old(self, store: HydrationStore, clock: WallClock) -> None:
        start = clock.now
        await store.claim_command("other", "key", b"digest")
        await SessionWriter(store, "used").log(put("a"))
        for number, moment in enumerate((start, start - YEARS, start + HOUR, start - YEARS)):
            clock.now = moment
            await store.claim_command("session", f"{number}", b"digest")
        await store.claim_command("used", "key", b"digest")
        assert await store.forget_claims("session", start) == 0
        assert await store.forget_claims("session", start + HOUR) == 2
        assert await store.forget_claims("session", start + HOUR + SECOND) == 2
        assert await store.forget_claims("used", start) == 0
        assert await store.forget_claims("used", start + SECOND) == 1
        await store.claim_command("session", "again", b"digest")
        assert await store.forget_claims("session", start - YEARS + SECOND) == 1

    @on_clocked_store
    async def test_a_deleted_session_begins_with_the_time_that_it_is(
        self, store: HydrationStore, clock: WallClock
    ) -> None:
        start, writer = clock.now, SessionWriter(store)
        await writer.log(put("a"))
        await store.record_error(record("session", 1))
        await store.claim_command("session", "key", b"digest")
        await store.delete_session("session")
        clock.now = start - YEARS
        await store.record_error(record("session", 1))
        await store.claim_command("session", "key", b"digest")
        assert await store.forget_errors("session", start) == 1
        assert await store.forget_claims("session", start) == 1

    @on_clocked_store
    async def test_a_policy_forgets_nothing_young_after_a_clock_went_back(
        self, store: HydrationStore, clock: WallClock
    ) -> None:
        writer, start = SessionWriter(store), clock.now
        for number in range(100):
            clock.now = start - YEARS if number in (50, 99) else start + number * SECOND
            await writer.log(put("a", str(number)))
        policy = RetentionPolicy(keep_for=HOUR, delete_idle=HOUR, keep_errors=HOUR, keep_keys=HOUR)
        assert [step async for step in policy.apply(store, now=start + 2 * MINUTE)] == []
        await check_above_floor(writer, 0)
        steps = [step async for step in policy.apply(store, now=start + HOUR + 70 * SECOND)]
        assert [(step.session_id, step.floor) for step in steps] == [("session", 71)]
        steps = [step async for step in policy.apply(store, now=start + 2 * HOUR)]
        assert [(step.session_id, step.deleted) for step in steps] == [("session", True)]

    @on_fresh_store
    async def test_the_ordinals_at_the_end(self, store: HydrationStore) -> None:
        writer = await eventful(store)
        ordinals = [event.ordinal for event in writer.events]
        found = [await store.ordinal_from_end("session", count) for count in range(len(ordinals) + 2)]
        assert found == [writer.event + 1, *reversed(ordinals), 0]
        await store.prune("session", before=10)
        found = [await store.ordinal_from_end("session", count) for count in range(4)]
        assert found == [12, 11, 10, 0]
        assert await store.ordinal_from_end("nobody", 1) == 0
        assert await store.ordinal_from_end("session", 2**70) == 0
        for wrong, error in ((-1, ValueError), (1.5, TypeError), (True, TypeError), ("1", TypeError)):
            with pytest.raises(error):
                await store.ordinal_from_end("session", wrong)  # type: ignore[arg-type]

    @on_fresh_store
    async def test_old_error_records_are_forgotten(self, store: HydrationStore) -> None:
        before = await a_moment()
        old = [record(session_id, number) for session_id in ("session", "", "other") for number in range(3)]
        for each in old:
            await store.record_error(each)
        between = await a_moment()
        young = [record("session", 4), record("", 5)]
        for each in young:
            await store.record_error(each)
        await store.claim_command("session", "key", b"digest")
        assert await store.forget_errors("session", before) == 0
        assert await store.error_records() == old + young
        assert await store.forget_errors("session", between) == 3
        assert await store.error_records() == old[3:] + young
        assert await store.forget_errors("", between) == 3
        assert await store.error_records() == old[6:] + young
        assert await store.forget_errors("nobody", between) == 0
        assert await store.forget_errors("session", between) == 0
        assert await store.forget_errors("session", await a_moment()) == 1
        assert await store.error_records() == [*old[6:], young[1]]
        assert await claimed(store.claim_command("session", "key", b"other")) == b"digest"

    @on_fresh_store
    async def test_old_keys_are_forgotten(self, store: HydrationStore) -> None:
        before = await a_moment()
        for session_id in ("session", "other"):
            for key in ("b", "a", "released"):
                await store.claim_command(session_id, key, b"old")
        await store.record_error(record("session", 1))
        await store.release_command("session", "released")
        between = await a_moment()
        for key in ("A", "c", "released"):
            await store.claim_command("session", key, b"young")
        assert await claimed(store.claim_command("session", "a", b"again")) == b"old"  # which does not change its time
        assert await store.forget_claims("session", before) == 0
        assert await store.forget_claims("session", between) == 2
        for key in ("A", "c", "released"):
            assert await claimed(store.claim_command("session", key, b"again")) == b"young"
        for key in ("a", "b"):
            assert await store.claim_command("session", key, b"again") is None
        assert await store.forget_claims("nobody", between) == 0
        assert await claimed(store.claim_command("other", "a", b"again")) == b"old"
        assert await store.error_records() == [record("session", 1)]
        assert await store.forget_claims("other", between) == 3
        assert await store.sessions() == ["session"]

    @on_fresh_store
    async def test_many_are_forgotten(self, store: HydrationStore) -> None:
        await asyncio.gather(*(store.record_error(record("session", number % 256)) for number in range(2_500)))
        await asyncio.gather(*(store.claim_command("session", str(number), b"digest") for number in range(2_500)))
        moment = await a_moment()
        await store.claim_command("session", "5.", b"digest")
        await store.record_error(record("session", 1))
        assert await store.forget_errors("session", moment) == 2_500
        assert await store.forget_claims("session", moment) == 2_500
        assert await store.error_records() == [record("session", 1)]
        assert await claimed(store.claim_command("session", "5.", b"")) == b"digest"

    @on_fresh_store
    async def test_what_is_no_moment(self, store: HydrationStore) -> None:
        session_id: Any
        moment: Any
        for question in (store.ordinal_before, store.forget_errors, store.forget_claims):
            for session_id, moment, error in (
                (5, datetime(2026, 1, 1, tzinfo=UTC), TypeError),
                ("session", 5, TypeError),
                ("session", None, TypeError),
                ("session", datetime(2026, 1, 1), ValueError),
            ):
                assert type(await raised_by(question(session_id, moment))) is error, (question, session_id, moment)

    @on_fresh_store
    async def test_every_deletion_starts_an_epoch(self, store: HydrationStore) -> None:
        epochs = {(await store.cursors("session")).epoch}
        writer = SessionWriter(store)
        for _ in range(4):
            await writer.log(put("a"))
            epochs.add((await store.cursors("session")).epoch)
            await store.delete_session("session")
            writer.timeline = writer.event
            writer.states[writer.event] = {}
            epochs.add((await store.cursors("session")).epoch)
        assert len(epochs) == 5
