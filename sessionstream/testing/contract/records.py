"""Contract tests of events, ids, keys, error records and the list of sessions."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sessionstream.digests import payload_digest
from sessionstream.errors import InvalidIdError, StoreClosed
from sessionstream.observe import ErrorRecord
from sessionstream.store import CommandClaim, Cursors, HydrationStore, LoggedEvent, TimelineReplacement
from sessionstream.testing.contract.base import ContractBase, claimed, on_fresh_store, raised_by
from sessionstream.testing.sessions import SessionWriter, put

UNICODE_IDS = ["ä", "会话 1", "🧵", "a\u0301", "\u00e1", "back\\slash", "quo'te\"", "%_*", "\u202e", "x" * 1000, " x "]


def record(session_id: str, number: int) -> ErrorRecord:
    """Return an error record with every field set."""
    raw, facts = bytes([0, 255, number]), {"number": str(number), "ключ": "значение"}
    words = f"ValueError: no. {number} \U0001f9f5"
    place, traceback = f"ключ.py:{number} in project", f"Traceback (most recent call last):\n{words}\n"
    return ErrorRecord("decode", session_id, number, "Delta", words, raw, facts, where=place, traceback=traceback)


class RecordContract(ContractBase):
    """Tests of the reads and writes that do not concern the timeline."""

    @on_fresh_store
    async def test_events_come_in_order_above_and_limited(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        for ordinal in (1, 2, 5, 9, 10):
            await writer.log(ordinal=ordinal)
        for after in range(12):
            above = [event for event in writer.events if event.ordinal > after]
            assert await store.events("session", after=after) == above
            for limit in range(7):
                assert await store.events("session", after=after, limit=limit) == above[:limit]

    @on_fresh_store
    async def test_a_check_that_it_can_write_shows_nowhere(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log(put("a"))
        before = [await store.sessions(), await store.cursors("session"), await store.changes()]
        for _ in range(3):
            await store.check_writable()
        assert [await store.sessions(), await store.cursors("session"), await store.changes()] == before
        await writer.log(put("b"))
        assert await store.events("session") == writer.events

    @on_fresh_store
    async def test_an_event_keeps_its_metadata(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        facts: tuple[dict[str, str], ...] = (
            {"ключ": "\0\U0001f9f5", "": "empty key"},
            {},
            {str(number): "x" * 120 for number in range(64)},
        )
        for metadata in facts:
            step = writer.step()
            await writer.commit(replace(step, event=replace(writer.new_event(), metadata=metadata)))
        assert [dict(event.metadata) for event in await store.events("session")] == list(facts)
        await store.prune("session", before=3)
        assert [dict(event.metadata) for event in await store.events("session")] == [facts[2]]

    @on_fresh_store
    async def test_an_event_has_the_time_of_its_record(self, store: HydrationStore) -> None:
        writer, start = SessionWriter(store), datetime.now(UTC) - timedelta(seconds=1)
        for _ in range(3):
            early = replace(writer.new_event(), recorded_at=datetime.min.replace(tzinfo=UTC))
            await writer.commit(replace(writer.step(), event=early))
        times = [event.recorded_at or start for event in await store.events("session")]
        assert times == sorted(times)
        assert all(start < time <= datetime.now(UTC) and time.utcoffset() == timedelta() for time in times)
        assert [event.recorded_at for event in await store.events("session", after=2)] == times[2:]

    @on_fresh_store
    async def test_an_event_is_found_by_its_id(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await writer.log()
        await writer.log(event_id="by name", ordinal=7)
        event = writer.events[1]
        digest = payload_digest(event.name, event.payload)
        assert await store.find_event("session", "by name") == LoggedEvent(7, digest)
        assert await store.find_event("session", "by no name") is None
        assert await store.find_event("other", "by name") is None

    @on_fresh_store
    async def test_a_key_is_claimed_once_until_it_is_released(self, store: HydrationStore) -> None:
        assert await store.claim_command("session", "key", b"first") is None
        assert await claimed(store.claim_command("session", "key", b"second")) == b"first"
        assert await store.claim_command("session", "other key", b"third") is None
        assert await store.claim_command("other session", "key", b"fourth") is None
        await store.release_command("session", "key")
        await store.release_command("session", "never claimed")
        assert await store.claim_command("session", "key", b"second") is None
        assert await claimed(store.claim_command("other session", "key", b"x")) == b"fourth"

    @on_fresh_store
    async def test_a_claim_says_whether_its_command_has_finished(self, store: HydrationStore) -> None:
        for key in ("running", "finished", "unfinished"):
            assert await store.claim_command("session", key, b"digest") is None
        for key in ("finished", "unfinished", "never claimed"):
            await store.end_command("session", key, finished=key == "finished")
        for _ in range(2):
            assert await store.claim_command("session", "running", b"") == CommandClaim(b"digest", "running")
            assert await store.claim_command("session", "finished", b"") == CommandClaim(b"digest", "finished")
            assert await store.claim_command("session", "unfinished", b"") == CommandClaim(b"digest", "unfinished")
        assert await store.claim_command("session", "never claimed", b"digest") is None
        await store.release_command("session", "unfinished")
        assert await store.claim_command("session", "unfinished", b"digest") is None
        assert await store.claim_command("session", "unfinished", b"") == CommandClaim(b"digest", "running")

    @on_fresh_store
    async def test_of_claims_that_race_one_wins(self, store: HydrationStore) -> None:
        digests = [bytes([number]) * 32 for number in range(20)]
        earlier = await asyncio.gather(*[claimed(store.claim_command("session", "key", d)) for d in digests])
        assert earlier.count(None) == 1
        winner = digests[earlier.index(None)]
        assert {digest for digest in earlier if digest is not None} == {winner}

    @on_fresh_store
    async def test_error_records_are_kept_with_their_time(self, store: HydrationStore) -> None:
        records = [record(("one", "two", "")[number % 3], number) for number in range(7)]
        start = datetime.now(UTC) - timedelta(seconds=1)
        for each in records:
            await store.record_error(each)
        found = await store.error_records()
        assert found == records
        assert [dict(each.metadata) for each in found] == [dict(each.metadata) for each in records]
        times = [each.recorded_at for each in found if each.recorded_at is not None]
        assert len(times) == 7
        assert all(start <= time <= datetime.now(UTC) and time.utcoffset() == timedelta() for time in times)
        of_one = [each for each in records if each.session_id == "one"]
        assert await store.error_records("one") == of_one
        for limit in range(9):
            assert await store.error_records(limit=limit) == records[max(7 - limit, 0) :]
            assert await store.error_records("one", limit=limit) == of_one[max(3 - limit, 0) :]
        assert await store.error_records("nobody") == []

    @on_fresh_store
    async def test_an_error_record_may_have_any_text(self, store: HydrationStore) -> None:
        odd, spelled = "a\0\ud800\U0001f9f5", "a\\x00\\ud800\U0001f9f5"
        early = datetime.min.replace(tzinfo=UTC)
        await store.record_error(ErrorRecord("decode", odd, 1, odd, odd, b"\0", {odd: odd}, early, odd, odd))
        records = await store.error_records()
        assert [each.session_id for each in records] == [spelled]
        assert await store.error_records(spelled) == records
        found = records[0]
        assert found == ErrorRecord(
            "decode", spelled, 1, spelled, spelled, b"\0", {spelled: spelled}, where=spelled, traceback=spelled
        )
        assert (found.metadata, found.where, found.traceback) == ({spelled: spelled}, spelled, spelled)
        assert found.recorded_at is not None
        assert found.recorded_at > early
        assert await store.sessions() == [spelled]

    @on_fresh_store
    async def test_an_error_record_may_have_any_ordinal(self, store: HydrationStore) -> None:
        await store.record_error(record("session", 1))
        extreme = ErrorRecord("ordinal", "session", 2**64 - 1, "", "OrdinalExhausted")
        await store.record_error(extreme)
        assert (await store.error_records("session"))[-1] == extreme

    @on_fresh_store
    async def test_sessions_are_listed_in_pages(self, store: HydrationStore) -> None:
        ids = sorted([*UNICODE_IDS, "Z", "a", "aa", "b"])
        for session_id in reversed(ids):
            await SessionWriter(store, session_id).log()
        assert await store.sessions() == ids
        assert await store.sessions(limit=0) == []
        pages: list[str] = []
        while page := await store.sessions(after=pages[-1] if pages else "", limit=4):
            assert len(page) <= 4
            pages += page
        assert pages == ids

    @on_fresh_store
    async def test_a_session_is_listed_while_it_holds_anything(self, store: HydrationStore) -> None:
        await store.claim_command("key", "k", b"digest")
        await store.record_error(record("error", 1))
        await SessionWriter(store, "event").log()
        assert await store.sessions() == ["error", "event", "key"]
        await store.release_command("key", "k")
        assert await store.sessions() == ["error", "event"]

    @pytest.mark.parametrize("session_id", UNICODE_IDS)
    def test_ids_may_be_any_unicode(self, session_id: str) -> None:
        async def check(store: HydrationStore) -> None:
            writer = SessionWriter(store, session_id)
            await writer.log(put(session_id, session_id), event_id=session_id)
            await store.claim_command(session_id, session_id, b"digest")
            assert (await store.snapshot(session_id)).entities == writer.at(1)
            assert await store.events(session_id) == writer.events
            assert await store.find_event(session_id, session_id) is not None
            assert await claimed(store.claim_command(session_id, session_id, b"")) == b"digest"
            assert await store.sessions() == [session_id]

        self.with_store(check)

    @on_fresh_store
    async def test_nothing_begins_under_an_id_of_more_than_1024_bytes(self, store: HydrationStore) -> None:
        longest = "ä" * 512
        writer = SessionWriter(store, longest)
        await writer.log(put("a"))
        assert await store.claim_command(longest, longest, b"digest") is None
        for long in (f"{longest}x", "x" * 1025, "\U0001f9f5" * 300):
            calls = [
                store.commit(SessionWriter(store, long).step(put("a"))),
                store.replace_timeline(TimelineReplacement(long, (), 0, await store.cursors(long))),
                store.claim_command(long, "key", b"digest"),
                store.claim_command("session", long, b"digest"),
            ]
            errors = [await raised_by(call) for call in calls]
            assert [type(error) for error in errors] == [InvalidIdError] * len(calls)
            assert str(len(long.encode())) in str(errors[0])
            assert (await store.snapshot(long)).entities == ()
        assert await store.sessions() == [longest]

    def test_closing_twice_is_allowed_and_everything_else_is_not(self) -> None:
        async def check(store: HydrationStore) -> None:
            writer = SessionWriter(store)
            await writer.log(put("a"))
            await store.close()
            await store.close()
            rebuilt = TimelineReplacement("session", (), 1, Cursors(1, 1, 1))
            calls = [
                store.commit(writer.step()),
                store.snapshot("session"),
                store.events("session"),
                store.find_event("session", "event-1"),
                store.timeline("session"),
                store.cursors("session"),
                store.replace_timeline(rebuilt),
                store.claim_command("session", "key", b""),
                store.end_command("session", "key", finished=True),
                store.release_command("session", "key"),
                store.check_writable(),
                store.record_error(record("session", 1)),
                store.error_records(),
                store.sessions(),
                store.prune("session", before=1),
                store.delete_session("session"),
            ]
            assert [type(await raised_by(call)) for call in calls] == [StoreClosed] * len(calls)

        self.with_store(check)
