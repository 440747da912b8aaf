"""A turn in a session's lane: ordinal assigned, projected, committed, fanned out. One event at a time.

What the invariants rest on, in the order in which it happens:

1. A known event id is recognised before an ordinal is assigned.
2. Held events are resumed first, so that the timeline is always the fold of the events up to its cursor.
3. Projections see the timeline before the event, and may fail without leaving more than the stored event.
4. One commit makes everything true. It names the cursors and the epoch it is based on, so that the loser of a
   race with another process learns of it, takes over what the winner did, and begins again at 1.
5. From the moment the commit is handed over, cancellation waits until the fan-out is done.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sessionstream.errors import (
    EventConflict,
    OrdinalConflict,
    ProjectionError,
    SchemaError,
    SessionHeld,
    StoreError,
    words,
)
from sessionstream.hub.copies import copy_entity, copy_event, copy_ui_event
from sessionstream.hub.lane import Inside
from sessionstream.hub.projecting import ProjectorFailed
from sessionstream.hub.races import win
from sessionstream.hub.repeats import is_repeat
from sessionstream.hub.reporting import record_of
from sessionstream.hub.timeline import Timeline
from sessionstream.observe import ErrorKind, Mode, PipelineRecord
from sessionstream.ordinals import assign_ordinal
from sessionstream.store import Commit, Cursors
from sessionstream.tracebacks import where
from sessionstream.types import Event, Session, TimelineEntity, UIEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sessionstream.hub.completion import Completion
    from sessionstream.hub.pipeline import Pipeline
    from sessionstream.hub.sessions import SessionState

RESUME_BATCH: Final = 64
"""How many held events are read at a time."""

MAX_TOLD: Final = 10
"""How many different errors of one kind are recorded of an event that is tried again and again; some never repeat
their words. Errors are the same if they have the same words at the same place."""

_LOOKED_AT: Final = 100
"""How many error records of a session are looked at for those of the event that holds it."""

_HOLDING: Final = frozenset[ErrorKind](("decode", "ui-projection", "timeline-projection"))
"""The errors of an event that is tried again and again."""


@dataclass(slots=True)
class Step:
    """One event on its way through the pipeline; becomes a PipelineRecord at the end of it.

    Attributes:
        failure: what keeps the event off the timeline, if anything does.
    """

    mode: Mode
    event: Event
    view_ordinal: int
    failure: ProjectionError | SessionHeld | None = None
    ui_events: tuple[UIEvent, ...] = ()
    ui_failed: ProjectorFailed | None = None
    entities: tuple[TimelineEntity, ...] = ()
    timeline_failed: ProjectorFailed | None = None
    stored: bool = False
    moved: bool = False
    fanned_out: bool = False
    error: Exception | None = None

    def record(self) -> PipelineRecord:
        """Return what happened, as copies."""
        ui_events = tuple(map(copy_ui_event, self.ui_events))
        entities = tuple(map(copy_entity, self.entities))
        return PipelineRecord(
            mode=self.mode,
            event=copy_event(self.event),
            view_ordinal=self.view_ordinal,
            ui_events=ui_events,
            ui_error=None if self.ui_failed is None else self.ui_failed.error,
            entities=entities,
            timeline_error=None if self.timeline_failed is None else self.timeline_failed.error,
            stored=self.stored,
            committed=entities if self.moved else (),
            cursor_moved=self.moved,
            fanned_out=ui_events if self.fanned_out else (),
            error=self.error,
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """What a session is held by.

    Attributes:
        ordinal: of the event that cannot be applied.
        error: why.
    """

    ordinal: int
    error: Exception


@dataclass(slots=True)
class Turn:
    """The operations of whoever holds the session's lane.

    Attributes:
        resumed: how many held events this turn has applied.
    """

    pipeline: Pipeline
    state: SessionState
    session: Session
    completion: Completion
    resumed: int = 0

    def publish(
        self, draft: Event, *, given_id: bool, stream_id: str, on_published: Callable[[], None] | None
    ) -> Awaitable[int]:
        """Log one event and apply it; return its ordinal, or the one it already has.

        Raises:
            ProjectionError, SessionHeld, EventConflict, OrdinalExhausted, StoreError: as ``Hub.publish``.
        """
        return win(lambda: self._publish_once(draft, given_id, stream_id, on_published))

    async def load(self) -> Timeline:
        """Return the session's timeline, from the store unless the cached one is current."""
        if self.state.current and self.state.timeline is not None:
            return self.state.timeline
        return await self.refresh()

    async def refresh(self) -> Timeline:
        """Return the session's timeline as it is in the store, for the cost of what others did to it.

        A commit finds out by itself that the cache is old. Whoever will not commit has to ask first.
        """
        state, timeline = self.state, self.state.timeline
        known = None
        if timeline is not None:
            known = Cursors(state.event_cursor, timeline.ordinal, timeline.epoch)
        stored = await self.pipeline.store.timeline(state.id, known=known)
        timeline = timeline or Timeline()
        timeline.take_over(stored)
        state.timeline, state.event_cursor, state.current = timeline, stored.cursors.event, True
        if timeline.ordinal and (known is None or (known.timeline, known.epoch) != (timeline.ordinal, timeline.epoch)):
            await self.resync()  # nobody here was told of what others did
        if state.unsure is not None:
            await self._settle(state.unsure, timeline)
        return timeline

    async def resume(self) -> Hold | None:
        """Apply the held events in order; return what still holds the session, if anything.

        Raises:
            OrdinalConflict: somebody else moved the session meanwhile.
        """
        timeline = await self.load()
        limit = RESUME_BATCH
        while timeline.ordinal < self.state.event_cursor:
            try:
                events = await self.pipeline.store.events(self.state.id, after=timeline.ordinal, limit=limit)
            except SchemaError as error:
                if limit > 1:  # some event of the batch is unreadable: apply those before it one by one
                    limit = 1
                    continue
                ordinal = error.ordinal or timeline.ordinal + 1
                await self._record("decode", ordinal, str(error.name), error, known=True)
                return Hold(ordinal, error)
            if not events:
                self.state.current = False
                raise OrdinalConflict(self.state.id, expected=f"events after {timeline.ordinal}", actual="none")
            for event in events:
                await self.pipeline.pace.give_way()
                self.completion.checkpoint()
                failure = await self._step(Step("retry", event, timeline.ordinal, stored=True), timeline)
                if failure is not None:
                    return Hold(event.ordinal, failure)
                self.resumed += 1
        return None

    async def _publish_once(
        self, draft: Event, given_id: bool, stream_id: str, on_published: Callable[[], None] | None
    ) -> int:
        store, state = self.pipeline.store, self.state
        # The cursors first: whoever logs this very id after they were read makes our commit a lost race.
        timeline = await self.load()
        logged = await store.find_event(state.id, draft.event_id) if given_id else None
        if logged is not None and not is_repeat(
            f"event {draft.event_id!r}", state.id, logged.digest, draft, logged.descriptors
        ):
            raise EventConflict(state.id, draft.event_id, logged.ordinal)
        hold = None
        if timeline.ordinal < max(state.event_cursor, logged.ordinal if logged is not None else 0):
            timeline = await self.refresh()
            hold = await self.resume()
            self.completion.checkpoint()
        if logged is not None:
            if on_published is not None:
                on_published()
            if logged.ordinal > timeline.ordinal and hold is not None:
                raise SessionHeld(_with_ordinal(draft, logged.ordinal), hold.ordinal) from hold.error
            return logged.ordinal
        event = _with_ordinal(
            draft, assign_ordinal(state.event_cursor, stream_id, session_id=state.id, limit=store.max_ordinal)
        )
        step = Step("live", event, timeline.ordinal)
        if hold is not None:
            step.failure = SessionHeld(copy_event(event), hold.ordinal)
            step.failure.__cause__ = hold.error
        failure = await self._step(step, timeline, on_published)
        if failure is not None:
            raise failure
        return event.ordinal

    async def _step(
        self, step: Step, timeline: Timeline, on_published: Callable[[], None] | None = None
    ) -> ProjectionError | SessionHeld | None:
        """Take one event as far as it goes; return what kept it off the timeline."""
        try:
            if step.failure is None:
                await self._project(step, timeline)
            if step.failure is None or step.mode == "live":
                await self._commit(step, timeline, on_published)
            if step.moved and step.ui_events:
                await self._fan_out(step)
            if step.stored and self.pipeline.report.is_behind:
                await self.pipeline.report.catch_up(self.completion)
            if step.ui_failed is not None:
                await self._record_of(step, "ui-projection", step.ui_failed.error, step.ui_failed.projector)
            if step.timeline_failed is not None:
                failed = step.timeline_failed
                await self._record_of(step, "timeline-projection", failed.error, failed.projector)
        except OrdinalConflict:
            raise  # this attempt never was
        except Exception as error:
            step.error = error
            self._observe(step)
            raise
        self._observe(step)
        return step.failure

    async def _project(self, step: Step, timeline: Timeline) -> None:
        pipeline, event = self.pipeline, step.event
        with Inside(self.state.id):
            try:
                step.ui_events = await pipeline.projections.ui_events(event, self.session, timeline)
            except ProjectorFailed as failed:
                step.ui_failed = failed
                if pipeline.policies.ui == "fail":
                    step.failure = failed.as_projection_error(event)
                    return
            try:
                step.entities = await pipeline.projections.entities(event, self.session, timeline)
            except ProjectorFailed as failed:
                step.timeline_failed = failed
                if pipeline.policies.timeline == "fail":
                    step.failure = failed.as_projection_error(event)

    async def _commit(self, step: Step, timeline: Timeline, on_published: Callable[[], None] | None) -> None:
        state = self.state
        moves = step.failure is None
        ordinal = step.event.ordinal
        commit = Commit(
            session_id=state.id,
            event=step.event if step.mode == "live" else None,
            entities=step.entities if moves else (),
            expected_ordinal=state.event_cursor,
            timeline_cursor=ordinal if moves else timeline.ordinal,
            expected_timeline=timeline.ordinal,
            expected_epoch=timeline.epoch,
        )
        try:
            await self.completion.finish(self.pipeline.store.commit(commit))
        except OrdinalConflict:
            state.current = False
            raise
        except (Exception, asyncio.CancelledError) as error:
            # What the store holds now is not for us to guess, least of all if it was the commit itself that was
            # cancelled, as when an event loop shuts down: ask it before the next event.
            state.current = False
            if moves and step.ui_events:
                state.unsure = step, timeline.epoch
            if on_published is not None:
                on_published()
            await self._record_of(step, "store", error)
            raise
        if commit.event is not None:
            state.event_cursor = ordinal
            if on_published is not None:
                on_published()
        if moves:
            timeline.apply(step.entities, ordinal)
            state.told.clear()
        step.stored, step.moved = True, moves

    async def _settle(self, unsure: tuple[Step, int], timeline: Timeline) -> None:
        """Send the UI events of a commit that failed and, as it turns out, is true: before those of any later event."""
        step, epoch = unsure
        if timeline.epoch == epoch and timeline.ordinal >= step.event.ordinal:
            logged = await self.pipeline.store.find_event(self.state.id, step.event.event_id)
            if logged is not None and logged.ordinal == step.event.ordinal:
                await self._fan_out(step)
        self.state.unsure = None

    async def resync(self) -> None:
        """Tell the fan-out where the timeline stands: it may have come there in another way than by our events."""
        resync, timeline = self.pipeline.resync, self.state.timeline
        if resync is None or timeline is None:
            return
        try:
            resync(self.state.id, timeline.ordinal, timeline.epoch)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - recorded, as what a fan-out raises
            await self._record("fanout", timeline.ordinal, "", error)

    async def _fan_out(self, step: Step) -> None:
        fan_out = self.pipeline.fan_out
        if fan_out is None:
            return
        # They are the receiver's to change, and an observer is still to be shown what they were.
        events = tuple(map(copy_ui_event, step.ui_events)) if self.pipeline.report.observes_pipeline else step.ui_events
        try:
            fan_out(self.state.id, step.event.ordinal, events)
            step.fanned_out = True
            self.pipeline.pace.fanned_out(step.ui_events)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the event is true already: record, never raise
            step.error = error if isinstance(error, Exception) else RuntimeError(words(error))
            await self._record_of(step, "fanout", error)

    async def _record_of(self, step: Step, kind: ErrorKind, error: BaseException, projector: str = "") -> None:
        event, known = step.event, step.mode == "retry"
        await self._record(kind, event.ordinal, event.name, error, projector, known=known)

    async def _record(
        self,
        kind: ErrorKind,
        ordinal: int,
        name: str,
        error: BaseException,
        projector: str = "",
        *,
        known: bool = False,
    ) -> None:
        """Record an error; ``known`` says that others may have met it before, and recorded it."""
        if kind in _HOLDING:
            told = self.state.told.get((ordinal, kind))
            if told is None:
                told = self.state.told[ordinal, kind] = await self._recorded(ordinal, kind) if known else set()
            what = where(error, projector), words(error)
            if what in told or len(told) >= MAX_TOLD:
                return
            told.add(what)
        record = record_of(kind, self.state.id, ordinal, name, error, projector=projector)
        await self.pipeline.report.error(record, error, self.completion)

    async def _recorded(self, ordinal: int, kind: ErrorKind) -> set[tuple[str, str]]:
        """Return what this hub's predecessors, or other processes, have recorded of an event."""
        try:
            records = await self.completion.finish(self.pipeline.store.error_records(self.state.id, limit=_LOOKED_AT))
        except StoreError:  # then it may be recorded again, which says the same twice: what failed here will fail there
            return set()
        return {(each.where, each.error) for each in records if (each.ordinal, each.kind) == (ordinal, kind)}

    def _observe(self, step: Step) -> None:
        if self.pipeline.report.observes_pipeline:
            self.pipeline.report.pipeline(step.record())


def _with_ordinal(event: Event, ordinal: int) -> Event:
    return Event(event.name, event.payload, event.session_id, ordinal, event.event_id)
