"""A state machine that makes the same random calls to a store and to MemoryStore, and compares their results."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageEntity
from sessionstream.hydration.memory import MemoryStore
from sessionstream.observe import ErrorRecord
from sessionstream.schema import SchemaRegistry
from sessionstream.store import CommandClaim, Commit, Cursors, HydrationStore, TimelineReplacement
from sessionstream.testing.contract.base import Opener, raised_by
from sessionstream.testing.contract.changes import changes_of
from sessionstream.testing.sessions import EVENT, KIND, OTHER_EVENT, OTHER_KIND, sample_registry
from sessionstream.testing.strategies import payloads
from sessionstream.types import Event, TimelineEntity

if TYPE_CHECKING:
    from google.protobuf.message import Message

_SESSIONS: Final = ("a", "会话", "🧵 x")
_ERROR_ATTRIBUTES: Final = ("session_id", "ordinal", "floor", "event_id", "family", "name")

_sessions = st.sampled_from(_SESSIONS)
_keys = st.sampled_from([(KIND, "a"), (KIND, "ä"), (OTHER_KIND, "a")])
_gaps = st.sampled_from([1, 1, 1, 2, 5])
_event_ids = st.one_of(st.none(), st.sampled_from(["twice", "thrice"]))
_bounds = st.integers(0, 40)


class StoreMachine(Opener, RuleBasedStateMachine):
    """Makes the same random calls to your store and to MemoryStore, and compares everything they return.

    Override ``open``, and for a durable store ``reopen``, as for ``StoreContract``; run it with
    ``TestMyStore = MyMachine.TestCase``. After each step, ordinals, snapshots as of and since every ordinal, events,
    ids, lists, changes and errors have to be equal. Epochs are random: they only have to change at the same steps. With
    Hypothesis' default of 100 examples of up to 50 steps, a store on a disk takes minutes; ``TestMyStore.settings`` can
    set fewer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.registry: SchemaRegistry = sample_registry()
        self.runner: asyncio.Runner = asyncio.Runner()
        self.model: HydrationStore = MemoryStore(self.registry)
        self.store: HydrationStore
        self.opened: AbstractAsyncContextManager[HydrationStore] | None = None
        self.touched: str = _SESSIONS[0]
        self.event_ids: set[str] = set()
        self.positions: tuple[Any, Any] = "", ""
        self.claimed: set[tuple[str, str]] = set()
        self.orphaned: set[tuple[str, str]] = set()
        self.epochs: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)

    @initialize()
    def begin(self) -> None:
        """Open the store under test."""
        self._enter(self.open(self.registry))

    def teardown(self) -> None:
        """Close the store under test."""
        if self.opened is not None:
            self._run(self.opened.__aexit__(None, None, None))
        self.runner.close()

    @rule(session_id=_sessions, gap=_gaps, event_id=_event_ids, data=st.data())
    def commit_event(self, session_id: str, gap: int, event_id: str | None, data: st.DataObject) -> None:
        """Commit an event with entities; on a held session, an event that is not applied."""
        cursors = self._cursors(session_id)
        event = self._event(session_id, cursors.event + gap, event_id, data)
        entities: tuple[TimelineEntity, ...] = ()
        moved = cursors.timeline
        if not cursors.held:
            moved, entities = event.ordinal, self._entities(session_id, event.ordinal, data)
        self._commit(Commit(session_id, event, entities, cursors.event, moved, cursors.timeline))

    @rule(session_id=_sessions, data=st.data())
    def hold(self, session_id: str, data: st.DataObject) -> None:
        """Commit an event that a projection fails on, so that the session is held."""
        cursors = self._cursors(session_id)
        event = self._event(session_id, cursors.event + 1, None, data)
        self._commit(Commit(session_id, event, (), cursors.event, cursors.timeline, cursors.timeline))

    @rule(session_id=_sessions, data=st.data())
    def resume(self, session_id: str, data: st.DataObject) -> None:
        """Apply the first event of a held session."""
        cursors = self._cursors(session_id)
        waiting = self._run(self.model.events(session_id, after=cursors.timeline, limit=1))
        if waiting:
            entities = self._entities(session_id, waiting[0].ordinal, data)
            ordinal = waiting[0].ordinal
            self._commit(Commit(session_id, None, entities, cursors.event, ordinal, cursors.timeline))

    @rule(session_id=_sessions, event=st.integers(0, 5), timeline=st.integers(0, 5), data=st.data())
    def commit_on_a_guess(self, session_id: str, event: int, timeline: int, data: st.DataObject) -> None:
        """Commit with cursors that are random, and rarely the current ones."""
        seen = min(timeline, event)
        step = self._event(session_id, event + 1, None, data)
        self._commit(Commit(session_id, step, (), event, seen, seen))

    @rule(session_id=_sessions, right=st.booleans(), data=st.data())
    def commit_in_an_epoch(self, session_id: str, right: bool, data: st.DataObject) -> None:
        """Commit with an expected epoch, the current one or another."""

        def step(epoch: int) -> Commit:
            expected = epoch if right else epoch + 1
            return replace(plain, expected_epoch=expected)

        cursors = self._cursors(session_id)
        event = self._event(session_id, cursors.event + 1, None, data)
        plain = Commit(session_id, event, (), cursors.event, cursors.timeline, cursors.timeline)
        self._both(lambda store, at: store.commit(step(at.epoch)), session_id)

    @rule(session_id=_sessions, before=_bounds)
    def prune(self, session_id: str, before: int) -> None:
        """Prune old history."""
        self._both(lambda store, _: store.prune(session_id, before=before), session_id)

    @rule(session_id=_sessions)
    def delete(self, session_id: str) -> None:
        """Delete a session."""
        self._both(lambda store, _: store.delete_session(session_id), session_id)
        self._free(session_id)

    @rule(session_id=_sessions, stale=st.booleans())
    def delete_where_it_was_seen(self, session_id: str, stale: bool) -> None:
        """Delete a session if its cursors are the expected ones."""

        def deleted(store: HydrationStore, at: Cursors) -> Awaitable[None]:
            return store.delete_session(session_id, expected=replace(at, event=at.event + 1) if stale else at)

        self._both(deleted, session_id)

    @rule(session_id=_sessions, stale=st.booleans(), data=st.data())
    def rebuild(self, session_id: str, stale: bool, data: st.DataObject) -> None:
        """Replace a timeline, with current or outdated cursors."""
        cursors = self._cursors(session_id)
        end = data.draw(st.integers(cursors.floor, cursors.event))
        versions = self._versions(end, data) if end else []

        def replaced(store: HydrationStore, at: Cursors) -> Awaitable[Cursors]:
            expected = replace(at, timeline=at.timeline + 1) if stale else at
            return store.replace_timeline(TimelineReplacement(session_id, versions, end, expected))

        self._both(replaced, session_id)

    @rule(session_id=_sessions, key=st.sampled_from("kl"), digest=st.sampled_from([b"1", b"2"]))
    def claim(self, session_id: str, key: str, digest: bytes) -> None:
        """Claim an idempotency key for a command."""

        async def claim(store: HydrationStore, _: Cursors) -> CommandClaim | None:
            found = await store.claim_command(session_id, key, digest)
            if found is not None and found.state == "unfinished" and (session_id, key) in self.orphaned:
                return replace(found, state="running")  # the store may know already that who claimed it is gone
            return found

        self._both(claim, session_id)
        self.claimed.add((session_id, key))

    @rule(session_id=_sessions, key=st.sampled_from("kl"), finished=st.booleans())
    def end(self, session_id: str, key: str, finished: bool) -> None:
        """End the command of an idempotency key."""
        self._both(lambda store, _: store.end_command(session_id, key, finished=finished), session_id)
        self._free(session_id, key)

    @rule(session_id=_sessions, key=st.sampled_from("kl"))
    def release(self, session_id: str, key: str) -> None:
        """Release the idempotency key of a command that failed."""
        self._both(lambda store, _: store.release_command(session_id, key), session_id)
        self._free(session_id, key)

    @rule(session_id=st.one_of(_sessions, st.just("")), text=st.text(max_size=5), raw=st.binary(max_size=5))
    def record_error(self, session_id: str, text: str, raw: bytes) -> None:
        """Record an error."""
        record = ErrorRecord("store", session_id, 2**64 - 1, "Delta", repr(text), raw, {text: text})
        self._both(lambda store, _: store.record_error(record), self.touched)

    @rule(session_id=st.one_of(_sessions, st.just("")), of=st.sampled_from(["errors", "claims"]), all_=st.booleans())
    def forget(self, session_id: str, of: str, all_: bool) -> None:
        """Delete old error records or claims, as a retention policy does."""
        moment = (datetime.max if all_ else datetime.min).replace(tzinfo=UTC)
        self._both(lambda store, _: getattr(store, f"forget_{of}")(session_id, moment), self.touched)
        if all_ and of == "claims":
            self._free(session_id)

    @precondition(lambda self: self.durable)
    @rule()
    def reopen_it(self) -> None:
        """Close the store under test and open it again."""
        assert self.opened is not None
        self._run(self.opened.__aexit__(None, None, None))
        self._enter(self.reopen(self.registry))
        self.orphaned |= self.claimed

    def _free(self, session_id: str, *keys: str) -> None:
        """Note that keys of a session are claimed no more, or all of them, or that their commands have ended."""
        for claim in [each for each in self.claimed if each[0] == session_id and (not keys or each[1] in keys)]:
            self.claimed.discard(claim)
            self.orphaned.discard(claim)

    @invariant()
    def they_answer_alike(self) -> None:
        """Compare everything that both stores return about the session that was touched last."""
        if self.opened is None:
            return
        session_id, end = self.touched, self._cursors(self.touched).event
        self._both(lambda store, _: store.snapshot(session_id), session_id)
        for ordinal in range(end + 2):
            self._both(lambda store, _, at=ordinal: store.snapshot(session_id, as_of=at), session_id)
            self._both(lambda store, _, at=ordinal: store.snapshot(session_id, since=at), session_id)
        for after, limit in ((0, None), (end // 2, None), (end // 2, 2)):
            self._both(lambda store, _, a=after, n=limit: store.events(session_id, after=a, limit=n), session_id)
        for event_id in sorted(self.event_ids):
            self._both(lambda store, _, it=event_id: store.find_event(session_id, it), session_id)
        self._both(lambda store, _: store.sessions(), session_id)
        self._compare_changes()
        self._both(lambda store, _: store.error_records(), session_id)
        self._both(lambda store, _: store.error_records(session_id, limit=2), session_id)

    def _compare_changes(self) -> None:
        """Compare what changed since the last comparison, and what has ever changed."""
        for model, tested in (self.positions, ("", "")):
            wanted = self._run(self.model.changes(after=model))
            expected = [(each.session_id, each.deleted) for each in wanted]
            found = self._run(changes_of(self.store, tested, expected, seconds=self.settles_within))
            if found:
                self.positions = wanted[-1].position, found[-1].position

    def _enter(self, opened: AbstractAsyncContextManager[HydrationStore]) -> None:
        self.store = self._run(opened.__aenter__())
        self.opened = opened

    def _run(self, outcome: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await outcome

        return self.runner.run(wait())

    def _cursors(self, session_id: str) -> Cursors:
        cursors: Cursors = self._run(self.model.cursors(session_id))
        return cursors

    def _commit(self, commit: Commit) -> None:
        self._both(lambda store, _: store.commit(commit), commit.session_id)

    def _both(self, act: Callable[..., Awaitable[Any]], session_id: str) -> None:
        """Make the same call to both stores; results, errors and cursors have to be equal."""

        async def outcome(store: HydrationStore) -> tuple[object, object, Cursors]:
            answers: list[Any] = []

            async def ask() -> None:
                answers.append(await act(store, await store.cursors(session_id)))

            error = await raised_by(ask())
            return _comparable(answers[0] if answers else None), _known(error), await store.cursors(session_id)

        self.touched = session_id
        wanted, expected, model = self._run(outcome(self.model))
        got, raised, tested = self._run(outcome(self.store))
        assert raised == expected
        assert got == wanted
        assert replace(tested, epoch=0) == replace(model, epoch=0)
        assert tested.epoch != 0
        pairs = self.epochs[session_id]
        pairs.add((model.epoch, tested.epoch))
        alike = len(pairs) == len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs})
        assert alike, "the store's epoch has to change exactly when the model's does"

    def _event(self, session_id: str, ordinal: int, event_id: str | None, data: st.DataObject) -> Event:
        name = data.draw(st.sampled_from([EVENT, OTHER_EVENT]))
        message = self.registry.event_schema(name)
        assert message is not None
        chosen = event_id or f"event-{ordinal}"
        self.event_ids.add(chosen)
        return Event(name, data.draw(payloads(message)), session_id, ordinal, chosen)

    def _entities(self, session_id: str, ordinal: int, data: st.DataObject) -> tuple[TimelineEntity, ...]:
        timeline = self._run(self.model.timeline(session_id))
        present = {(entity.kind, entity.id): entity.created_ordinal for entity in timeline.entities}
        return tuple(
            self._entity(key, present.get(key, ordinal), ordinal, data)
            for key in data.draw(st.lists(_keys, max_size=3, unique=True))
        )

    def _entity(self, key: tuple[str, str], created: int, ordinal: int, data: st.DataObject) -> TimelineEntity:
        message = self.registry.timeline_entity_schema(key[0])
        assert message is not None
        payload = data.draw(st.one_of(st.none(), payloads(message), _growing(message)))
        return TimelineEntity(*key, payload, created, ordinal, tombstone=payload is None)

    def _versions(self, end: int, data: st.DataObject) -> list[TimelineEntity]:
        changes = data.draw(st.sets(st.tuples(st.integers(1, end), _keys), max_size=8))
        return [self._entity(key, ordinal, ordinal, data) for ordinal, key in sorted(changes)]


def _growing(message: type[Message]) -> st.SearchStrategy[Message]:
    """Payloads whose texts are prefixes of each other, as streaming makes them."""

    def grown(words: int) -> Message:
        payload = message()
        setattr(payload, "text" if message is ChatMessageEntity else "value", "and so on, " * words)
        return payload

    return st.integers(20, 90).map(grown)


def _known(error: BaseException | None) -> object:
    """Return the type and the attributes of an error, which are part of the contract, without its message."""
    if error is None:
        return None
    facts = {name: getattr(error, name) for name in _ERROR_ATTRIBUTES if hasattr(error, name)}
    return type(error), facts


def _comparable(answer: object) -> object:
    return replace(answer, epoch=0) if isinstance(answer, Cursors) else answer
