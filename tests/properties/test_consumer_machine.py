"""The consumer as a state machine: messages in any order, any number of times, over hubs that come and go.

Whatever arrives: ordinals only rise, an event id gets one of them at most, what cannot be an event is recorded and
stops nobody, nothing that was acknowledged is missing, and the timeline is the fold of the log.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionstream import MAX_ORDINAL, BusMessage, Event, HydrationStore, MemoryBus, MemoryStore, SQLiteStore
from sessionstream.bus import EVENT_ID, SESSION_ID, STREAM_ID, envelope
from sessionstream.ordinals import derive_ordinal
from sessionstream.testing import OrdinalMachine, stream_ids

from ..hub.support import App, Recorder, chunk, registry, said, soon, texts, until

SESSIONS = st.sampled_from(["alpha", "beta"])


class ConsumerMachine(RuleBasedStateMachine):
    """Two hubs on one bus and one store."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.schemas = registry()
        self.bus = MemoryBus()
        self.recorder = Recorder()
        self.apps: list[App] = []
        self.pool: list[BusMessage] = []
        self.wanted: dict[str, dict[str, tuple[int, str]]] = {"alpha": {}, "beta": {}}
        self.cursors = {"alpha": 0, "beta": 0}
        self.refused = 0

    @initialize(durable=st.booleans())
    def begin(self, durable: bool) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "sessions.db" if durable else None
        self.store: HydrationStore = MemoryStore(self.schemas)
        if self.path is not None:
            self.runner.run(self._open(self.path))
        self.start_hub()

    async def _open(self, path: Path) -> None:
        self.store = await SQLiteStore.open(path, self.schemas)

    @precondition(lambda self: len(self.apps) < 2)
    @rule()
    def start_hub(self) -> None:
        app = App(self.store, schemas=self.schemas, bus=self.bus, recorder=self.recorder)
        self.runner.run(app.hub.run())
        self.apps.append(app)

    @rule()
    def restart(self) -> None:
        """All hubs end, the store is closed, others take over."""
        for app in self.apps:
            self.runner.run(soon(app.hub.shutdown()))
        self.apps.clear()
        if self.path is not None:
            self.runner.run(self.store.close())
            self.runner.run(self._open(self.path))
        self.start_hub()

    @rule(session_id=SESSIONS, stream_id=st.one_of(st.just(""), stream_ids()), text=st.sampled_from("xyz"))
    def deliver(self, session_id: str, stream_id: str, text: str) -> None:
        """A new message arrives, with a stream id of whatever kind."""
        event_id = f"event-{len(self.pool)}"
        message = envelope(said(text, session_id, event_id=event_id))
        message = replace(message, metadata={**message.metadata, STREAM_ID: stream_id})
        self.pool.append(message)
        before, derived = self.cursors[session_id], derive_ordinal(stream_id)
        if before == self.store.max_ordinal:
            self.refused += 1
        else:
            usable = derived is not None and before < derived <= self.store.max_ordinal
            self.cursors[session_id] = derived if derived is not None and usable else before + 1
            self.wanted[session_id][event_id] = (self.cursors[session_id], text)
        self._publish(message)

    @precondition(lambda self: self.pool)
    @rule(data=st.data(), stream_id=stream_ids())
    def deliver_again(self, data: st.DataObject, stream_id: str) -> None:
        """A message arrives again, perhaps from another place in the stream."""
        message = data.draw(st.sampled_from(self.pool))
        self.refused += message.metadata[EVENT_ID] not in self.wanted[message.key]  # exhausted then, and now
        metadata = {**message.metadata, STREAM_ID: data.draw(st.sampled_from([stream_id, message.metadata[STREAM_ID]]))}
        self._publish(replace(message, metadata=metadata))

    @rule(session_id=SESSIONS, body=st.one_of(st.binary(max_size=20), st.just(b'{"name": "Said"}')))
    def deliver_nonsense(self, session_id: str, body: bytes) -> None:
        """Something arrives that is no event."""
        self.refused += 1
        self._publish(BusMessage(body, {SESSION_ID: session_id}, session_id, "nonsense"))

    @precondition(lambda self: self.pool)
    @rule(data=st.data())
    def deliver_another_under_its_id(self, data: st.DataObject) -> None:
        """Another event arrives under an id that is taken."""
        message = data.draw(st.sampled_from(self.pool))
        other = said("other", message.metadata[SESSION_ID], event_id=message.metadata[EVENT_ID])
        self.refused += 1
        self._publish(envelope(other))

    def _publish(self, message: BusMessage) -> None:
        self.runner.run(soon(self.bus.publish(message)))

    @invariant()
    def everything_is_in_the_log_once_and_in_order(self) -> None:
        if self.apps:
            self.runner.run(self._check())

    async def _check(self) -> None:
        await until(lambda: len(self.bus) == 0)
        errors = [record for record in self.recorder.errors if record.kind in ("decode", "ordinal")]
        assert len(errors) == self.refused
        for session_id, wanted in self.wanted.items():
            events: list[Event] = await self.store.events(session_id)
            assert {event.event_id: (event.ordinal, chunk(event)) for event in events} == wanted
            ordinals = [event.ordinal for event in events]
            assert ordinals == sorted(set(ordinals))
            snapshot = await self.store.snapshot(session_id)
            assert texts(snapshot) == ({"1": "".join(map(chunk, events))} if events else {})
            assert snapshot == await self.apps[0].hub.snapshot(session_id)
            assert self.recorder.ordinals(session_id) == ordinals

    def teardown(self) -> None:
        for app in self.apps:
            self.runner.run(soon(app.hub.shutdown()))
        self.runner.run(self.bus.close())
        self.runner.run(self.store.close())
        self.runner.close()
        self.directory.cleanup()


class ConsumedOrdinals(OrdinalMachine):
    """The ordinals of a whole consumer and its store, under the kit's own machine."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.schemas = registry()
        self.store = MemoryStore(self.schemas)
        self.count = 0

    def assign(self, cursor: int, stream_id: str) -> int:
        return self.runner.run(self._assign(cursor, stream_id))

    async def _assign(self, cursor: int, stream_id: str) -> int:
        bus = MemoryBus()
        async with App(self.store, schemas=self.schemas, bus=bus).hub as hub:
            if (await hub.event_cursor("s")) != cursor:  # the machine began somewhere
                await bus.publish(_at(f"{cursor // 10**6}-{cursor % 10**6}", "first"))
            self.count += 1
            await bus.publish(_at(stream_id, str(self.count)))
            await until(lambda: len(bus) == 0)
            found = await hub.event_cursor("s")
        if found == cursor:
            assert (await self.store.error_records("s"))[-1].kind == "ordinal"
            assert cursor == MAX_ORDINAL
            return super().assign(cursor, stream_id)
        return found

    def teardown(self) -> None:
        self.runner.close()


def _at(stream_id: str, event_id: str) -> BusMessage:
    message = envelope(said("x", event_id=event_id))
    return replace(message, metadata={**message.metadata, STREAM_ID: stream_id})


TestConsumer = ConsumerMachine.TestCase
TestConsumer.settings = settings(stateful_step_count=25)
TestConsumedOrdinals = ConsumedOrdinals.TestCase
TestConsumedOrdinals.settings = settings(stateful_step_count=10)
