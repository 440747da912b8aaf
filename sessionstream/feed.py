"""The Feed port: how a store tells a hub what other processes do to the sessions that are watched here.

A store that several processes share has it as its attribute ``feed``. A hub then passes the UI events of other
processes on to its fan-out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from sessionstream.types import NO_METADATA

if TYPE_CHECKING:
    from sessionstream.types import UIEvent


class Position(NamedTuple):
    """Where the timeline of a session stands, as far as somebody knows.

    Attributes:
        ordinal: the highest ordinal that the timeline reflects.
        epoch: identifies the timeline.
    """

    ordinal: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Move:
    """One commit that moved a timeline.

    Attributes:
        before: the timeline's ordinal before the commit.
        ordinal: the timeline's ordinal after it.
        epoch: identifies the timeline.
        ui_events: those of the commit, in order; empty if it had none; None if they cannot be read here.
        metadata: of the event; empty if it has none, or no UI events.
    """

    before: int
    ordinal: int
    epoch: int
    ui_events: tuple[UIEvent, ...] | None
    metadata: Mapping[str, str] = NO_METADATA


@dataclass(frozen=True, slots=True)
class Moves:
    """What happened to a session after a position: where it stands, and the moves that led there, in order.

    Moves may be missing, because nobody recorded them or because they were too old.
    """

    session_id: str
    position: Position
    moves: Sequence[Move]


Hint: TypeAlias = Callable[[Collection[str] | None], None]
"""Receives the ids of sessions that may have moved; None stands for every session."""


class Feed(Protocol):
    """Tells a hub what other processes do to sessions."""

    def follow(self, hint: Hint, /) -> Callable[[], None]:
        """Call ``hint`` in the running event loop from now on, whenever other processes may have moved sessions.

        Hints may come too often, and may be lost; every lost one is made up for within seconds by ``hint(None)``.

        Returns:
            A function that ends this.
        """
        ...

    async def moves(self, known: Mapping[str, Position], /) -> Sequence[Moves]:
        """Return what happened to sessions after a known position of each, as of one instant.

        Sessions that are at their known position are left out.

        Raises:
            StoreClosed: the store is closed.
            StoreError: the medium failed.
        """
        ...
