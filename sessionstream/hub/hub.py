"""The hub: its public methods, and the construction of its parts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from sessionstream.errors import StoreError
from sessionstream.feed import Position
from sessionstream.hub import replay
from sessionstream.hub.arguments import check_arguments, check_progress
from sessionstream.hub.body import BodyCanceller
from sessionstream.hub.commands import CommandHandler, Commands
from sessionstream.hub.completion import Completion
from sessionstream.hub.consumer import Consumer
from sessionstream.hub.fanouts import Fanouts
from sessionstream.hub.follower import Follower
from sessionstream.hub.lane import refuse_reentry
from sessionstream.hub.pipeline import Pipeline
from sessionstream.hub.projecting import Projections
from sessionstream.hub.reporting import Reporter
from sessionstream.hub.session_events import SessionEvents
from sessionstream.hub.sessions import SessionCache, SessionMetadata
from sessionstream.hub.snapshots import changes_or_all, check_held, copy_snapshot
from sessionstream.hub.unreadable import UnreadableEntities, stored_states
from sessionstream.hub.watching import WATCH_LIMIT, Watch, Watchers
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.rules import check_number, check_snapshot
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
    from sessionstream.feed import Feed
    from sessionstream.hub.replay import ReplayReport
    from sessionstream.hub.timeline import Timeline
    from sessionstream.observe import (
        ConsumerStatus,
        ErrorObserver,
        FollowerStatus,
        HubStatistics,
        Instrumentation,
        PipelineObserver,
    )
    from sessionstream.store import HydrationStore

H = TypeVar("H", bound="CommandHandler")
U = TypeVar("U", bound="UIProjection | UIProjectionFunction")
P = TypeVar("P", bound="TimelineProjection | TimelineProjectionFunction")


class Hub:
    """Coordinates commands, events, projections, the store and the fan-out. (Reference: Hub.)

    Register handlers and projections first, then submit and publish from one event loop: the loop of the first awaited
    call. A call from another loop, while that loop runs, raises EventLoopError.

    Args:
        schemas: the names and messages of commands, events, UI events and entities.
        store: stores the sessions. None means a MemoryStore of the hub's own. The hub does not close a store that is
            passed in.
        fanout: receives live UI events; an object with ``publish_ui``, or a function with the same arguments.
        bus: receives published events, which then enter the pipeline of a hub that consumes the bus; while this hub
            runs, it is one of these. The hub does not close the bus.
        policies: the effect of a failing projection on its session.
        session_metadata: ``session_metadata(session_id)``, plain or async, returns ``Session.metadata``. It is called
            once per session while the session is cached, and its result is never stored.
        pipeline_observer: receives a PipelineRecord for every event.
        error_observer: receives an ErrorRecord for every error. Each error is also logged by the logger
            ``sessionstream``, at ERROR, with its traceback.
        cache_entities: the maximum number of timeline entities in memory, over all sessions.

    Raises:
        TypeError: an argument has the wrong type, or the fan-out or an observer is async; they are never awaited.
        ValueError: ``cache_entities`` is negative, or the store was opened with a registry that lacks the message of an
            event or entity of ``schemas``.

    If several errors apply to a call, wrong arguments are raised first, then HubClosed, then LaneReentryError, then
    errors of the session or the store.

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
        self._projections = Projections(schemas, policies)
        report = Reporter(self._store, pipeline_observer, error_observer)
        self._unreadable = UnreadableEntities(report)
        self._pipeline = Pipeline(
            schemas=schemas,
            store=self._store,
            max_ordinal=self._store.max_ordinal,
            sessions=self._sessions,
            projections=self._projections,
            report=report,
            bus=bus,
        )
        feed: Feed | None = getattr(self._store, "feed", None)
        if feed is not None:
            pipeline = self._pipeline
            pipeline.follower = Follower(
                feed, pipeline.publish_elsewhere, pipeline.resync_elsewhere, pipeline.failed, pipeline.logged
            )
        self._body = BodyCanceller()
        self._consumer = None if bus is None else Consumer(self._pipeline, bus, self._body.cancel)
        self._commands = Commands(self._pipeline)
        self._fanouts = Fanouts(self._pipeline)
        self._watchers = Watchers(self._fanouts.add, self.joined, self.left)
        self.set_fanout(fanout)

    @property
    def schemas(self) -> SchemaRegistry:
        """The schema registry that was given to the hub."""
        return self._pipeline.schemas

    @property
    def has_projections(self) -> bool:
        """Whether a projection is registered; without one, events change no timeline, and clients get nothing."""
        return self._projections.any

    # -- registration ------------------------------------------------------------------------------------------

    def register_command(self, name: str, handler: CommandHandler) -> None:
        """Register the handler of a command: ``handler(command, session, publisher)``, plain or async.

        The command's message may be registered later, but before the hub runs.

        Raises:
            InvalidNameError: the name is empty, blank or not a string.
            DuplicateCommandError: the command already has a handler.
            TypeError: ``handler`` is not a function, or is a class, or a generator function.
        """
        self._commands.register(name, handler)

    def command(self, name: str) -> Callable[[H], H]:
        """Decorate a command handler; the same as ``register_command``.

        Raises:
            InvalidNameError: the name is empty, blank or not a string, as when the decorator is used without a name.
        """
        check_name("command", name)

        def register(handler: H) -> H:
            self.register_command(name, handler)
            return handler

        return register

    def register_ui_projection(self, projection: UIProjection | UIProjectionFunction) -> None:
        """Add a UI projection; UI projections run in the order of registration.

        Raises:
            TypeError: it is neither a function nor an object with a ``project`` method; or it is a class, or an
                async generator function. (A plain generator function is accepted.)
        """
        self._projections.add_ui(projection)

    def ui_projection(self, projection: U) -> U:
        """Decorate a UI projection; the same as ``register_ui_projection``."""
        self.register_ui_projection(projection)
        return projection

    def register_timeline_projection(self, projection: TimelineProjection | TimelineProjectionFunction) -> None:
        """Add a timeline projection; timeline projections run in the order of registration, all with the same view.

        Raises:
            TypeError: it is neither a function nor an object with a ``project`` method; or it is a class, or an
                async generator function. (A plain generator function is accepted.)
        """
        self._projections.add_timeline(projection)

    def timeline_projection(self, projection: P) -> P:
        """Decorate a timeline projection; the same as ``register_timeline_projection``."""
        self.register_timeline_projection(projection)
        return projection

    def set_fanout(self, fanout: UIFanout | FanoutFunction | None) -> None:
        """Replace the fan-out that was set before, from the next event on; None removes it. Added fan-outs stay.

        If the object also has a method ``resync(session_id, ordinal, epoch)``, it is called for timelines that changed
        without events published here; see UIFanout.

        Raises:
            TypeError: it is neither a function nor an object with a ``publish_ui`` method; or it is a class, async,
                or a generator function.
        """
        self._fanouts.set(fanout)

    def add_fanout(self, fanout: UIFanout | FanoutFunction) -> Callable[[], None]:
        """Add a fan-out beside others, from the next event on; return the function that removes it.

        With several fan-outs, each gets every UI event, as copies of its own, also if another one raises.

        Raises:
            TypeError: as ``set_fanout``.
        """
        return self._fanouts.add(fanout)

    def joined(self, session_id: str) -> None:
        """Follow a session for the fan-out: from now on it also gets the UI events of other processes.

        A fan-out calls it before it reads the first snapshot of a session, with ``states`` or ``snapshot``, and calls
        ``left`` as often when nobody watches the session any more. A WebSocketServer does. It has an effect if the
        store has a ``feed``, and the hub is open and called from its own event loop.
        """
        follower = self._pipeline.follower
        if follower is not None and self._pipeline.is_at_home():
            follower.joined(session_id)

    def left(self, session_id: str) -> None:
        """Follow a session no longer; see ``joined``."""
        follower = self._pipeline.follower
        if follower is not None and self._pipeline.is_at_home():
            follower.left(session_id)

    def instrument(self, instrumentation: Instrumentation) -> None:
        """Observe this hub, and open spans around its work, from now on; ``sessionstream.otel.instrument`` does so.

        Raises:
            RuntimeError: the hub is instrumented already.
            TypeError: one of the methods is not a plain function.
        """
        if self._pipeline.instrumentation is not None:
            raise RuntimeError("this hub is instrumented already: call instrument once for each hub")
        self._pipeline.report.add(instrumentation)
        self._pipeline.instrumentation = instrumentation

    # -- commands, events, timelines ---------------------------------------------------------------------------

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
        processes: the key is claimed durably before the handler starts, and released only if the handler raised
        (or was cancelled) before it published an event. A repeat has no effect, and returns once the first run has
        finished: while that runs, here or in another process, the repeat waits. If the first run released the key, the
        repeat runs the handler. If the first run ended otherwise before it had finished, a repeat raises
        CommandUnfinished; of a process that was killed, this is known about ten seconds later. A handler must not wait
        for a repeat of its own key.

        Handlers of one session may run concurrently. Exceptions of a handler are raised unchanged.

        Raises:
            InvalidIdError: the session id or the key is not valid.
            UnknownCommandError: the command has no handler.
            UnknownSchemaError: the command is not in the schema registry.
            PayloadTypeError: the payload is another message, or not a message.
            CommandConflict: the key was used for another command.
            CommandUnfinished: the command with this key has published events, and then failed or was cancelled; or its
                process ended.
            HubClosed: the hub is shut down, or was while a repeat waited.
            LaneReentryError: called from inside a projection.
            StoreError: the store failed.
        """
        await self._commands.submit(session_id, name, payload, idempotency_key)

    async def publish(self, event: Event) -> Event:
        """Log an event, project it, commit, fan out; return it with its ordinal and id.

        An event whose id is already in the session's log changes nothing: if it is equal (name, type and payload), it
        is returned with its ordinal. If the call is cancelled before its commit is passed to the store, it has no
        effect; after that, commit and fan-out are completed before CancelledError is raised.

        With a bus, the call returns when the bus has accepted the event, with ordinal 0. The hub that consumes the
        event does the rest, and records errors. If the call is cancelled, the bus may or may not have the event.

        Raises:
            InvalidIdError: the session id or the event id is not valid.
            ValueError: the event has an ordinal already.
            TypeError: it is not an Event, or its ordinal is not an int.
            UnknownSchemaError, PayloadTypeError: the event is not registered, or its payload is another message.
            LaneReentryError: called from inside a projection.
            ProjectionError: a projection failed under the ``fail`` policy; the event is stored and holds its session.
            SessionHeld: an earlier event holds the session; this one is stored behind it.
            EventConflict: the event id belongs to another event.
            OrdinalExhausted: the session has used the highest ordinal.
            HubClosed: the hub is shut down.
            StoreError: the store failed. If the commit failed, the event may nevertheless be in the log: publish it
                again with the same event id to find out. If it is, its UI events go out before any later ones.
            BusError: the bus failed; it may or may not have the event.
            Exception: ``session_metadata`` raised it.
        """
        return await self._pipeline.publish(event)

    async def publish_many(self, session_id: str, events: Iterable[Event]) -> list[Event]:
        """Publish events of one session in order, in one turn; return them with their ordinals and ids.

        As with ``publish``, each event has its own ordinal, its own commit and its own fan-out. But commits are passed
        to the store one after the other without waiting in between, which is many times faster if the store waits for
        a disk. No other event of the session comes between them.

        All events are checked and copied before the first is published. The first event that fails, or a cancellation,
        ends the call; the events before it are published, and the error has a note with their number. If the events
        have ids, the call can be repeated: those that are logged keep their ordinals. In a session that is held, the
        first event ends the call with SessionHeld, and is stored.

        Raises:
            ValueError: an event is of another session, or has an ordinal already.
            Everything that ``publish`` raises.
        """
        return await self._pipeline.publish_many(session_id, events)

    async def retry_timeline(self, session_id: str, *, progress: Callable[[int], object] | None = None) -> ReplayReport:
        """Resume a held session: project, commit and fan out its held events in order.

        Args:
            progress: called after each event with the number of events that are applied; a plain function. What it
                raises ends the call: the events so far are applied, and the others stay held.

        Raises:
            ProjectionError: a projection still fails; the events before that event are applied.
            UnknownSchemaError: the message of a held event is no longer registered.
            TypeError: ``progress`` is not a plain function.
            InvalidIdError, LaneReentryError, HubClosed, StoreError: as ``publish``.
        """
        checked = check_progress(progress)
        self._pipeline.check_call("retry_timeline", session_id)
        return await replay.retry(self._pipeline, session_id, checked)

    async def rebuild_timeline(
        self, session_id: str, *, progress: Callable[[int], object] | None = None
    ) -> ReplayReport:
        """Rebuild the timeline from the first event on, and replace it atomically, in a new epoch.

        Only timeline projections run, no UI events go out, and events can be published meanwhile. A held session is
        released if its timeline can be rebuilt. If the call raises, the current timeline stays. After the replacement,
        the fan-out's ``resync`` is called, if it has that method, because clients hold a timeline of the old epoch.

        Args:
            progress: called after every few hundred events, and at the end, with the number of events that are applied;
                a plain function. What it raises ends the call, and the current timeline stays.

        Raises:
            HistoryPruned: the first events were pruned.
            ProjectionError: a timeline projection failed under the ``fail`` policy.
            UnknownSchemaError: the message of an event is no longer registered.
            TypeError: ``progress`` is not a plain function.
            InvalidIdError, LaneReentryError, HubClosed, StoreError: as ``publish``.
        """
        checked = check_progress(progress)
        self._pipeline.check_call("rebuild_timeline", session_id)
        return await replay.rebuild(self._pipeline, session_id, checked)

    # -- reads -------------------------------------------------------------------------------------------------

    async def snapshot(
        self, session_id: str, *, as_of: int | None = None, since: int | None = None, epoch: int | None = None
    ) -> Snapshot:
        """Return a session's timeline: as it is, as it was right after event ``as_of``, or its changes after ``since``.

        With ``epoch``, the changes are those for a client that holds the timeline at ``since`` of this epoch. If there
        are none that lead from there to the present timeline, because it was rebuilt or deleted, or the history was
        pruned, the answer is the whole timeline: ``Snapshot.since`` is None then.

        The payloads are copies. The current timeline is returned from memory if the store's cursors show that memory is
        up to date. A session that does not exist is empty, at ordinal 0, and the call does not create it.

        Raises:
            ValueError: both are given, or one is negative; or there is an ``epoch`` without ``since``.
            TypeError: one is not an int.
            HistoryPruned: that part of the history was pruned, and no ``epoch`` was given.
            UnknownSchemaError: the message of an entity is no longer registered.
            PayloadDecodeError: the message has changed, so that the stored bytes cannot be decoded.
            InvalidIdError, HubClosed, StoreError: as ``publish``.
        """
        check_id("session id", session_id)
        check_snapshot(session_id, as_of, since)
        check_held(since, epoch)
        self._pipeline.check_open()
        if since is not None and epoch is not None:
            return await changes_or_all(self.snapshot, session_id, since, epoch)
        timeline = await self._cached(session_id) if as_of is None and since is None else None
        if timeline is not None and timeline.is_readable:
            return self._loaded(await copy_snapshot(await timeline.states(session_id)))
        snapshot = await self._store.snapshot(session_id, as_of=as_of, since=since)
        return snapshot if as_of is not None else self._loaded(snapshot)

    async def states(self, session_id: str, *, since: int | None = None, epoch: int | None = None) -> Snapshot:
        """Return a session's timeline for a transport: shared entities, which the caller must not change.

        It is returned from memory without a copy if the cached timeline is current, and otherwise read from the store,
        as are the changes ``since`` an ordinal; ``epoch`` is that of ``snapshot``. An entity whose message is no longer
        registered, or has changed so that it would be misread, has a
        ``sessionstream.v1.transport_pb2.UnreadablePayload`` as its payload: after sending it to a client, call
        ``report_unreadable`` with it.

        Raises:
            Everything that ``snapshot`` raises, except UnknownSchemaError and PayloadDecodeError; OrdinalConflict: the
                timeline was rebuilt meanwhile, so that the changes ``since`` are not known.
        """
        check_id("session id", session_id)
        check_snapshot(session_id, None, since)
        check_held(since, epoch)
        self._pipeline.check_open()
        if since is not None and epoch is not None:
            return await changes_or_all(self.states, session_id, since, epoch)
        timeline = await self._cached(session_id) if since is None else None
        if timeline is not None:
            return self._loaded(await timeline.states(session_id))
        return self._loaded(await stored_states(self._store, session_id, since))

    def _loaded(self, snapshot: Snapshot) -> Snapshot:
        if self._pipeline.follower is not None:
            position = Position(snapshot.snapshot_ordinal, snapshot.epoch)
            self._pipeline.follower.loaded(snapshot.session_id, position)
        return snapshot

    async def _cached(self, session_id: str) -> Timeline | None:
        """Return the session's timeline from memory if it is up to date, and None otherwise."""
        if session_id not in self._sessions:
            return None
        cursors = await self._store.cursors(session_id)
        timeline = self._sessions.timeline(session_id)
        return timeline if timeline is not None and timeline.reflects(cursors) else None

    async def report_unreadable(self, session_id: str, entities: Iterable[TimelineEntity]) -> None:
        """Record entities that were sent to clients with an ``UnreadablePayload``, as ``fanout`` errors.

        An entity is recorded once until an event changes it, even if it is reported again. Entities with the same kind
        and reason in one call share a record.
        """
        await self._unreadable.record(session_id, entities)

    async def session(self, session_id: str) -> Session:
        """Return the session with its metadata.

        Raises:
            InvalidIdError, HubClosed, LaneReentryError: as ``publish``.
            Exception: ``session_metadata`` raised it.
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

    def watch(
        self,
        session_id: str,
        *,
        since: int | None = None,
        epoch: int | None = None,
        limit: int = WATCH_LIMIT,
        shared: bool = False,
    ) -> Watch:
        """Watch a session: a ``Snapshot``, and then ``LiveEvents`` for each event that has UI events, in order.

        .. code-block:: python

            async with hub.watch(session_id) as watch:
                async for update in watch:
                    match update:
                        case Snapshot(entities=entities): ...
                        case LiveEvents(ordinal=ordinal, events=events): ...

        Nothing is missing between them and nothing comes twice. A further snapshot replaces all that came before: if
        the timeline was rebuilt or deleted, if UI events of another process were lost, or if more events wait than
        ``limit``; those are dropped, and nothing is loaded until the next update is asked for. So a slow reader holds
        up neither the hub nor others. UI events of other processes come if the store has a ``feed``.

        Entities that cannot be read have a ``sessionstream.v1.transport_pb2.UnreadablePayload`` as their payload, and
        are recorded as ``fanout`` errors. The iteration ends when the hub is shut down.

        Args:
            since: with ``epoch``, where the timeline ends that the caller holds already: snapshots are then the changes
                after it, or after the last snapshot, whenever possible. ``Snapshot.since`` is None for a whole one.
            epoch: the epoch of that timeline.
            limit: how many UI events may wait for the caller. At most 4 MiB of them wait; those of one event always
                may.
            shared: return entities and UI events that the hub and other watches use as well, and which must not be
                changed, instead of copies.

        Raises:
            ValueError: only one of ``since`` and ``epoch`` is given, or one is negative; or ``limit`` is below 1.
            TypeError: one is not an int.
            InvalidIdError, HubClosed: as ``publish``.
        """
        check_id("session id", session_id)
        check_number("since", since, optional=True)
        check_held(since, epoch)
        if since is not None and epoch is None:
            raise ValueError("since needs the epoch that it belongs to: pass both, as in the snapshot that you hold")
        check_number("limit", limit)
        if not limit:
            raise ValueError("limit must be at least 1: the number of UI events that may wait")
        self._pipeline.check_open()
        return Watch(self._watchers, self.states, self.report_unreadable, session_id, since, epoch, limit, shared)

    def session_events(self, session_id: str, *, after: int | None = None) -> SessionEvents:
        """Listen to the events of a session as they are logged, in this process or in another one.

        .. code-block:: python

            async with hub.session_events(session_id) as events:
                async for event in events:
                    ...

        Each event comes once, in ordinal order, with a payload of its own. Those of other processes come if the store
        has a ``feed``. The iteration ends when the hub is shut down. It may be used in a command handler, for example
        to stop long work that another process was asked to stop; leave it by ``break``, or by cancelling its task.

        Args:
            after: the ordinal after which it begins; None means the session's last event, when the context is entered.

        Raises:
            ValueError: ``after`` is negative.
            TypeError: ``after`` is not an int.
            InvalidIdError, HubClosed: as ``publish``.
        """
        check_id("session id", session_id)
        check_number("after", after, optional=True)
        self._pipeline.check_open()
        return SessionEvents(self._pipeline, session_id, after)

    # -- start and shutdown ------------------------------------------------------------------------------------

    @property
    def consumer(self) -> ConsumerStatus | None:
        """The state of the consumer of the bus, or None without a bus."""
        return None if self._consumer is None else self._consumer.status

    @property
    def follower(self) -> FollowerStatus | None:
        """How far this hub has followed other processes, or None if its store has no feed. Any thread may ask."""
        follower = self._pipeline.follower
        return None if follower is None else follower.status

    def statistics(self) -> HubStatistics:
        """Return what this hub holds now. Any thread may ask; it takes some ten milliseconds for 100,000 sessions."""
        return self._sessions.statistics(getattr(self._store, "pending", 0))

    async def run(self) -> None:
        """Start the consumer, if the hub has a bus. A hub that was shut down cannot be started again.

        Raises:
            HubClosed: the hub is shut down.
            UnknownSchemaError: commands with a handler are not in the schema registry; ``names`` are all of them.
            BusError: the bus cannot be consumed.
        """
        self._pipeline.check_open()
        self._commands.check_schemas()
        if self._consumer is not None:
            await self._consumer.start()

    async def ready(self, *, within: float = 5.0) -> None:
        """Check that the hub can serve: that it is open, and its store writes and reads. For probes.

        It writes to the store, as durably as a commit, something that no session shows, and reads the cursors of a
        session that need not exist.

        Args:
            within: seconds within which the store has to answer.

        Raises:
            HubClosed: the hub is shut down.
            StoreError: the store cannot write or read, or has not answered in time.
            EventLoopError: called from another event loop than the hub's.
            ValueError: ``within`` is not above 0.
        """
        if not within > 0:
            raise ValueError(f"within is a number of seconds above 0, not {within!r}")
        self._pipeline.check_open()
        try:
            async with asyncio.timeout(within):
                await self._store.check_writable()
                await self._store.cursors("-")
        except TimeoutError:
            raise StoreError(
                f"the store has not answered within {within:g} seconds: another process holds its lock, or its disk or "
                "server does not respond"
            ) from None

    async def shutdown(self) -> None:
        """Refuse new calls, wait until all turns have ended, and release everything that the hub holds.

        Handlers that are still running get HubClosed at their next publish. A store or a bus that was passed in stays
        open; messages that the consumer has not begun stay in the bus. It may be called again, but not from inside a
        projection.

        Raises:
            LaneReentryError: called from inside a projection.
            EventLoopError: called from another event loop than the hub's.
        """
        refuse_reentry("shutdown")
        self._pipeline.check_loop()
        if self._consumer is not None:
            await self._consumer.stop()
        self._pipeline.closed = True
        if self._pipeline.follower is not None:
            self._pipeline.follower.close()
        self._pipeline.logged(None)
        self._pipeline.listeners.clear()
        self._watchers.close()
        await self._sessions.wait_idle()
        self._sessions.clear()
        await self._pipeline.report.close(Completion())
        if self._owns_store:
            await self._store.close()

    async def __aenter__(self) -> Hub:
        """Run the hub while the body runs, and shut it down after that. If the consumer fails, the body is cancelled.

        Raises:
            HubClosed: the hub is shut down.
            UnknownSchemaError: as ``run``.
            BusError: the bus cannot be consumed; or, at the end of the body, the consumer failed.
        """
        self._body.enter()
        await self.run()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        cancelled = await self._body.leave(exc)
        await self.shutdown()
        failure = None if self._consumer is None else self._consumer.failure
        if failure is not None and (exc is None or cancelled):
            raise failure
        if failure is not None and exc is not None:
            exc.add_note(f"the hub's consumer had failed before: {failure}")
