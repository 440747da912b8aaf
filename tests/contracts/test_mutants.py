"""Stores that break one promise each: the contract has to notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sessionstream.digests import payload_digest
from sessionstream.errors import EventConflict, OrdinalConflict
from sessionstream.hydration.memory import Claim, MemoryStore
from sessionstream.hydration.rules import new_epoch
from sessionstream.observe import ErrorRecord
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Change, CommandClaim, Commit, Cursors, HydrationStore, TimelineReplacement
from sessionstream.testing.store_contract import StoreContract
from sessionstream.types import Event, Snapshot


class Kept(MemoryStore):
    """A memory store that survives closing, so that durability can be tested; what is `lazy` is lost at the end."""

    lazy = ""

    def __init__(self, registry: SchemaRegistry, *, clock: Callable[[], datetime]) -> None:
        super().__init__(registry, clock=clock)
        self.pending: Callable[[], Any] | None = None

    async def claim_command(self, session_id: str, key: str, digest: bytes, /) -> CommandClaim | None:
        if self.lazy == "claim":
            earlier = self._claims.get(session_id, {}).get(key)
            if earlier is None:
                claim = Claim(digest, datetime.now(UTC))
                self.pending = lambda: self._claims.setdefault(session_id, {}).setdefault(key, claim)
            return CommandClaim(earlier.digest) if earlier is not None else None
        return await super().claim_command(session_id, key, digest)

    async def release_command(self, session_id: str, key: str, /) -> None:
        if self.lazy != "release":
            await super().release_command(session_id, key)

    async def prune(self, session_id: str, *, before: int) -> None:
        if self.lazy != "prune":
            await super().prune(session_id, before=before)

    async def close(self) -> None:
        self.pending = None


class Beyond(MemoryStore):
    """Holds more than it says."""

    @property
    def max_ordinal(self) -> int:
        return 2**63 - 1


class FollowsAnything(MemoryStore):
    """Does not look which commit was the last."""

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        return super().commit(replace(commit, expected_commit_id=""))


class ForgetsOthers(MemoryStore):
    """Forgets the old error records of all sessions."""

    async def forget_errors(self, session_id: str, moment: datetime, /) -> int:
        for other in {record.session_id for record in self._errors} - {session_id}:
            await super().forget_errors(other, moment)
        return await super().forget_errors(session_id, moment)


class ForgetsYoung(MemoryStore):
    """Forgets all keys of a session of which one is old."""

    async def forget_claims(self, session_id: str, moment: datetime, /) -> int:
        found = await super().forget_claims(session_id, moment)
        if found:
            self._claims.pop(session_id, None)
        return found


class ClaimsAnew(MemoryStore):
    """Takes a key that is claimed again for a young one."""

    async def claim_command(self, session_id: str, key: str, digest: bytes, /) -> CommandClaim | None:
        earlier = await super().claim_command(session_id, key, digest)
        if earlier is not None:
            self._claims[session_id][key] = Claim(earlier.digest, datetime.now(UTC))
        return earlier


class FollowsTheClock(MemoryStore):
    """Keeps everything with the time that the clock shows."""

    def _time(self, session_id: str, latest: datetime | None) -> datetime:
        return self._clock()

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        outcome = super().commit(commit)
        if commit.event is not None:
            self._by_id[commit.session_id].times[-1] = self._clock()
        return outcome


class NeverBack(MemoryStore):
    """Has one time for all sessions, which never goes back."""

    def __init__(self, registry: SchemaRegistry, *, clock: Callable[[], datetime]) -> None:
        seen: list[datetime] = []

        def latest() -> datetime:
            seen.append(clock())
            return max(seen)

        super().__init__(registry, clock=latest)


class OwnEpochs(MemoryStore):
    """Has an epoch of its own for each session that nobody has used."""

    def __init__(self, registry: SchemaRegistry, *, clock: Callable[[], datetime]) -> None:
        super().__init__(registry, clock=clock)
        self.own: dict[str, int] = {}

    def _look(self, session_id: str) -> Any:
        session = super()._look(session_id)
        if session_id not in self._by_id:
            session.epoch = self.own.setdefault(session_id, new_epoch())
        return session


class HalfDone(MemoryStore):
    """Remembers the event of a commit that it refuses."""

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        outcome = super().commit(commit)
        session = self._by_id.get(commit.session_id)
        if isinstance(outcome.exception(), OrdinalConflict) and session is not None and commit.event is not None:
            session.ids.setdefault(commit.event.event_id, commit.event)
        return outcome


class Begun(MemoryStore):
    """Lists a session of which the first commit was refused."""

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        outcome = super().commit(commit)
        if isinstance(outcome.exception(), OrdinalConflict):
            self._claims.setdefault(commit.session_id, {})
        return outcome


class WithoutFacts(MemoryStore):
    """Loses the metadata of events."""

    async def _events(self, session_id: str, after: int, limit: int | None) -> list[Event]:
        return [replace(event, metadata={}) for event in await super()._events(session_id, after, limit)]


class WithoutTimes(MemoryStore):
    """Returns events with the time that they were given."""

    async def _events(self, session_id: str, after: int, limit: int | None) -> list[Event]:
        return [event for event in self._look(session_id).log if event.ordinal > after]


class AnyLength(MemoryStore):
    """Begins a session under an id of any length."""

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        return self._commit(commit)


class WithoutDigests(MemoryStore):
    """Refuses a taken id with the digest of the event that is refused."""

    def commit(self, commit: Commit, /) -> asyncio.Future[None]:
        outcome = super().commit(commit)
        error, event = outcome.exception(), commit.event
        if isinstance(error, EventConflict) and event is not None:
            error.digest = payload_digest(event.name, event.payload)
        return outcome


class EndsAsFinished(MemoryStore):
    """Takes each command that has ended for one that has finished."""

    async def _end_command(self, session_id: str, key: str, finished: bool) -> None:
        await super()._end_command(session_id, key, True)


class ClaimsAtTheEnd(MemoryStore):
    """Claims a key when a command ends for which none is claimed."""

    async def _end_command(self, session_id: str, key: str, finished: bool) -> None:
        await super()._claim_command(session_id, key, b"")
        await super()._end_command(session_id, key, finished)


class KeepsAnyText(MemoryStore):
    """Keeps error records with texts that other stores cannot keep."""

    async def record_error(self, record: ErrorRecord, /) -> None:
        await self._record_error(record)


class ForgetsDeletions(MemoryStore):
    """Does not say that a deleted session has changed."""

    async def _changes(self, after: str, limit: int | None) -> list[Change]:
        return [each for each in await super()._changes(after, limit) if not each.deleted]


class ListsByName(MemoryStore):
    """Returns changes by the ids of the sessions."""

    async def _changes(self, after: str, limit: int | None) -> list[Change]:
        return sorted(await super()._changes(after, None), key=lambda each: each.session_id)[:limit]


class ListsEventsOnly(MemoryStore):
    """Does not take a rebuilt timeline for a change."""

    async def _replace_timeline(self, replacement: TimelineReplacement) -> Cursors:
        before = self._by_id.copy()
        cursors = await super()._replace_timeline(replacement)
        self._by_id = before
        self._by_id[replacement.session_id].changed -= 1
        return cursors


class AnyPosition(MemoryStore):
    """Takes a position that it does not know for the beginning."""

    async def _changes(self, after: str, limit: int | None) -> list[Change]:
        try:
            return await super()._changes(after, limit)
        except ValueError:
            return await super()._changes("", limit)


class CallsChangesWhole(MemoryStore):
    """Does not say that a snapshot has only the changes."""

    async def _snapshot(self, session_id: str, as_of: int | None, since: int | None) -> Snapshot:
        return replace(await super()._snapshot(session_id, as_of, since), since=None)


class NewEpochs(MemoryStore):
    """Begins an epoch for what has no history."""

    async def delete_session(self, session_id: str, /, *, expected: Cursors | None = None) -> None:
        await super().delete_session(session_id, expected=expected)
        if session_id not in self._by_id:
            self._first_epoch = new_epoch(self._first_epoch)


def contract_of(make: type[MemoryStore]) -> StoreContract:
    class Contract(StoreContract):
        durable = True
        clocked = True

        def open(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
            return self.entered(make(registry, clock=self.clock))

        def reopen(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
            return self.entered(self.store)

        @asynccontextmanager
        async def entered(self, store: HydrationStore) -> AsyncIterator[HydrationStore]:
            self.store = store
            yield store
            await store.close()

    return Contract()


def lazy(what: str) -> type[Kept]:
    return type(f"Lazy_{what}", (Kept,), {"lazy": what})


LAST_WRITES = {
    "claim": "test_a_claim_survives_as_the_last_write",
    "release": "test_a_release_survives_as_the_last_write",
    "prune": "test_pruning_survives_as_the_last_write",
}
BROKEN: list[tuple[type[MemoryStore], str]] = [
    *((lazy(what), test) for what, test in LAST_WRITES.items()),
    (Beyond, "test_no_ordinal_above_the_highest_is_held"),
    (FollowsTheClock, "test_a_clock_that_goes_back_makes_no_event_old"),
    (FollowsTheClock, "test_a_clock_that_goes_back_makes_no_error_record_old"),
    (FollowsTheClock, "test_a_clock_that_goes_back_makes_no_key_old"),
    (FollowsTheClock, "test_a_policy_forgets_nothing_young_after_a_clock_went_back"),
    (NeverBack, "test_a_deleted_session_begins_with_the_time_that_it_is"),
    (FollowsAnything, "test_another_last_commit_is_a_conflict"),
    (OwnEpochs, "test_unused_sessions_have_one_epoch_and_begin_with_it"),
    (HalfDone, "test_a_stale_event_cursor_is_a_conflict"),
    (Begun, "test_a_commit_that_is_refused_begins_no_session"),
    (WithoutFacts, "test_an_event_keeps_its_metadata"),
    (WithoutTimes, "test_an_event_has_the_time_of_its_record"),
    (AnyLength, "test_nothing_begins_under_an_id_of_more_than_1024_bytes"),
    (WithoutDigests, "test_a_taken_id_is_told_with_the_digest_of_its_event"),
    (EndsAsFinished, "test_a_claim_says_whether_its_command_has_finished"),
    (ClaimsAtTheEnd, "test_a_claim_says_whether_its_command_has_finished"),
    (KeepsAnyText, "test_an_error_record_may_have_any_text"),
    (ForgetsOthers, "test_old_error_records_are_forgotten"),
    (ForgetsYoung, "test_old_keys_are_forgotten"),
    (ClaimsAnew, "test_old_keys_are_forgotten"),
    (ForgetsDeletions, "test_every_kind_of_change_is_found"),
    (CallsChangesWhole, "test_since_leads_from_every_ordinal_to_now"),
    (ListsByName, "test_each_session_is_found_at_its_last_change"),
    (ListsEventsOnly, "test_every_kind_of_change_is_found"),
    (AnyPosition, "test_a_position_that_the_store_does_not_know_is_a_value_error"),
    (NewEpochs, "test_a_session_of_keys_and_errors_alone_keeps_its_epoch"),
]


@pytest.mark.parametrize(("mutant", "test"), BROKEN)
def test_a_store_that_breaks_a_promise_does_not_pass(mutant: type[MemoryStore], test: str) -> None:
    getattr(contract_of(Kept), test)()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(contract_of(mutant), test)()
