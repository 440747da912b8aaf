"""Copies the sessions of a SQLite file to a PostgreSQL database, and checks each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sessionstream.errors import InvalidIdError, StoreDamaged, StoreError, Unstorable
from sessionstream.hydration import stores
from sessionstream.hydration.contents import (
    Content,
    Fingerprint,
    Fingerprinting,
    NotCopied,
    contents,
    fingerprint,
    session_ids,
)
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.hydration.sqlite.failures import is_of_rows
from sessionstream.hydration.stored import PrunedEvent, StoredEvent
from sessionstream.ids import check_new_id

if TYPE_CHECKING:
    from sessionstream.hydration.postgres.loading import Loading
    from sessionstream.hydration.stored import StoredState

Outcome: TypeAlias = Literal["copied", "updated", "unchanged"]
"""Of one session: it was not in the database; it was there as an earlier run had copied it, and has grown since; it was
there with equal contents."""


_OTHER: Final = (
    "the database has a session of this id that was not copied to there: nothing was written; copy to a schema of its "
    "own (?schema=…)"
)
_CHANGED: Final = (
    "it was changed in the database after it had been copied: nothing was written. If the database is right, leave it; "
    "if the file is, copy to an empty schema of the database (?schema=…)"
)
_WRONG: Final = (
    "what the database gives back is not what was written, so nothing was kept: look for what changes it, such as a "
    "trigger or a rule on its tables, remove that, and copy again"
)


@dataclass(frozen=True, slots=True)
class Left:
    """A session that was not copied, and why; ``""`` stands for the error records without a session."""

    session_id: str
    reason: str


@dataclass(slots=True)
class CopyReport:
    """What a copy did.

    Attributes:
        copied, updated, unchanged: numbers of sessions, by ``Outcome``.
        events: how many events were written, pruned ones included.
        left: the sessions that were not copied.
        processes: how many processes may have had the file open. What they have written since may not be in the copy.
    """

    copied: int = 0
    updated: int = 0
    unchanged: int = 0
    events: int = 0
    left: list[Left] = field(default_factory=list)
    processes: int = 0

    def add(self, outcome: Outcome, events: int) -> None:
        """Count a session."""
        self.copied += outcome == "copied"
        self.updated += outcome == "updated"
        self.unchanged += outcome == "unchanged"
        self.events += events

    @property
    def sessions(self) -> int:
        """How many sessions of the file are in the database with equal contents."""
        return self.copied + self.updated + self.unchanged


def copy(
    file: str | os.PathLike[str], location: stores.Location, progress: Callable[[int, int], object] | None = None
) -> CopyReport:
    """Copy every session of a file to a database, in the order of their last changes; the file stays as it is.

    A session is visible in the database once all of it is there and was read back with equal contents. If the copy is
    interrupted, do the same again: sessions that are there are compared, and the others copied. A session that is there
    as an earlier copy has written it, while the file's has changed since, is written anew. One that was changed in the
    database, or began there, is left alone.

    It is a plain function that waits for a disk and a server: where an event loop runs, call it in a thread.

    Args:
        file: the path of a SQLite file of any version. It may be in use: of each session the present state is copied.
        location: the URL of a PostgreSQL database, as for ``stores.open``. The tables are created where there are none.
        progress: called after each session with how many are done, and how many there are.

    Raises:
        StoreError: the file cannot be read, or the database cannot be written. What was copied until then is there.
        RuntimeError: an event loop runs in this thread.
        TypeError: an argument is of another type.
    """
    ids, report = SQLiteStore.look(file, lambda state: (session_ids(state), CopyReport(processes=state.processes())))
    with stores.loading(location) as target:
        for number, session_id in enumerate(ids, 1):
            try:
                outcome, events = _copied(file, target, session_id)
            except (NotCopied, InvalidIdError, StoreDamaged, Unstorable) as error:
                report.left.append(Left(session_id, str(error)))
            except StoreError as error:
                if not is_of_rows(error):
                    raise StoreError(
                        f"{error}; {number - 1} of {len(ids)} sessions are done: copy again, which goes on from there"
                    ) from error
                report.left.append(Left(session_id, str(error)))
            else:
                report.add(outcome, events)
            if progress is not None:
                progress(number, len(ids))
    return report


def _copied(file: str | os.PathLike[str], target: Loading, session_id: str) -> tuple[Outcome, int]:
    """Copy a session; return what became of it, and how many events were written."""

    def question(state: StoredState) -> tuple[Outcome, Fingerprint, int]:  # may be asked again
        target.begin()
        there, before = target.state, target.loaded(session_id)
        outcome: Outcome = "copied"
        if before is not None or there.session(session_id) is not None:
            present = fingerprint(contents(there, session_id))
            wanted = fingerprint(contents(state, session_id))
            if wanted.agrees(present):
                return "unchanged", wanted, 0
            if present != before:
                raise NotCopied(_CHANGED if before else _OTHER)
            target.remove(session_id)
            outcome = "updated"
        reading = _Reading(contents(state, session_id))
        target.write(session_id, reading, state.first_epoch)
        return outcome, reading.result(), reading.events

    if session_id:
        check_new_id("session id", session_id)
    outcome, wanted, events = SQLiteStore.look(file, question)
    if outcome != "unchanged":
        found = fingerprint(contents(target.state, session_id))
        if not found.agrees(wanted):
            raise NotCopied(_WRONG)
        target.keep(session_id, found)
    return outcome, events


class _Reading(Fingerprinting):
    """Yields the contents of a session, and adds them to a fingerprint.

    Attributes:
        events: how many there were, pruned ones included.
    """

    def __init__(self, parts: Iterator[Content]) -> None:
        super().__init__()
        self.events = 0
        self._parts = parts

    def __iter__(self) -> Iterator[Content]:
        for part in self._parts:
            self.add(part)
            self.events += isinstance(part, StoredEvent | PrunedEvent)
            yield part
