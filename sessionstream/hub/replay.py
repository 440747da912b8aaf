"""Resumes held sessions, and rebuilds timelines from the first event."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

from sessionstream.errors import HistoryPruned, OrdinalConflict
from sessionstream.hub.completion import Completion
from sessionstream.hub.reporting import record_of
from sessionstream.hub.step import Step
from sessionstream.hub.timeline import Timeline
from sessionstream.hub.turn import retried
from sessionstream.store import Cursors, TimelineReplacement

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionstream.hub.pipeline import Pipeline
    from sessionstream.hub.step import Hold
    from sessionstream.observe import ErrorKind
    from sessionstream.types import Event, Session, TimelineEntity

REBUILD_BATCH: Final = 512
"""How many events are read at a time."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The result of a retry or a rebuild.

    Attributes:
        events: how many events were applied.
        cursor: the highest ordinal that the timeline reflects now.
        epoch: the epoch of the timeline now.
    """

    session_id: str
    events: int
    cursor: int
    epoch: int


async def retry(pipeline: Pipeline, session_id: str, progress: Callable[[int], object] | None) -> ReplayReport:
    """Resume a held session; see ``Hub.retry_timeline``."""
    with await pipeline.turn(session_id) as turn:

        async def resume() -> Hold | None:
            await turn.refresh()  # another process may have repaired the session
            return await turn.resume(progress)

        hold = await retried(resume)
        if hold is not None:
            raise hold.error
        timeline = await turn.load()
        return ReplayReport(session_id, turn.resumed, timeline.ordinal, timeline.epoch)


async def rebuild(pipeline: Pipeline, session_id: str, progress: Callable[[int], object] | None) -> ReplayReport:
    """Rebuild the timeline and replace it; see ``Hub.rebuild_timeline``."""
    build = _Rebuild(pipeline, await pipeline.session(session_id), progress)

    async def attempt() -> ReplayReport:
        await build.catch_up()
        with await pipeline.turn(session_id) as turn:
            cursors = await build.catch_up()  # apply what was published meanwhile
            turn.state.current = False
            timeline = await turn.finish(build.swap_in(cursors))
            turn.state.timeline, turn.state.event_cursor, turn.state.current = timeline, cursors.event, True
            await turn.resync()
            return ReplayReport(session_id, build.events, timeline.ordinal, timeline.epoch)

    return await retried(attempt)


class _Rebuild:
    """A new timeline that is built from the first event on, by the timeline projections only."""

    __slots__ = ("_epoch", "_pipeline", "_progress", "_session", "_timeline", "_versions", "events")

    def __init__(self, pipeline: Pipeline, session: Session, progress: Callable[[int], object] | None) -> None:
        self._pipeline = pipeline
        self._session = session
        self._progress = progress
        self._begin()

    def _begin(self) -> None:
        self._epoch: int | None = None
        self._timeline = Timeline()
        self._versions: list[TimelineEntity] = []
        self.events = 0

    async def catch_up(self) -> Cursors:
        """Apply all events logged so far; return the cursors up to which they were read.

        Raises:
            OrdinalConflict: the timeline was replaced; the next call begins with the first event again.
            HistoryPruned: the first events were pruned.
            ProjectionError: a projection failed under the ``fail`` policy.
            UnknownSchemaError: an event's message is no longer registered.
        """
        cursors = await self._pipeline.store.cursors(self._session.id)
        expected = self._epoch
        if expected not in (None, cursors.epoch):
            self._begin()  # another process rebuilt or deleted the session: the events applied so far may be outdated
            raise OrdinalConflict(self._session.id, expected=f"epoch {expected}", actual=f"epoch {cursors.epoch}")
        self._epoch = cursors.epoch
        if cursors.floor:
            raise HistoryPruned(self._session.id, 0, cursors.floor)
        while self._timeline.ordinal < cursors.event:
            events = await self._pipeline.store.events(
                self._session.id, after=self._timeline.ordinal, limit=REBUILD_BATCH
            )
            for event in events:
                if event.ordinal <= cursors.event:  # later events are for the next call
                    await self._apply(event)
            if not events or events[-1].ordinal > cursors.event:
                # A deleted session has no events below its cursor.
                self._timeline.ordinal = cursors.event
            if self._progress is not None:
                self._progress(self.events)
            await asyncio.sleep(0)  # a memory store and plain projections never suspend: let other tasks run
        return cursors

    async def swap_in(self, cursors: Cursors) -> Timeline:
        """Replace the session's timeline by the rebuilt one; return it for the cache.

        Raises:
            OrdinalConflict: the session is no longer at ``cursors``.
        """
        replacement = TimelineReplacement(self._session.id, tuple(self._versions), self._timeline.ordinal, cursors)
        self._timeline.epoch = (await self._pipeline.store.replace_timeline(replacement)).epoch
        return self._timeline

    async def _apply(self, event: Event) -> None:
        pipeline, timeline = self._pipeline, self._timeline
        step, completion = Step("rebuild", event, timeline.ordinal, stored=True), Completion()
        if pipeline.report.observes_pipeline:
            step.began = perf_counter()
        await pipeline.projections.run(step, self._session, timeline)
        if step.timeline_failed is not None:
            projector, error = step.timeline_failed
            kind: ErrorKind = "timeline-projection"
            record = record_of(kind, event.session_id, event.ordinal, event.name, error, projector=projector)
            await pipeline.report.error(record, error, completion)
        step.moved = step.failure is None
        if pipeline.report.observes_pipeline:
            pipeline.report.pipeline(step.record())
        completion.checkpoint()
        if step.failure is not None:
            raise step.failure
        self._versions.extend(step.entities)
        timeline.apply(step.entities, event.ordinal)
        self.events += 1
