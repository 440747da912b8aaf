"""Phase 5: a backend that is restarted, and what its store preserved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from sessionstream import Event, Hub, HydrationStore, ReplayReport, Session, SessionstreamError, TimelineView, UIEvent
from sessionstream.hydration import StoreProxy
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field
from sessionstream.systemlab.checks import Check, Json
from sessionstream.systemlab.folds import Fold, Folds, fold_table
from sessionstream.systemlab.journal import Journal, entity_table, error_table, event_table, stage_table
from sessionstream.systemlab.notebook import ADD_NOTE, notebook_schemas, open_notebook
from sessionstream.systemlab.panels import Cell, Document, Panel, Table
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases.backend import Around, Backend, open_backend
from sessionstream.systemlab.phases.hydration import notes
from sessionstream.systemlab.phases.persistence_checks import (
    Found,
    Kind,
    Repeat,
    Restart,
    Standing,
    persistence_checks,
)
from sessionstream.systemlab.sabotage import stores
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteWordEvent
from sessionstream.transport.ws import WebSocketServer

SESSION: Final = "persistence"

TROUBLE: Final = "trouble"
"""The word at which a projection of this page fails, so that there is an error to keep."""

NOTES: Final = 200
"""Notes at most: a page reports all of them."""

ROWS: Final = 200
"""Rows of a table at most; the last ones."""

_CHOOSE: Final = (
    Field("store", "Store", "sqlite", choices=(("sqlite", "SQLite: a file"), ("memory", "Memory: this process"))),
)
_SEED: Final = (
    Field("text", "Text", "written to last", longest=120),
    Field("notes", "Notes", 1, minimum=1, maximum=20),
    Field("trouble", "Let a UI projection fail", False, hint="Its error is recorded; the timeline goes on."),
)
_RESTART: Final = (
    Field(
        "how",
        "How",
        "ended",
        choices=(("ended", "Ended, in good order"), ("killed", "Killed")),
        hint="Killed: nobody is told, nothing is closed, and the file stays as it lies.",
    ),
    Field("meanwhile", "Notes written before the page is back", 1, minimum=0, maximum=20),
)
_LOOK: Final = (Field("ordinal", "Right after event", 1, minimum=0, maximum=100_000),)

_BROKEN: Final[dict[str, tuple[str, Callable[[], Around]]]] = {
    "none": ("None: keep every promise", lambda: StoreProxy),
    "forgets": ("The store forgets everything when it is closed", lambda: stores.StoreThatForgetsOnClose),
    "drops-entities": ("The store keeps events, and not what they mean", lambda: stores.StoreThatDropsEntities),
    "miscounts": ("The store says that it stands one event earlier", lambda: stores.StoreThatMiscounts),
    "forgets-errors": ("The store keeps no errors", lambda: stores.StoreThatForgetsErrors),
    "forgets-keys": ("The store knows no command again", lambda: stores.StoreThatForgetsKeys),
    "stale": ("The store shows an old timeline as the present one", lambda: stores.StoreThatIsStale),
    "lingers": ("The memory store outlives its process", stores.Lingering),
}
_BREAK: Final = (
    Field("promise", "What goes wrong", "forgets", choices=tuple((name, each[0]) for name, each in _BROKEN.items())),
)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A command that was submitted, and under which idempotency key."""

    key: str
    text: str


class Persistence:
    """One session on a store that can be chosen, in a backend that can be restarted.

    Args:
        directory: where the store's files are; it is empty, and nobody else's.
    """

    number = 5
    title = "Persistence and restart"
    lead = "The backend goes and comes back under an open page: what its store kept, and what is gone."

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._schemas = notebook_schemas()
        self._files = 0
        self._backend: Backend | None = None
        self._server: WebSocketServer | None = None
        self._swapping = asyncio.Lock()
        self._broken = "none"
        self._begin("sqlite")

    def _begin(self, kind: Kind) -> None:
        """Know nothing of what was before."""
        self._kind: Kind = kind
        self._journal = Journal()
        self._commands = 0
        self._latest: _Sent | None = None
        self._claimed: _Sent | None = None
        self._restarts = 0
        self._restart: Restart | None = None
        self._repeat: Repeat | None = None
        self._folds = Folds()
        self._look = 1
        self._replay: ReplayReport | None = None
        self._around = _BROKEN[self._broken][1]()

    @property
    def server(self) -> WebSocketServer | None:
        """Who answers pages: nobody during a restart; then another one, once there is what pages shall come back to."""
        return self._server

    @property
    def hub(self) -> Hub:
        """The hub of the present backend."""
        return self._running.hub

    @property
    def store(self) -> HydrationStore:
        """The store of the present backend."""
        return self._running.store

    def actions(self) -> Sequence[Action]:
        """Return what can be done."""
        return (
            Action("choose", "Choose the store", self._choose, _CHOOSE, "Begins anew, on an empty store."),
            Action("seed", "Write notes", self._seed, _SEED, "Submits a command for each, under a key of its own."),
            Action(
                "restart",
                "Restart the backend",
                self._restart_backend,
                _RESTART,
                "Store, hub and server go and come back.",
            ),
            Action(
                "repeat",
                "Send a command again",
                self._send_again,
                help="The last one from before the restart, under the same key.",
            ),
            Action(
                "replay", "Replay the log", self._replay_log, help="Builds the timeline from nothing, in a new epoch."
            ),
            Action("look", "Look back", self._look_back, _LOOK, "Shows the timeline as it was."),
            Action(
                "break",
                "Break a promise",
                self._break,
                _BREAK,
                "Puts something around the store. Write notes, restart and send a command again to see it.",
                harm=True,
            ),
            self._folds.action(),
        )

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
        """Return how the session stands, what the latest restart left of it, and what that proves."""
        async with self._swapping:
            now, folds = await self._standing(), self._present_folds()
            truths = {ordinal: await self._notes_at(ordinal) for ordinal in {fold.ordinal for fold in folds}}
            found = Found(self._kind, now, self._restart, self._repeat, folds, truths)
            checks = persistence_checks(found)
            panels = await self._panels(found, checks)
        return State(checks, panels, self._facts(now), (SESSION,))

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
        before = await self._running.store.events(SESSION)
        await self._submit(command)
        after = await self._running.store.events(SESSION)
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

    async def _break(self, arguments: Arguments) -> None:
        async with self._swapping:
            file, self._server = self._running.file, None
            await self._running.end()
            self._broken = arguments.text("promise")
            self._around = _BROKEN[self._broken][1]()
            await self._open(file)
            self._answer()

    async def _replay_log(self, _arguments: Arguments) -> None:
        self._replay = await self._running.hub.rebuild_timeline(SESSION)

    async def _look_back(self, arguments: Arguments) -> None:
        self._look = arguments.number("ordinal")

    async def _write(self, text: str, notes: int) -> None:
        if self._commands + notes > NOTES:
            raise BadRequest(f"{NOTES} notes are enough: choose a store, or reset the page, to begin anew")
        for _ in range(notes):
            self._commands += 1
            self._latest = _Sent(f"note-{self._commands}", text)
            await self._submit(self._latest)

    async def _submit(self, command: _Sent) -> None:
        payload = AddNoteCommand(text=command.text)
        await self._running.hub.submit(SESSION, ADD_NOTE, payload, idempotency_key=command.key)

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
        """Let pages come to the present backend."""
        self._server = self._running.server

    async def _standing(self, *, stored: bool = False) -> Standing:
        """Return how the session stands: as clients see it; errors as they were told, or as they are ``stored``."""
        store = self._running.store
        snapshot = await self._running.hub.snapshot(SESSION)
        errors = await store.error_records(SESSION) if stored else tuple(self._journal.errors)
        return Standing(await store.events(SESSION), snapshot, await store.cursors(SESSION), errors)

    def _present_folds(self) -> tuple[Fold, ...]:
        """Return what browsers hold."""
        connections = self._running.server.connections()
        names = (connection.principal for connection in connections if SESSION in connection.subscriptions)
        return self._folds.present({name for name in names if isinstance(name, str)})

    async def _notes_at(self, ordinal: int) -> list[Json]:
        return notes(await self._running.store.snapshot(SESSION, as_of=ordinal))

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _facts(self, now: Standing) -> tuple[tuple[str, Cell], ...]:
        return (
            ("Store", "a SQLite file" if self._kind == "sqlite" else "memory"),
            ("Restarts", self._restarts),
            ("Event cursor", now.cursors.event),
            ("Epoch", str(now.cursors.epoch)),
            ("Broken", _BROKEN[self._broken][0]),
        )

    async def _panels(self, found: Found, checks: Sequence[Check]) -> tuple[Panel, ...]:
        now, store = found.now, self._running.store
        ordinal = min(self._look, now.cursors.timeline)
        earlier = await store.snapshot(SESSION, as_of=ordinal)
        errors = await store.error_records(SESSION)
        stages = tuple(self._journal.connections)
        panels: tuple[Panel | None, ...] = (
            _kept_and_lost(found, checks),
            event_table("log", "Event log", now.events[-ROWS:], "Write notes.").latest(ROWS, of=len(now.events)),
            entity_table("timeline", "Timeline", now.snapshot.entities, "Write notes."),
            entity_table(
                "earlier", f"Timeline right after event {ordinal}", earlier.entities, "Nothing was there then."
            ),
            fold_table(found.folds, "No page watches this session."),
            error_table(
                "errors", "Error records of the store", errors, "Nothing went wrong that this store remembers."
            ),
            _replayed(self._replay),
            stage_table("stages", "Connections", stages[-ROWS:], "Nobody has connected.").latest(ROWS, of=len(stages)),
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


def _kept_and_lost(found: Found, checks: Sequence[Check]) -> Table:
    """Lay out what the latest restart kept and lost, and why."""
    restart = found.restart
    rows: tuple[tuple[Cell, ...], ...] = ()
    if restart is not None:
        verdicts = {check.id: check.because for check in checks}
        lines: tuple[tuple[str, str, Callable[[Standing], Cell]], ...] = (
            ("Events", "events-kept", lambda standing: len(standing.events)),
            ("Entities", "entities-kept", lambda standing: len(standing.snapshot.entities)),
            ("Event cursor", "cursors-kept", lambda standing: standing.cursors.event),
            ("Timeline cursor", "cursors-kept", lambda standing: standing.cursors.timeline),
            ("Epoch", "cursors-kept", lambda standing: str(standing.cursors.epoch)),
            ("Error records", "errors-kept", lambda standing: len(standing.errors)),
        )
        rows = tuple(
            (what, count(restart.before), count(restart.after), verdicts[judged_by]) for what, judged_by, count in lines
        )
    columns = ("What", "Before", "After the restart", "Why")
    return Table("kept", "Kept and lost", columns, rows, "Write notes, then restart the backend.")


def _replayed(report: ReplayReport | None) -> Panel | None:
    if report is None:
        return None
    value: Json = {"events": report.events, "cursor": str(report.cursor), "epoch": str(report.epoch)}
    return Document("replay", "The latest replay", value)
