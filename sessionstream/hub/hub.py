"""The hub: the public methods, and the wiring behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sessionstream.callables import plain_callback
from sessionstream.hub import replay
from sessionstream.hub.arguments import check_arguments
from sessionstream.hub.commands import CommandHandler, Commands
from sessionstream.hub.completion import Completion
from sessionstream.hub.consumer import Consumer
from sessionstream.hub.copies import copy_snapshot
from sessionstream.hub.guard import Guard
from sessionstream.hub.lane import refuse_reentry
from sessionstream.hub.pipeline import Pipeline
from sessionstream.hub.projecting import Projections
from sessionstream.hub.reporting import Reporter
from sessionstream.hub.sessions import SessionCache, SessionMetadata
from sessionstream.hub.unreadable import UnreadableEntities, stored_states
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.rules import check_snapshot
from sessionstream.ids import check_id
from sessionstream.projection import (
    ProjectionPolicies,
    TimelineProjection,
    TimelineProjectionFunction,
    UIProjection,
    UIProjectionFunction,
)
from sessionstream.schema import SchemaRegistry, check_name
from sessionstream.types import Event, Session, Snapshot, TimelineEntity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from google.protobuf.message import Message

    from sessionstream.bus import EventBus
    from sessionstream.fanout import FanoutFunction, UIFanout
    from sessionstream.hub.replay import ReplayReport
    from sessionstream.hub.timeline import Timeline
    from sessionstream.observe import ConsumerStatus, ErrorObserver, PipelineObserver
    from sessionstream.store import HydrationStore

H = TypeVar("H", bound="CommandHandler")
U = TypeVar("U", bound="UIProjection | UIProjectionFunction")
P = TypeVar("P", bound="TimelineProjection | TimelineProjectionFunction")


class Hub:
    """Coordinates commands, events, projections, the store and the fan-out. (Reference: Hub.)

    Register handlers and projections first, then submit and publish, from one event loop: the one of the first call
    that is awaited. A call from another, while that one runs, is an EventLoopError.

    Args:
        schemas: the names and messages of everything that passes through.
        store: where sessions are kept. None keeps them in this process, in a MemoryStore of the hub's own. A store
            that is passed in is not closed by the hub.
        fanout: receives live UI events; an object with ``publish_ui``, or a function of the same arguments.
        bus: carries events to whichever hub consumes them, instead of straight into the pipeline; while this hub
            runs, it is one of those. A bus is not closed by the hub.
        policies: what a failing projection does to its session.
        session_metadata: ``session_metadata(session_id)``, plain or async, gives ``Session.metadata``. It is called
            once per session while the session is cached, and never persisted.
        pipeline_observer: is told what became of every event.
        error_observer: is told of every error. With or without one, the logger ``sessionstream`` gets each, at ERROR,
            with its traceback.
        cache_entities: how many timeline entities may stay in memory, over all sessions together.

    Raises:
        TypeError: an argument is of another type, or the fan-out or an observer is async: they are told, never
            awaited.
        ValueError: ``cache_entities`` is negative, or the store was opened with a registry that lacks the message of an
            event or entity of ``schemas``.

    Of several reasons to refuse a call, a wrong argument comes first, then HubClosed, then LaneReentryError, and what
    the session or the store says last.

    Ordering: events of one session pass one at a time, in the order in which ``publish`` was called; sessions do
    not wait for each other.
    """

    def __init__(
        self,
        schemas: SchemaRegistry,
        *,
        store: HydrationStore | None = None,
        fanout: UIFanout | FanoutFunction | None = None,
        bus: EventBus | None = None,
        policies: ProjectionPolicies = ProjectionPolicies(),  # noqa: B008 - frozen
        session_metadata: SessionMetadata | None = None,
        pipeline_observer: PipelineObserver | None = None,
        error_observer: ErrorObserver | None = None,
        cache_entities: int = 100_000,
    ) -> None:
        check_arguments(schemas, store, bus, policies, session_metadata, cache_entities)
        self._owns_store = store is None
        self._store: HydrationStore = MemoryStore(schemas) if store is None else store
        self._sessions = SessionCache(cache_entities, session_metadata)
        self._projections = Projections(schemas)
        report = Reporter(self._store, pipeline_observer, error_observer)
        self._unreadable = UnreadableEntities(report)
        self._pipeline = Pipeline(
            schemas=schemas,
            store=self._store,
            max_ordinal=self._store.max_ordinal,
            sessions=self._sessions,
            projections=self._projections,
            policies=policies,
            report=report,
            bus=bus,
        )
        self._guard = Guard()
        self._consumer = None if bus is None else Consumer(self._pipeline, bus, self._guard.fire)
        self._commands = Commands(self._pipeline)
        self.set_fanout(fanout)

    @property
    def schemas(self) -> SchemaRegistry:
        """The names and messages of everything that passes through, as given."""
        return self._pipeline.schemas

    # -- registration ------------------------------------------------------------------------------------------

    def register_command(self, name: str, handler: CommandHandler) -> None:
        """Set the handler of a command: ``handler(command, session, publisher)``, plain or async.

        Its message may be registered later, but before the hub runs.

        Raises:
            InvalidNameError: the name is empty, blank or no string.
            DuplicateCommandError: the command has a handler.
            TypeError: ``handler`` is no function, or a class, or a generator function.
        """
        self._commands.register(name, handler)

    def command(self, name: str) -> Callable[[H], H]:
        """Decorate a command handler; the same as ``register_command``.

        Raises:
            InvalidNameError: the name is empty, blank or no string, as where the decorator is used without one.
        """
        check_name("command", name)

        def register(handler: H) -> H:
            self.register_command(name, handler)
            return handler

        return register

    def register_ui_projection(self, projection: UIProjection | UIProjectionFunction) -> None:
        """Add a UI projection; several run in the order of their registration.

        Raises:
            TypeError: it is neither a function nor an object with a ``project`` method; or it is a class, or an
                async generator function. (A plain generator function is fine.)
        """
        self._projections.add_ui(projection)

    def ui_projection(self, projection: U) -> U:
        """Decorate a UI projection; the same as ``register_ui_projection``."""
        self.register_ui_projection(projection)
        return projection

    def register_timeline_projection(self, projection: TimelineProjection | TimelineProjectionFunction) -> None:
        """Add a timeline projection; several run in the order of their registration, all on the same view.

        Raises:
            TypeError: it is neither a function nor an object with a ``project`` method; or it is a class, or an
                async generator function. (A plain generator function is fine.)
        """
        self._projections.add_timeline(projection)

    def timeline_projection(self, projection: P) -> P:
        """Decorate a timeline projection; the same as ``register_timeline_projection``."""
        self.register_timeline_projection(projection)
        return projection

    def set_fanout(self, fanout: UIFanout | FanoutFunction | None) -> None:
        """Send live UI events here from the next event on; None sends them nowhere.

        An object that also has a method ``resync(session_id, ordinal, epoch)`` is told of timelines that moved in
        another way than by the events that are published here; see UIFanout.

        Raises:
            TypeError: it is neither a function nor an object with a ``publish_ui`` method; or it is a class, async,
                or a generator function.
        """
        self._pipeline.fan_out = (
            None
            if fanout is None
            else plain_callback(
                "a fan-out", "(session_id, ordinal, events)", fanout, method="publish_ui", check_result=False
            )
        )
        resync = getattr(fanout, "resync", None)
        self._pipeline.resync = (
            None if resync is None else plain_callback("a resync", "(session_id, ordinal, epoch)", resync)
        )

    # -- what moves sessions -----------------------------------------------------------------------------------

    async def submit(
        self,
        session_id: str,
        name: str,
        payload: Message,
        *,
        idempotency_key: str | None = None,
    ) -> None:
        """Run a command's handler, and return when it is done.

        With an ``idempotency_key`` the handler runs at most once for the session and the key, across restarts and
        processes: the key is claimed durably before the handler starts, and given back only if the handler raised
        (or was cancelled) having published nothing. A repeat returns without effect, also while the first run goes on:
        if that one then fails having published nothing, only its own submitter hears of it.

        Handlers of one session may overlap. What a handler raises comes out unchanged.

        Raises:
            InvalidIdError: the session id or the key is empty, or no store could keep it.
            UnknownCommandError: the command has no handler.
            UnknownSchemaError: the command is not in the schema registry.
            PayloadTypeError: the payload is another message, or none.
            CommandConflict: the key was used for another command.
            HubClosed: the hub is shut down.
            LaneReentryError: called from inside a projection.
            StoreError: the store failed.
        """
        await self._commands.submit(session_id, name, payload, idempotency_key)

    async def publish(self, event: Event) -> Event:
        """Log an event, project it, commit, fan out; return it with its ordinal and id.

        An event whose id the session knows changes nothing: if it is equal (name, type and payload), it comes back
        with the ordinal it has. Cancelled before its commit is handed to the store, nothing has happened; after
        that, commit and fan-out are completed before CancelledError comes out.

        With a bus it returns when the bus has the event, with ordinal 0: everything else happens where it is
        consumed, and what goes wrong there is recorded there. Cancelled meanwhile, the bus may or may not have it.

        Raises:
            InvalidIdError: the session id or the event id is one that no store could keep.
            ValueError: the event has an ordinal already.
            TypeError: it is no Event, or its ordinal no int.
            UnknownSchemaError, PayloadTypeError: the event is not registered, or its payload is another message.
            LaneReentryError: called from inside a projection.
            ProjectionError: a projection failed under the ``fail`` policy; the event is stored and holds its session.
            SessionHeld: an earlier event holds the session; this one is stored behind it.
            EventConflict: the event id belongs to another event.
            OrdinalExhausted: the session is out of ordinals.
            HubClosed: the hub is shut down.
            StoreError: the store failed. If it was the commit that failed, the event may be in the log all the same:
                publish it again under the same event id to learn of it. Its UI events then go out before any later.
            BusError: the bus failed; it may or may not have the event.
            Exception: what ``session_metadata`` raised.
        """
        return await self._pipeline.publish(event)

    async def publish_many(self, session_id: str, events: Iterable[Event]) -> list[Event]:
        """Publish events of one session in order, in one turn; return them with their ordinals and ids.

        What holds for ``publish`` holds for each event: its own ordinal, its own commit, its own fan-out. But commits
        are handed to the store one after the other without waiting in between, which is many times faster where the
        store waits for a disk. No other event of the session comes between them.

        Every event is checked before the first is published. The first that fails ends the call; those before it are
        published, and the error has a note that says how many. Give the events ids, and the call can be repeated.

        Raises:
            ValueError: an event is of another session, or has an ordinal already.
            Everything that ``publish`` raises.
        """
        return await self._pipeline.publish_many(session_id, events)

    async def retry_timeline(self, session_id: str) -> ReplayReport:
        """Resume a held session: project, commit and fan out the events that wait, in order.

        Raises:
            ProjectionError: a projection still fails; the events before that one are applied.
            UnknownSchemaError: the message of a waiting event is no longer registered.
            InvalidIdError, LaneReentryError, HubClosed, StoreError: as ``publish``.
        """
        self._pipeline.check_call("retry_timeline", session_id)
        return await replay.retry(self._pipeline, session_id)

    async def rebuild_timeline(self, session_id: str) -> ReplayReport:
        """Build the timeline from the first event on, and swap it in at once, in a new epoch.

        Only timeline projections run, no UI events go out, and publishing goes on meanwhile. A held session is
        released, if its timeline can be built. Whatever is raised, the present timeline stays. Once the new one is
        there, the fan-out is told by ``resync``, if it has that method: what clients hold is of an ended epoch.

        Raises:
            HistoryPruned: the first events are gone.
            ProjectionError: a timeline projection failed under the ``fail`` policy.
            UnknownSchemaError: the message of an event is no longer registered.
            InvalidIdError, LaneReentryError, HubClosed, StoreError: as ``publish``.
        """
        self._pipeline.check_call("rebuild_timeline", session_id)
        return await replay.rebuild(self._pipeline, session_id)

    # -- what reads them ---------------------------------------------------------------------------------------

    async def snapshot(self, session_id: str, *, as_of: int | None = None, since: int | None = None) -> Snapshot:
        """Return a session's timeline: now, right after event ``as_of``, or what changed after ``since``.

        The payloads are copies. Served from memory where the store's cursors show that memory is up to date. A
        session nobody has used is empty, at ordinal 0, and leaves no trace.

        Raises:
            ValueError: both are given, or one is negative.
            TypeError: one is no int.
            HistoryPruned: that part of the history is gone.
            UnknownSchemaError: the message of an entity is no longer registered.
            PayloadDecodeError: it has changed, so that it cannot be read from the stored bytes.
            InvalidIdError, HubClosed, StoreError: as ``publish``.
        """
        check_id("session id", session_id)
        check_snapshot(session_id, as_of, since)
        self._pipeline.check_open()
        timeline = await self._cached(session_id) if as_of is None and since is None else None
        if timeline is not None and timeline.is_readable:
            return await copy_snapshot(await timeline.states(session_id))
        return await self._store.snapshot(session_id, as_of=as_of, since=since)

    async def states(self, session_id: str, *, since: int | None = None) -> Snapshot:
        """Return a session's timeline for a transport: shared entities, which the caller must not change.

        Served without a copy where the cached timeline is current, and from the store otherwise, as what changed
        ``since``. An entity whose message is no longer registered, or has changed so that it would be misread, has a
        ``sessionstream.v1.transport_pb2.UnreadablePayload`` as its payload: call ``report_unreadable`` with it once it
        is shown.

        Raises:
            Everything that ``snapshot`` raises, but for UnknownSchemaError and PayloadDecodeError; OrdinalConflict: the
                timeline was rebuilt meanwhile, so that nobody can say what changed ``since``.
        """
        check_id("session id", session_id)
        check_snapshot(session_id, None, since)
        self._pipeline.check_open()
        timeline = await self._cached(session_id) if since is None else None
        if timeline is not None:
            return await timeline.states(session_id)
        return await stored_states(self._store, session_id, since)

    async def _cached(self, session_id: str) -> Timeline | None:
        """Return the session's timeline from memory if it is up to date, and None otherwise."""
        if session_id not in self._sessions:
            return None
        cursors = await self._store.cursors(session_id)
        timeline = self._sessions.timeline(session_id)
        return timeline if timeline is not None and timeline.reflects(cursors) else None

    async def report_unreadable(self, session_id: str, entities: Iterable[TimelineEntity]) -> None:
        """Record entities that clients were shown with an ``UnreadablePayload``, as a ``fanout`` error.

        Each is recorded once, however often it is reported, until an event changes it; those of one kind and reason
        that are reported together are one record.
        """
        await self._unreadable.record(session_id, entities)

    async def session(self, session_id: str) -> Session:
        """Return the session with its metadata.

        Raises:
            InvalidIdError, HubClosed, LaneReentryError: as ``publish``. What ``session_metadata`` raises comes out
                unchanged.
        """
        self._pipeline.check_call("session", session_id)
        return await self._pipeline.session(session_id)

    async def cursor(self, session_id: str) -> int:
        """Return the highest ordinal the session's timeline reflects.

        Raises:
            InvalidIdError, HubClosed, StoreError: as ``publish``.
        """
        check_id("session id", session_id)
        self._pipeline.check_open()
        return (await self._store.cursors(session_id)).timeline

    async def event_cursor(self, session_id: str) -> int:
        """Return the highest ordinal in the session's event log.

        Raises:
            InvalidIdError, HubClosed, StoreError: as ``publish``.
        """
        check_id("session id", session_id)
        self._pipeline.check_open()
        return (await self._store.cursors(session_id)).event

    # -- life --------------------------------------------------------------------------------------------------

    @property
    def consumer(self) -> ConsumerStatus | None:
        """What the consumer of the bus is doing, or None without a bus."""
        return None if self._consumer is None else self._consumer.status

    async def run(self) -> None:
        """Start what runs in the background: with a bus, the consumer. A hub that was shut down stays so.

        Raises:
            HubClosed: the hub is shut down.
            UnknownSchemaError: commands with a handler are not in the schema registry; ``names`` are all of them.
            BusError: the bus cannot be consumed.
        """
        self._pipeline.check_open()
        self._commands.check_schemas()
        if self._consumer is not None:
            await self._consumer.start()

    async def shutdown(self) -> None:
        """Take nothing more, wait until what is inside the lanes is finished, and leave nothing behind.

        Handlers that are still running get HubClosed when they publish next. A store or a bus that was passed in
        stays open; messages that were not begun stay in the bus. Calling it again is allowed. Must not be called
        from inside a projection.

        Raises:
            LaneReentryError: a projection called.
            EventLoopError: called from another event loop than the hub's.
        """
        refuse_reentry("shutdown")
        self._pipeline.check_loop()
        if self._consumer is not None:
            await self._consumer.stop()
        self._pipeline.closed = True
        await self._sessions.wait_idle()
        self._sessions.clear()
        await self._pipeline.report.write_the_rest(Completion())
        if self._owns_store:
            await self._store.close()

    async def __aenter__(self) -> Hub:
        """Run the hub for the time of the body, which is cancelled if the consumer cannot go on.

        Raises:
            HubClosed: the hub is shut down.
            UnknownSchemaError: as ``run``.
            BusError: the bus cannot be consumed; or, at the end, why the consumer could not go on.
        """
        self._guard.enter()
        await self.run()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        cancelled = await self._guard.leave(exc)
        await self.shutdown()
        failure = None if self._consumer is None else self._consumer.failure
        if failure is not None and (exc is None or cancelled):
            raise failure
        if failure is not None and exc is not None:
            exc.add_note(f"the hub's consumer had failed before: {failure}")
