"""The WebSocket server of a phase, its observer, and the ways to break it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sessionstream import SnapshotSource
from sessionstream.serving.running import RETURN_AFTER
from sessionstream.systemlab import delivery, journal
from sessionstream.systemlab.actions import Field
from sessionstream.systemlab.breaks import NOTHING, Break, break_field
from sessionstream.systemlab.checks import Check
from sessionstream.systemlab.conversations import Conversations, Frame, ListeningServer
from sessionstream.systemlab.delivery import Hydration
from sessionstream.systemlab.folds import Fold, Folds, fold_table
from sessionstream.systemlab.journal import Journal
from sessionstream.systemlab.ledger import Ledger, Places
from sessionstream.systemlab.panels import Cell, Table
from sessionstream.systemlab.sabotage.breaches import BREACHES
from sessionstream.systemlab.sabotage.fanouts import Hasty, Projection

SHOWN: Final = 60
"""The maximum number of frames, events and stages that are shown; the latest are shown."""


def breach_field(breaks: Mapping[str, Break], broken: str) -> Field:
    """Return the field of an action that breaks one of these promises, or none, while this one is broken."""
    hint = "All clients reconnect. The recorded frames stay until you reset this phase."
    return break_field("breach", breaks, broken, first="drop", hint=hint)


class Front:
    """The parts between a hub and browsers.

    Make it, give ``ledger`` to the hub as its fan-out, and open it. If guarantees of delivery can be broken, register
    ``hasty.project`` there too, as one more UI projection.

    Args:
        projection: the hub's UI projection.
        kept: records the stages of connections, and errors.

    Attributes:
        ledger: the calls of the fan-out.
        hasty: sends UI events before the commit, if that is broken.
        conversations: the frames of each client.
        folds: the states that clients report.
        breach: the name of the broken guarantee.
        server: serves browsers, once it is open; a new one after each ``connect``.
    """

    def __init__(self, projection: Projection, kept: Journal) -> None:
        places = Places()
        self.ledger: Ledger = Ledger(places)
        self.hasty: Hasty = Hasty(projection)
        self.conversations: Conversations = Conversations(places, self.ledger)
        self.breach: str = NOTHING
        self.folds: Folds = Folds()
        self.server: ListeningServer | None = None
        self._leaving: list[ListeningServer] = []
        self._source: SnapshotSource
        self._shown: SnapshotSource
        self._journal = kept

    async def open(self, source: SnapshotSource) -> None:
        """Start a server with snapshots from this source; clients of the one before are told to reconnect."""
        self._source = source
        await self.connect(NOTHING)

    async def connect(self, breach: str | None = None) -> None:
        """Replace the server by a new one, and tell its clients to reconnect at once.

        Args:
            breach: the guarantee that is broken from now on; None changes nothing.
        """
        if breach is not None:
            self.breach = breach
            self._shown = BREACHES[breach].source(self._source)  # once: one that is stale has to stay so
        wrong = BREACHES[self.breach]
        if self.server is not None:
            self._leaving.append(self.server)
        self.server = ListeningServer(
            self._shown,
            self.conversations,
            line=wrong.line,
            observer=self._journal.connections.append,
        )
        self.ledger.pass_on_to(wrong.fanout(self.server))
        self.hasty.fanout = self.server if wrong.hasty else None
        await self._leave(retry_after=0)

    async def close(self) -> None:
        """Tell every client to reconnect a little later."""
        if self.server is not None:
            self._leaving.append(self.server)
            self.server = None
        await self._leave(retry_after=RETURN_AFTER)

    async def _leave(self, retry_after: float) -> None:
        while self._leaving:  # a connect that was cancelled in the midst of it leaves the rest to the close
            await self._leaving[-1].shutdown(retry_after)
            self._leaving.pop()

    def watched(self, session_id: str) -> bool:
        """Whether a client is subscribed to a session."""
        return bool(self._subscribed(session_id))

    def _subscribed(self, session_id: str) -> set[str]:
        connections = () if self.server is None else self.server.connections()
        return {each.connection_id for each in connections if session_id in each.subscriptions}

    # -- results ----------------------------------------------------------------------------------------------

    def held(self, session_id: str) -> tuple[Fold, ...]:
        """Return the states of browsers of a session."""
        subscribed = self._subscribed(session_id)
        return self.folds.present({each.client for each in self.conversations if each.connection_id in subscribed})

    def checks(self, session_id: str) -> tuple[Check, ...]:
        """Return the checks of the delivery of a session."""
        heard, batches = self._heard(session_id), self.ledger.batches(session_id)
        return (
            delivery.snapshot_first(heard),
            delivery.in_order(heard),
            delivery.none_missing(heard, batches),
            delivery.none_twice(heard, batches),
            delivery.true_first(heard),
        )

    def one_epoch(self, session_id: str) -> Check:
        """Return the check of deltas."""
        return delivery.one_epoch(self.conversations, session_id, self.ledger)

    def _heard(self, session_id: str) -> list[Hydration]:
        connections = [] if self.server is None else self.server.connections()
        waiting = [connection.connection_id for connection in connections if connection.queue_depth]
        return delivery.hydrations(self.conversations, session_id, waiting)

    def evidence(self, session_id: str, folds: Sequence[Fold]) -> tuple[Table, ...]:
        """Return the latest data of the checks as tables.

        Args:
            session_id: the session of the page.
            folds: the states of browsers.
        """
        batches, stages = self.ledger.batches(session_id), list(self._journal.connections)
        told = [(batch.ordinal, event) for batch in batches[-SHOWN:] for event in batch.events]
        return (
            self.frames(),
            fold_table(folds, "No client has a state: connect one above."),
            journal.ui_table("told", "UI events of the hub for live clients", told, "No event yet.").latest(
                SHOWN, of=len(batches)
            ),
            journal.stage_table("stages", "Stages of connections", stages[-SHOWN:], "No connection yet.").latest(
                SHOWN, of=len(stages)
            ),
            journal.error_table("errors", "Errors", self._journal.errors, "None."),
        )

    def frames(self) -> Table:
        """Return the latest frames of all connections as a table."""
        said = sorted(
            ((frame, conversation.client) for conversation in self.conversations for frame in conversation.frames),
            key=lambda pair: pair[0].place,
        )
        rows = tuple((client, _DIRECTIONS[frame.by], frame.kind, *_details(frame)) for frame, client in said[-SHOWN:])
        empty = "No client is connected. Connect one above."
        table = Table("frames", "Frames on all connections, in order", _COLUMNS, rows, empty)
        return table.latest(SHOWN, of=len(said))

    @property
    def connections(self) -> int:
        """The number of connected clients."""
        return 0 if self.server is None else len(self.server.connections())


_COLUMNS: Final = ("Client", "Way", "Frame", "Ordinal", "What it says")
_DIRECTIONS: Final = {"client": "in", "server": "out"}


def _details(frame: Frame) -> tuple[Cell, str]:
    match frame.kind:
        case "snapshot" if frame.since:
            return frame.ordinal, f"{frame.entities} changed since {frame.since}"
        case "snapshot":
            return frame.ordinal, f"{frame.entities} entities: everything"
        case "subscribe" if frame.since:
            return "", f"since {frame.since}"
        case "subscribe":
            return "", "from nothing"
        case _:
            return frame.ordinal or "", frame.name
