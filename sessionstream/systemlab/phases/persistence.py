"""Phase 5: a backend that is restarted, and what its store preserved."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from sessionstream import Event, Hub, HydrationStore, ReplayReport, Session, SessionstreamError, TimelineView, UIEvent
from sessionstream.hydration import StoreProxy
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field
from sessionstream.systemlab.breaks import NOTHING, Break, break_field
from sessionstream.systemlab.checks import Check, Json
from sessionstream.systemlab.folds import Fold, Folds, fold_table
from sessionstream.systemlab.journal import Journal, entity_table, error_table, event_table, latest, stage_table
from sessionstream.systemlab.notebook import ADD_NOTE, notebook_schemas, open_notebook
from sessionstream.systemlab.panels import Cell, Panel
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases.backend import Around, Backend, open_backend
from sessionstream.systemlab.phases.hydration import notes
from sessionstream.systemlab.phases.persistence_checks import (
    Found,
    Repeat,
    Restart,
    Standing,
    persistence_checks,
)
from sessionstream.systemlab.phases.persistence_panels import kept_and_lost, replayed
from sessionstream.systemlab.sabotage.persistence import BROKEN, Kind
from sessionstream.systemlab.session_ids import chosen, session_action, shortened
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteWordEvent
from sessionstream.transport.ws import WebSocketServer

SESSION: Final = "persistence"
"""The session of the page at first."""

TROUBLE: Final = "trouble"
"""The word at which a projection of this page fails, so that an error is recorded."""

NOTES: Final = 200
"""The maximum number of notes; a page reports all of them."""

ROWS: Final = 200
"""The maximum number of rows of a table; the last ones are shown."""

_CHOOSE: Final = (
    Field("store", "Store", "sqlite", choices=(("sqlite", "SQLite: a file"), ("memory", "Memory: this process"))),
)
_SEED: Final = (
    Field("text", "Text", "written to last", longest=120),
    Field("notes", "Notes", 1, minimum=1, maximum=20),
    Field("trouble", "Let a UI projection fail", False, hint="Its error is recorded, and the timeline continues."),
)
_RESTART: Final = (
    Field(
        "how",
        "How",
        "ended",
        choices=(("ended", "Shut down"), ("killed", "Killed")),
        hint="Killed: clients are not told, nothing is closed, and the file stays as it is.",
    ),
    Field("meanwhile", "Notes written before the page reconnects", 1, minimum=0, maximum=20),
)
_LOOK: Final = (Field("ordinal", "Right after event", 1, minimum=0, maximum=100_000),)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A submitted command with its idempotency key."""

    key: str
    text: str


class Persistence:
    """One session on a selectable store, in a backend that can be restarted.

    Args:
        directory: an empty directory for the store's files.
    """

    number = 5
    title = "Persistence and restart"
    lead = "The backend restarts while a page is open: what its store keeps, and what is lost."

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._schemas = notebook_schemas()
        self._files = 0
        self._backend: Backend | None = None
        self._server: WebSocketServer | None = None
        self._swapping = asyncio.Lock()
        self._broken = NOTHING
        self._session = SESSION
        self._begin("sqlite")

    def _begin(self, kind: Kind) -> None:
        """Discard all data of earlier backends."""
        self._kind: Kind = kind
        self._journal = Journal()
        self._commands = 0
        self._restarts = 0
        self._begin_session(self._session)
        self._folds = Folds()
        self._look = 1
        self._replay: ReplayReport | None = None
        self._wrap()

    def _begin_session(self, session_id: str) -> None:
        """Use a session, of which nothing before this moment is compared."""
        self._session = session_id
        self._latest: _Sent | None = None
        self._claimed: _Sent | None = None
        self._restart: Restart | None = None
        self._repeat: Repeat | None = None

    def _wrap(self) -> None:
        """Wrap the stores of further backends as the break in force does."""
        wrong = BROKEN.get(self._broken)
        self._around: Around = StoreProxy if wrong is None else wrong.around()

    @property
    def server(self) -> WebSocketServer | None:
        """The current server; None during a restart, until the new backend is ready for pages."""
        return self._server

    @property
    def hub(self) -> Hub:
        """The hub of the current backend."""
        return self._running.hub

    @property
    def store(self) -> HydrationStore:
        """The store of the current backend."""
        return self._running.store

    def actions(self) -> Sequence[Action]:
        """Return the actions."""
        return (
            Action("choose", "Choose the store", self._choose, _CHOOSE, "Starts again, on an empty store."),
            Action("seed", "Write notes", self._seed, _SEED, "Submits a command for each note, with its own key."),
            Action(
                "restart",
                "Restart the backend",
                self._restart_backend,
                _RESTART,
                "Restarts the store, the hub and the server.",
            ),
            Action(
                "repeat",
                "Send a command again",
                self._send_again,
                help="The last command before the restart, with the same key.",
            ),
            Action(
                "replay",
                "Replay the log",
                self._replay_log,
                help="Computes the timeline again from the log, in a new epoch.",
            ),
            session_action(self._session, self._use),
            Action("look", "Look back", self._look_back, _LOOK, "Shows the timeline right after an event."),
            Action(
                "break",
                "Break a promise",
                self._break,
                (break_field("promise", BROKEN, self._broken, first="forgets"),),
                "Wraps the store, and chooses the memory store where that is the one to break.",
                harm=True,
            ),
            self._folds.action(),
        )

    def breaks(self) -> Mapping[str, Break]:
        """Return the breaks by name."""
        return BROKEN

    async def start(self) -> None:
        """Open the store and start the backend."""
        await self._open(self._new_file())
        self._answer()

    async def close(self) -> None:
        """End the backend."""
        async with self._swapping:
            backend, self._backend, self._server = self._backend, None, None
            if backend is not None:
                await backend.end()

    async def state(self) -> State:
        """Return the state of the session, the effect of the latest restart, and the checks."""
        async with self._swapping:
            now, folds = await self._standing(), self._present_folds()
            truths = {ordinal: await self._notes_at(ordinal) for ordinal in {fold.ordinal for fold in folds}}
            found = Found(self._kind, now, self._restart, self._repeat, folds, truths)
            checks = persistence_checks(found)
            panels = await self._panels(found, checks)
        return State(
            checks,
            panels,
            self._facts(now),
            latest=latest(now.events),
            broken=BROKEN.get(self._broken),
            watched=(self._session,),
        )

    # -- actions -----------------------------------------------------------------------------------------------------

    async def _choose(self, arguments: Arguments) -> None:
        async with self._swapping:
            self._server = None
            await self._running.end()
            self._begin(cast("Kind", arguments.text("store")))
            await self._open(self._new_file())
            self._answer()

    async def _seed(self, arguments: Arguments) -> None:
        text = arguments.text("text") + (f" {TROUBLE}" if arguments.flag("trouble") else "")
        await self._write(text, arguments.number("notes"))

    async def _send_again(self, _arguments: Arguments) -> None:
        command = self._claimed or self._latest
        if command is None:
            raise BadRequest("no command was sent yet: write notes first")
        before = await self._running.store.events(self._session)
        await self._submit(command)
        after = await self._running.store.events(self._session)
        if self._restart is not None and self._repeat is None:
            self._repeat = Repeat(command.key, len(after) - len(before))

    async def _restart_backend(self, arguments: Arguments) -> None:
        async with self._swapping:
            backend, before = self._running, await self._standing()
            self._server = None
            file = backend.file
            if arguments.text("how") == "killed":
                file = self._new_file()
                await backend.as_killed(file)
            else:
                await backend.end()
            await self._open(file)
            self._restarts += 1
            self._restart = Restart(before, await self._standing(stored=True)) if before.events else None
            self._claimed, self._repeat = self._latest, None
        try:
            await self._write("while you were away", arguments.number("meanwhile"))
        finally:
            self._answer()

    async def _use(self, arguments: Arguments) -> None:
        session_id = chosen(arguments)
        async with self._swapping:
            self._begin_session(session_id)

    async def _break(self, arguments: Arguments) -> None:
        async with self._swapping:
            file, self._server = self._running.file, None
            await self._running.end()
            self._broken = arguments.text("promise")
            wrong = BROKEN.get(self._broken)
            if wrong is not None and wrong.kind != self._kind:
                self._begin(wrong.kind)
                file = self._new_file()
            self._wrap()
            await self._open(file)
            self._answer()

    async def _replay_log(self, _arguments: Arguments) -> None:
        self._replay = await self._running.hub.rebuild_timeline(self._session)

    async def _look_back(self, arguments: Arguments) -> None:
        self._look = arguments.number("ordinal")

    async def _write(self, text: str, notes: int) -> None:
        if self._commands + notes > NOTES:
            raise BadRequest(f"{NOTES} notes are the maximum: choose a store, or reset this phase")
        for _ in range(notes):
            self._commands += 1
            self._latest = _Sent(f"note-{self._commands}", text)
            await self._submit(self._latest)

    async def _submit(self, command: _Sent) -> None:
        payload = AddNoteCommand(text=command.text)
        await self._running.hub.submit(self._session, ADD_NOTE, payload, idempotency_key=command.key)

    # -- the backend -------------------------------------------------------------------------------------------------

    @property
    def _running(self) -> Backend:
        if self._backend is None:
            raise SessionstreamError("this phase is not started, or closed")
        return self._backend

    def _new_file(self) -> Path | None:
        if self._kind == "memory":
            return None
        self._files += 1
        return self._directory / f"{self._files}.db"

    async def _open(self, file: Path | None) -> None:
        self._backend = await open_backend(file, self._schemas, _register, self._around, self._journal)

    def _answer(self) -> None:
        """Let pages connect to the current backend."""
        self._server = self._running.server

    async def _standing(self, *, stored: bool = False) -> Standing:
        """Return the state of the session; its errors are those of the observer, or if ``stored`` of the store."""
        store = self._running.store
        snapshot = await self._running.hub.snapshot(self._session)
        told = tuple(error for error in self._journal.errors if error.session_id == self._session)
        errors = await store.error_records(self._session) if stored else told
        return Standing(await store.events(self._session), snapshot, await store.cursors(self._session), errors)

    def _present_folds(self) -> tuple[Fold, ...]:
        """Return the states of browsers."""
        connections = self._running.server.connections()
        names = (connection.principal for connection in connections if self._session in connection.subscriptions)
        return self._folds.present({name for name in names if isinstance(name, str)})

    async def _notes_at(self, ordinal: int) -> list[Json]:
        return notes(await self._running.store.snapshot(self._session, as_of=ordinal))

    # -- the page --------------------------------------------------------------------------------------------------

    def _facts(self, now: Standing) -> tuple[tuple[str, Cell], ...]:
        return (
            ("Session", shortened(self._session)),
            ("Store", "a SQLite file" if self._kind == "sqlite" else "memory"),
            ("Restarts", self._restarts),
            ("Event cursor", now.cursors.event),
            ("Epoch", str(now.cursors.epoch)),
        )

    async def _panels(self, found: Found, checks: Sequence[Check]) -> tuple[Panel, ...]:
        now, store = found.now, self._running.store
        ordinal = min(self._look, now.cursors.timeline)
        earlier = await store.snapshot(self._session, as_of=ordinal)
        errors = await store.error_records(self._session)
        stages = tuple(self._journal.connections)
        panels: tuple[Panel | None, ...] = (
            kept_and_lost(found, checks),
            event_table("log", "Event log", now.events[-ROWS:], "Write notes.").latest(ROWS, of=len(now.events)),
            entity_table("timeline", "Timeline", now.snapshot.entities, "Write notes."),
            entity_table("earlier", f"Timeline right after event {ordinal}", earlier.entities, "It had no entities."),
            fold_table(found.folds, "No page watches this session."),
            error_table("errors", "Error records of the store", errors, "The store has no error records."),
            replayed(self._replay),
            stage_table("stages", "Connections", stages[-ROWS:], "No connection yet.").latest(ROWS, of=len(stages)),
        )
        return tuple(panel for panel in panels if panel is not None)


def _register(hub: Hub) -> Hub:
    """Register the notebook, and a projection that fails at one word."""
    open_notebook(hub)
    hub.register_ui_projection(_stumble)
    return hub


def _stumble(event: Event, _session: Session, _view: TimelineView) -> list[UIEvent]:
    match event.payload:
        case NoteWordEvent(word=word) if word == TROUBLE:
            raise ValueError(f"the word {TROUBLE!r}")
    return []
