"""Phase 2: two sessions over one bus, where their ordinals come from, and a browser client of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from sessionstream import Event, EventBus, Hub, HydrationStore, SessionstreamError, SQLiteStore, derive_ordinal
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field
from sessionstream.systemlab.breaks import NOTHING, Break, break_field
from sessionstream.systemlab.broker import Broker, Carried
from sessionstream.systemlab.front import Front
from sessionstream.systemlab.journal import Journal, error_table, event_table
from sessionstream.systemlab.notebook import (
    NOTE_FINISHED,
    NOTE_STARTED,
    NOTE_WORD,
    notebook_schemas,
    open_notebook,
    project_ui,
)
from sessionstream.systemlab.panels import Cell, Panel, Table
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases.ordering_checks import Found, Log, ordering_checks
from sessionstream.systemlab.sabotage.ordering import BROKEN
from sessionstream.systemlab.session_ids import chosen, session_field, shortened
from sessionstream.systemlab.streams import KINDS, Stream
from sessionstream.systemlab.v1.lab_pb2 import NoteFinishedEvent, NoteStartedEvent, NoteWordEvent
from sessionstream.transport.ws import WebSocketServer

SESSIONS: Final = ("a", "b")
"""The sessions that the page begins with."""

MOST_SESSIONS: Final = 6
"""The maximum number of sessions; the page shows the log of each."""

ROWS: Final = 200
"""The maximum number of rows of a table; the last ones are shown."""

_BURST: Final = (
    session_field(SESSIONS[0]),
    session_field(SESSIONS[1], "second", "Second, or none"),
    Field("events", "Events for each", 6, minimum=1, maximum=200),
    Field("ids", "Stream ids", "derived", choices=KINDS),
    Field("twice", "Deliver each message twice", False),
)
_RESTART: Final = (Field("meanwhile", "Events published to each session meanwhile", 4, minimum=0, maximum=200),)


@dataclass(slots=True)
class _Live:
    """The parts that run between ``start`` and ``close``.

    Attributes:
        bus: the broker, with the wrapper that breaks a guarantee.
        store: the file, with its wrapper.
        producer: publishes; it does not run, so it consumes nothing.
        consumer: assigns ordinals, projects, stores, and is watched by browsers.
    """

    file: SQLiteStore
    bus: EventBus
    store: HydrationStore
    producer: Hub
    consumer: Hub


class Ordering:
    """Two sessions whose events travel over a bus, with stream ids of every kind.

    Args:
        directory: an empty directory for the store's file.
    """

    number = 2
    title = "Ordering and ordinals"
    lead = "Two sessions over one bus: which hub assigns an ordinal, when, and how it is derived."

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._schemas = notebook_schemas()
        self._journal = Journal()
        self._front = Front(project_ui, self._journal)
        self._broker = Broker()
        self._stream = Stream()
        self._restarts = 0
        self._sessions = list(SESSIONS)
        self._pair: tuple[str, ...] = SESSIONS
        self._broken = NOTHING
        self._live: _Live | None = None

    @property
    def server(self) -> WebSocketServer | None:
        """The WebSocket server of the consuming hub; None before the start and after the end."""
        return self._front.server

    @property
    def hub(self) -> Hub:
        """The consuming hub."""
        return self._running.consumer

    @property
    def store(self) -> HydrationStore:
        """The store of that hub."""
        return self._running.store

    def actions(self) -> Sequence[Action]:
        """Return the actions."""
        return (
            Action("burst", "Send a burst", self._burst, _BURST, "Publishes a note's events, one after the other."),
            Action(
                "restart",
                "Restart the consumer",
                self._restart,
                _RESTART,
                "Ends the consuming hub, publishes, and starts another hub with another WebSocket server.",
            ),
            Action(
                "break",
                "Break a promise",
                self._break,
                (break_field("promise", BROKEN, self._broken, first="loses"),),
                "Wraps the bus or the store. Send a burst and restart the consumer to see the effect.",
                harm=True,
            ),
        )

    def breaks(self) -> Mapping[str, Break]:
        """Return the breaks by name."""
        return BROKEN

    async def start(self) -> None:
        """Open the store, run the hubs, and serve browsers."""
        file = await SQLiteStore.open(self._directory / "ordering.db", self._schemas)
        self._live = live = _Live(
            file, self._broker, file, self._producer(self._broker), self._consumer(self._broker, file)
        )
        await self._serve(live.consumer)

    async def close(self) -> None:
        """Tell clients to reconnect, stop the hubs and close the store."""
        live, self._live = self._live, None
        if live is None:
            return
        await self._front.close()
        await live.producer.shutdown()
        await live.consumer.shutdown()
        await self._broker.close()
        await live.file.close()

    async def state(self) -> State:
        """Return the messages of the bus, the logs, and the checks."""
        done = {message.number for message in self._broker.history if message.done}
        logs = [await self._log(session_id) for session_id in self._sessions]
        # Messages are read after the logs, so that every event has its message; whether they are done is read before.
        messages = tuple(replace(each, done=each.number in done) for each in self._broker.history)
        found = Found(messages, logs, self._restarts)
        return State(
            ordering_checks(found),
            self._panels(found),
            self._facts(found),
            latest=_latest(messages),
            watched=self._pair,
            broken=BROKEN.get(self._broken),
        )

    async def _burst(self, arguments: Arguments) -> None:
        self._use(arguments)
        copies = 2 if arguments.flag("twice") else 1
        await self._publish(self._pair, arguments.number("events"), arguments.text("ids"), copies)
        await self._broker.settled()

    def _use(self, arguments: Arguments) -> None:
        """Publish to these sessions from now on."""
        pair = [chosen(arguments)]
        if arguments.text("second"):
            pair.append(chosen(arguments, "second"))
        if len(set(pair)) < len(pair):
            raise BadRequest(f"both sessions are {pair[0]!r}: name two, or leave the second empty")
        new = [session_id for session_id in pair if session_id not in self._sessions]
        if len(self._sessions) + len(new) > MOST_SESSIONS:
            used = ", ".join(map(shortened, self._sessions))
            raise BadRequest(f"{MOST_SESSIONS} sessions are the maximum: use {used}, or reset this phase")
        self._sessions += new
        self._pair = tuple(pair)

    async def _restart(self, arguments: Arguments) -> None:
        live = self._running
        await live.consumer.shutdown()
        await self._publish(self._pair, arguments.number("meanwhile"), "derived")
        live.consumer = self._consumer(live.bus, live.store)
        await self._serve(live.consumer)
        self._restarts += 1
        await self._broker.settled()

    async def _break(self, arguments: Arguments) -> None:
        live, self._broken = self._running, arguments.text("promise")
        wrong = BROKEN.get(self._broken)
        await live.producer.shutdown()
        await live.consumer.shutdown()
        live.bus = self._broker if wrong is None else wrong.bus(self._broker)
        live.store = live.file if wrong is None else wrong.store(live.file)
        live.producer, live.consumer = self._producer(live.bus), self._consumer(live.bus, live.store)
        await self._serve(live.consumer)

    async def _serve(self, consumer: Hub) -> None:
        """Run a consumer, and tell the clients of the one before to reconnect to its server."""
        await consumer.run()
        await self._front.open(consumer)

    async def _publish(self, sessions: Sequence[str], count: int, ids: str, copies: int = 1) -> None:
        """Publish the first ``count`` events of a note to each session, in turn."""
        self._broker.stream_ids, self._broker.copies = self._stream.ids(ids), copies
        notes = {session_id: f"note-{uuid4().hex[:6]}" for session_id in sessions}
        for number in range(count):
            for session_id, note in notes.items():
                await self._running.producer.publish(_event(session_id, note, number, last=number == count - 1))

    def _producer(self, bus: EventBus) -> Hub:
        return Hub(self._schemas, bus=bus)

    def _consumer(self, bus: EventBus, store: HydrationStore) -> Hub:
        hub = Hub(
            self._schemas,
            store=store,
            bus=bus,
            fanout=self._front.ledger,
            pipeline_observer=self._journal.pipeline.append,
            error_observer=self._journal.errors.append,
        )
        return open_notebook(hub)

    @property
    def _running(self) -> _Live:
        if self._live is None:
            raise SessionstreamError("this phase is not started, or closed")
        return self._live

    async def _log(self, session_id: str) -> Log:
        store = self._running.store
        snapshot = await store.snapshot(session_id)
        return Log(session_id, await store.events(session_id), snapshot)

    def _facts(self, found: Found) -> tuple[tuple[str, Cell], ...]:
        consumer = self._running.consumer.consumer
        return (
            ("Consumer", "none" if consumer is None else consumer.state),
            ("Messages", len(found.messages)),
            *((f"Events in {shortened(log.session_id)}", len(log.events)) for log in found.logs),
            ("Restarts", found.restarts),
        )

    def _panels(self, found: Found) -> tuple[Panel, ...]:
        return (
            _ordinals(found),
            _history(found.messages),
            self._front.frames(),
            self._consumer_status(),
            *(
                event_table(
                    f"log-{number}",
                    f"Event log of session {shortened(log.session_id)}",
                    log.events[-ROWS:],
                    "No event yet.",
                ).latest(ROWS, of=len(log.events))
                for number, log in enumerate(found.logs, start=1)
            ),
            error_table("errors", "Errors", self._journal.errors, "Nothing went wrong."),
        )

    def _consumer_status(self) -> Table:
        status = self._running.consumer.consumer
        rows: tuple[tuple[Cell, ...], ...] = ()
        if status is not None:
            tried_again = ", ".join(status.waiting) or "none"
            rows = ((status.state, self._broker.waiting, status.consumed, status.refused, tried_again, status.error),)
        columns = ("State", "Waiting in the bus", "Consumed", "Refused", "Retried sessions", "Error")
        return Table("consumer", "Consumer", columns, rows, "No hub is consuming.")


def _latest(messages: Sequence[Carried]) -> str:
    if not messages:
        return ""
    last = messages[-1]
    return f"message {last.number}, {last.name} in {shortened(last.session_id)}"


def _event(session_id: str, note: str, number: int, *, last: bool) -> Event:
    if number == 0:
        return Event(NOTE_STARTED, NoteStartedEvent(note_id=note), session_id)
    if last:
        return Event(NOTE_FINISHED, NoteFinishedEvent(note_id=note), session_id)
    return Event(NOTE_WORD, NoteWordEvent(note_id=note, word=f"word-{number}"), session_id)


def _ordinals(found: Found) -> Table:
    assigned = {event.event_id: event.ordinal for log in found.logs for event in log.events}
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (m.number, m.session_id, m.published_ordinal, *_assigned(m, assigned.get(m.event_id)))
        for m in found.messages[-ROWS:]
    )
    columns = ("Message", "Session", "Published", "Assigned", "From", "Stream id", "Derived")
    table = Table("ordinals", "Published against assigned", columns, rows, "Send a burst.")
    return table.latest(ROWS, of=len(found.messages))


def _assigned(message: Carried, assigned: int | None) -> tuple[Cell, ...]:
    """Return the assigned ordinal, the rule that gave it, the stream id, and the ordinal derived from that."""
    derived = derive_ordinal(message.stream_id)
    source = message.stream_id or "none", "none" if derived is None else derived
    if assigned is None:
        return "-", "not in the log", *source
    return assigned, "stream id" if assigned == derived else "cursor + 1", *source


def _history(messages: Sequence[Carried]) -> Table:
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (m.number, m.session_id, m.name, m.event_id, m.deliveries, "done" if m.done else "waits")
        for m in messages[-ROWS:]
    )
    columns = ("Message", "Session", "Event", "Event id", "Deliveries", "State")
    table = Table("history", "Messages of the bus", columns, rows, "Send a burst.")
    return table.latest(ROWS, of=len(messages))
