"""What a store does beside calls: it says that its process is there, and removes what is old.

Each process renews its row in ``nodes``. One of them, which holds the lease ``upkeep``, removes old rows. A lease is a
row with a time: a process that was stopped loses it, and another takes over. What both do meanwhile harms nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from sessionstream.errors import StoreError, StoreUpgraded
from sessionstream.hydration.postgres import changes, discarded, failures, schema
from sessionstream.hydration.postgres.rows import Rows
from sessionstream.hydration.sweeper import Sweeper
from sessionstream.logs import SessionLog

if TYPE_CHECKING:
    from sessionstream.hydration.encoding import ErrorRow
    from sessionstream.hydration.postgres.connections import Link, Links
    from sessionstream.hydration.postgres.payload_types import PayloadTypes
    from sessionstream.hydration.sweeper import Job

_log = SessionLog()

BEAT_SECONDS: Final = 3.0
"""How often a process renews its row, and looks for what is old."""

LEASE_SECONDS: Final = 10.0
"""How long a process counts as there, and holds the lease, after it has last renewed it."""

KEPT_SECONDS: Final = 60.0
"""How long a row of ``ui_events`` is kept."""

LEAVE_SECONDS: Final = 1.0
"""How long closing waits until the row of the process is deleted."""

_BEAT: Final = """INSERT INTO {s}.nodes (node, version, until)
    VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
    ON CONFLICT (node) DO UPDATE SET version = excluded.version, until = excluded.until"""
_LEAVE: Final = "DELETE FROM {s}.nodes WHERE node = $1"
_LEASE: Final = """INSERT INTO {s}.leases AS l (name, owner, fence, until)
    VALUES ('upkeep', $1, 1, clock_timestamp() + make_interval(secs => $2))
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until,
        fence = l.fence + CASE WHEN l.owner = excluded.owner THEN 0 ELSE 1 END
    WHERE l.owner = excluded.owner OR l.until < clock_timestamp() RETURNING fence"""
_OLD_MOVES: Final = "DELETE FROM {s}.ui_events WHERE at < clock_timestamp() - make_interval(secs => $1)"
# In a copy of the tables on another server, numbers of transactions may be higher than any that the server knows.
_UNKNOWN_CHANGES: Final = """UPDATE {s}.sessions SET changed = 0
    WHERE changed >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint"""
_OLD_NODES: Final = "DELETE FROM {s}.nodes WHERE until < clock_timestamp() - interval '1 day'"


class Upkeep:
    """The upkeep of one store.

    Attributes:
        node: identifies the process, or rather its open store.
        upgraded: the error to raise once another process has made the tables unusable for this version.
    """

    def __init__(self, links: Links, types: PayloadTypes, name: str) -> None:
        self.node: str = uuid4().hex
        self.upgraded: StoreUpgraded | None = None
        self._links = links
        self._sweeper = Sweeper(name, Removal(links, types, Rows(name)))
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._removal: asyncio.Task[None] | None = None
        self._failing = False

    async def join(self, link: Link) -> None:
        """Say that this process is there, and correct what a copy of the tables has brought from another server."""
        await link.fetch(_UNKNOWN_CHANGES)
        await link.fetch(_BEAT, self.node, schema.VERSION, LEASE_SECONDS)

    def start(self) -> None:
        """Go on saying so, and remove what is old."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="sessionstream upkeep")

    async def stop(self) -> None:
        """Stop, and say that this process is about to close the store; if that fails, its row expires."""
        tasks = [task for task in (self._task, self._removal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = self._removal = None
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._links.change(lambda link: link.fetch(_LEAVE, self.node))

    async def renew(self) -> None:
        """Say now that this process is there, as a probe.

        Raises:
            StoreError: the server failed.
        """
        await self._links.probe(lambda link: link.fetch(_BEAT, self.node, schema.VERSION, LEASE_SECONDS))

    async def remove(self) -> None:
        """Remove what is no longer visible. What cannot be removed is logged and recorded, and tried again later."""
        await self._sweeper.sweep()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                holds_lease = await self._links.change(self._beat)
                if self._failing:
                    self._failing = False
                    _log.info("the upkeep of %s works again", self._name)
                if holds_lease and (self._removal is None or self._removal.done()):
                    # Beside this task: it may take longer than a row is valid.
                    self._removal = asyncio.create_task(self.remove(), name="sessionstream removal")
            except StoreUpgraded as error:
                self.upgraded = error
                _log.error("%s", error)
                return
            except StoreError as error:
                if not self._failing:
                    _log.warning("the upkeep of %s failed; trying again: %s", self._name, error)
                self._failing = True

    async def _beat(self, link: Link) -> bool:
        """Renew the row of this process; return whether it holds the lease."""
        await schema.check(link, self._name)
        await link.fetch(_BEAT, self.node, schema.VERSION, LEASE_SECONDS)
        if not await link.fetch(_LEASE, self.node, LEASE_SECONDS):
            return False
        await link.fetch(_OLD_MOVES, KEPT_SECONDS)
        await link.fetch(_OLD_NODES)
        return True


class Removal:
    """The ``Removing`` of a PostgresStore."""

    def __init__(self, links: Links, types: PayloadTypes, rows: Rows) -> None:
        self._links = links
        self._types = types
        self._rows = rows

    async def jobs(self) -> list[Job]:
        """Return all jobs."""
        return [tuple(row) for row in await self._links.change(discarded.jobs)]

    async def remove(self, job: Job, /) -> None:
        """Carry out a job."""
        place: int | None = 0
        while place is not None:
            place = await self._links.change(partial(self._step, job=job, place=place))

    async def _step(self, link: Link, *, job: Job, place: int) -> int | None:
        return await discarded.step(link, self._types, self._rows, job, place)

    def is_of_rows(self, error: StoreError, /) -> bool:
        """Whether the server failed because of some rows."""
        return failures.is_of_rows(error)

    async def record(self, row: ErrorRow, /) -> None:
        """Keep an error record."""
        await self._links.note(partial(changes.record_error, row=row, token=uuid4()))
