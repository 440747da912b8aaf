"""Messages are copied at the borders of the hub: changes by other code do not affect the hub or each other."""

from __future__ import annotations

import pytest

from sessionstream import (
    Command,
    Event,
    EventPublisher,
    Hub,
    MemoryStore,
    ProjectionError,
    Session,
    SessionHeld,
    TimelineEntity,
    TimelineView,
    UIEvent,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import (
    ChatMessageEntity,
    ChatMessageUpdate,
    StartInferenceCommand,
    TokensDeltaEvent,
)

from .support import App, Recorder, chunk, registry, said, say, text, texts


def clear(item: object) -> None:
    assert isinstance(item, Event | UIEvent | TimelineEntity)
    assert item.payload is not None
    item.payload.Clear()


async def test_what_was_published_may_be_changed_afterwards() -> None:
    app = App()
    event = said("x")
    published = await app.hub.publish(event)
    assert published.payload is event.payload
    clear(published)
    assert await app.log() == ["x"]
    assert await app.texts() == {"1": "x"}


async def test_a_payload_changed_while_its_event_waits_for_the_lane_was_copied_before() -> None:
    app = App()
    event = said("x")

    @app.hub.ui_projection
    def meddle(_: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        clear(event)
        return []

    await app.hub.publish(event)
    assert chunk(event) == ""
    assert await app.log() == ["x"]
    assert await app.texts() == {"1": "x"}


async def test_a_handler_gets_its_own_command() -> None:
    app = App()
    seen: list[str] = []

    @app.hub.command("Say")
    def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        assert isinstance(command.payload, StartInferenceCommand)
        seen.append(command.payload.prompt)
        command.payload.Clear()

    payload = say("hello")
    for _ in range(2):
        await app.hub.submit("s", "Say", payload)
    assert seen == ["hello", "hello"]
    assert payload == say("hello")


async def test_each_projection_gets_its_own_event_and_its_own_view() -> None:
    hub = Hub(registry(), store=(store := MemoryStore(registry())))
    seen: list[tuple[str, list[str]]] = []

    def meddle(event: Event, session: Session, view: TimelineView) -> None:
        listed = [*view.list(), *view.list("Text")]
        got = view.get("Text", "1")
        seen.append((chunk(event), [text(entity) for entity in listed]))
        for item in (event, *listed, *([got] if got is not None else [])):
            clear(item)

    def write(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        seen.append((chunk(event), [text(entity) for entity in view.list()]))
        return [TimelineEntity("Text", "1", ChatMessageEntity(text=f"text {chunk(event)}"))]

    hub.register_ui_projection(meddle)
    hub.register_ui_projection(meddle)
    hub.register_timeline_projection(meddle)
    hub.register_timeline_projection(write)
    await hub.publish(said("a"))
    await hub.publish(said("b"))
    assert seen[:4] == [("a", [])] * 4
    twice = ["text a", "text a"]
    assert seen[4:] == [("b", twice), ("b", twice), ("b", twice), ("b", ["text a"])]
    assert [chunk(event) for event in await store.events("s")] == ["a", "b"]
    assert texts(await hub.snapshot("s")) == {"1": "text b"}


async def test_a_projection_may_reuse_what_it_returned() -> None:
    recorder = Recorder()
    hub = Hub(registry(), store=(store := MemoryStore(registry())), fanout=recorder)
    update, entity = ChatMessageUpdate(), ChatMessageEntity()

    @hub.ui_projection
    def tell(event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        update.chunk = chunk(event)
        return [UIEvent("Told", update)]

    @hub.timeline_projection
    def write(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        entity.text += chunk(event)
        return [TimelineEntity("Text", str(len(view.list())), entity)]

    await hub.publish(said("a"))
    await hub.publish(said("b"))
    update.Clear()
    entity.Clear()
    assert [str(events[0].payload) for _, _, events in recorder.sent] == ['chunk: "a"\n', 'chunk: "b"\n']
    assert texts(await hub.snapshot("s")) == texts(await store.snapshot("s")) == {"0": "a", "1": "ab"}


async def test_one_returned_message_under_two_ids_is_two_messages() -> None:
    hub = Hub(registry())

    @hub.timeline_projection
    def write(event: Event, session: Session, view: TimelineView) -> list[TimelineEntity]:
        shared = ChatMessageEntity(text=chunk(event))
        return [TimelineEntity("Text", "1", shared), TimelineEntity("Text", "2", shared)]

    await hub.publish(said("a"))
    first, second = (await hub.snapshot("s")).entities
    clear(first)
    assert text(second) == "a"


@pytest.mark.parametrize("question", [{}, {"as_of": 1}, {"since": 0}])
async def test_a_reader_may_change_its_snapshot(question: dict[str, int]) -> None:
    app = App()
    await app.publish("a")
    for _ in range(2):
        snapshot = await app.hub.snapshot("s", **question)
        assert texts(snapshot) == {"1": "a"}
        clear(snapshot.entities[0])
    await app.publish("b")
    assert await app.texts() == {"1": "ab"}


async def test_a_fan_out_may_keep_and_change_its_events() -> None:
    app = App()
    kept: list[UIEvent] = []

    def keep(session_id: str, ordinal: int, events: object) -> None:
        assert isinstance(events, tuple | list)
        kept.extend(events)
        for event in events:
            event.payload.chunk = "changed"

    app.hub.set_fanout(keep)
    await app.publish("a")
    (record,) = app.recorder.records
    for events in (record.ui_events, record.fanned_out):
        assert [str(event.payload) for event in events] == ['chunk: "a"\n']
    clear(record.ui_events[0])
    assert str(kept[0].payload) == 'chunk: "changed"\n'


async def test_an_observer_may_keep_and_change_its_records() -> None:
    app = App()
    await app.publish("a", "b")
    for record in app.recorder.records:
        for item in (record.event, *record.ui_events, *record.entities, *record.committed, *record.fanned_out):
            clear(item)
    assert await app.log() == ["a", "b"]
    assert await app.texts() == {"1": "ab"}
    assert [str(events[0].payload) for _, _, events in app.recorder.sent] == ['chunk: "a"\n', 'chunk: "b"\n']
    await app.usable()


async def test_who_catches_a_projection_error_may_change_its_event() -> None:
    app = App()
    app.broken["timeline"].add("a")
    with pytest.raises(ProjectionError) as failed:
        await app.publish("a")
    with pytest.raises(SessionHeld) as held:
        await app.publish("b")
    assert (chunk(failed.value.event), chunk(held.value.event)) == ("a", "b")
    clear(failed.value.event)
    clear(held.value.event)
    assert await app.log() == ["a", "b"]
    app.broken["timeline"].clear()
    await app.hub.retry_timeline("s")
    assert await app.texts() == {"1": "ab"}


async def test_a_rebuild_shares_nothing_either() -> None:
    app = App()
    await app.publish("a", "b")

    @app.hub.timeline_projection
    def meddle(event: Event, session: Session, view: TimelineView) -> None:
        clear(event)
        for entity in view.list():
            clear(entity)

    await app.hub.rebuild_timeline("s")
    for record in app.recorder.records:
        if record.mode == "rebuild":
            assert isinstance(record.event.payload, TokensDeltaEvent)
            assert record.event.payload.chunk in ("a", "b")
            for item in (record.event, *record.entities):
                clear(item)
    assert await app.log() == ["a", "b"]
    assert await app.texts() == {"1": "ab"}


async def test_error_records_in_the_store_are_not_those_of_the_observer() -> None:
    app = App()
    app.broken["timeline"].add("a")
    with pytest.raises(ProjectionError):
        await app.publish("a")
    (told,) = app.recorder.errors
    assert isinstance(told.metadata, dict)
    told.metadata["mine"] = "yes"
    (kept,) = await app.store.error_records("s")
    assert dict(kept.metadata) == {}
