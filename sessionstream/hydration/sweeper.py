"""Removes what was discarded, for every durable store. A removal that fails is recorded, and tried again later."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from sessionstream.errors import StoreError, error_text
from sessionstream.hydration.encoding import error_row
from sessionstream.logs import SessionLog
from sessionstream.observe import ErrorRecord

if TYPE_CHECKING:
    from sessionstream.hydration.encoding import ErrorRow

FIRST_REST: Final = 1.0
"""Seconds before a job that failed is tried again; twice as long after each further failure."""

LONGEST_REST: Final = 300.0
"""Seconds before it is tried again at most."""

_log = SessionLog()

Job: TypeAlias = tuple[Any, ...]
"""What is to be removed: its kind, its number, and more that the store needs."""


class Removing(Protocol):
    """How a store removes what was discarded."""

    async def jobs(self) -> Sequence[Job]:
        """Return what there is to be removed.

        Raises:
            StoreError: the store failed.
        """
        ...

    async def remove(self, job: Job, /) -> None:
        """Remove what a job says, in small steps, and the job.

        Raises:
            StoreError: the store failed, or a row is damaged.
        """
        ...

    def is_of_rows(self, error: StoreError, /) -> bool:
        """Whether a removal failed because of some rows, so that other jobs may work."""
        ...

    async def record(self, row: ErrorRow, /) -> None:
        """Keep an error record, if that takes no long wait.

        Raises:
            StoreError: the store failed.
        """
        ...


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


_NO_REST: Final = _Rest(0.0, 0.0)


class Sweeper:
    """Removes what this store or another has discarded; ``name`` is that of the store in messages."""

    def __init__(self, name: str, removing: Removing) -> None:
        self._name = name
        self._removing = removing
        self._rests: dict[Job | None, _Rest] = {}  # None stands for all jobs

    async def sweep(self) -> None:
        """Do every job that is due. A job that fails is skipped, and tried again by a later call.

        A failure that concerns every job, such as a full disk, ends the round. Raises no StoreError: each is logged,
        and recorded if the store can.
        """
        if self._rests_still(None):
            return
        try:
            for job in await self._removing.jobs():
                if not self._rests_still(job):
                    await self._do(job)
        except StoreError as error:
            await self._failed(None, error)
        else:
            self._rests.pop(None, None)

    async def _do(self, job: Job) -> None:
        try:
            await self._removing.remove(job)
        except StoreError as error:
            if not self._removing.is_of_rows(error):
                raise
            await self._failed(job, error)
        else:
            self._rests.pop(job, None)

    def _rests_still(self, job: Job | None) -> bool:
        return time.monotonic() < self._rests.get(job, _NO_REST).until

    async def _failed(self, job: Job | None, error: StoreError) -> None:
        what = "what was discarded" if job is None else f"{job[0]} {job[1]!r}, which was discarded,"
        _log.warning("%s could not be removed from %s, and will be tried again: %s", what, self._name, error)
        rest = self._rests.get(job, _NO_REST)
        length = min(rest.length * 2 or FIRST_REST, LONGEST_REST)
        recorded = rest.recorded
        if error_text(error) != recorded and await self._record(job, error):
            recorded = error_text(error)
        self._rests[job] = _Rest(time.monotonic() + length, length, recorded)

    async def _record(self, job: Job | None, error: StoreError) -> bool:
        metadata = {"discarded": "" if job is None else f"{job[0]} {job[1]!r}"}
        try:
            await self._removing.record(
                error_row(ErrorRecord("store", "", 0, "", error_text(error), metadata=metadata))
            )
        except StoreError:  # for the same reason, most likely; it was logged
            return False
        return True
