"""Phase 3: hydration and reconnect, with two browser clients of one session and all the faults that can occur."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

from sessionstream import Hub, HydrationStore, SessionstreamError, Snapshot, SQLiteStore
from sessionstream.systemlab import journal
from sessionstream.systemlab.actions import Action, Arguments, BadRequest, Field
from sessionstream.systemlab.breaks import Break
from sessionstream.systemlab.checks import Json
from sessionstream.systemlab.folds import converged
from sessionstream.systemlab.front import Front, breach_field
from sessionstream.systemlab.journal import Journal
from sessionstream.systemlab.notebook import ADD_NOTE, NOTE, REMOVE_NOTE, notebook_schemas, open_notebook, project_ui
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.sabotage.breaches import breaks_of_hydration
from sessionstream.systemlab.sabotage.sources import Held
from sessionstream.systemlab.session_ids import chosen, session_action, shortened
from sessionstream.systemlab.v1.lab_pb2 import AddNoteCommand, NoteEntity, RemoveNoteCommand
from sessionstream.transport.ws import WebSocketServer

SESSION: Final = "notebook"
"""The session that the clients of the page watch at first."""

NOTES: Final = 60
"""The maximum number of notes."""

_BREAKS: Final[Mapping[str, Break]] = MappingProxyType(breaks_of_hydration())


class Hydration:
    """The notebook behind a real WebSocket server whose snapshots can be made slow.

    Args:
        directory: for the file of its store.
        patience: seconds to wait until a subscriber's snapshot is requested.
    """

    number = 3
    title = "Hydration and reconnect"
    lead = (
        "Two clients watch one notebook. Disconnect and reconnect them, and publish while a snapshot loads: "
        "both reach the state of the store."
    )

    def __init__(self, directory: Path, patience: float = 5.0) -> None:
        self._directory = directory
        self._patience = patience
        self._journal = Journal()
        self._front = Front(project_ui, self._journal)
        self._session = SESSION
        self._stack = AsyncExitStack()
        self._live: tuple[Hub, SQLiteStore] | None = None
        self._held: Held

    @property
    def server(self) -> WebSocketServer | None:
        """The current WebSocket server."""
        return self._front.server

    @property
    def hub(self) -> Hub:
        """The hub."""
        return self._running[0]

    @property
    def store(self) -> HydrationStore:
        """The store of the hub."""
        return self._running[1]

    @property
    def _running(self) -> tuple[Hub, SQLiteStore]:
        if self._live is None:
            raise SessionstreamError("this phase is not started")
        return self._live

    def actions(self) -> Sequence[Action]:
        """Return the actions."""
        return (
            Action(
                "add",
                "Add notes",
                self._add,
                (
                    Field("text", "Text", "to be or not to be", longest=120),
                    Field("notes", "Notes", 1, minimum=1, maximum=20),
                ),
                help="Each note is one event to begin it, one for each word and one to finish it.",
            ),
            Action("remove", "Remove the oldest note", self._remove, help="Its entity becomes a tombstone."),
            Action(
                "hydrate",
                "Publish while they hydrate",
                self._hydrate,
                (Field("notes", "Notes", 5, minimum=1, maximum=20),),
                help="Every subscriber is sent a new snapshot, which is held back until the notes are written.",
            ),
            session_action(self._session, self._use),
            Action(
                "hold",
                "Hold snapshots back",
                self._hold,
                help="Clients that subscribe now wait, and events are buffered.",
            ),
            Action("release", "Let snapshots go", self._release),
            Action("drop", "Drop all connections", self._drop, help="Clients reconnect to another server."),
            Action(
                "rebuild",
                "Rebuild the timeline",
                self._rebuild,
                help="From the log, in a new epoch: snapshots of the old epoch are no longer valid.",
            ),
            Action("break", "Break a promise", self._break, (breach_field(_BREAKS, self._front.breach),), harm=True),
            self._front.folds.action(),
        )

    def breaks(self) -> Mapping[str, Break]:
        """Return the breaks by name."""
        return _BREAKS

    # -- lifecycle ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open store, hub and server."""
        schemas, path = notebook_schemas(), self._directory / "hydration.db"
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(SQLiteStore.open(path, schemas))
            hub = open_notebook(
                Hub(schemas, store=store, fanout=self._front.ledger, error_observer=self._journal.errors.append)
            )
            hub.register_ui_projection(self._front.hasty.project)
            self._live = await stack.enter_async_context(hub), store
            self._held = Held(hub)
            stack.push_async_callback(self._front.close)
            await self._front.open(self._held)
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Tell clients to reconnect, and close everything."""
        await self._stack.aclose()

    # -- actions -----------------------------------------------------------------------------------------------

    async def _add(self, arguments: Arguments) -> None:
        await self._write(arguments.text("text"), arguments.number("notes"))

    async def _write(self, text: str, notes: int) -> None:
        there = len((await self.hub.snapshot(self._session)).entities)
        if there + notes > NOTES:
            raise BadRequest(f"there are {there} notes, and {NOTES} are the maximum: remove some, or reset this phase")
        for _ in range(notes):
            await self.hub.submit(self._session, ADD_NOTE, AddNoteCommand(text=text))

    async def _remove(self, _: Arguments) -> None:
        snapshot = await self.hub.snapshot(self._session)
        if not snapshot.entities:
            raise BadRequest("there is no note to remove: add one first")
        await self.hub.submit(self._session, REMOVE_NOTE, RemoveNoteCommand(note_id=snapshot.entities[0].id))

    async def _hydrate(self, arguments: Arguments) -> None:
        server = self.server
        if server is None or not self._front.watched(self._session):
            raise BadRequest("no client is subscribed: connect a client and subscribe first")
        self._held.hold()
        try:
            server.resync(self._session)
            async with asyncio.timeout(self._patience):
                await self._held.until_waiting()
            await self._write("said while a snapshot was loading", arguments.number("notes"))
        except TimeoutError as error:
            raise BadRequest("no snapshot was requested in time: try again") from error
        finally:
            self._held.let_go()

    async def _use(self, arguments: Arguments) -> None:
        self._session = chosen(arguments)

    async def _hold(self, _: Arguments) -> None:
        self._held.hold()

    async def _release(self, _: Arguments) -> None:
        self._held.let_go()

    async def _drop(self, _: Arguments) -> None:
        await self._front.connect()

    async def _rebuild(self, _: Arguments) -> None:
        await self.hub.rebuild_timeline(self._session)

    async def _break(self, arguments: Arguments) -> None:
        await self._front.connect(arguments.text("breach"))

    # -- state -------------------------------------------------------------------------------------------------

    async def state(self) -> State:
        """Return the checks and their data."""
        front, folds = self._front, self._front.held(self._session)
        truths = {ordinal: await self._at(ordinal) for ordinal in {fold.ordinal for fold in folds}}
        snapshot = await self.hub.snapshot(self._session)
        return State(
            checks=(
                *front.checks(self._session),
                front.one_epoch(self._session),
                converged(
                    "converged",
                    "Clients that disconnected and reconnected converge: each has the timeline of the store.",
                    folds,
                    truths,
                    epoch=snapshot.epoch,
                    told=front.ledger.told(self._session),
                    clients=2,
                ),
            ),
            panels=(
                journal.entity_table("timeline", "Timeline in the store", snapshot.entities, "No note yet. Add one."),
                *front.evidence(self._session, folds),
            ),
            facts=(
                ("Session", shortened(self._session)),
                ("Timeline at", snapshot.snapshot_ordinal),
                ("Epoch", str(snapshot.epoch)),
                ("Snapshots held back", self._held.waiting if self._held.holds else "no"),
                ("Connections", front.connections),
            ),
            latest=journal.latest(await self.store.events(self._session, after=max(snapshot.snapshot_ordinal - 1, 0))),
            watched=(self._session,),
            broken=_BREAKS.get(front.breach),
        )

    async def _at(self, ordinal: int) -> list[Json]:
        return notes(await self.hub.snapshot(self._session, as_of=ordinal))


def notes(snapshot: Snapshot) -> list[Json]:
    """Return the notes of a snapshot in the form in which the page reports them: id, text, whether it is finished."""
    found = [cast("NoteEntity", entity.payload) for entity in snapshot.entities if entity.kind == NOTE]
    return [[note.note_id, note.text, note.finished] for note in found]
