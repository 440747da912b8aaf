"""What of a store is missing, and which of its rows contradict each other: both durable stores ask here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Final

from sessionstream.hydration.stored import Problem

_OWNED: Final = {
    "events": ("sid", ("session",)),
    "entities": ("timeline", ("timeline", "building")),
    "entity_versions": ("timeline", ("timeline", "building")),
}
"""For each table that holds rows of sessions: the column that says of which, and what else its numbers may be of, which
is what ``discarded`` says of rows that are about to be removed."""

COUNTS: Final = " UNION ALL ".join(
    f"SELECT '{table}', {column}, count(*) FROM {{s}}{table} GROUP BY {column}"  # noqa: S608 - our own names
    for table, (column, _) in _OWNED.items()
)
"""What ``counts`` of ``contradictions`` are; ``{s}`` stands for what precedes the name of a table."""


def lacking(wanted: Iterable[str], present: Container[str]) -> list[str]:
    """Return which tables, columns and indexes are not there, such as ``"table nodes"``, ``"column events.metadata"``.

    The columns of a table that is not there are not listed.
    """
    found = [each for each in wanted if each not in present]
    own = tuple(f"column {each.removeprefix('table ')}." for each in found if each.startswith("table "))
    return [each for each in found if not each.startswith(own)]


def missing(wanted: Mapping[str, str], present: Container[str]) -> tuple[list[Problem], bool]:
    """Return what of the tables is not there, and whether only indexes are, so that all rows can be read.

    Where a table or a column is not there, indexes are not looked for: those of a table go with it.

    Args:
        wanted: with the statement that makes it, if it has one of its own.
    """
    parts = lacking(wanted, present)
    lost = [each for each in parts if not each.startswith("index ")]
    if lost:
        return [Problem("", f"{each} is missing") for each in lost], False
    again = {each: f"; to create it again: {wanted[each]}" for each in parts if wanted[each]}
    return [Problem("", f"{each} is missing{again.get(each, '')}") for each in parts], True


def contradictions(
    sessions: Iterable[tuple[int, str, int]],
    discarded: Iterable[tuple[str, int]],
    counts: Iterable[tuple[str, object, int]],
    digested: Iterable[tuple[int, int, bool]],
) -> list[Problem]:
    """Return what is wrong: rows that are of no session, sessions with the same timeline, and digests.

    Args:
        sessions: sid, id and timeline of each session.
        discarded: what is to be removed, and its number.
        counts: for each table of ``_OWNED`` and each number in its column: how many rows have it.
        digested: sid and ordinal of each event that has a digest and should not, or has an invalid one; and
            whether it was pruned.
    """
    ids, timelines = {}, Counter[object]()
    for sid, session_id, timeline in sessions:
        ids[sid] = session_id, timeline
        timelines[timeline] += 1
    numbers = {"sid": set[object](ids), "timeline": set[object](timelines)}
    removed = set(discarded)
    problems = list(_of_no_session(numbers, removed, counts))
    for session_id, timeline in ids.values():
        if timelines[timeline] > 1:
            problems.append(Problem(session_id, f"its timeline, number {timeline}, is another session's, too"))
    for sid, ordinal, pruned in digested:
        if sid in ids:
            wrong = "was pruned, and its digest is invalid" if pruned else "has a digest, as only a pruned event has"
            problems.append(Problem(ids[sid][0], f"event {ordinal} {wrong}"))
    return problems


def _of_no_session(
    numbers: dict[str, set[object]], removed: set[tuple[str, int]], counts: Iterable[tuple[str, object, int]]
) -> Iterator[Problem]:
    for table, number, count in counts:
        column, kinds = _OWNED[table]
        if number not in numbers[column] and not any((kind, number) in removed for kind in kinds):
            rows = "1 row" if count == 1 else f"{count} rows"
            yield Problem("", f"{rows} of table {table} with {column} {number!r}, which no session has")
