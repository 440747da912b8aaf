"""The port between the lab and its pages: a phase has actions, a state, and perhaps a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sessionstream.systemlab.actions import Action
from sessionstream.systemlab.breaks import Break
from sessionstream.systemlab.checks import Check, Json
from sessionstream.systemlab.panels import Cell, Panel, exact
from sessionstream.transport.ws import WebSocketServer


@dataclass(frozen=True, slots=True)
class State:
    """The state of a phase at one moment.

    Attributes:
        checks: every check of the page in order, including those that wait for data.
        panels: the evidence, in the order of the page.
        facts: pairs of a label and a value, beside the checks.
        sessions: the sessions whose live events change this state; the page watches them and requests the state again.
        latest: what happened last, in a few words; empty before anything has.
        broken: the break in force, such as one of the phase's ``breaks()``.
        held: which event holds the session, why, and what to do; empty if it is not held.
        watched: the sessions that the page's clients watch; empty if it has no clients.
    """

    checks: tuple[Check, ...]
    panels: tuple[Panel, ...]
    facts: tuple[tuple[str, Cell], ...] = ()
    sessions: tuple[str, ...] = ()
    latest: str = ""
    broken: Break | None = None
    held: str = ""
    watched: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON for ``/api/phaseN/state``."""
        return {
            "checks": [check.to_json() for check in self.checks],
            "panels": [panel.to_json() for panel in self.panels],
            "facts": [[label, exact(value)] for label, value in self.facts],
            "sessions": list(self.sessions),
            "latest": self.latest,
            "held": self.held,
            "watched": list(self.watched),
            "broken": None if self.broken is None else self.broken.to_json(),
        }


class Phase(Protocol):
    """One page of the lab, with its own backend.

    The lab makes a phase, awaits ``start``, and awaits ``close`` before it makes another in its place. Its actions are
    run one at a time; ``state`` may be asked for at any time in between, also while one of them runs.
    """

    @property
    def number(self) -> int:
        """Its number in the lab, from 0."""
        ...

    @property
    def title(self) -> str:
        """The title of the page."""
        ...

    @property
    def lead(self) -> str:
        """A sentence that describes the page."""
        ...

    @property
    def server(self) -> WebSocketServer | None:
        """The current server of ``/api/phaseN/ws``, or None. An action may replace it."""
        ...

    def actions(self) -> Sequence[Action]:
        """Return the actions in the order of the page; their names do not change."""
        ...

    def breaks(self) -> Mapping[str, Break]:
        """Return what the action ``break`` can break, by the values of its field."""
        ...

    async def start(self) -> None:
        """Open stores, hubs and servers."""
        ...

    async def state(self) -> State:
        """Return the current state."""
        ...

    async def close(self) -> None:
        """Stop the backend, tell its clients to reconnect, and leave no task running."""
        ...
