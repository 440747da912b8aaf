"""Makes commits true: those that wait at a moment go into one statement.

Calling ``submit`` hands a commit over; it is carried out whether or not anybody still waits for it. A few connections
write, so that one that does not answer delays its own commits only. Commits of one session stay in order: while some
are on their way, later ones wait.

A connection may break after a statement was sent. The statement is then sent again. If the session has moved meanwhile,
the last commit in its row, or its events, say whether that was this commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from asyncpg import UniqueViolationError

from sessionstream.errors import CommitUnknown, EventConflict, OrdinalConflict, StoreClosed, StoreError
from sessionstream.hydration.postgres.batch import Batch, Chain
from sessionstream.hydration.postgres.connections import Attempts, Database, Failed, Link
from sessionstream.hydration.postgres.states import WrittenStates
from sessionstream.hydration.rules import conflict
from sessionstream.store import Cursors

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.hydration.encoding import CommitRows
    from sessionstream.hydration.postgres.payload_types import PayloadTypes
    from sessionstream.hydration.postgres.reads import Reads

WRITERS: Final = 2
"""Connections that write."""

GROUP_LIMIT: Final = 100
"""Commits in one statement: more would only make the first of them wait for the last."""

_WHERE: Final = """SELECT event_cursor, timeline_cursor, epoch, floor, last_commit FROM {s}.sessions
    WHERE session_id = $1"""
_LOGGED: Final = """SELECT e.name, e.payload, e.metadata FROM {s}.events e JOIN {s}.sessions s USING (sid)
    WHERE s.session_id = $1 AND e.ordinal = $2 AND e.event_id = $3"""


@dataclass(slots=True, eq=False)
class _Pending:
    """A commit that was handed over; ``at`` is the time of that, on the event loop's clock."""

    rows: CommitRows
    future: asyncio.Future[None]
    at: float

    def refuse(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def confirm(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class _Group:
    """Commits that go into one statement, and their chains."""

    def __init__(self) -> None:
        self.chains: list[Chain] = []
        self.members: list[list[_Pending]] = []
        self.count = 0
        self._numbers: dict[str, int] = {}

    def add(self, pending: _Pending, first_epoch: int) -> bool:
        """Add a commit, unless it does not follow from those of its session that are in the group."""
        step = pending.rows.step
        number = self._numbers.get(step.session_id)
        commit_id = step.commit_id or uuid4().hex
        if number is None:
            self._numbers[step.session_id] = len(self.chains)
            epoch = first_epoch if step.expected_epoch is None else step.expected_epoch
            self.chains.append(Chain([pending.rows], epoch, commit_id))
            self.members.append([pending])
        elif self.chains[number].is_followed_by(pending.rows):
            self.chains[number].commits.append(pending.rows)
            self.chains[number].commit_id = commit_id
            self.members[number].append(pending)
        else:
            return False
        self.count += 1
        return True

    def all(self) -> list[_Pending]:
        """Return the commits."""
        return [pending for members in self.members for pending in members]

    def messages(self) -> set[type[Message]]:
        """Return the message classes of all payloads."""
        found: set[type[Message] | None] = set()
        for pending in self.all():
            found.update(row.message for row in pending.rows.entities)
            if pending.rows.event is not None:
                found.add(pending.rows.event.message)
        return {message for message in found if message is not None}

    def alone(self) -> list[_Group]:
        """Return a group for each commit, in order."""
        groups = []
        for pending in self.all():
            group = _Group()
            group.add(pending, self.chains[self._numbers[pending.rows.step.session_id]].epoch)
            groups.append(group)
        return groups


class Committer:
    """Owns the connections that write commits.

    Args:
        reads: answers what is asked about commits that were refused.
        moved: is told of sessions whose timelines were moved.
    """

    def __init__(
        self,
        database: Database,
        types: PayloadTypes,
        reads: Reads,
        first_epoch: int,
        moved: Callable[[Collection[str]], None],
        link: Link,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._database = database
        self._types = types
        self._reads = reads
        self._first_epoch = first_epoch
        self._moved = moved
        self._written = WrittenStates()
        self._waiting: deque[_Pending] = deque()
        self._busy: set[str] = set()  # sessions whose commits are on their way
        self._sent = 0  # how many commits are on their way
        self._idle = [link, *(Link(database) for _ in range(WRITERS - 1))]
        self._links = tuple(self._idle)
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, rows: CommitRows) -> asyncio.Future[None]:
        """Submit a commit and return the future of its outcome."""
        pending = _Pending(rows, self._loop.create_future(), self._loop.time())
        self._waiting.append(pending)
        if not self._woken and self._idle:
            self._woken = True
            self._loop.call_soon(self._dispatch)
        if self._timer is None:
            self._timer = self._loop.call_at(pending.at + self._database.patience, self._give_up)
        return pending.future

    @property
    def pending(self) -> int:
        """How many commits have no outcome yet."""
        return len(self._waiting) + self._sent

    async def close(self, seconds: float) -> None:
        """Finish what was submitted and close the connections; what takes longer is given up."""
        end = self._loop.time() + seconds
        while self._waiting or self._tasks:
            tasks = set(self._tasks)
            if not tasks:
                self._dispatch()
                continue
            _, late = await asyncio.wait(tasks, timeout=max(0.0, end - self._loop.time()))
            if late:
                break
        for task in self._tasks:
            task.cancel()
        for pending in self._waiting:
            pending.refuse(StoreClosed(self._database.name))
        self._waiting.clear()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*(link.close(1.0) for link in self._links))

    def _dispatch(self) -> None:
        """Give what waits to the connections that are idle."""
        self._woken = False
        while self._idle and (group := self._next_group()) is not None:
            link = self._idle.pop()
            sessions = {chain.session_id for chain in group.chains}
            self._busy |= sessions
            self._sent += group.count
            task = self._loop.create_task(self._run(link, group, sessions), name="sessionstream commits")
            self._tasks.add(task)

    def _next_group(self) -> _Group | None:
        """Take commits from the queue: of sessions of which none is on its way, in order."""
        group, left, passed = _Group(), [], set()
        while self._waiting and group.count < GROUP_LIMIT:
            pending = self._waiting.popleft()
            session_id = pending.rows.step.session_id
            if session_id in self._busy or session_id in passed or not group.add(pending, self._first_epoch):
                passed.add(session_id)
                left.append(pending)
        self._waiting.extendleft(reversed(left))
        return group if group.count else None

    def _give_up(self) -> None:
        """Refuse commits that have waited too long for a connection."""
        self._timer = None
        too_old = self._loop.time() - self._database.patience
        while self._waiting and self._waiting[0].at <= too_old:
            pending = self._waiting.popleft()
            pending.refuse(self._unsent())
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0].at + self._database.patience, self._give_up)

    def _unsent(self) -> StoreError:
        name, seconds = self._database.name, self._database.patience
        return StoreError(f"{name} has not answered within {seconds:g} seconds; the commit was not sent")

    async def _run(self, link: Link, group: _Group, sessions: set[str]) -> None:
        try:
            await self._carry_out(link, group)
        except BaseException as error:
            for pending in group.all():
                pending.refuse(
                    CommitUnknown(self._database.name, self._database.patience)
                    if isinstance(error, asyncio.CancelledError)
                    else StoreError(f"the writer of {self._database.name} failed: {error!r}")
                )
            raise
        finally:
            self._busy -= sessions
            self._sent -= group.count
            self._idle.append(link)
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)
            self._dispatch()

    async def _carry_out(self, link: Link, group: _Group, uncertain: bool = False) -> None:
        """Carry out a group; each of its commits has an outcome afterwards."""
        attempts = Attempts(self._database, min(each.at for each in group.all()))
        attempts.uncertain = uncertain
        while True:
            try:
                outcomes = await attempts.attempt(link, lambda each: self._attempt(each, group, attempts.uncertain))
            except Failed:
                continue
            except (StoreError, EventConflict) as error:
                for chain in group.chains:
                    self._written.forget(chain.session_id)
                if group.count > 1 and not isinstance(error, CommitUnknown):
                    for alone in group.alone():  # finds the one that fails
                        await self._carry_out(link, alone, attempts.uncertain)
                else:
                    for pending in group.all():
                        pending.refuse(error)
                return
            self._deliver(group, outcomes)
            return

    async def _attempt(self, link: Link, group: _Group, uncertain: bool) -> list[Exception | None]:
        """Execute the statement of a group; return for each chain why it was refused, or None."""
        await self._types.insert(link, group.messages())
        for chain in group.chains:
            chain.states.clear()
            if chain.commits[0].step.expected_epoch is None:
                chain.epoch = (await self._reads.cursors(link, chain.session_id)).epoch
        sql, values = Batch(group.chains, self._types, self._written, self._first_epoch).statement()
        try:
            done = {row[0] for row in await link.fetch(sql, *values)}
        except UniqueViolationError:
            if group.count == 1:
                error = await self._repeated(link, group.chains[0])
                if error is not None:
                    return [error]
                raise
            raise _Split from None
        return [
            None if number in done else await self._refusal(link, chain, uncertain)
            for number, chain in enumerate(group.chains)
        ]

    async def _repeated(self, link: Link, chain: Chain) -> Exception | None:
        """Return the EventConflict of a commit whose event id its session has already."""
        rows = chain.commits[0]
        if rows.event is None:
            return None
        found = await self._reads.find_event(link, chain.session_id, rows.event.event_id)
        if found is None:
            return None
        return EventConflict(chain.session_id, rows.event.event_id, found.ordinal, found.digest, found.descriptors)

    async def _refusal(self, link: Link, chain: Chain, uncertain: bool) -> Exception | None:
        """Return why a chain was refused; None if an earlier attempt, whose answer was lost, has made it true."""
        rows = await link.fetch(_WHERE, chain.session_id)
        cursors = Cursors(*rows[0][:4]) if rows else Cursors(0, 0, self._first_epoch)
        if uncertain and rows and (rows[0][4] == chain.commit_id or await self._is_logged(link, chain)):
            return None
        return conflict(chain.commits[0].step, cursors)

    async def _is_logged(self, link: Link, chain: Chain) -> bool:
        """Return whether the events of a chain are in the log, at their ordinals and with their contents."""
        events = [rows.event for rows in chain.commits if rows.event is not None]
        for event in events:
            found = await link.fetch(_LOGGED, chain.session_id, event.ordinal, event.event_id)
            if [tuple(row) for row in found] != [(event.name, event.payload, event.metadata)]:
                return False
        return bool(events)

    def _deliver(self, group: _Group, outcomes: Sequence[Exception | None]) -> None:
        moved = []
        for chain, members, error in zip(group.chains, group.members, outcomes, strict=True):
            first, last = chain.commits[0].step, chain.commits[-1].step
            if error is None:
                cursors = (first.timeline_before, last.timeline_cursor)
                self._written.put(chain.session_id, chain.epoch, *cursors, chain.states)
                moved.append(chain.session_id)
            else:
                self._written.forget(chain.session_id)
            for pending in members:
                if error is None:
                    pending.confirm()
                elif isinstance(error, OrdinalConflict):
                    pending.refuse(conflict_of(pending.rows, error))
                else:
                    pending.refuse(error)
        if moved:
            self._moved(moved)


class _Split(StoreError):  # internal: never leaves this module
    """The event id of some commit of a group is taken: each is tried alone."""


def conflict_of(rows: CommitRows, error: OrdinalConflict) -> OrdinalConflict:
    """Return the conflict of a commit whose chain was refused."""
    return OrdinalConflict(rows.step.session_id, expected=error.expected, actual=error.actual)
