"""The expected contents of a file after any number of kills, from the output of the processes and the file before.

It does not depend on the format of the file: it uses only the methods of the store.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from sessionstream import SQLiteStore, TimelineEntity

from .app import DELETED, PARTS, SESSIONS, Said, text_of, told_by

OLDER: Final = 5
"""Ordinals below those that are new at which a timeline is looked at again, at random."""


@dataclass(frozen=True)
class Text:
    """An entity as it must be."""

    text: str
    created: int
    changed: int


Texts = dict[str, Text]


def after(texts: Texts, said: Said, ordinal: int) -> Texts:
    """Return the texts after one more event."""
    before = texts.get(said.text_id)
    text = told_by(said, None if before is None else before.text)
    others = {text_id: each for text_id, each in texts.items() if text_id != said.text_id}
    if text is None:
        return others
    return others | {said.text_id: Text(text, ordinal if before is None else before.created, ordinal)}


def texts_of(entities: tuple[TimelineEntity, ...]) -> Texts:
    """Return the texts of a snapshot, after checking that it has each entity once."""
    found = {}
    for entity in entities:
        text = text_of(entity)
        assert text is not None
        found[entity.id] = Text(text, entity.created_ordinal, entity.last_event_ordinal)
    assert len(found) == len(entities)
    return found


@dataclass
class SessionModel:
    """One session.

    Attributes:
        log: every event the file ever showed, by its ordinal.
        states: the texts after each ordinal, as the fold of the log.
        acknowledged: what processes printed of events, not yet compared with the log.
        told: ordinals that were fanned out, by anybody.
        runs: keys of the commands whose handler was called.
        finished: those of them that were acknowledged.
        floor, cursor, applied, epoch: of the file when it was looked at last; ``applied`` is the timeline's cursor.
        replaced: whether a rebuild or a deletion was begun since the file was looked at last.
        renewed: whether one was acknowledged.
    """

    name: str
    log: dict[int, Said] = field(default_factory=dict)
    states: dict[int, Texts] = field(default_factory=lambda: {0: {}})
    acknowledged: list[tuple[int, Said]] = field(default_factory=list)
    told: dict[int, str] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    finished: set[str] = field(default_factory=set)
    floor: int = 0
    cursor: int = 0
    applied: int = 0
    epoch: int = 0
    replaced: bool = False
    renewed: bool = False

    def hear(self, printed: list[dict[str, Any]]) -> None:
        """Process the output of one process about this session, in order."""
        last = 0
        for each in printed:
            match each["what"]:
                case "published":
                    self.acknowledged.append((each["ordinal"], Said(**each["said"])))
                case "told":
                    assert each["ordinal"] > last, f"fanned out in the wrong order: {each}"
                    last = each["ordinal"]
                    assert last not in self.told, f"fanned out twice: {each}"
                    self.told[last] = each["chunk"]
                case "ran":
                    assert each["key"] not in self.runs, f"a command ran twice: {each}"
                    self.runs.add(each["key"])
                case "submitted" if each["ran"]:
                    self.finished.add(each["key"])
                case "begin" | "done" if each["operation"] in ("rebuild", "delete"):
                    self.replaced = True
                    # There is nothing to delete of a session that nobody has used: it stays in the first epoch.
                    used = each["operation"] == "rebuild" or self.cursor > 0 or self.acknowledged != []
                    self.renewed |= each["what"] == "done" and used

    async def check(self, store: SQLiteStore, random: Random, *, thorough: bool) -> None:
        """Compare the session with the file."""
        cursors = await store.cursors(self.name)
        assert self.floor <= cursors.floor <= cursors.timeline <= cursors.event
        assert self.cursor <= cursors.event, "an event that was there is gone"
        if self.renewed:
            assert cursors.epoch != self.epoch, "an epoch has outlived what it was for"
        elif not self.replaced and self.epoch:
            assert cursors.epoch == self.epoch
        since, applied = self.cursor, self.applied
        self.floor, self.cursor, self.applied = cursors.floor, cursors.event, cursors.timeline
        self.epoch, self.replaced, self.renewed = cursors.epoch, False, False
        if self.name == DELETED:
            since = await self._begin_again(store, cursors.event)
        await self._read_log(store, since)
        await self._compare_acknowledged(store)
        first = max(min(self.states), cursors.floor)
        ordinals = set(range(first if thorough else max(first, applied), cursors.timeline + 1))
        ordinals |= {random.randint(first, cursors.timeline) for _ in range(OLDER)}
        now = await store.snapshot(self.name)
        assert now.snapshot_ordinal == cursors.timeline
        assert texts_of(now.entities) == self.states[cursors.timeline]
        for ordinal in sorted(ordinals):
            await self._compare_timeline(store, ordinal, cursors.timeline)

    async def _begin_again(self, store: SQLiteStore, cursor: int) -> int:
        """Forget a log that may have been deleted; return the ordinal that what is there now begins after."""
        events = await store.events(self.name, limit=1)
        base = events[0].ordinal - 1 if events else cursor
        self.log.clear()
        self.states = {base: {}}
        return base

    async def _read_log(self, store: SQLiteStore, since: int) -> None:
        """Learn the events that are new, and compare those that are not."""
        events = await store.events(self.name)
        if events:
            first = max(self.floor, min(self.states) + 1)
            assert [event.ordinal for event in events] == list(range(first, self.cursor + 1)), "ordinals have a gap"
        for event in events:
            said = Said.of(event)
            assert self.log.setdefault(event.ordinal, said) == said, "the log has changed"
            if event.ordinal > since:
                self.states[event.ordinal] = after(self.states[event.ordinal - 1], said, event.ordinal)
        assert max(self.log, default=min(self.states)) == self.cursor
        ids = {said.event_id for said in self.log.values()}
        assert len(ids) == len(self.log), "an event landed twice"

    async def _compare_acknowledged(self, store: SQLiteStore) -> None:
        acknowledged, self.acknowledged = self.acknowledged, []
        for ordinal, said in acknowledged:
            assert ordinal <= self.cursor, f"acknowledged and gone: {ordinal} {said}"
            if ordinal in self.log or self.name != DELETED:
                assert self.log[ordinal] == said, f"acknowledged and another now: {ordinal} {said}"
                logged = await store.find_event(self.name, said.event_id)
                assert logged is not None
                assert logged.ordinal == ordinal
        for ordinal, chunk in self.told.items():
            assert ordinal <= self.cursor, f"fanned out, but never happened: {ordinal} {chunk}"
            if ordinal in self.log or self.name != DELETED:
                assert self.log[ordinal].chunk == chunk
        ids = {said.event_id for said in self.log.values()}
        for key in self.runs:
            landed = [part for part in range(PARTS) if f"{key}/{part}" in ids]
            assert landed == list(range(PARTS if key in self.finished else len(landed)))

    async def _compare_timeline(self, store: SQLiteStore, ordinal: int, cursor: int) -> None:
        then = await store.snapshot(self.name, as_of=ordinal)
        assert (then.snapshot_ordinal, texts_of(then.entities)) == (ordinal, self.states[ordinal])
        changes = await store.snapshot(self.name, since=ordinal)
        caught_up = dict(self.states[ordinal])
        for entity in changes.entities:
            assert entity.last_event_ordinal > ordinal
            caught_up.pop(entity.id, None)
            if not entity.tombstone:
                caught_up |= texts_of((entity,))
        assert caught_up == self.states[cursor]


class Model:
    """All sessions of a file."""

    def __init__(self) -> None:
        self.sessions = {name: SessionModel(name) for name in SESSIONS}

    def hear(self, printed: list[dict[str, Any]]) -> None:
        """Process the output of one process."""
        by_session: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for each in printed:
            if "session" in each:
                by_session[each["session"]].append(each)
        for name, lines in by_session.items():
            self.sessions[name].hear(lines)

    @property
    def cursors(self) -> dict[str, int]:
        """The event cursors that the file had when it was looked at last."""
        return {name: session.cursor for name, session in self.sessions.items()}

    async def check(self, store: SQLiteStore, random: Random, *, thorough: bool = False) -> None:
        """Compare every session with the file; ``thorough`` at every ordinal.

        Raises:
            AssertionError: an invariant does not hold.
        """
        for session in self.sessions.values():
            await session.check(store, random, thorough=thorough)
