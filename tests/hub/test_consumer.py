"""A hub on a bus: published events, consumed messages, and messages that cannot become events."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from google.protobuf import any_pb2

from sessionstream import (
    MAX_ORDINAL,
    BusError,
    BusMessage,
    Command,
    CommandUnfinished,
    ConsumerStatus,
    Event,
    EventPublisher,
    HubClosed,
    LaneReentryError,
    MemoryBus,
    MemoryStore,
    MessageHandler,
    PayloadTypeError,
    PayloadValueError,
    Session,
    StoreClosed,
    StoreError,
    UnknownSchemaError,
)
from sessionstream.bus import EVENT_ID, STREAM_ID, envelope
from sessionstream.buses import memory
from sessionstream.examples.chatdemo.v1.chat_pb2 import InferenceTraceEvent
from sessionstream.hub import consumer

from .support import App, Broken, Recorder, Store, registry, said, say, settle, soon, texts, until


class Bus:
    """A memory bus that shows what passes, and can deliver any of it again."""

    def __init__(self, **options: object) -> None:
        self.inner = MemoryBus(**options)  # type: ignore[arg-type]
        self.sent: list[BusMessage] = []
        self.failures: list[Exception] = []

    async def publish(self, message: BusMessage, /) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)
        await self.inner.publish(message)

    async def subscribe(self, handler: MessageHandler, /) -> memory._Subscription:
        return await self.inner.subscribe(handler)

    async def idle(self) -> None:
        """Return when all that was published is finished."""
        await until(lambda: len(self.inner) == 0)


def app_on(bus: Bus | None = None, **options: object) -> tuple[App, Store, Bus]:
    schemas = registry()
    store = options.pop("store", None) or Store(MemoryStore(schemas))
    assert isinstance(store, Store)
    bus = bus or Bus()
    return App(store, schemas=schemas, bus=bus, **options), store, bus


def status_of(app: App) -> ConsumerStatus:
    status = app.hub.consumer
    assert status is not None
    return status


def foreign(body: object, **metadata: str) -> BusMessage:
    return BusMessage(json.dumps(body).encode(), metadata, "s", "foreign-1")


def told_again(message: BusMessage, stream_id: str) -> BusMessage:
    return replace(message, metadata={**message.metadata, STREAM_ID: stream_id})


async def test_publishing_hands_over_and_consuming_gives_the_ordinal() -> None:
    app, _, bus = app_on()
    async with app.hub:
        published = await app.hub.publish(said("a"))
        assert published.ordinal == 0
        assert published.event_id
        await soon(bus.idle())
        assert await app.texts() == {"1": "a"}
        (event,) = await app.store.events("s")
        assert (event.ordinal, event.event_id) == (1, published.event_id)
        assert app.recorder.ordinals() == [1]
        (message,) = bus.sent
        assert json.loads(message.body) == {
            "name": "Said",
            "sessionId": "s",
            "payload": {"messageId": "1", "chunk": "a"},
        }
        assert dict(message.metadata) == {
            "sessionstream_event_name": "Said",
            "sessionstream_session_id": "s",
            "sessionstream_partition_key": "s",
            "sessionstream_published_ordinal": "0",
            "sessionstream_event_id": published.event_id,
        }
        assert message.key == "s"


async def test_metadata_rides_in_the_envelope() -> None:
    app, _, bus = app_on()
    async with app.hub:
        published = await app.hub.publish(replace(said("a"), metadata={"trace": "1", "sessionId": "2"}))
        assert published.metadata == {"trace": "1", "sessionId": "2"}
        await soon(bus.idle())
        (event,) = await app.store.events("s")
        assert event.metadata == {"trace": "1", "sessionId": "2"}
        assert json.loads(bus.sent[0].body)["metadata"] == {"trace": "1", "sessionId": "2"}


async def test_a_hub_that_does_not_run_publishes_for_one_that_does() -> None:
    front, store, bus = app_on()
    back = App(store, schemas=front.schemas, bus=bus)
    assert await front.publish(*"abc") == [0, 0, 0]
    assert await front.log() == []
    async with back.hub:
        await soon(bus.idle())
        assert await front.texts() == await back.texts() == {"1": "abc"}
    assert (front.recorder.ordinals(), back.recorder.ordinals()) == ([], [1, 2, 3])


async def test_what_is_no_event_is_refused_before_it_is_handed_over() -> None:
    app, _, bus = app_on()
    with pytest.raises(UnknownSchemaError):
        await app.hub.publish(Event("Unheard", InferenceTraceEvent(), "s"))
    with pytest.raises(PayloadTypeError):
        await app.hub.publish(Event("Said", InferenceTraceEvent(), "s"))
    assert bus.sent == []


async def test_concurrent_publishers_keep_their_order() -> None:
    app, _, bus = app_on()
    async with app.hub:
        await asyncio.gather(*(app.hub.publish(said(each)) for each in "abcdefgh"))
        await soon(bus.idle())
        assert await app.texts() == {"1": "abcdefgh"}


@pytest.mark.parametrize("error", [BusError("the broker is gone"), OSError("the broker is gone")])
async def test_a_bus_that_fails(error: Exception) -> None:
    app, _, bus = app_on()
    bus.failures.append(error)
    with pytest.raises(BusError, match="broker is gone"):
        await app.hub.publish(said("a"))
    async with app.hub:
        await app.hub.publish(said("b"))
        await soon(bus.idle())
        assert await app.texts() == {"1": "b"}


async def test_an_idempotency_key_is_kept_once_an_event_may_be_on_its_way() -> None:
    app, _, bus = app_on()

    @app.hub.command("Say")
    async def handle(command: Command, session: Session, publisher: EventPublisher) -> None:
        await publisher.publish(said("a"))

    bus.failures.append(BusError("the broker is gone"))
    with pytest.raises(BusError):
        await app.hub.submit("s", "Say", say(), idempotency_key="key")
    with pytest.raises(CommandUnfinished):
        await app.hub.submit("s", "Say", say(), idempotency_key="key")
    assert bus.sent == []


async def test_a_redelivered_message_changes_nothing() -> None:
    app, _, bus = app_on()
    async with app.hub:
        await app.publish("a")
        await soon(bus.idle())
        for stream_id in ("", "5-0", "9-0"):
            await bus.publish(told_again(bus.sent[0], stream_id))
        await app.publish("b")
        await soon(bus.idle())
        assert await app.texts() == {"1": "ab"}
        assert [event.ordinal for event in await app.store.events("s")] == [1, 2]
        assert app.recorder.errors == []
        status = status_of(app)
        assert (status.state, status.consumed, status.refused) == ("running", 5, 0)


async def test_ordinals_come_from_stream_ids_and_only_rise() -> None:
    app, _, bus = app_on()
    ids = ["7-1", "7-0", "", "nonsense", "8-1000000", "99999999999999999999-0", "8-0", "8-0"]
    async with app.hub:
        for stream_id in ids:
            await bus.publish(told_again(envelope(said("x", event_id=f"id-{len(bus.sent)}")), stream_id))
        await soon(bus.idle())
        ordinals = [event.ordinal for event in await app.store.events("s")]
    assert ordinals == [7000001, 7000002, 7000003, 7000004, 7000005, 7000006, 8000000, 8000001]
    assert app.recorder.ordinals() == ordinals
    assert app.recorder.errors == []


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({STREAM_ID: "7-1"}, "stream:7-1"),
        ({STREAM_ID: "7-1", EVENT_ID: "mine"}, "mine"),
        ({}, "foreign-1"),
    ],
)
async def test_a_foreign_message_has_an_id_that_every_delivery_has(metadata: dict[str, str], expected: str) -> None:
    app, _, bus = app_on()
    message = foreign({"name": "Said", "sessionId": "s", "payload": {"messageId": "1", "chunk": "a"}}, **metadata)
    async with app.hub:
        for _ in range(2):
            await bus.publish(message)
        await soon(bus.idle())
    (event,) = await app.store.events("s")
    assert event.event_id == expected
    assert texts(await app.store.snapshot("s")) == {"1": "a"}


WRONG: list[tuple[bytes, str, str, str]] = [
    (b"", "JSON", "", ""),
    (b"\xff\xfe", "JSON", "", ""),
    (b"[" * 100_000, "JSON", "", ""),
    (b"[]", "list, not an object", "", ""),
    (b'{"name": "Said"}', "session id", "", "Said"),
    (b'{"sessionId": "s"}', "event name", "s", ""),
    (b'{"name": 3, "sessionId": "s"}', "event name", "s", ""),
    (b'{"name": "Said", "sessionId": ""}', "session id", "", "Said"),
    (b'{"name": "Said", "sessionId": "\\ud800"}', "session id", "", "Said"),
    (b'{"name": "Unheard", "sessionId": "s", "payload": {}}', "Unheard", "s", "Unheard"),
    (b'{"name": "Said", "sessionId": "s", "payload": {"chunk": 3}}', "chunk", "s", "Said"),
    (b'{"name": "Said", "sessionId": "s", "payload": []}', "object", "s", "Said"),
    (b'{"name": "Said", "name": "Said", "sessionId": "s"}', "twice", "", ""),
    (b'{"name": "Said", "sessionId": "s", "payload": {"\\ud800": 1}}', "", "s", "Said"),
    (b'{"name": "Said", "sessionId": "s", "metadata": 3}', "mapping of strings, not 3", "s", "Said"),
    (b'{"name": "Said", "sessionId": "s", "metadata": {"a": 1}}', "metadata 'a' has the value 1", "s", "Said"),
    (b'{"name": "Said", "sessionId": "s", "metadata": {"a": "\\ud800"}}', "", "s", "Said"),
]


@pytest.mark.parametrize(("body", "words", "session_id", "name"), WRONG)
async def test_a_message_that_cannot_be_decoded_is_recorded_and_stops_nobody(
    body: bytes, words: str, session_id: str, name: str
) -> None:
    app, _, bus = app_on()
    async with app.hub:
        await bus.publish(BusMessage(body, {STREAM_ID: "1-1"}, "s", "m"))
        await app.publish("a")
        await soon(bus.idle())
        assert await app.texts() == {"1": "a"}
        assert (status_of(app).consumed, status_of(app).refused) == (1, 1)
    (record,) = app.recorder.errors
    assert (record.kind, record.session_id, record.event_name) == ("decode", session_id, name)
    assert words in record.error
    assert record.raw_message == body
    assert record.metadata[STREAM_ID] == "1-1"
    assert await app.store.error_records() == [record]


@pytest.mark.parametrize("unusable", ["\ud800", "a\0", "  ", 5], ids=ascii)
async def test_a_message_for_an_unusable_session_is_recorded_under_none(unusable: object) -> None:
    app, _, bus = app_on()
    async with app.hub:
        await bus.publish(foreign({"name": "Said", "sessionId": unusable}))
        await soon(bus.idle())
    (record,) = await app.store.error_records("")
    assert record.metadata["refused_session_id"] == ascii(unusable)
    assert await app.store.sessions() == []


async def test_a_message_without_any_id_is_recorded() -> None:
    app, _, bus = app_on()
    async with app.hub:
        await bus.publish(replace(foreign({"name": "Said", "sessionId": "s"}), message_id=""))
        await soon(bus.idle())
    assert app.recorder.kinds() == ["decode"]


async def test_an_id_that_belongs_to_another_event_is_recorded() -> None:
    app, _, bus = app_on()
    async with app.hub:
        await app.hub.publish(said("a", event_id="id"))
        await app.hub.publish(said("b", event_id="id"))
        await app.hub.publish(said("c"))
        await soon(bus.idle())
        assert await app.texts() == {"1": "ac"}
    (record,) = app.recorder.errors
    assert (record.kind, record.event_name) == ("ordinal", "Said")
    assert json.loads(record.raw_message)["payload"]["chunk"] == "b"


async def test_an_unreadable_event_that_waits_is_known_by_its_ordinal() -> None:
    app, store, bus = app_on()
    app.schemas.register_event("Extra", any_pb2.Any)
    app.broken["timeline"].add("bad")
    async with app.hub:
        await bus.publish(told_again(envelope(said("bad", event_id="1")), "5-0"))
        await bus.publish(told_again(envelope(Event("Extra", any_pb2.Any(), "s", event_id="2")), "9-0"))
        await soon(bus.idle())
        assert isinstance(store.inner, MemoryStore)
        store.inner._registry = registry()
        store.inner._readable.clear()
        app.broken["timeline"].clear()
        with pytest.raises(UnknownSchemaError) as raised:
            await app.hub.retry_timeline("s")
    assert raised.value.ordinal == 9_000_000
    assert [record.ordinal for record in app.recorder.errors if record.kind == "decode"] == [9_000_000]


async def test_a_session_without_ordinals_left_stops_nobody() -> None:
    app, _store, bus = app_on()
    last = f"{MAX_ORDINAL // 10**6}-{MAX_ORDINAL % 10**6}"
    async with app.hub:
        await bus.publish(told_again(envelope(said("a", event_id="1")), last))
        await app.publish("b")
        await app.publish("c", session_id="other")
        await soon(bus.idle())
        assert await app.texts() == {"1": "a"}
        assert await app.texts("other") == {"1": "c"}
    assert [(record.kind, record.session_id) for record in app.recorder.errors] == [("ordinal", "s")]


async def test_an_event_that_holds_its_session_is_consumed() -> None:
    app, _, bus = app_on()
    app.broken["timeline"].add("bad")
    async with app.hub:
        await app.publish("a", "bad", "b")
        await app.publish("x", session_id="other")
        await soon(bus.idle())
        assert await app.log() == ["a", "bad", "b"]
        assert await app.texts() == {"1": "a"}
        assert await app.texts("other") == {"1": "x"}
        app.broken["timeline"].clear()
        await app.hub.retry_timeline("s")
        assert await app.texts() == {"1": "abadb"}
        assert status_of(app).consumed == 4


async def test_a_store_that_fails_is_tried_again_and_only_its_session_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "FIRST_PAUSE", 0.001)
    app, store, bus = app_on()
    async with app.hub:
        await app.publish("a")
        await soon(bus.idle())
        store.fail("commit", StoreError("the disk is full"), times=3)
        gate = store.stop_before("record_error")
        await app.publish("b", "c")
        await gate.reached()
        await app.publish("x", session_id="other")
        gate.open()
        await soon(bus.idle())
        assert await app.texts() == {"1": "abc"}
        assert await app.texts("other") == {"1": "x"}
        assert app.recorder.ordinals() == [1, 2, 3]
        assert (status_of(app).consumed, status_of(app).waiting, status_of(app).error) == (4, (), "")
    assert "StoreError: the disk is full" in {record.error for record in app.recorder.errors}


async def test_what_waits_is_seen_and_shutdown_does_not_wait_for_it() -> None:
    app, store, bus = app_on()
    async with app.hub:
        store.fail("commit", StoreError("the disk is full"), times=1000)
        await app.publish("a", "b")
        await until(lambda: status_of(app).waiting != ())
        status = status_of(app)
        assert (status.state, status.waiting, status.error) == ("running", ("s",), "StoreError: the disk is full")
    assert status_of(app).state == "stopped"
    store.calm()
    again = App(store, schemas=app.schemas, bus=bus)
    async with again.hub:
        await soon(bus.idle())
        assert await again.texts() == {"1": "ab"}


async def test_metadata_that_fails_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "FIRST_PAUSE", 0.001)
    answers: list[object] = [Broken("no database"), Broken("no database"), {"user": "u"}]

    def metadata(session_id: str) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    app, _, bus = app_on(session_metadata=metadata)
    async with app.hub:
        await app.publish("a")
        await soon(bus.idle())
        assert await app.texts() == {"1": "a"}


async def test_what_waits_is_recorded_once_for_each_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "FIRST_PAUSE", 0.001)
    reasons = [Broken("one"), Broken("one"), Broken("two"), Broken("two")]

    def metadata(session_id: str) -> object:
        if reasons:
            raise reasons.pop(0)
        return None

    app, _, bus = app_on(session_metadata=metadata)
    async with app.hub:
        await app.publish("a")
        await soon(bus.idle())
        assert await app.texts() == {"1": "a"}
    assert [(record.kind, record.error, record.session_id) for record in app.recorder.errors] == [
        ("store", "Broken: one", "s"),
        ("store", "Broken: two", "s"),
    ]


async def test_a_bus_that_is_closed_under_a_running_hub_ends_the_body() -> None:
    app, _, bus = app_on()

    async def program() -> None:
        async with app.hub:
            await bus.inner.close()
            await soon(asyncio.Event().wait())

    with pytest.raises(BusError, match="was closed"):
        await program()
    assert status_of(app).state == "failed"


async def test_a_message_that_breaks_the_decoder_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    app, _, bus = app_on()

    def broken(*args: object) -> Event:
        raise SystemError("deep inside")

    async with app.hub:
        with monkeypatch.context() as patch:
            patch.setattr(consumer, "read_envelope", broken)
            await app.publish("a")
            await soon(bus.idle())
        await app.publish("b")
        await soon(bus.idle())
        assert await app.texts() == {"1": "b"}
    (record,) = app.recorder.errors
    assert (record.kind, record.error) == ("decode", "SystemError: deep inside")
    assert b'"chunk":"a"' in record.raw_message


async def test_a_payload_that_json_cannot_express_is_refused_before_it_is_handed_over() -> None:
    schemas = registry()
    schemas.register_event("Unclear", any_pb2.Any)
    bus = Bus()
    app = App(MemoryStore(schemas), schemas=schemas, bus=bus)
    with pytest.raises(PayloadValueError, match="no message is known of the type") as caught:
        await app.hub.publish(Event("Unclear", any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"x"), "s"))
    assert (caught.value.family, caught.value.name) == ("event", "Unclear")
    assert bus.sent == []


async def test_a_consumer_that_cannot_go_on_ends_the_body() -> None:
    app, store, bus = app_on()
    reached = False

    async def program() -> None:
        nonlocal reached
        async with app.hub:
            store.fail("timeline", StoreClosed("the store"))
            await app.publish("a")
            await soon(asyncio.Event().wait())
            reached = True

    with pytest.raises(BusError, match="StoreClosed") as raised:
        await program()
    assert not reached
    assert isinstance(raised.value.__cause__, StoreClosed)
    assert (status_of(app).state, len(bus.inner)) == ("failed", 1)
    assert "StoreClosed" in status_of(app).error
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_body_that_ends_at_that_very_moment() -> None:
    app, store, _ = app_on()

    async def program() -> None:
        async with app.hub:
            store.fail("timeline", StoreClosed("the store"))
            await app.publish("a")
            await until(lambda: status_of(app).state == "failed")
            # The cancellation is asked for, and finds nobody waiting any more.

    with pytest.raises(BusError, match="StoreClosed"):
        await program()
    await asyncio.sleep(0)


async def test_an_error_of_the_body_s_own_is_kept() -> None:
    app, _, _ = app_on()

    async def program() -> None:
        async with app.hub:
            app.hub._body.cancel()
            raise Broken("mine")

    with pytest.raises(Broken, match="mine"):
        await program()
    await asyncio.sleep(0)


async def test_it_says_then_that_the_consumer_had_failed() -> None:
    app, store, _ = app_on()

    async def program() -> None:
        async with app.hub:
            store.fail("timeline", StoreClosed("the store"))
            await app.publish("a")
            try:
                await soon(asyncio.Event().wait())
            except asyncio.CancelledError:
                raise Broken("mine") from None

    with pytest.raises(Broken) as raised:
        await program()
    assert "consumer had failed" in raised.value.__notes__[0]


async def test_cancelled_from_outside_as_well_it_is_cancelled() -> None:
    app, _store, _ = app_on()

    async def program() -> None:
        async with app.hub:
            app.hub._body.cancel()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await soon(asyncio.create_task(program()))


async def test_without_a_body_its_state_says_so() -> None:
    app, store, _bus = app_on()
    await app.hub.run()
    await app.hub.run()
    store.fail("timeline", StoreClosed("the store"))
    await app.publish("a")
    await until(lambda: status_of(app).state == "failed")
    await app.hub.run()
    await app.hub.shutdown()
    assert status_of(app).state == "failed"


async def test_a_bus_that_breaks_its_word() -> None:
    class Strange(Bus):
        async def subscribe(self, handler: MessageHandler, /) -> memory._Subscription:
            subscription = await super().subscribe(handler)
            subscription.wait = self.fall  # type: ignore[method-assign]
            return subscription

        async def fall(self) -> None:
            raise OSError("no route to the broker")

    app, _, _ = app_on(Strange())
    with pytest.raises(BusError, match="no route"):
        async with app.hub:
            await soon(asyncio.Event().wait())


async def test_a_closed_bus_cannot_be_run_on() -> None:
    app, _, bus = app_on()
    await bus.inner.close()
    with pytest.raises(BusError, match="closed"):
        await app.hub.run()
    with pytest.raises(BusError, match="closed"):
        async with app.hub:
            raise AssertionError("the body ran")


async def test_shutdown_finishes_what_was_begun_and_leaves_the_rest_to_the_bus() -> None:
    app, store, bus = app_on()
    gate = store.stop_before("commit")
    await app.hub.run()
    await app.publish("a", "b")
    await gate.reached()
    stopping = asyncio.create_task(app.hub.shutdown())
    await settle()
    assert not stopping.done()
    gate.open()
    await soon(stopping)
    assert (await app.log(), len(bus.inner)) == (["a"], 1)
    with pytest.raises(HubClosed):
        await app.hub.publish(said("c"))
    again = App(store, schemas=app.schemas, bus=bus)
    async with again.hub:
        await soon(bus.idle())
        assert await again.texts() == {"1": "ab"}


async def test_a_projection_may_not_publish_to_a_bus_either() -> None:
    app, _, bus = app_on()
    seen: list[type[BaseException]] = []

    @app.hub.ui_projection
    async def reenter(event: Event, session: Session, view: object) -> None:
        with pytest.raises(LaneReentryError):
            await app.hub.publish(said("again"))
        seen.append(LaneReentryError)

    async with app.hub:
        await app.publish("a")
        await soon(bus.idle())
    assert seen == [LaneReentryError]


async def test_two_hubs_share_the_work_and_every_event_counts_once() -> None:
    front, store, bus = app_on()
    backs = [App(store, schemas=front.schemas, bus=bus, recorder=Recorder()) for _ in range(2)]
    async with backs[0].hub, backs[1].hub:
        for number in range(30):
            for session_id in ("one", "two", "three"):
                await front.publish(str(number), session_id=session_id)
                await bus.inner.publish(bus.sent[-1])
        await soon(bus.idle())
        for session_id in ("one", "two", "three"):
            assert await front.log(session_id) == [str(number) for number in range(30)]
            assert await front.texts(session_id) == {"1": "".join(map(str, range(30)))}
    assert sorted(back.hub.consumer.consumed for back in backs if back.hub.consumer) != [0, 180]


async def test_what_the_publisher_s_context_holds_is_not_the_consumer_s() -> None:
    from contextvars import ContextVar

    user: ContextVar[str] = ContextVar("user", default="nobody")
    app, _, bus = app_on()
    seen: list[str] = []

    @app.hub.ui_projection
    def look(event: Event, session: Session, view: object) -> None:
        seen.append(user.get())

    async with app.hub:
        user.set("alice")
        await app.publish("a")
        await soon(bus.idle())
    assert seen == ["nobody"]
