"""Event ids: an event that is delivered twice changes nothing the second time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from uuid import UUID

import pytest

from sessionstream import (
    Commit,
    Event,
    EventConflict,
    InvalidIdError,
    MemoryStore,
    OrdinalExhausted,
    ProjectionError,
    SessionHeld,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import InferenceTraceEvent, TokensDeltaEvent
from sessionstream.hub.drafts import new_event_id

from .support import App, Store, registry, said, soon


def app_on() -> tuple[App, Store]:
    schemas = registry()
    store = Store(MemoryStore(schemas))
    return App(store, schemas=schemas), store


async def test_an_event_without_an_id_gets_a_uuid() -> None:
    app = App()
    event = said("x")
    published = await app.hub.publish(event)
    assert event.event_id == ""
    assert str(UUID(published.event_id)) == published.event_id
    assert UUID(published.event_id).version == 4
    (logged,) = await app.store.events("s")
    assert logged == published


def test_new_ids_are_uuids_of_version_4_and_differ() -> None:
    ids = {new_event_id() for _ in range(1000)}
    assert len(ids) == 1000
    for each in ids:
        uuid = UUID(each)
        assert (str(uuid), uuid.version, uuid.variant) == (each, 4, "specified in RFC 4122")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_gives_out_other_ids() -> None:
    code = """if True:
        import os
        from sessionstream.hub.drafts import new_event_id
        end, start = os.pipe()
        if os.fork() == 0:
            os.write(start, new_event_id().encode())
            os._exit(0)
        os.wait()
        assert new_event_id() != os.read(end, 36).decode()
    """
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_a_given_id_is_kept() -> None:
    app = App()
    published = await app.hub.publish(said("x", event_id="id-1"))
    assert (published.event_id, published.ordinal) == ("id-1", 1)
    assert (await app.store.events("s"))[0].event_id == "id-1"


@pytest.mark.parametrize("event_id", [" ", "a\0b", "\ud800", 5])
async def test_an_unusable_id(event_id: str) -> None:
    app = App()
    with pytest.raises(InvalidIdError) as caught:
        await app.hub.publish(said("x", event_id=event_id))
    assert (caught.value.what, caught.value.value) == ("event id", event_id)
    assert await app.log() == []


async def test_an_equal_event_comes_back_with_the_ordinal_it_has() -> None:
    app = App()
    await app.publish("before")
    first = await app.hub.publish(said("x", event_id="id"))
    await app.publish("after")
    again = said("x", event_id="id")
    published = await app.hub.publish(again)
    assert published == first
    assert published.payload is again.payload
    assert await app.log() == ["before", "x", "after"]
    assert app.recorder.ordinals() == [1, 2, 3]
    assert len(app.recorder.records) == 3
    assert await app.texts() == {"1": "beforexafter"}
    await app.usable()


@pytest.mark.parametrize(
    "other",
    [
        said("y", event_id="id"),
        said("x", entity="2", event_id="id"),
        Event("Traced", InferenceTraceEvent(), "s", event_id="id"),
    ],
)
async def test_another_event_is_a_conflict(other: Event) -> None:
    app = App()
    await app.publish("before")
    await app.hub.publish(said("x", event_id="id"))
    with pytest.raises(EventConflict, match="new id") as caught:
        await app.hub.publish(other)
    error = caught.value
    assert (error.session_id, error.event_id, error.ordinal) == ("s", "id", 2)
    assert await app.log() == ["before", "x"]
    assert app.recorder.kinds() == []
    await app.usable()


async def test_the_same_payload_under_another_name_is_another_event() -> None:
    schemas = registry()
    schemas.register_event("Whispered", TokensDeltaEvent)
    app = App(schemas=schemas)
    event = await app.hub.publish(said("x", event_id="id"))
    with pytest.raises(EventConflict):
        await app.hub.publish(Event("Whispered", event.payload, "s", event_id="id"))


async def test_ids_belong_to_a_session() -> None:
    app = App()
    await app.hub.publish(said("x", "one", event_id="id"))
    await app.hub.publish(said("y", "two", event_id="id"))
    assert (await app.log("one"), await app.log("two")) == (["x"], ["y"])


async def test_ids_outlive_pruning() -> None:
    app = App()
    await app.hub.publish(said("x", event_id="id"))
    await app.publish("y")
    await app.store.prune("s", before=2)
    assert await app.log() == ["y"]
    assert (await app.hub.publish(said("x", event_id="id"))).ordinal == 1
    with pytest.raises(EventConflict):
        await app.hub.publish(said("z", event_id="id"))
    assert await app.log() == ["y"]


async def test_ids_do_not_outlive_their_session() -> None:
    app = App()
    await app.hub.publish(said("x", event_id="id"))
    await app.store.delete_session("s")
    assert (await app.hub.publish(said("x", event_id="id"))).ordinal == 2
    assert await app.texts() == {"1": "x"}


@pytest.mark.parametrize("together", [2, 10])
async def test_delivered_concurrently(together: int) -> None:
    app, _ = app_on()
    published = await soon(asyncio.gather(*(app.hub.publish(said("x", event_id="id")) for _ in range(together))))
    assert {event.ordinal for event in published} == {1}
    assert await app.log() == ["x"]
    assert app.recorder.ordinals() == [1]


@pytest.mark.parametrize("method", ["timeline", "commit"])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_delivered_to_two_hubs_at_once(method: str, moment: str) -> None:
    app, store = app_on()
    other = App(store.inner, schemas=app.schemas)
    gate = store.stop_before(method) if moment == "before" else store.stop_after(method)
    mine = asyncio.create_task(app.hub.publish(said("x", event_id="id")))
    await gate.reached()
    theirs = await soon(other.hub.publish(said("x", event_id="id")))
    gate.open()
    assert await soon(mine) == theirs
    assert await app.log() == ["x"]
    assert len(app.recorder.sent) + len(other.recorder.sent) == 1
    assert app.recorder.kinds() == []
    assert await app.texts() == {"1": "x"}
    await app.usable()
    await other.usable()


async def test_while_the_session_is_held() -> None:
    app, _ = app_on()
    app.broken["timeline"].add("bad")
    for number, each in enumerate(["good", "bad", "waits"], 1):
        event = said(each, event_id=f"id-{number}")
        if each == "good":
            await app.hub.publish(event)
        else:
            with pytest.raises((ProjectionError, SessionHeld)):
                await app.hub.publish(event)
    assert (await app.hub.publish(said("good", event_id="id-1"))).ordinal == 1
    for number, each in ((2, "bad"), (3, "waits")):
        with pytest.raises(SessionHeld) as held:
            await app.hub.publish(said(each, event_id=f"id-{number}"))
        assert (held.value.event.ordinal, held.value.event.event_id) == (number, f"id-{number}")
        assert held.value.failed_ordinal == 2
        assert isinstance(held.value.__cause__, ProjectionError)
    with pytest.raises(EventConflict):
        await app.hub.publish(said("other", event_id="id-3"))
    assert await app.log() == ["good", "bad", "waits"]
    app.broken["timeline"].clear()
    assert (await app.hub.publish(said("waits", event_id="id-3"))).ordinal == 3
    assert await app.texts() == {"1": "goodbadwaits"}
    assert app.recorder.ordinals() == [1, 2, 3]


async def test_a_repeat_is_not_held_when_another_hub_repaired_the_session() -> None:
    app, store = app_on()
    other = App(store.inner, schemas=app.schemas)
    app.broken["ui"].add("x")
    with pytest.raises(ProjectionError):
        await app.hub.publish(said("x", event_id="id"))
    await other.hub.rebuild_timeline("s")
    assert (await app.hub.publish(said("x", event_id="id"))).ordinal == 1
    await app.usable()


async def test_no_id_is_looked_up() -> None:
    """The store refuses a commit whose id is taken, and says of which event."""
    app, store = app_on()
    await app.publish("x")
    for _ in range(2):
        assert (await app.hub.publish(said("y", event_id="id"))).ordinal == 2
    with pytest.raises(EventConflict):
        await app.hub.publish(said("z", event_id="id"))
    assert store.calls == ["timeline", *["commit"] * 4]
    assert app.recorder.errors == []
    assert [record.event.ordinal for record in app.recorder.records] == [1, 2]
    assert (await app.hub.publish(said("z"))).ordinal == 3


async def test_a_repeat_on_which_a_projection_fails_is_a_repeat() -> None:
    app, _ = app_on()
    await app.hub.publish(said("x", event_id="id"))
    for projection in app.broken.values():
        projection.add("x")
    assert (await app.hub.publish(said("x", event_id="id"))).ordinal == 1
    await app.usable()


async def test_a_repeat_where_no_ordinal_is_left() -> None:
    app, store = app_on()
    last = Event("Said", said("x").payload, "s", store.max_ordinal, "id")
    await store.commit(Commit("s", last, (), 0, store.max_ordinal))
    assert (await app.hub.publish(said("x", event_id="id"))).ordinal == store.max_ordinal
    for event in (said("x"), said("y", event_id="other")):
        with pytest.raises(OrdinalExhausted):
            await app.hub.publish(event)
    with pytest.raises(EventConflict):
        await app.hub.publish(said("y", event_id="id"))
