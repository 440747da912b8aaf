"""Carries out the jobs of the table ``discarded`` on the writer's thread, in steps between which commits pass."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sessionstream.hydration.sqlite import failures, writes
from sessionstream.hydration.sqlite.discarded import Key, jobs, step

if TYPE_CHECKING:
    from sessionstream.errors import StoreError
    from sessionstream.hydration.encoding import ErrorRow
    from sessionstream.hydration.sqlite.writer import Writer
    from sessionstream.hydration.sweeper import Job


class Removal:
    """The ``Removing`` of a SQLiteStore."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def jobs(self) -> list[Key]:
        """Return all jobs, also damaged ones."""
        found: list[Key] = await self._writer.submit(_jobs)
        return found

    async def remove(self, job: Job, /) -> None:
        """Carry out a job."""
        while await self._writer.submit(partial(_step, job=(job[0], job[1]))):
            pass

    def is_of_rows(self, error: StoreError, /) -> bool:
        """Whether SQLite failed because of some rows."""
        return failures.is_of_rows(error)

    async def record(self, row: ErrorRow, /) -> None:
        """Keep an error record, without waiting for a lock."""
        await self._writer.submit(partial(writes.record_error, row=row), patient=False)


def _jobs(writing: writes.Writing) -> list[Key]:
    return jobs(writing.db)


def _step(writing: writes.Writing, job: Key) -> bool:
    return step(writing.db, job)
