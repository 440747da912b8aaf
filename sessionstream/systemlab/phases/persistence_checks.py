"""Checks of phase 5 for each store: pure functions from the states of a session to checks.

The checks depend on the store that was chosen. A file must restore everything. A memory store must restore nothing, and
a check says so, so that users know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sessionstream import Cursors, ErrorRecord, Event, Snapshot
from sessionstream.systemlab.checks import Check, Json, count, judge
from sessionstream.systemlab.folding import differences, folded
from sessionstream.systemlab.folds import Fold, converged
from sessionstream.systemlab.journal import payload
from sessionstream.systemlab.sabotage.persistence import Kind

EVIDENCE: Final = 60
"""The maximum number of rows of evidence; the last ones are shown."""

RESTART: Final = "Write notes, then restart the backend."
ENDED: Final = "a memory store ends with its process"


@dataclass(frozen=True, slots=True)
class Standing:
    """A session at one moment: the contents of the store, and the errors that the observers received."""

    events: Sequence[Event]
    snapshot: Snapshot
    cursors: Cursors
    errors: Sequence[ErrorRecord]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A command that was sent again with its key after a restart, and the number of events that it published."""

    key: str
    events: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The latest restart: the session before it, and with the new backend."""

    before: Standing
    after: Standing


@dataclass(frozen=True, slots=True)
class Found:
    """The data of the checks.

    Attributes:
        now: the current state of the session.
        restart: the latest one of a session that had events.
        repeat: the latest repeated command since that restart.
        folds: the states that browsers report.
        truths: the notes of the timeline at each of their ordinals.
    """

    kind: Kind
    now: Standing
    restart: Restart | None
    repeat: Repeat | None
    folds: Sequence[Fold]
    truths: Mapping[int, list[Json]]


def persistence_checks(found: Found) -> tuple[Check, ...]:
    """Return every check in the order of the page."""
    kind, restart = found.kind, found.restart
    return (
        events_kept(kind, restart),
        entities_kept(kind, restart),
        cursors_kept(kind, restart),
        errors_kept(kind, restart),
        ordinals_continue(kind, restart, found.now),
        once(kind, restart, found.repeat),
        as_folded(found.now),
        client_converges(found),
    )


def events_kept(kind: Kind, restart: Restart | None) -> Check:
    """Check the log after a restart."""
    return _kept(
        "events-kept",
        ("The event log survives a restart: every event, with ordinal, id and payload.", "The event log is lost"),
        kind,
        restart,
        lambda standing: [_event(event) for event in standing.events],
        ("event", "events"),
    )


def entities_kept(kind: Kind, restart: Restart | None) -> Check:
    """Check the timeline after a restart."""
    return _kept(
        "entities-kept",
        ("The timeline survives a restart: every entity, with both ordinals.", "The timeline is lost"),
        kind,
        restart,
        lambda standing: [
            f"{each.kind} {each.id} {each.created_ordinal}-{each.last_event_ordinal} {payload(each.payload)}"
            for each in standing.snapshot.entities
        ],
        ("entity", "entities"),
    )


def errors_kept(kind: Kind, restart: Restart | None) -> Check:
    """Check the error records: those that observers received are in the store afterwards."""
    return _kept(
        "errors-kept",
        ("Error records survive a restart.", "Error records are lost"),
        kind,
        restart,
        lambda standing: [f"{each.kind} at {each.ordinal}: {each.error}" for each in standing.errors],
        ("error record", "error records"),
    )


def cursors_kept(kind: Kind, restart: Restart | None) -> Check:
    """Check the cursors after a restart, and that they are at the end of the log and of the timeline."""
    wrong: list[str] = []
    evidence: Json = None
    if restart is not None:
        before, after = restart.before, restart.after
        evidence = {"before": _cursors(before.cursors), "after": _cursors(after.cursors)}
        if kind == "memory":
            if after.cursors.event or after.cursors.timeline:
                wrong.append(f"the event cursor is {after.cursors.event}, though {ENDED}")
        else:
            if before.cursors != after.cursors:
                wrong.append(f"they were {_cursors(before.cursors)}, and are {_cursors(after.cursors)}")
            end = after.events[-1].ordinal if after.events else 0
            if after.cursors.event != end:
                wrong.append(f"the event cursor is {after.cursors.event}, and the log ends at {end}")
    return judge(
        "cursors-kept",
        "Cursors, epoch and floor survive a restart, and are at the end of the log."
        if kind == "sqlite"
        else f"The cursors begin at 0 again: {ENDED}.",
        wrong=wrong,
        right="they are unchanged" if kind == "sqlite" else "they are 0, as expected",
        evidence=evidence,
        waiting="" if restart else RESTART,
    )


def ordinals_continue(kind: Kind, restart: Restart | None, now: Standing) -> Check:
    """Check the ordinal of the first event after a restart."""
    wrong: list[str] = []
    evidence: Json = None
    first: int | None = None
    if restart is not None:
        before = restart.before.cursors.event
        known = {event.event_id for event in restart.before.events}
        first = next((event.ordinal for event in now.events if event.event_id not in known), None)
        due = before + 1 if kind == "sqlite" else 1
        evidence = {"cursorBefore": str(before), "firstAfter": None if first is None else str(first)}
        if first is not None and first != due:
            wrong.append(f"the first event after the restart got {first} instead of {due}")
    return judge(
        "ordinals-continue",
        "Ordinals continue after a restart." if kind == "sqlite" else f"Ordinals begin at 1 again: {ENDED}.",
        wrong=wrong,
        right=f"the first event after the restart got {first}",
        evidence=evidence,
        waiting=RESTART if restart is None else "Write notes after the restart." if first is None else "",
    )


def once(kind: Kind, restart: Restart | None, repeat: Repeat | None) -> Check:
    """Check the effect of a command that is sent again after a restart."""
    wrong: list[str] = []
    if repeat is not None:
        if kind == "sqlite" and repeat.events:
            wrong.append(f"it ran again, and published {count(repeat.events, 'event')}")
        if kind == "memory" and not repeat.events:
            wrong.append(f"it did not run again, though {ENDED}")
    return judge(
        "once",
        "A command that is repeated with its idempotency key after a restart does not run again."
        if kind == "sqlite"
        else f"A command that is repeated after a restart runs again, because its key is lost: {ENDED}.",
        wrong=wrong,
        right="it published nothing" if kind == "sqlite" else "it ran again, as expected",
        evidence=None if repeat is None else {"key": repeat.key, "eventsPublished": repeat.events},
        waiting=RESTART if restart is None else "Send a command again." if repeat is None else "",
    )


def as_folded(now: Standing) -> Check:
    """Check that the timeline is the fold of the log."""
    expected = folded(now.events, up_to=now.snapshot.snapshot_ordinal)
    return judge(
        "as-folded",
        "Replaying the log gives the timeline, also after restarts, repeated commands and rebuilds.",
        wrong=differences(expected, now.snapshot.entities),
        right=f"{count(len(now.events), 'event')} replayed: {count(len(expected), 'note')}, as stored",
        evidence={"ordinal": str(now.snapshot.snapshot_ordinal), "notes": [entity.id for entity in expected]},
        waiting="" if now.events else "Write notes.",
    )


def client_converges(found: Found) -> Check:
    """Check that browsers have the state of the store and are up to date, also after a restart."""
    check = converged(
        "client-converges",
        "A page that was open before the restart shows the state of the store, without a reload.",
        found.folds,
        found.truths,
        epoch=found.now.cursors.epoch,
        told=found.now.snapshot.snapshot_ordinal,
        clients=1,
    )
    if check.verdict == "passed" and found.restart is None:
        return replace(check, verdict="waiting", because=RESTART, evidence=[])
    return check


def _kept(
    id: str,  # noqa: A002 - as the attribute is called
    claims: tuple[str, str],
    kind: Kind,
    restart: Restart | None,
    listed: Callable[[Standing], list[str]],
    what: tuple[str, str],
) -> Check:
    """Check a list after a restart: a file keeps it, a memory store loses it."""
    before = [] if restart is None else listed(restart.before)
    after = [] if restart is None else listed(restart.after)
    if kind == "memory":
        wrong = [f"found {count(len(after), *what)}, though {ENDED}"] if after else []
        right = f"{count(len(before), *what)} before, none now, as it has to be"
    else:
        wrong = [f"lost: {each}" for each in before if each not in after]
        wrong += [f"new: {each}" for each in after if each not in before]
        if not wrong and before != after:
            wrong.append("they are in another order")
        right = f"{count(len(after), *what)}, the same as before"
    kept, lost = claims
    return judge(
        id,
        kept if kind == "sqlite" else f"{lost}: {ENDED}.",
        wrong=wrong[:EVIDENCE],
        right=right,
        evidence={"before": [*before[-EVIDENCE:]], "after": [*after[-EVIDENCE:]]},
        waiting="" if restart else RESTART,
    )


def _event(event: Event) -> str:
    return f"{event.ordinal} {event.name} {event.event_id} {payload(event.payload)}"


def _cursors(cursors: Cursors) -> dict[str, Json]:
    return {
        "event": str(cursors.event),
        "timeline": str(cursors.timeline),
        "epoch": str(cursors.epoch),
        "floor": str(cursors.floor),
    }
