"""Everything that a store answers about a session, for comparisons of a store with a copy of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from sessionstream.errors import HistoryPruned
from sessionstream.store import Cursors, HydrationStore
from sessionstream.testing.contract.changes import changes_of
from sessionstream.types import Snapshot


async def answers(
    store: HydrationStore, session_id: str, event_ids: Iterable[str] = (), *, timed: bool = True
) -> dict[str, object]:
    """Return the answers to every question about a session, by question.

    Args:
        event_ids: of events that are looked for, beside those that are in the log.
        timed: whether the times of events are among the answers.
    """
    cursors, events = await store.cursors(session_id), await store.events(session_id)
    never_used = cursors == Cursors(0, 0, cursors.epoch)
    found: dict[str, object] = {"cursors": replace(cursors, epoch=0) if never_used else cursors}
    for ordinal in range(cursors.event + 3):
        for question in ("as_of", "since"):
            found[f"{question} {ordinal}"] = _shown(await _snapshot(store, session_id, question, ordinal), never_used)
    found["now"] = _shown(await store.snapshot(session_id), never_used)
    timeline = await store.timeline(session_id)
    found["timeline"] = sorted(repr(each) for each in timeline.entities), list(timeline.unreadable)
    found["events"] = events
    found["facts"] = [(dict(each.metadata), each.recorded_at if timed else None) for each in events]
    found["later events"] = await store.events(session_id, after=cursors.event // 2, limit=2)
    for event_id in {*event_ids, *(each.event_id for each in events)}:
        known = await store.find_event(session_id, event_id)
        found[f"event {event_id}"] = known and (known.ordinal, known.digest, known.descriptors)
    found["errors"] = await store.error_records(session_id)
    found["error times"] = [each.recorded_at for each in await store.error_records(session_id)]
    found["from the end"] = [await store.ordinal_from_end(session_id, n) for n in range(cursors.event + 2)]
    moments = [each.recorded_at for each in events[::5] if each.recorded_at is not None] if timed else []
    for moment in moments:
        found[f"before {moment}"] = [
            await store.ordinal_before(session_id, moment + timedelta(microseconds=n)) for n in (0, 1)
        ]
    return found


async def same_lists(copied: HydrationStore, file: HydrationStore) -> bool:
    """Whether both stores answer alike what is asked of all sessions.

    Changes show in a database once no transaction runs that began before them, in any schema.
    """
    changes = [(each.session_id, each.deleted) for each in await file.changes()]
    found = await changes_of(copied, "", changes, seconds=30.0)
    return (
        [(each.session_id, each.deleted) for each in found] == changes
        and await copied.sessions() == await file.sessions()
        and await copied.sessions(after="b", limit=1) == await file.sessions(after="b", limit=1)
        and await copied.error_records() == await file.error_records()
        and await copied.error_records(limit=2) == await file.error_records(limit=2)
    )


async def _snapshot(store: HydrationStore, session_id: str, question: str, ordinal: int) -> Snapshot | str:
    try:
        if question == "as_of":
            return await store.snapshot(session_id, as_of=ordinal)
        return await store.snapshot(session_id, since=ordinal)
    except HistoryPruned as error:
        return f"pruned up to {error.floor}"


def _shown(snapshot: Snapshot | str, never_used: bool) -> Snapshot | str:
    """Return a snapshot without the epoch that all sessions of its store have that nobody has used."""
    return replace(snapshot, epoch=0) if never_used and isinstance(snapshot, Snapshot) else snapshot
