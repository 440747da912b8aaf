"""Contract tests of the changes of a store, from which lists of sessions are kept."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sessionstream.errors import OrdinalConflict
from sessionstream.hydration.memory import MemoryStore
from sessionstream.observe import ErrorRecord
from sessionstream.store import Change, HydrationStore, TimelineReplacement
from sessionstream.testing.contract.base import ContractBase, on_fresh_store, raised_by
from sessionstream.testing.sessions import SessionWriter, put, sample_registry

WRONG = ["nonsense", "0", "-1", " ", "1-2-3-4-5-6", "ff-", "🧵", "1-" + "9" * 30]


async def changes_of(
    store: HydrationStore, after: str, expected: Sequence[tuple[str, bool]], *, seconds: float
) -> list[Change]:
    """Return the changes after a position, once they are those that are expected, or the time is over.

    Args:
        expected: for each change the session's id, and whether the session is deleted.
        seconds: how long to wait.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        found = await store.changes(after=after)
        if [(each.session_id, each.deleted) for each in found] == list(expected) or loop.time() >= end:
            assert [(each.session_id, each.deleted) for each in found] == list(expected)
            return found
        await asyncio.sleep(0.01)


class ChangeContract(ContractBase):
    """Tests of ``changes``."""

    async def _found(self, store: HydrationStore, after: str, *expected: str) -> str:
        """Check which sessions changed after a position; return the position of the last change."""
        pairs = [(each.removeprefix("deleted "), each.startswith("deleted ")) for each in expected]
        found = await changes_of(store, after, pairs, seconds=self.settles_within)
        return found[-1].position if found else after

    @on_fresh_store
    async def test_each_session_is_found_at_its_last_change(self, store: HydrationStore) -> None:
        assert await store.changes() == []
        a, b, c = (SessionWriter(store, name) for name in "abc")
        for writer in (a, b, c, a):
            await writer.log()
        last = await self._found(store, "", "b", "c", "a")
        assert await self._found(store, last) == last
        await c.log()
        await b.log()
        await self._found(store, last, "c", "b")
        await self._found(store, "", "a", "c", "b")
        assert len({each.position for each in await store.changes()}) == 3

    @on_fresh_store
    async def test_every_kind_of_change_is_found(self, store: HydrationStore) -> None:
        writer, other = SessionWriter(store), SessionWriter(store, "other")
        await writer.log(put("a"))
        await other.log()
        last = await self._found(store, "", "session", "other")
        await writer.log()  # no entity
        last = await self._found(store, last, "session")
        await writer.commit(writer.waiting())
        last = await self._found(store, last, "session")
        await writer.commit(writer.resumption())
        last = await self._found(store, last, "session")
        rebuilt = TimelineReplacement("session", writer.placed([put("a")], 1), 1, await writer.cursors())
        await store.replace_timeline(rebuilt)
        last = await self._found(store, last, "session")
        await store.delete_session("session")
        last = await self._found(store, last, "deleted session")
        await self._found(store, "", "other", "deleted session")
        again = SessionWriter(store)
        again.event = again.timeline = writer.event
        again.states = {writer.event: {}}
        await again.log()
        await self._found(store, last, "session")

    @on_fresh_store
    async def test_what_changes_no_session_is_not_found(self, store: HydrationStore) -> None:
        writer = SessionWriter(store)
        await store.snapshot("unused")
        await store.delete_session("unused")
        refused = SessionWriter(store, "refused")
        refused.event = refused.timeline = 3
        refused.states = {3: {}}
        assert isinstance(await raised_by(store.commit(refused.step())), OrdinalConflict)
        await store.claim_command("claimed", "key", b"digest")
        await store.record_error(ErrorRecord("store", "failed", 1, "", "what"))
        await writer.log()
        await self._found(store, "", "session")

    @on_fresh_store
    async def test_changes_come_in_pages(self, store: HydrationStore) -> None:
        names = [f"s{number}" for number in range(7)]
        for name in names:
            await SessionWriter(store, name).log()
        await self._found(store, "", *names)
        assert await store.changes(limit=0) == []
        pages, after = [], ""
        while page := await store.changes(after=after, limit=3):
            pages.append([each.session_id for each in page])
            after = page[-1].position
        assert pages == [names[:3], names[3:6], names[6:]]

    @on_fresh_store
    async def test_a_list_that_is_kept_from_changes_becomes_right(self, store: HydrationStore) -> None:
        names = [f"s{number}" for number in range(5)]
        known: dict[str, int] = {}
        after = ""

        async def write(name: str) -> None:
            writer = SessionWriter(store, name)
            for _ in range(10):
                await writer.log(put("a"))

        async def read(limit: int) -> bool:
            nonlocal after
            found = await store.changes(after=after, limit=limit)
            for each in found:
                known[each.session_id] = (await store.cursors(each.session_id)).event
                after = each.position
            return bool(found)

        writing = asyncio.gather(*(write(name) for name in names))
        while not writing.done():
            await read(3)
            await asyncio.sleep(0)
        await writing
        loop = asyncio.get_running_loop()
        end, right = loop.time() + self.settles_within, dict.fromkeys(names, 10)
        while await read(3) or (known != right and loop.time() < end):  # noqa: ASYNC110 - a store notifies nobody
            await asyncio.sleep(0)
        assert known == right

    @on_fresh_store
    async def test_a_position_that_the_store_does_not_know_is_a_value_error(self, store: HydrationStore) -> None:
        await SessionWriter(store).log()
        other = MemoryStore(sample_registry())
        await SessionWriter(other).log()
        (foreign,) = await other.changes()
        for after in (*WRONG, foreign.position):
            with pytest.raises(ValueError, match=r"^after is .* read the changes from the beginning") as wrong:
                await store.changes(after=after)
            assert type(wrong.value) is ValueError
            assert repr(after) in str(wrong.value)
        await self._found(store, "", "session")
