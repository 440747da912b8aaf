"""Checks at the end of the demo. Each check returns a description of what it found, or raises CheckFailed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessionstream.examples.chatdemo.messages import STOPPED, answer_to

if TYPE_CHECKING:
    from sessionstream.examples.chatdemo.demo.linting import LintRun
    from sessionstream.examples.chatdemo.demo.records import LiveUpdate, StoredSnapshot


class CheckFailed(Exception):
    """A guarantee that the demo checks does not hold."""


def require(condition: bool, otherwise: str) -> None:
    """Raise CheckFailed with the message ``otherwise`` unless the condition holds."""
    if not condition:
        raise CheckFailed(otherwise)


def found_planted(run: LintRun, line: int, column: int) -> str:
    """The linter reports the planted mistake, at the payload expression, and nothing else."""
    place = f"{run.file}:{line}:{column}: SST001"
    require(
        run.status == 1, f"flake8 should have exited with 1 for {run.file}, it exited with {run.status}:\n{run.output}"
    )
    reports = run.output.splitlines()
    require(
        len(reports) == 1 and reports[0].startswith(f"{place} "),
        f"flake8 should have reported exactly {place}, it reported:\n{run.output}",
    )
    return f"flake8 reports the planted mistake, at the payload expression ({run.file}:{line}:{column})"


def found_nothing(run: LintRun) -> str:
    """The linter reports nothing."""
    require(
        run.status == 0 and not run.output,
        f"flake8 should have passed {run.file}, it exited with {run.status}:\n{run.output}",
    )
    return f"flake8 passes {run.file}"


def live_in_order(updates: Sequence[LiveUpdate], after: int) -> str:
    """The live events follow each other without a gap, beginning right after an ordinal."""
    ordinals = [update.ordinal for update in updates]
    wanted = list(range(after + 1, after + 1 + len(ordinals)))
    require(bool(ordinals), "no live UI event arrived")
    require(ordinals == wanted, f"live UI events should have the ordinals {wanted}, they have {ordinals}")
    require(
        all(update.message.ordinal == str(update.ordinal) for update in updates),
        "a UI event names another ordinal in its payload than the one it arrived with",
    )
    return f"live UI events arrived in order, without a gap: {wanted[0]} to {wanted[-1]}"


def stored_as_streamed(prompt: str, updates: Sequence[LiveUpdate], snapshot: StoredSnapshot) -> str:
    """The snapshot is at the last live event, and has the messages as live clients last received them."""
    last = updates[-1].ordinal
    require(snapshot.ordinal == last, f"the snapshot is at ordinal {snapshot.ordinal}, the last live event was {last}")
    stored = {entity.id: entity.message for entity in snapshot.entities}
    for seen in {update.message.message_id: update.message for update in updates}.values():
        message = stored.get(seen.message_id)
        require(
            message is not None and (message.text, message.status) == (seen.text, seen.status),
            f"{seen.message_id} is stored as {message!s:.200}, live readers saw {seen!s:.200}",
        )
    answer, wanted = stored[updates[-1].message.message_id], answer_to(prompt)
    whole = wanted.startswith(answer.text) if answer.status == STOPPED else wanted == answer.text
    require(bool(answer.text) and whole, f"the stored answer is {answer.text!r:.200}, it should be {wanted!r:.200}")
    return f"the snapshot is at ordinal {last} and holds what was streamed"


def killed(status: int, expected: int, leftover_bytes: int) -> str:
    """The process was killed by the signal, and did not close its file."""
    require(status == expected, f"the process should have been killed (status {expected}), it ended with {status}")
    require(leftover_bytes > 0, "the process closed its file before it died: its write-ahead log is gone")
    return f"the process was killed (exit status {status}) while it held the file: its write-ahead log was left behind"


def identical(before: StoredSnapshot, after: StoredSnapshot) -> str:
    """Both snapshots are the same, down to the bytes of the payloads."""
    _same("the snapshot's ordinal", before.ordinal, after.ordinal)
    _same("the timeline's epoch", before.epoch, after.epoch)
    _same("the entities", [e.id for e in before.entities], [e.id for e in after.entities])
    for old, new in zip(before.entities, after.entities, strict=True):
        _same(f"the kind of {old.id}", old.kind, new.kind)
        _same(f"the created ordinal of {old.id}", old.created_ordinal, new.created_ordinal)
        _same(f"the last event ordinal of {old.id}", old.last_event_ordinal, new.last_event_ordinal)
        _same(f"the payload of {old.id}", old.payload, new.payload)
    count = len(before.entities)
    return f"the snapshot is identical: ordinal {before.ordinal}, {count} entities, every ordinal and payload byte"


def goes_on(before: StoredSnapshot, updates: Sequence[LiveUpdate]) -> str:
    """The first new event has the next ordinal."""
    first = updates[0].ordinal if updates else 0
    wanted = before.ordinal + 1
    require(first == wanted, f"the session should go on with ordinal {wanted}, it went on with {first}")
    return f"the session goes on with ordinal {first}, the next after {before.ordinal}"


def fresh_ids(before: StoredSnapshot, updates: Sequence[LiveUpdate]) -> str:
    """None of the new messages has the id of an old one."""
    old = {entity.id for entity in before.entities}
    new = list(dict.fromkeys(update.message.message_id for update in updates))
    collisions = sorted(old.intersection(new))
    require(not collisions, f"new messages have the ids of old ones: {', '.join(collisions)}")
    return f"the new messages have ids of their own: {', '.join(new)}"


def kept(before: StoredSnapshot, after: StoredSnapshot) -> str:
    """The messages from before the kill are unchanged after the session continued."""
    now = {entity.id: entity for entity in after.entities}
    changed = [entity.id for entity in before.entities if now.get(entity.id) != entity]
    require(not changed, f"messages from before the kill have changed or are gone: {', '.join(changed)}")
    return "the messages from before the kill are unchanged"


def closed_cleanly(status: int) -> str:
    """The process ended by itself."""
    require(status == 0, f"the second process should have ended with status 0, it ended with {status}")
    return "the second process closed the file and ended by itself"


def _same(what: str, before: object, after: object) -> None:
    require(before == after, f"{what} changed: it was {before!r:.200}, now it is {after!r:.200}")
