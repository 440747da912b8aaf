"""Ids of more than 1,024 bytes: nothing new gets one, and what has one stays usable."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream import Event, InvalidIdError, MemoryBus, MemoryStore, ProjectionError, SQLiteStore, TimelineEntity
from sessionstream.ids import check_new_id

from .support import App, registry, said, say, soon, until

LONGEST, LONG = "ä" * 512, "ä" * 512 + "x"


def test_the_error_names_length_and_limit_and_is_short() -> None:
    assert check_new_id("session id", LONGEST) == LONGEST
    with pytest.raises(InvalidIdError, match=r"it has 1025 bytes of UTF-8, and at most 1024 fit") as raised:
        check_new_id("session id", LONG)
    assert raised.value.value == LONG
    assert len(str(raised.value)) < 350


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (said("a", LONG), "session id"),
        (said("a", event_id=LONG), "event id"),
    ],
)
async def test_an_event_that_would_begin_something(event: Event, what: str) -> None:
    app = App()
    with pytest.raises(InvalidIdError, match=what):
        await app.hub.publish(event)
    with pytest.raises(InvalidIdError, match=what):
        await app.hub.publish_many(event.session_id, [event])
    assert await app.store.sessions() == []
    assert not app.recorder.errors


async def test_an_entity_that_would_be_new() -> None:
    app = App()
    with pytest.raises(Exception, match=r"timeline entity id .* 1025 bytes"):
        await app.hub.publish(said("a", entity=LONG))


async def test_a_kind_that_would_be_new() -> None:
    schemas = registry()
    schemas.register_timeline_entity(LONG, type(say()))  # noqa: SST003 - too long to write out
    app = App(MemoryStore(schemas), schemas=schemas)

    app.hub.register_timeline_projection(lambda event, session, view: [TimelineEntity(LONG, "1", say())])
    with pytest.raises(Exception, match=r"timeline entity kind .* 1025 bytes"):
        await app.hub.publish(said("a"))


async def test_a_command_that_would_begin_something() -> None:
    app = App()
    app.hub.register_command("Say", lambda command, session, publisher: None)
    for session_id, key, what in ((LONG, "key", "session id"), ("s", LONG, "idempotency key")):
        with pytest.raises(InvalidIdError, match=what):
            await app.hub.submit(session_id, "Say", say(), idempotency_key=key)
    assert await app.store.sessions() == []


async def test_what_an_old_file_holds_under_a_long_id_is_used_as_before(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    async with SQLiteStore.open(path, registry()) as store:
        app = App(store)
        await app.hub.publish(said("a", "short", entity="short"))
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE sessions SET session_id = ?", (LONG,))
        db.execute("UPDATE entities SET id = ?", (LONG,))
        db.commit()
    async with SQLiteStore.open(path, registry()) as store:
        app = App(store)
        app.hub.register_command("Say", lambda command, session, publisher: None)
        await app.hub.publish(said("b", LONG, entity=LONG))
        assert await app.texts(LONG) == {LONG: "ab"}
        await app.hub.submit(LONG, "Say", say(), idempotency_key="key")
        with pytest.raises(ProjectionError, match="timeline entity id"):  # there its entity would be a new one
            await app.hub.rebuild_timeline(LONG)
        await store.prune(LONG, before=1)
        assert await store.sessions() == [LONG]
        await store.delete_session(LONG)
        assert await store.sessions() == []


async def test_a_message_for_a_new_session_with_a_long_id_is_recorded_and_stops_nobody() -> None:
    bus = MemoryBus()
    app = App(bus=bus)
    async with app.hub:
        await app.hub.publish(said("a", LONG))
        await app.hub.publish(said("b"))
        await soon(until(lambda: len(bus) == 0))
        assert await app.texts() == {"1": "b"}
    (record,) = app.recorder.errors
    assert (record.kind, record.session_id) == ("decode", "")
    assert record.metadata["refused_session_id"] == ascii(LONG)
