"""Checks of phase 2: pure functions from the bus messages and the event logs to checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sessionstream import Event, Snapshot, derive_ordinal
from sessionstream.systemlab.broker import Carried
from sessionstream.systemlab.checks import Check, Json, count, judge
from sessionstream.systemlab.folding import differences, folded
from sessionstream.systemlab.session_ids import shortened

EVIDENCE: Final = 60
"""The maximum number of rows of evidence; the last ones are shown."""

SEND: Final = "Send a burst."


@dataclass(frozen=True, slots=True)
class Log:
    """One session in the store: its whole log, and its timeline, which was read before the log."""

    session_id: str
    events: Sequence[Event]
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Found:
    """The data of the checks.

    Attributes:
        messages: the messages of the bus, in the order of publishing.
        logs: the sessions.
        restarts: how often the consumer was replaced.
    """

    messages: Sequence[Carried]
    logs: Sequence[Log]
    restarts: int

    def by_event_id(self) -> dict[str, Carried]:
        """Return the messages by their events."""
        return {message.event_id: message for message in self.messages}


def ordering_checks(found: Found) -> tuple[Check, ...]:
    """Return every check in the order of the page."""
    return (
        published_without(found.messages),
        rising(found.logs),
        assigned(found),
        in_order(found),
        apart(found),
        once(found),
        nothing_lost(found),
        as_folded(found.logs),
    )


def published_without(messages: Sequence[Carried]) -> Check:
    """Check that publishers assign no ordinals."""
    return judge(
        "published-without",
        "A publisher over a bus assigns no ordinal: every message says 0.",
        wrong=[
            f"message {m.number} says {m.published_ordinal or 'nothing'}"
            for m in messages
            if m.published_ordinal != "0"
        ],
        right=f"{count(len(messages), 'message')} with 0",
        evidence=[[m.number, m.event_id, m.published_ordinal] for m in messages[-EVIDENCE:]],
        waiting="" if messages else SEND,
    )


def rising(logs: Sequence[Log]) -> Check:
    """Check that ordinals rise."""
    wrong = [
        f"in {log.session_id}, {after.ordinal} comes after {before.ordinal}"
        for log in logs
        for before, after in pairwise(log.events)
        if after.ordinal <= before.ordinal
    ]
    return judge(
        "rising",
        "Within a session, every ordinal is higher than the one before, whatever stream ids arrive.",
        wrong=wrong,
        right=_counts(logs),
        evidence={log.session_id: [str(event.ordinal) for event in log.events[-EVIDENCE:]] for log in logs},
        waiting=_until_events(logs),
    )


def assigned(found: Found) -> Check:
    """Check that each ordinal follows the rule."""
    wrong: list[str] = []
    evidence: list[Json] = []
    known = found.by_event_id()
    for log in found.logs:
        cursor = 0
        for event in log.events:
            message = known.get(event.event_id)
            stream_id = "" if message is None else message.stream_id
            derived = derive_ordinal(stream_id)
            due = derived if derived is not None and derived > cursor else cursor + 1
            if event.ordinal != due:
                wrong.append(
                    f"{log.session_id} assigned {event.ordinal}, and the rule gives {due} (stream id {stream_id!r})"
                )
            evidence.append([log.session_id, stream_id, str(cursor), str(due), str(event.ordinal)])
            cursor = event.ordinal
    return judge(
        "assigned",
        "An ordinal is the one derived from the stream id if that is above the session's cursor, else cursor + 1.",
        wrong=wrong,
        right=f"{count(len(evidence), 'ordinal')}, each according to the rule",
        evidence=evidence[-EVIDENCE:],
        waiting=_until_events(found.logs),
    )


def in_order(found: Found) -> Check:
    """Check that a session's log has the order in which its events were published."""
    wrong: list[str] = []
    known = found.by_event_id()
    for log in found.logs:
        numbers = [m.number for event in log.events if (m := known.get(event.event_id)) is not None]
        wrong += [
            f"in {log.session_id}, message {later} was logged before message {earlier}"
            for later, earlier in pairwise(numbers)
            if later > earlier
        ]
    return judge(
        "in-order",
        "Events of a session are logged in the order in which they were published.",
        wrong=wrong,
        right=_counts(found.logs),
        evidence={log.session_id: [event.event_id for event in log.events[-EVIDENCE:]] for log in found.logs},
        waiting=_until_events(found.logs),
    )


def apart(found: Found) -> Check:
    """Check that a session contains only its own events."""
    known = found.by_event_id()
    wrong = [
        f"ordinal {event.ordinal} of {log.session_id} went to an event of {message.session_id}"
        for log in found.logs
        for event in log.events
        if (message := known.get(event.event_id)) is not None and message.session_id != log.session_id
    ]
    empty = [log.session_id for log in found.logs if not log.events]
    return judge(
        "apart",
        "Sessions share no ordinals: each numbers its own events, and contains no others.",
        wrong=wrong,
        right=_counts(found.logs),
        evidence={log.session_id: _range(log.events) for log in found.logs},
        waiting=f"Send a burst to {' and '.join(empty)}." if empty else "",
    )


def once(found: Found) -> Check:
    """Check that a message that was delivered twice was logged once."""
    known = found.by_event_id()
    wrong = [
        f"ordinal {event.ordinal} of {log.session_id} went to event {event.event_id!r}, which was never published"
        for log in found.logs
        for event in log.events
        if event.event_id not in known
    ]
    logged = [event.event_id for log in found.logs for event in log.events]
    wrong += [
        f"event {event_id!r} has {n} ordinals" for event_id in sorted({*logged}) if (n := logged.count(event_id)) > 1
    ]
    twice = [m for m in found.messages if m.deliveries > 1]
    return judge(
        "once",
        "A message that is delivered again gets no second ordinal: its event id is known.",
        wrong=wrong,
        right=f"{count(len(twice), 'message')} delivered more than once, each in the log once",
        evidence=[[m.event_id, m.deliveries, logged.count(m.event_id)] for m in twice[-EVIDENCE:]],
        waiting="" if twice else "Send a burst whose messages are delivered twice.",
    )


def nothing_lost(found: Found) -> Check:
    """Check that every delivered message is in a log, also after a restart."""
    logged = {event.event_id for log in found.logs for event in log.events}
    missing = [m for m in found.messages if m.done and m.event_id not in logged]
    waiting = sum(not m.done for m in found.messages)
    until = (
        "Restart the consumer."
        if not found.restarts
        else f"{count(waiting, 'message')} waiting in the bus."
        if waiting
        else ""
    )
    return judge(
        "nothing-lost",
        "A restart of the consumer loses nothing: messages published meanwhile wait, and are logged later.",
        wrong=[f"message {m.number} of {m.session_id} was delivered, but is in no log" for m in missing],
        right=f"{count(len(found.messages), 'message')} published, {count(len(logged), 'event')} logged",
        evidence={
            "restarts": found.restarts,
            "published": len(found.messages),
            "logged": len(logged),
            "waiting": waiting,
        },
        waiting=until,
    )


def as_folded(logs: Sequence[Log]) -> Check:
    """Check that each timeline is the fold of its log."""
    wrong: list[str] = []
    evidence: dict[str, Json] = {}
    for log in logs:
        expected = folded(sorted(log.events, key=lambda event: event.ordinal), up_to=log.snapshot.snapshot_ordinal)
        wrong += [f"{log.session_id}: {each}" for each in differences(expected, log.snapshot.entities)]
        evidence[log.session_id] = {
            "ordinal": str(log.snapshot.snapshot_ordinal),
            "folded": len(expected),
            "stored": len(log.snapshot.entities),
        }
    return judge(
        "as-folded",
        "The timeline is the fold of the log, event by event, up to its cursor.",
        wrong=wrong,
        right=", ".join(f"{shortened(log.session_id)}: {count(len(log.snapshot.entities), 'note')}" for log in logs),
        evidence=evidence,
        waiting=_until_events(logs),
    )


def _until_events(logs: Sequence[Log]) -> str:
    return "" if any(log.events for log in logs) else SEND


def _counts(logs: Sequence[Log]) -> str:
    return ", ".join(f"{shortened(log.session_id)}: {count(len(log.events), 'event')}" for log in logs)


def _range(events: Sequence[Event]) -> Json:
    return [str(events[0].ordinal), str(events[-1].ordinal)] if events else []
