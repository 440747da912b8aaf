"""Removes what was discarded. A removal that fails is recorded, and tried again later."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from sessionstream.errors import StoreError, error_text
from sessionstream.hydration.encoding import error_row
from sessionstream.hydration.sqlite import writes
from sessionstream.hydration.sqlite.discarded import Key, jobs, step
from sessionstream.hydration.sqlite.failures import is_of_rows
from sessionstream.observe import ErrorRecord

if TYPE_CHECKING:
    from sessionstream.hydration.sqlite.writer import Writer

FIRST_REST: Final = 1.0
"""Seconds before a job that failed is tried again; twice as long after each further failure."""

LONGEST_REST: Final = 300.0
"""Seconds before it is tried again at most."""

_log = logging.getLogger("sessionstream")


@dataclass(frozen=True, slots=True)
class _Rest:
    """When a job that failed is tried again.

    Attributes:
        until: on the monotonic clock.
        length: in seconds.
        recorded: message of its last error that is in an error record.
    """

    until: float
    length: float
    recorded: str = ""


_Job: TypeAlias = Key | None  # None stands for all of them
_NO_REST: Final = _Rest(0.0, 0.0)


class Sweeper:
    """Removes what this store or another has discarded, in small steps, between which commits pass."""

    def __init__(self, path: str, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._rests: dict[_Job, _Rest] = {}

    async def sweep(self) -> None:
        """Do every job that is due. A job that fails is skipped, and tried again by a later call.

        A failure that concerns every job, such as a full disk, ends the round. Raises no StoreError: each is logged,
        and recorded if the store can.
        """
        if self._rests_still(None):
            return
        try:
            for job in await self._writer.submit(_jobs):
                if not self._rests_still(job):
                    await self._do(job)
        except StoreError as error:
            await self._failed(None, error)
        else:
            self._rests.pop(None, None)

    async def _do(self, job: Key) -> None:
        try:
            while await self._writer.submit(partial(_step, job=job)):
                pass
        except StoreError as error:
            if not is_of_rows(error):
                raise
            await self._failed(job, error)
        else:
            self._rests.pop(job, None)

    def _rests_still(self, job: _Job) -> bool:
        return time.monotonic() < self._rests.get(job, _NO_REST).until

    async def _failed(self, job: _Job, error: StoreError) -> None:
        what = "what was discarded" if job is None else f"{job[0]} {job[1]!r}, which was discarded,"
        _log.warning("%s could not be removed from %s, and will be tried again: %s", what, self._path, error)
        rest = self._rests.get(job, _NO_REST)
        length = min(rest.length * 2 or FIRST_REST, LONGEST_REST)
        recorded = rest.recorded
        if error_text(error) != recorded and await self._record(job, error):
            recorded = error_text(error)
        self._rests[job] = _Rest(time.monotonic() + length, length, recorded)

    async def _record(self, job: _Job, error: StoreError) -> bool:
        metadata = {"discarded": "" if job is None else f"{job[0]} {job[1]!r}"}
        row = error_row(ErrorRecord("store", "", 0, "", error_text(error), metadata=metadata))
        try:
            await self._writer.submit(partial(writes.record_error, row=row), patient=False)
        except StoreError:  # for the same reason, most likely; it was logged
            return False
        return True


def _jobs(writing: writes.Writing) -> list[Key]:
    return jobs(writing.db)


def _step(writing: writes.Writing, job: Key) -> bool:
    return step(writing.db, job)
