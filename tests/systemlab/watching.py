"""A browser in memory: it connects to a phase's server, folds updates as the pages do, and reports its state."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from sessionstream.systemlab.actions import Value
from sessionstream.systemlab.checks import Check, Verdict
from sessionstream.systemlab.phase import Phase
from tests.transport.asgi import Peer

PATIENCE = 30.0

Item = tuple[str, Any]
"""The id of what an entity or a live event is about, and what is held of it; None: it is gone."""


async def act(phase: Phase, name: str, **arguments: Value) -> None:
    """Run an action, as the form of the page does."""
    [action] = [action for action in phase.actions() if action.name == name]
    await action.run(action.arguments(arguments))


async def check(phase: Phase, name: str) -> Check:
    """Return a check as it is now."""
    [found] = [check for check in (await phase.state()).checks if check.id == name]
    return found


async def judged(phase: Phase, name: str, verdict: Verdict) -> Check:
    """Return a check as soon as it has this verdict."""
    found = await check(phase, name)
    try:
        async with asyncio.timeout(PATIENCE):
            while found.verdict != verdict:
                await asyncio.sleep(0)
                found = await check(phase, name)
    except TimeoutError:
        raise AssertionError(f"{name} is not {verdict} but {found}") from None
    return found


class Watching:
    """One client of a session.

    Args:
        of_entity: returns the item for an entity's payload.
        of_event: returns the id and the item of a live event.
    """

    def __init__(
        self,
        phase: Phase,
        name: str,
        session_id: str,
        of_entity: Callable[[Mapping[str, Any]], Any],
        of_event: Callable[[str, Mapping[str, Any]], Item],
    ) -> None:
        self.phase, self.name, self.session_id = phase, name, session_id
        self._of_entity, self._of_event = of_entity, of_event
        self._peer: Peer | None = None
        self._forget()

    def _forget(self) -> None:
        self.epoch = self.ordinal = 0
        self.hydrated = False
        self.held: dict[str, Any] = {}

    async def connect(self) -> None:
        """Connect and subscribe, with the held ordinal and epoch."""
        assert self.phase.server is not None
        self._peer = await Peer(self.phase.server, query_string=f"client={self.name}".encode()).accepted()
        self.hydrated = False
        request: dict[str, Any] = {"delta": True}
        if self.epoch:
            request |= {"epoch": str(self.epoch), "sinceSnapshotOrdinal": str(self.ordinal)}
        self._peer.subscribe(self.session_id, **request)

    async def leave(self) -> None:
        """Lose the connection, and keep the state."""
        assert self._peer is not None
        self._peer.lose()
        await self._peer.ended()
        self._peer = None

    async def ended(self) -> int:
        """Return the code with which the server ended the connection."""
        assert self._peer is not None
        peer, self._peer = self._peer, None
        return await peer.ended()

    async def until(self, ordinal: int) -> None:
        """Hear until a snapshot has come and everything up to an ordinal."""
        assert self._peer is not None
        while not self.hydrated or self.ordinal < ordinal:
            frame = await self._peer.hear()
            assert frame, f"{self.name} was closed"
            self._take(frame)

    async def report(self, *, live: bool = True) -> None:
        """Report the state to the phase."""
        items = json.dumps([value for value in self.held.values() if value is not None])
        report: dict[str, Value] = {"live": live, "epoch": str(self.epoch), "ordinal": self.ordinal, "items": items}
        await act(self.phase, "report", client=self.name, **report)

    def _take(self, frame: Mapping[str, Any]) -> None:
        match frame:
            case {"snapshot": snapshot}:
                if "since" not in snapshot:
                    self.held.clear()
                for entity in snapshot.get("entities", ()):
                    self.held[entity["id"]] = None if entity.get("tombstone") else self._of_entity(entity["payload"])
                self.epoch, self.ordinal = int(snapshot["epoch"]), int(snapshot.get("snapshotOrdinal", 0))
                self.hydrated = True
            case {"uiEvent": event} if self.hydrated and int(event["eventOrdinal"]) >= self.ordinal:
                self.ordinal = int(event["eventOrdinal"])
                about, value = self._of_event(event["name"], event.get("payload", {}))
                self.held[about] = value
