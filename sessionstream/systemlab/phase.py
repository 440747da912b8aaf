"""The port between the lab and its pages: a phase has actions, a state, and perhaps a WebSocket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sessionstream.systemlab.actions import Action
from sessionstream.systemlab.checks import Check, Json
from sessionstream.systemlab.panels import Cell, Panel, exact
from sessionstream.transport.ws import WebSocketServer


@dataclass(frozen=True, slots=True)
class State:
    """What a phase shows at one moment.

    Attributes:
        checks: every check of the page, in the order of its story; also those that wait.
        panels: the evidence, in the order it is read.
        facts: a few numbers and words for the head of the page, label first.
        sessions: the sessions whose live events change this state; the page watches them and asks again.
    """

    checks: tuple[Check, ...]
    panels: tuple[Panel, ...]
    facts: tuple[tuple[str, Cell], ...] = ()
    sessions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return it as ``/api/phaseN/state`` answers."""
        return {
            "checks": [check.to_json() for check in self.checks],
            "panels": [panel.to_json() for panel in self.panels],
            "facts": [[label, exact(value)] for label, value in self.facts],
            "sessions": list(self.sessions),
        }


class Phase(Protocol):
    """One page of the lab, with a backend of its own behind it.

    The lab makes a phase, awaits ``start``, and awaits ``close`` before it makes another in its place. Its actions are
    run one at a time; ``state`` may be asked for at any time in between, also while one of them runs.
    """

    @property
    def number(self) -> int:
        """Its place in the lab, from 0."""
        ...

    @property
    def title(self) -> str:
        """What the page is called."""
        ...

    @property
    def lead(self) -> str:
        """What there is to see, in a sentence."""
        ...

    @property
    def server(self) -> WebSocketServer | None:
        """Who answers at ``/api/phaseN/ws`` now; None: nobody. May be another one after an action."""
        ...

    def actions(self) -> Sequence[Action]:
        """Return what can be done, in the order of the page; names do not change while the phase lives."""
        ...

    async def start(self) -> None:
        """Open what it needs."""
        ...

    async def state(self) -> State:
        """Return what is so now."""
        ...

    async def close(self) -> None:
        """Stop everything it runs, tell its clients to reconnect, and leave no task running."""
        ...
