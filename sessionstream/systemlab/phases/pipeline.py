"""Phase 1: one command in the pipeline, with every step shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sessionstream import (
    Event,
    Hub,
    HydrationStore,
    MemoryStore,
    PipelineRecord,
    Session,
    SessionstreamError,
    TimelineView,
)
from sessionstream.serving.running import RETURN_AFTER
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field
from sessionstream.systemlab.breaks import NOTHING, Break, Press, break_field
from sessionstream.systemlab.checks import Json
from sessionstream.systemlab.journal import Journal, entity_table, error_table, event_table, latest, payload, ui_table
from sessionstream.systemlab.notebook import ADD_NOTE, NOTE, REMOVE_NOTE, notebook_schemas, open_notebook
from sessionstream.systemlab.panels import Document, Table
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases import pipeline_checks as checks
from sessionstream.systemlab.sabotage.pipeline import FAULTS, Fault
from sessionstream.systemlab.sabotage.stores import Exchangeable
from sessionstream.systemlab.session_ids import chosen, session_action, shortened
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, RemoveNoteCommand
from sessionstream.systemlab.witness import Witness
from sessionstream.transport.ws import WebSocketServer

SESSION: Final = "lab-1"
MOST_WORDS: Final = 60
MOST_EVENTS: Final = 600
"""From this number of events on, the page asks for another session."""

STUMBLES: Final = Break("A timeline projection fails", "traced", (Press("submit"),), turns="held")
WHILE_IT_FAILS: Final = f"Untick “{STUMBLES.label}”, press “Set the projection”, and submit again."
ONCE_IT_WORKS: Final = "Submit again, or press Retry in the inspector: the events that wait are applied."


class Pipeline:
    """The notebook on a store in memory, with the records of its observers and the events of its live clients."""

    number = 1
    title = "Command, event, projection"
    lead = "Follow a prompt: the published events, the results of the projections, the commit, and the fan-out."

    def __init__(self, _directory: Path) -> None:
        schemas = notebook_schemas()
        self._journal = Journal(MOST_EVENTS * 20)
        self._commands: list[tuple[str, str, str, str]] = []
        self._store = Exchangeable(MemoryStore(schemas))
        # Nothing is cached, so that the page shows the contents of the store.
        self._hub = open_notebook(
            Hub(
                schemas,
                store=self._store,
                cache_entities=0,
                session_metadata=lambda session_id: {"openedBy": "phase 1", "session": session_id},
                pipeline_observer=self._journal.pipeline.append,
                error_observer=self._journal.errors.append,
            )
        )
        self._server = WebSocketServer(self._hub, observer=self._journal.connections.append)
        self._hub.register_timeline_projection(self._stumble)
        self._stumbles = False
        self._witness = Witness(self._server)
        self._hub.set_fanout(self._witness)
        self._session = SESSION
        self._broken = NOTHING

    @property
    def server(self) -> WebSocketServer:
        """The WebSocket server of the page's live clients."""
        return self._server

    @property
    def hub(self) -> Hub:
        """The hub."""
        return self._hub

    @property
    def store(self) -> HydrationStore:
        """The store of the hub."""
        return self._store

    def actions(self) -> Sequence[Action]:
        """Return the actions."""
        return (
            Action(
                "submit",
                "Submit",
                self._submit,
                (Field("prompt", "Prompt", "Every word becomes an event", longest=1_000),),
                help="Writes a note: the handler publishes an event for its beginning, for each word, and for its end.",
            ),
            session_action(self._session, self._use),
            Action(
                "remove",
                "Remove the oldest note",
                self._remove,
                help="Deletes an entity. The log keeps its events; the timeline has only the current state.",
            ),
            Action(
                "break",
                "Break a promise",
                self._break,
                (break_field("fault", FAULTS, self._broken, first="drop"),),
                help="From now on, until you reset this phase. Submit again, and see which check fails.",
                harm=True,
            ),
            Action(
                "stumble",
                "Set the projection",
                self._set_stumbling,
                (Field("fails", STUMBLES.label, self._stumbles),),
                help="While it fails, the session is held: events are logged and wait. Once it works again, the next "
                "command, or a retry in the inspector, applies them in order.",
                harm=True,
            ),
        )

    def breaks(self) -> Mapping[str, Break]:
        """Return the breaks by name."""
        return FAULTS

    async def start(self) -> None:
        """Run the hub."""
        await self._hub.run()

    async def close(self) -> None:
        """Tell clients to reconnect, and close the hub and the store."""
        await self._server.shutdown(retry_after=RETURN_AFTER)
        await self._hub.shutdown()
        await self._store.close()

    # -- actions ---------------------------------------------------------------------------------------------------

    async def _submit(self, arguments: Arguments) -> None:
        session_id, prompt = self._session, arguments.text("prompt")
        if not prompt.strip():
            raise BadRequest("the prompt is empty: write a few words")
        if len(prompt.split()) > MOST_WORDS:
            raise BadRequest(f"a prompt has at most {MOST_WORDS} words here, so that its trace stays readable")
        if await self._hub.event_cursor(session_id) > MOST_EVENTS:
            raise BadRequest("this session has many events already: use another, or reset this phase")
        await self._do(session_id, ADD_NOTE, AddNoteCommand(text=prompt))

    async def _remove(self, _: Arguments) -> None:
        session_id = self._session
        notes = [e for e in (await self._hub.snapshot(session_id)).entities if e.kind == NOTE]
        if not notes:
            raise BadRequest(f"session {shortened(session_id)!r} has no note: submit a prompt first")
        await self._do(session_id, REMOVE_NOTE, RemoveNoteCommand(note_id=notes[0].id))

    async def _use(self, arguments: Arguments) -> None:
        self._session = chosen(arguments)

    async def _do(self, session_id: str, name: str, command: AddNoteCommand | RemoveNoteCommand) -> None:
        outcome = "done"
        try:
            await self._hub.submit(session_id, name, command)
        except SessionstreamError as error:
            outcome = f"{type(error).__name__}: {error}"
        self._commands.append((session_id, name, payload(command), outcome))

    async def _break(self, arguments: Arguments) -> None:
        self._broken = arguments.text("fault")
        fault = FAULTS.get(self._broken, Fault("Nothing"))
        self._hub.set_fanout(fault.fanout(self._witness))
        self._store.exchange(fault.store)

    async def _set_stumbling(self, arguments: Arguments) -> None:
        self._stumbles = arguments.flag("fails")

    def _stumble(self, event: Event, _session: Session, _view: TimelineView) -> None:
        """Return no entities, and fail while this is switched on: a bug that is fixed later."""
        if self._stumbles:
            raise RuntimeError(f"the lab was told to fail at {event.name}")

    # -- state ----------------------------------------------------------------------------------------------------

    async def state(self) -> State:
        """Return the trace of the session of the page, and its checks."""
        session_id = self._session
        events = await self._store.events(session_id)
        snapshot = await self._hub.snapshot(session_id)
        session = await self._hub.session(session_id)
        cursors = await self._store.cursors(session_id)
        records = [record for record in self._journal.pipeline if record.event.session_id == session_id]
        heard = self._witness.heard.get(session_id, [])
        ordered = snapshot.entities
        held = checks.holds(records, events, cursors.timeline)
        return State(
            checks=(
                checks.numbered(events),
                checks.traced(records, events, held),
                checks.told(records, heard, held),
                checks.current(events, snapshot, held),
                checks.is_fold(events, snapshot, held),
                checks.live_agrees(heard, snapshot),
            ),
            panels=(
                self._command_table(session_id),
                _trace(records, heard),
                event_table("events", "Backend events, from the log", events, "None yet. Submit a prompt."),
                ui_table("ui", "UI events that live clients received", heard, "No event yet."),
                entity_table("snapshot", "Snapshot", ordered, "The timeline is empty. Submit a prompt."),
                Document(
                    "session",
                    "Session",
                    {
                        "id": session.id,
                        "metadata": _json(session.metadata),
                        "snapshotOrdinal": snapshot.snapshot_ordinal,
                        "eventCursor": cursors.event,
                        "timelineCursor": cursors.timeline,
                        "epoch": str(cursors.epoch),
                    },
                ),
                error_table("errors", "Errors", self._journal.errors, "None."),
                Document("trace", "Trace, step by step", [_steps(record, heard) for record in records]),
            ),
            facts=(
                ("Session", shortened(session_id)),
                ("Events", len(events)),
                ("Snapshot at", snapshot.snapshot_ordinal),
                ("Live clients", len(self._server.connections())),
            ),
            sessions=(session_id,),
            latest=latest(events),
            broken=FAULTS.get(self._broken) or (STUMBLES if self._stumbles and not held else None),
            held=f"{held}. {WHILE_IT_FAILS if self._stumbles else ONCE_IT_WORKS}" if held else "",
        )

    def _command_table(self, session_id: str) -> Table:
        rows = tuple((name, given, outcome) for owner, name, given, outcome in self._commands if owner == session_id)
        return Table("commands", "Commands", ("Command", "Payload", "Outcome"), rows, "None yet. Submit a prompt.")


def _trace(records: Sequence[PipelineRecord], heard: checks.Heard) -> Table:
    """Return one row per event, one column per step of the pipeline."""
    columns = ("Ordinal", "Event", "View at", "UI projection", "Timeline projection", "Committed", "Cursor", "Told")
    rows = tuple(
        (
            record.event.ordinal,
            record.event.name,
            record.view_ordinal,
            "not run" if _behind(record) else _names([event.name for event in record.ui_events], record.ui_error),
            "not run" if _behind(record) else _names([e.kind for e in record.entities], record.timeline_error),
            _names(["event", *(entity.kind for entity in record.committed)] if record.stored else [], record.error),
            "moved" if record.cursor_moved else "stayed",
            _told(record, heard),
        )
        for record in records
    )
    return Table("steps", "Trace of the pipeline", columns, rows, "No event yet. Submit a prompt.")


def _behind(record: PipelineRecord) -> bool:
    """Whether the event waits for one before it, so that no projection was run."""
    return record.stored and not record.cursor_moved and record.view_ordinal < record.event.ordinal - 1


def _names(names: Sequence[str], error: Exception | None) -> str:
    return _raised(error) or ", ".join(names) or "nothing"


def _told(record: PipelineRecord, heard: checks.Heard) -> str:
    names, wrong = checks.sent(record, heard)
    return wrong or _names(names, None)


def _raised(error: Exception | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}"


def _steps(record: PipelineRecord, heard: checks.Heard) -> Json:
    event, (names, wrong) = record.event, checks.sent(record, heard)
    return {
        "ordinal": event.ordinal,
        "mode": record.mode,
        "event": {"name": event.name, "id": event.event_id, "payload": payload(event.payload)},
        "viewOrdinal": record.view_ordinal,
        "uiEvents": [{"name": ui.name, "payload": payload(ui.payload)} for ui in record.ui_events],
        "entities": [
            {"kind": e.kind, "id": e.id, "deleted": e.tombstone, "payload": payload(e.payload)} for e in record.entities
        ],
        "stored": record.stored,
        "committed": [f"{entity.kind} {entity.id}" for entity in record.committed],
        "cursorMoved": record.cursor_moved,
        "fannedOut": [ui.name for ui in record.fanned_out],
        "sent": {"names": list[Json](names), "wrong": wrong},
        "raised": {
            "ui": _raised(record.ui_error),
            "timeline": _raised(record.timeline_error),
            "commit": _raised(record.error),
        },
        "behind": _behind(record),
    }


def _json(metadata: object) -> Json:
    return {str(key): str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else str(metadata)
