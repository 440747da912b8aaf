"""A turn in a session's lane: it assigns an ordinal to an event, runs its projections, commits it and fans it out.

The steps, in their order, and the invariants that they ensure:

1. Held events are resumed first, so that the timeline is always the fold of the events up to its cursor.
2. Projections see the timeline before the event. If one fails, only the event is stored.
3. One commit stores the event and its entities. It has the cursors and the epoch that it is based on: if another
   process has moved the session, the store refuses it, and the turn reloads the timeline and begins again at 1. If the
   session has an event with this id already, the store refuses it too: a repeat changes nothing.
4. Once the commit is passed to the store, a cancellation is delayed until the fan-out is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from random import random
from time import perf_counter
from typing import TYPE_CHECKING, Final, ParamSpec, Self, TypeVar

from sessionstream.callables import refuse_coroutine
from sessionstream.codec import copy_event, copy_ui_event
from sessionstream.errors import (
    EventConflict,
    OrdinalConflict,
    OrdinalExhausted,
    ProjectionError,
    SchemaError,
    SessionHeld,
    error_text,
)
from sessionstream.feed import Position
from sessionstream.hub.completion import Completion
from sessionstream.hub.drafts import new_event_id
from sessionstream.hub.known_errors import KnownErrors
from sessionstream.hub.repeats import is_repeat
from sessionstream.hub.reporting import record_of
from sessionstream.hub.step import Hold, Step
from sessionstream.hub.timeline import Timeline, TimelineAhead
from sessionstream.hub.yielding import EVENT_COST, MAX_BYTES
from sessionstream.ids import check_new_id
from sessionstream.observe import Span
from sessionstream.ordinals import assign_ordinal
from sessionstream.store import Cursors, LoggedEvent, new_commit

if TYPE_CHECKING:
    from types import TracebackType

    from sessionstream.hub.context import TurnContext
    from sessionstream.hub.drafts import Draft
    from sessionstream.hub.sessions import SessionState
    from sessionstream.observe import ErrorKind
    from sessionstream.types import Session

P = ParamSpec("P")
T = TypeVar("T")

MAX_ATTEMPTS: Final = 1000
"""How many attempts of an operation may fail with OrdinalConflict before the conflict is raised."""

FIRST_PAUSE: Final = 0.001
"""The longest wait before the third attempt, in seconds."""

LONGEST_PAUSE: Final = 0.05
"""The longest wait before any attempt, in seconds."""

RESUME_BATCH: Final = 64
"""How many held events are read at a time."""

MAX_UNDER_WAY: Final = 256
"""How many commits of one call of ``publish_many`` may be unacknowledged at a time."""


class Turn(Completion):
    """Holds a session's lane, and has the operations that need it: ``with await Turn.begin(…) as turn``.

    A cancellation meanwhile is raised when all steps that have begun are finished, instead of the result or of any
    other error.

    Attributes:
        resumed: how many held events this turn has applied.
    """

    __slots__ = ("_context", "resumed", "session", "state")

    def __init__(self, context: TurnContext, state: SessionState, session: Session) -> None:
        self._context = context
        self.cancelled: asyncio.CancelledError | None = None
        self.resumed: int = 0
        self.state: SessionState = state
        self.session: Session = session

    @staticmethod
    async def begin(context: TurnContext, session_id: str) -> Turn:
        """Wait for a session's lane. A cancellation meanwhile has no effect on the session.

        Raises:
            InvalidIdError: the session id is not valid.
        """
        state = context.sessions.pin(session_id)
        try:
            if not state.lane.take():
                await state.lane.wait()
            try:  # metadata is loaded inside the lane, so that waiting for it does not change the order
                session = state.session or await context.sessions.session(state)
                context.budget.spent += EVENT_COST
                if context.budget.spent >= MAX_BYTES:
                    await context.budget.renew()
            except BaseException:
                state.lane.leave()
                raise
        except BaseException:
            context.sessions.unpin(state)
            raise
        return Turn(context, state, session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.state.lane.leave()
        self._context.sessions.unpin(self.state)
        if self.cancelled is not None and (error is None or isinstance(error, Exception)):
            self.checkpoint()

    # -- the timeline ------------------------------------------------------------------------------------------

    async def refresh(self) -> Timeline:
        """Return the session's timeline as it is in the store; only changes by other processes are read.

        A commit detects an outdated cache by itself. Operations without a commit have to refresh it first.
        """
        state, timeline = self.state, self.state.timeline
        known = None
        if timeline is not None:
            known = Cursors(state.event_cursor, timeline.ordinal, timeline.epoch)
        stored = await self._context.store.timeline(state.id, known=known)
        timeline = timeline or Timeline()
        await timeline.take_over(stored)
        state.timeline, state.event_cursor, state.current = timeline, stored.cursors.event, True
        position = Position(timeline.ordinal, timeline.epoch)
        moved = timeline.ordinal and (known is None or position != Position(known.timeline, known.epoch))
        follower = self._context.follower
        follows = follower is not None and state.id in follower.watched
        if moved and not follows:
            await self.resync()  # this hub's fan-out did not get the changes of other processes
            if known is not None:
                self._context.warn_of_missed_events(state.id)
        while state.unsure:
            await self._settle(*state.unsure[0], timeline)
            del state.unsure[0]
        if moved and follower is not None:
            await follower.catch_up(state.id, position)
        return timeline

    async def load(self) -> Timeline:
        """Return the session's timeline, from the store unless the cached one is current."""
        timeline = self.state.timeline
        return timeline if timeline is not None and self.state.current else await self.refresh()

    async def resume(self, progress: Callable[[int], object] | None = None) -> Hold | None:
        """Apply the held events in order; return what still holds the session, if anything.

        Args:
            progress: called after each event with ``resumed``.

        Raises:
            OrdinalConflict: another process moved the session meanwhile.
        """
        timeline = await self.load()
        limit = RESUME_BATCH
        while timeline.ordinal < self.state.event_cursor:
            try:
                events = await self._context.store.events(self.state.id, after=timeline.ordinal, limit=limit)
            except SchemaError as error:
                if limit > 1:  # an event of the batch cannot be decoded: apply the events before it one by one
                    limit = 1
                    continue
                ordinal = error.ordinal or timeline.ordinal + 1
                await self._record("decode", ordinal, str(error.name), error, tried_before=True)
                return Hold(ordinal, error)
            if not events:
                self.state.current = False
                raise OrdinalConflict(self.state.id, expected=f"events after {timeline.ordinal}", actual="none")
            for event in events:
                self._context.budget.spent += EVENT_COST
                if self._context.budget.spent >= MAX_BYTES:
                    await self._context.budget.renew()
                self.checkpoint()
                step = Step("retry", event, timeline.ordinal, stored=True)
                if self._context.report.observes_pipeline:
                    step.began = perf_counter()
                await self._resume(step, timeline)
                if step.failure is not None:
                    return Hold(event.ordinal, step.failure)
                self.resumed += 1
                if progress is not None:
                    progress(self.resumed)
        return None

    async def _resume(self, step: Step, timeline: Timeline) -> None:
        """Apply a held event, in a span; if it fails as before, there is no span, or each publish would add one."""
        event = step.event
        span = Span("resume", self.state.id, event.name, event.ordinal, metadata=event.metadata)
        await self._context.projections.run(step, self.session, timeline)
        if step.failure is None:
            with self._context.span(span):
                await self._complete(step, timeline, self._hand_over(step, timeline, self.state.event_cursor))
        elif await self._record_failures(step):
            with suppress(ProjectionError), self._context.span(span):
                self._observe(step)
                raise step.failure
        else:
            self._observe(step)

    # -- publishing --------------------------------------------------------------------------------------------

    async def publish(self, draft: Draft, logged: LoggedEvent | None = None) -> int:
        """Log one event and apply it; return its ordinal, or the one it already has.

        Args:
            logged: the event that has its id, if there is one and it was looked up.

        Raises:
            OrdinalConflict: other processes moved the session during each of ``MAX_ATTEMPTS`` attempts.
            ProjectionError, SessionHeld, EventConflict, OrdinalExhausted, StoreError: as ``Hub.publish``.
        """
        state, hold, failures = self.state, None, 0
        while True:
            try:
                timeline, hold = state.timeline, None
                if timeline is None or not state.current:
                    timeline = await self.refresh()
                if timeline.ordinal < state.event_cursor or (logged is not None and timeline.ordinal < logged.ordinal):
                    timeline = await self.refresh()
                    hold = await self.resume()
                    self.checkpoint()
                if logged is not None:
                    break
                step = self._new_step(draft, timeline, state.event_cursor)
                if hold is None:
                    await self._context.projections.run(step, self.session, timeline)
                else:
                    step.failure = SessionHeld(copy_event(step.event), hold.ordinal)
                    step.failure.__cause__ = hold.error
                await self._complete(step, timeline, self._hand_over(step, timeline, state.event_cursor))
                if step.failure is not None:
                    raise step.failure
                return step.event.ordinal
            except OrdinalConflict as conflict:
                failures += 1
                await _pause(failures, conflict)
            except EventConflict as conflict:
                logged = LoggedEvent(conflict.ordinal, conflict.digest, conflict.descriptors)
                break
            except OrdinalExhausted:
                if not draft.has_given_id:
                    raise
                logged = await self._context.store.find_event(state.id, draft.event_id)
                if logged is None:
                    raise
                break
        what = f"event {draft.event_id!r}"
        if not is_repeat(what, state.id, logged.digest, draft.name, draft.payload, logged.descriptors):
            raise EventConflict(state.id, draft.event_id, logged.ordinal, logged.digest, logged.descriptors)
        if draft.on_published is not None:
            draft.on_published()
        if hold is not None and logged.ordinal >= hold.ordinal:
            raise SessionHeld(copy_event(draft.numbered(logged.ordinal)), hold.ordinal) from hold.error
        return logged.ordinal

    async def publish_alone(self, drafts: Sequence[Draft]) -> list[int]:
        """Publish one event, and return its ordinal, in a list of one."""
        return [await self.publish(drafts[0])]

    async def publish_many(self, drafts: Sequence[Draft]) -> list[int]:
        """Publish events in order, with the guarantees of ``publish`` for each; return their ordinals.

        Their commits are passed to the store one after the other without waiting in between, and the UI events of each
        go out once its commit is acknowledged. The first event that fails ends the call; the events before it are
        published.

        Raises:
            Everything that ``publish`` raises, with a note that says how many events are published.
        """
        ordinals: list[int] = []
        taken: dict[str, LoggedEvent | None] = {}
        ours: set[str] = set()
        try:
            while len(ordinals) < len(drafts):
                await retried(self._publish_ahead, drafts, ordinals, taken, ours)
                if len(ordinals) < len(drafts):  # its id is taken, or the session is held
                    draft = drafts[len(ordinals)]
                    ordinals.append(await self.publish(draft, taken.get(draft.event_id)))
        except BaseException as error:
            error.add_note(f"publish_many: of {len(drafts)} events, the first {len(ordinals)} are published")
            raise
        return ordinals

    async def _publish_ahead(
        self, drafts: Sequence[Draft], ordinals: list[int], taken: dict[str, LoggedEvent | None], ours: set[str]
    ) -> None:
        """Publish the drafts that have no ordinals yet, up to one that has to be published singly.

        Args:
            taken: of the ids that callers chose and that were looked up, the events that have them.
            ours: those that this call has published, or tried to.

        Raises:
            OrdinalConflict: another process moved the session before one of them was published.
            Exception: as ``publish``.
        """
        timeline = await self.load()
        cursor, first = self.state.event_cursor, len(ordinals)
        if timeline.ordinal < cursor:
            return
        ahead = TimelineAhead(timeline)
        under_way: deque[tuple[Step, Awaitable[None]]] = deque()
        commit_id = ""

        async def complete_first() -> None:
            step, outcome = under_way.popleft()
            await self._complete(step, timeline, outcome)
            if step.failure is not None:
                raise step.failure
            ordinals.append(step.event.ordinal)

        try:
            for number in range(first, len(drafts)):
                draft = drafts[number]
                if draft.has_given_id:
                    if draft.event_id not in taken:
                        await self._look_up(drafts[number : number + MAX_UNDER_WAY], taken)
                    if taken[draft.event_id] is not None or draft.event_id in ours:
                        break
                    ours.add(draft.event_id)
                self._context.budget.spent += EVENT_COST
                if self._context.budget.spent >= MAX_BYTES:
                    await self._context.budget.renew()
                while under_way and (len(under_way) >= MAX_UNDER_WAY or _is_done(under_way[0][1])):
                    await complete_first()
                self.checkpoint()
                step = self._new_step(draft, ahead, cursor)
                await self._context.projections.run(step, self.session, ahead)
                after, commit_id = commit_id if under_way else "", new_event_id()
                under_way.append((step, self._hand_over(step, ahead, cursor, commit_id, after)))
                if step.failure is not None:
                    break
                cursor = step.event.ordinal
                ahead.apply(step.entities, cursor)
            while under_way:
                await complete_first()
        except BaseException as error:
            taken.clear()
            ours.clear()
            while under_way:
                if self.state.current:
                    with suppress(Exception):  # recorded
                        await complete_first()
                else:
                    await self._abandon(*under_way.popleft(), timeline.epoch)
            if not isinstance(error, OrdinalConflict) or len(ordinals) == first:
                raise

    async def _abandon(self, step: Step, outcome: Awaitable[None], epoch: int) -> None:
        """Wait for a commit that was passed to the store after one that failed; ``_settle`` checks if it was stored."""
        try:
            await self.finish(outcome)
        except OrdinalConflict:  # it was not stored, as the commit before it was not
            return
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - recorded
            await self._record_of(step, "store", error)
        if step.failure is None and step.ui_events:
            self.state.unsure.append((step, epoch))

    async def _look_up(self, drafts: Sequence[Draft], taken: dict[str, LoggedEvent | None]) -> None:
        """Ask the store which of the ids that callers chose are in the log."""
        given = [each.event_id for each in drafts if each.has_given_id and each.event_id not in taken]
        found = await asyncio.gather(*[self._context.store.find_event(self.state.id, each) for each in given])
        taken.update(zip(given, found, strict=True))

    def _new_step(self, draft: Draft, timeline: Timeline | TimelineAhead, cursor: int) -> Step:
        limit, ordinal = self._context.max_ordinal, cursor + 1
        if cursor == 0:
            check_new_id("session id", self.state.id)
        if draft.stream_id or ordinal > limit:
            ordinal = assign_ordinal(cursor, draft.stream_id, session_id=self.state.id, limit=limit)
        return Step("live", draft.numbered(ordinal), timeline.ordinal, draft.on_published, began=draft.began)

    # -- the steps of one event --------------------------------------------------------------------------------

    def _hand_over(
        self, step: Step, timeline: Timeline | TimelineAhead, cursor: int, commit_id: str = "", after: str = ""
    ) -> Awaitable[None]:
        """Pass the step's commit to the store.

        Args:
            cursor: ordinal of the last event of the session that is logged, or whose commit is not acknowledged yet.
            commit_id: names this commit for the one behind it.
            after: id of the commit before this one if that is not acknowledged yet.
        """
        before, moves = timeline.ordinal, step.failure is None
        event = step.event if step.mode == "live" else None
        entities, timeline_cursor = (step.entities, step.event.ordinal) if moves else ((), before)
        ui_events = step.ui_events if moves else ()
        commit = new_commit(
            self.state.id,
            event,
            entities,
            cursor,
            timeline_cursor,
            before,
            timeline.epoch,
            commit_id,
            after,
            ui_events,
            step.event.metadata,
        )
        if step.began is not None:
            step.handed_over = perf_counter()
        try:
            return self._context.store.commit(commit)
        except Exception as error:  # noqa: BLE001 - raised when the outcome is awaited
            failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    async def _complete(self, step: Step, timeline: Timeline, outcome: Awaitable[None]) -> None:
        """Wait for the step's commit, then move the cached timeline, fan out, record and observe."""
        context = self._context
        try:
            try:
                if type(outcome) is asyncio.Future and outcome.done():
                    outcome.result()
                else:
                    await self.finish(outcome)
                    if context.budget.spent >= EVENT_COST:  # the event does not count, as the event loop ran meanwhile
                        context.budget.spent -= EVENT_COST
            except OrdinalConflict:
                self.state.current = False
                raise
            except EventConflict:
                raise  # nothing was stored
            except (Exception, asyncio.CancelledError) as error:
                await self._doubt(step, timeline, error)
                raise
            if step.began is not None:
                step.commit_seconds = perf_counter() - step.handed_over
            state, ordinal = self.state, step.event.ordinal
            if step.failure is None:  # before the event cursor moves: another thread may count the held sessions
                timeline.apply(step.entities, ordinal)
                step.moved, state.known_errors = True, None
            if step.mode == "live":
                before, state.event_cursor = state.event_cursor, ordinal
                if context.listeners:
                    for listener in context.listeners.get(state.id, ()):
                        listener(before, step.event)
                if step.on_published is not None:
                    step.on_published()
            step.stored = True
            if step.moved and (unsent := self._fan_out(step, timeline.epoch)) is not None:
                await self._record_of(step, "fanout", unsent)
            if context.report.unrecorded:
                await context.report.catch_up(self)
            if step.ui_failed is not None or step.timeline_failed is not None:
                await self._record_failures(step)
        except (OrdinalConflict, EventConflict):
            raise  # the attempt is repeated, or the event; neither is observed
        except Exception as error:
            step.error = error
            self._observe(step)
            raise
        if context.report.observes_pipeline:
            self._observe(step)

    async def _doubt(self, step: Step, timeline: Timeline, error: BaseException) -> None:
        """Record the error of a commit, which may have been stored nevertheless.

        For example, an event loop that shuts down may have cancelled it. The timeline is read from the store before the
        next event.
        """
        self.state.current = False
        if step.began is not None:
            step.commit_seconds = perf_counter() - step.handed_over
        if step.failure is None and step.ui_events:
            self.state.unsure.append((step, timeline.epoch))
        if step.on_published is not None:
            step.on_published()
        await self._record_of(step, "store", error)

    async def _settle(self, step: Step, epoch: int, timeline: Timeline) -> None:
        """Fan out the UI events of a commit that raised but was stored; this precedes those of later events."""
        if timeline.epoch == epoch and timeline.ordinal >= step.event.ordinal:
            logged = await self._context.store.find_event(self.state.id, step.event.event_id)
            if logged is not None and logged.ordinal == step.event.ordinal:
                unsent = self._fan_out(step, epoch)
                if unsent is not None:
                    await self._record_of(step, "fanout", unsent)

    def _fan_out(self, step: Step, epoch: int) -> BaseException | None:
        """Pass the step's UI events to the fan-out, if it is their turn; return what it raised."""
        context, ordinal = self._context, step.event.ordinal
        follower = context.follower
        if follower is not None and not follower.advance(self.state.id, step.view_ordinal, ordinal, epoch):
            return None
        if context.fan_out is None or not step.ui_events:
            return None
        # The receiver may change the events, and an observer gets them afterwards.
        events = tuple(map(copy_ui_event, step.ui_events)) if context.report.observes_pipeline else step.ui_events
        began = None if step.began is None else perf_counter()
        try:
            result = context.fan_out(self.state.id, ordinal, events)
            if result is not None:
                refuse_coroutine("a fan-out", result)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - recorded, as the event is already committed
            step.error = error if isinstance(error, Exception) else RuntimeError(error_text(error))
            return error
        finally:
            if began is not None:
                step.fanout_seconds = perf_counter() - began
        step.fanned_out = True
        for event in step.ui_events:
            context.budget.spent += event.payload.ByteSize()
        return None

    async def resync(self) -> None:
        """Call the fan-out's ``resync`` with the ordinal of the timeline, which may have changed without our events."""
        resync, timeline, follower = self._context.resync, self.state.timeline, self._context.follower
        if timeline is not None and follower is not None:
            follower.replaced(self.state.id, Position(timeline.ordinal, timeline.epoch))
        if resync is None or timeline is None:
            return
        try:
            resync(self.state.id, timeline.ordinal, timeline.epoch)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - recorded, as what a fan-out raises
            await self._record("fanout", timeline.ordinal, "", error)

    # -- errors ------------------------------------------------------------------------------------------------

    async def _record_failures(self, step: Step) -> bool:
        """Record what failed of a step's projections; return whether some of it was not recorded before."""
        is_new = False
        if step.ui_failed is not None:
            is_new = await self._record_of(step, "ui-projection", step.ui_failed.error, step.ui_failed.projector)
        if step.timeline_failed is not None:
            failed = step.timeline_failed
            is_new |= await self._record_of(step, "timeline-projection", failed.error, failed.projector)
        return is_new

    async def _record_of(self, step: Step, kind: ErrorKind, error: BaseException, projector: str = "") -> bool:
        event, retry = step.event, step.mode == "retry"
        return await self._record(kind, event.ordinal, event.name, error, projector, tried_before=retry)

    async def _record(
        self,
        kind: ErrorKind,
        ordinal: int,
        name: str,
        error: BaseException,
        projector: str = "",
        *,
        tried_before: bool = False,
    ) -> bool:
        """Record an error unless that was done before; return whether it was not.

        ``tried_before`` says that another process or an earlier run may have recorded it.
        """
        state, context = self.state, self._context
        if state.known_errors is None:
            state.known_errors = KnownErrors(state.id, context.store)
        known = state.known_errors
        is_new = await known.is_new(kind, ordinal, error, projector, self, tried_before=tried_before)
        if is_new:
            record = record_of(kind, state.id, ordinal, name, error, projector=projector)
            await context.report.error(record, error, self)
        return is_new

    def _observe(self, step: Step) -> None:
        if self._context.report.observes_pipeline:
            self._context.report.pipeline(step.record())


async def retried(attempt: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Repeat an attempt until it does not conflict with another process. Each attempt begins at the current state.

    Raises:
        OrdinalConflict: the last of ``MAX_ATTEMPTS`` attempts failed; the error has a note that says so.
    """
    failures = 0
    while True:
        try:
            return await attempt(*args, **kwargs)
        except OrdinalConflict as conflict:
            failures += 1
            await _pause(failures, conflict)


async def _pause(failures: int, conflict: OrdinalConflict) -> None:
    """Wait before the next attempt of an operation: before the third and each later one, for a random time.

    Its limit doubles each time.

    Raises:
        OrdinalConflict: the last of ``MAX_ATTEMPTS`` attempts has failed.
    """
    if failures == MAX_ATTEMPTS:
        conflict.add_note(f"the last of {MAX_ATTEMPTS} attempts, each based on what the store had just answered")
        raise conflict
    if failures > 1:
        longest = min(FIRST_PAUSE * 2 ** (failures - 2), LONGEST_PAUSE)
        await asyncio.sleep(longest * random())  # noqa: S311 - no secret


def _is_done(outcome: Awaitable[None]) -> bool:
    return type(outcome) is asyncio.Future and outcome.done()
