"""From what was found or done to what is printed: one function for each command on sessions."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from sessionstream import documents
from sessionstream.admin.app import Replay
from sessionstream.admin.checking import Checked
from sessionstream.admin.outcome import FAILED, OK, Answer
from sessionstream.admin.rehearsal import Difference, Rehearsal, Side
from sessionstream.admin.repair import Deletion, Pruning, Retried
from sessionstream.admin.tables import Table, counted
from sessionstream.hub import ReplayReport
from sessionstream.hydration.payload_json import Payload, Payloads
from sessionstream.hydration.stored import Problem, StoredEvent, StoredSession, StoredSnapshot
from sessionstream.observe import ErrorRecord

_SHOWN_PROBLEMS: Final = 10
"""Problems of one session that a check shows people."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some events of a session.

    Attributes:
        cursor: of its timeline; later events wait.
        more: whether there are more events above them.
    """

    events: Sequence[StoredEvent]
    cursor: int
    more: bool

    def applies(self, event: StoredEvent) -> bool:
        """Whether the timeline reflects an event."""
        return event.ordinal <= self.cursor


def listed(store: str, states: Sequence[StoredSession], *, held: bool = False) -> Answer:
    """Answer which sessions there are, or which are ``held``."""
    rows = [
        (
            state.id,
            str(state.cursors.event),
            str(state.cursors.timeline),
            f"{state.waiting} waiting" if state.cursors.held else "no",
            str(state.entities),
            str(state.cursors.floor),
            str(state.cursors.epoch),
            "-" if state.last_error is None else _error(state.last_error),
        )
        for state in states
    ]
    heading = ("SESSION", "#EVENT", "#TIMELINE", "HELD", "#ENTITIES", "#FLOOR", "#EPOCH", "LAST ERROR")
    document = {"store": store, "sessions": [_session_document(state) for state in states]}
    return Answer(document, (Table(heading, rows, f"no {'held ' if held else ''}sessions in {store}"),))


def inspected(
    store: str,
    state: StoredSession | None,
    timeline: StoredSnapshot | None,
    events: Excerpt | None,
    errors: Sequence[ErrorRecord] | None,
    *,
    tracebacks: bool = False,
) -> Answer:
    """Answer what one session holds, or the errors of all of them; None is what was not asked for."""
    payloads = Payloads()
    document: dict[str, Any] = {"store": store}
    blocks: list[str | Table] = []
    if state is not None:
        document["session"] = _session_document(state)
        blocks.append(_headline(state))
    if timeline is not None:
        document["timeline"] = _timeline_document(timeline, payloads)
        blocks.append(_timeline(timeline, payloads))
    if events is not None:
        document["events"] = [
            documents.event(each, payloads.read(each.payload), cursor=events.cursor) for each in events.events
        ]
        document["moreEvents"] = events.more
        blocks.append(_events(events, payloads))
        if events.more:
            blocks.append(f"there are more: --after {events.events[-1].ordinal}, or a higher --limit")
    if errors is not None:
        document["errors"] = [_error_document(each, tracebacks=tracebacks) for each in errors]
        blocks.append(_errors(errors))
        if tracebacks:
            blocks += [_traceback(each) for each in errors]
    return Answer(document, tuple(blocks))


def replayed(store: str, which: Replay, report: ReplayReport) -> Answer:
    """Answer what a retry or a rebuild did."""
    document = _replay(store, which, report, dry_run=False) | {"epoch": str(report.epoch)}
    verb = "retried" if which == "retry" else "rebuilt"
    text = f"{verb} {report.session_id}: {counted(report.events, 'event')} applied, the timeline is at {report.cursor}"
    return Answer(document, (f"{text}, epoch {report.epoch}",))


def retried(store: str, found: Sequence[Retried]) -> Answer:
    """Answer what a retry of all held sessions did."""
    failed = [each for each in found if each.error is not None]
    document = {
        "store": store,
        "command": "retry",
        "dryRun": False,
        "sessions": [_retried_document(each) for each in found],
    }
    if not found:
        return Answer(document, (f"no held sessions in {store}",))
    rows = [
        (each.session_id, "-", "-", str(each.error))
        if each.report is None
        else (each.session_id, str(each.report.events), str(each.report.cursor), "-")
        for each in found
    ]
    text = f"retried {counted(len(found), 'session')}: {len(found) - len(failed)} resumed, {len(failed)} still held"
    table = Table(("SESSION", "#APPLIED", "#TIMELINE", "STILL HELD"), rows)
    return Answer(document, (text, table), FAILED if failed else OK)


def deleted(store: str, plan: Deletion, *, dry_run: bool) -> Answer:
    """Answer what a deletion removed, or would remove."""
    document = {
        "store": store,
        "command": "delete",
        "sessionId": plan.session_id,
        "dryRun": dry_run,
        "events": plan.events,
        "entities": plan.entities,
    }
    what = f"{counted(plan.events, 'event')} and {counted(plan.entities, 'entity', 'entities')}"
    if dry_run:
        return Answer(document, (f"delete {plan.session_id}, dry run: {what} would be removed",))
    return Answer(document, (f"deleted {plan.session_id}: {what} removed",))


def rehearsed(store: str, which: Replay, found: Rehearsal) -> Answer:
    """Answer what a retry or a rebuild would do."""
    report, differences = found.report, found.differences
    document = _replay(store, which, report, dry_run=True)
    document["differences"] = [_difference_document(each) for each in differences]
    text = (
        f"{which} {report.session_id}, dry run: {counted(report.events, 'event')} would be applied, the timeline would "
        f"be at {report.cursor}; {counted(len(differences), 'entity', 'entities')} would differ"
    )
    return Answer(document, (text, *([_differences(differences)] if differences else [])))


def pruned(store: str, plan: Pruning, *, dry_run: bool) -> Answer:
    """Answer what a prune did, or would do."""
    document = {
        "store": store,
        "command": "prune",
        "sessionId": plan.session_id,
        "dryRun": dry_run,
        "events": plan.events,
        "floorBefore": str(plan.floor),
        "floor": str(plan.new_floor),
    }
    if plan.new_floor == plan.floor:
        return Answer(document, (f"prune {plan.session_id}: nothing to forget, the floor is {plan.floor}",))
    events = counted(plan.events, "event")
    if dry_run:
        text = f"prune {plan.session_id}, dry run: {events} would be forgotten, the floor would rise"
    else:
        text = f"pruned {plan.session_id}: {events} forgotten, the floor rose"
    return Answer(document, (f"{text} from {plan.floor} to {plan.new_floor}",))


def checked(store: str, found: Checked) -> Answer:
    """Answer what a check found."""
    document = {
        "store": store,
        "command": "check",
        "sessions": found.sessions,
        "deleted": found.deleted,
        "events": found.events,
        "compared": found.compared,
        "uncompared": found.uncompared,
        "problems": [{"sessionId": each.session_id, "what": each.what} for each in found.problems],
        "readable": None if found.readable is None else list(found.readable),
    }
    deleted = f" ({found.deleted} deleted)" if found.deleted else ""
    text = f"checked {store}: {counted(found.sessions, 'session')}{deleted}, {counted(found.events, 'event')}"
    if found.uncompared is not None:
        text += f", {counted(found.compared, 'timeline')} compared with the app"
        if found.uncompared:
            text += f", {found.uncompared} not (held, pruned, deleted or damaged)"
    if not found.problems:
        return Answer(document, (f"{text}; nothing is wrong",))
    text += f"; {counted(len(found.problems), 'problem')}"
    blocks: list[str | Table] = [text, _problems(found.problems)]
    if found.readable is not None:
        title = "sessions of the damaged file in which nothing is wrong"
        blocks.append(Table(("SESSION",), [(each or "-",) for each in found.readable], "none", title))
    return Answer(document, tuple(blocks), FAILED)


def typed(app: str, text: str, out: str | None = None, *, changed: bool = False) -> Answer:
    """Answer what the types of an app are, or that they were written to a file."""
    document = {"command": "types", "app": app, "out": out}
    if out is None:
        return Answer(document | {"types": text}, (), verbatim=text)
    return Answer(document | {"changed": changed}, ())


def _session_document(state: StoredSession) -> dict[str, Any]:
    last = None if state.last_error is None else _error_document(state.last_error)
    more = {"waiting": state.waiting, "entities": state.entities, "lastError": last}
    return documents.session(state.id, state.cursors) | more


def _timeline_document(found: StoredSnapshot, payloads: Payloads) -> dict[str, Any]:
    entities = [documents.entity(each, payloads.read(each.payload)) for each in found.entities]
    return {"snapshotOrdinal": str(found.ordinal), "epoch": str(found.epoch), "entities": entities}


def _error_document(record: ErrorRecord, *, tracebacks: bool = False) -> dict[str, Any]:
    """Return an error record; the raw message is in base64, as bytes are in protobuf JSON."""
    found = documents.error(record) | {"rawMessage": base64.b64encode(record.raw_message).decode()}
    return found | {"traceback": record.traceback} if tracebacks else found


def _retried_document(found: Retried) -> dict[str, Any]:
    if found.report is None:
        return {"sessionId": found.session_id, "held": True, "error": str(found.error)}
    report = found.report
    return {"sessionId": found.session_id, "held": False, "events": report.events, "cursor": str(report.cursor)}


def _difference_document(found: Difference) -> dict[str, Any]:
    sides = {"before": _side_document(found.before), "after": _side_document(found.after)}
    return {"change": found.change, "kind": found.kind, "id": found.id, **sides}


def _side_document(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    ordinals = {"createdOrdinal": str(side.created), "lastEventOrdinal": str(side.changed)}
    return ordinals | documents.payload(side.payload)


def _replay(store: str, which: Replay, report: ReplayReport, *, dry_run: bool) -> dict[str, Any]:
    return {
        "store": store,
        "command": which,
        "sessionId": report.session_id,
        "dryRun": dry_run,
        "events": report.events,
        "cursor": str(report.cursor),
    }


def _headline(state: StoredSession) -> str:
    cursors = state.cursors
    held = f"held, {counted(state.waiting, 'event')} waiting" if cursors.held else "not held"
    lines = [
        f"session {state.id}: event cursor {cursors.event}, timeline cursor {cursors.timeline}, {held}",
        f"{counted(state.entities, 'entity', 'entities')}, floor {cursors.floor}, epoch {cursors.epoch}",
    ]
    if state.last_error is not None:
        lines.append(f"last error: {_error(state.last_error)}")
    return "\n".join(lines)


def _timeline(found: StoredSnapshot, payloads: Payloads) -> Table:
    rows = [
        (
            each.kind,
            each.id,
            str(each.created_ordinal),
            str(each.last_event_ordinal),
            *_shown(payloads.read(each.payload)),
        )
        for each in found.entities
    ]
    return Table(
        ("KIND", "ID", "#CREATED", "#CHANGED", "MESSAGE", "PAYLOAD"), rows, "none", f"timeline at {found.ordinal}"
    )


def _events(found: Excerpt, payloads: Payloads) -> Table:
    rows = [
        (
            str(each.ordinal),
            each.name,
            _moment(each.recorded_at),
            "yes" if found.applies(each) else "waiting",
            each.event_id,
            _json(dict(each.metadata)) if each.metadata else "-",
            *_shown(payloads.read(each.payload)),
        )
        for each in found.events
    ]
    heading = ("#ORDINAL", "NAME", "RECORDED", "APPLIED", "EVENT ID", "METADATA", "MESSAGE", "PAYLOAD")
    return Table(heading, rows, "none", "events")


def _errors(records: Sequence[ErrorRecord]) -> Table:
    rows = [
        (
            _moment(each.recorded_at),
            each.session_id or "-",
            str(each.ordinal),
            each.kind,
            each.event_name or "-",
            each.where,
            each.error,
        )
        for each in records
    ]
    return Table(("RECORDED", "SESSION", "#ORDINAL", "KIND", "EVENT", "WHERE", "ERROR"), rows, "none", "errors")


def _problems(found: Sequence[Problem]) -> Table:
    """Return the first problems of each session, whose problems follow each other, and how many more it has."""
    rows = []
    for session_id, group in groupby(found, attrgetter("session_id")):
        problems = [each.what for each in group]
        shown, more = problems[:_SHOWN_PROBLEMS], len(problems) - _SHOWN_PROBLEMS
        rows += [(session_id or "-", each) for each in [*shown, *([f"… and {more} more"] if more > 0 else [])]]
    return Table(("SESSION", "PROBLEM"), rows)


def _differences(found: Sequence[Difference]) -> Table:
    rows = [(each.change, each.kind, each.id, _side(each.before), _side(each.after)) for each in found]
    return Table(("CHANGE", "KIND", "ID", "IS", "WOULD BE"), rows)


def _side(side: Side | None) -> str:
    return "-" if side is None else f"{side.created}-{side.changed} {_payload(side.payload)}"


def _shown(payload: Payload) -> tuple[str, str]:
    """Return the message's name without its package, which the JSON document has, and what is in it."""
    return payload.type.rpartition(".")[2], _payload(payload)


def _payload(payload: Payload) -> str:
    if payload.unreadable:
        return f"({payload.type}, {counted(payload.size, 'byte')}: {payload.unreadable})"
    return _json(payload.json)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _error(record: ErrorRecord) -> str:
    return f"{record.kind} at {record.ordinal}: {record.error}"


def _traceback(record: ErrorRecord) -> str:
    heading = (
        f"{record.kind} of event {record.event_name or '-'}, session {record.session_id or '-'} at {record.ordinal}"
    )
    return f"{heading}:\n{record.traceback.rstrip() or 'no traceback is recorded'}"


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")
