"""Each error message that a page quotes is provoked here, and reads as the page says.

A quoted message is inline code that reads like a sentence; ``…`` stands for any text.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import websockets.exceptions
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import StringValue
from websockets.asyncio.client import connect as connect_raw

from sessionstream import (
    Hub,
    PayloadValueError,
    SchemaRegistry,
    SQLiteStore,
    StoreError,
    TimelineEntity,
)
from sessionstream.hydration.sqlite.store import Opening
from sessionstream.testing import SessionWriter, put, sample_registry
from sessionstream.transport.ws import Limits, WebSocketServer
from sessionstream.v1.transport_pb2 import UnreadablePayload
from tests.copying.test_copy import Target, copied, edit, fill
from tests.hub.support import App, registry, said, until
from tests.hydration.hasty import HastyDatabase
from tests.hydration.shapes import shaped
from tests.hydration.test_sqlite_locked import locked
from tests.servers.postgres import Postgres
from tests.transport import notes
from tests.transport.asgi import peers
from tests.transport.running import served

from .pages import ENTRIES, PAGES, name_of, without_blocks

NO_MESSAGES = {"the text is now …"}
"""Inline code that reads like a sentence, and is what a UI event says."""

_PROGRAMS = {"async", "npm", "pip", "python", "sessionstream", "uvicorn"}
_CAPITALS = {"ASGI", "JSON"}
_WORD = re.compile(r"…|[A-Za-z0-9]+[.,:]?")
_CODE = re.compile(r"(`+)(.+?)\1(?!`)", re.DOTALL)


def reads_like_a_sentence(code: str) -> bool:
    words = code.split()
    return (
        len(words) >= 3
        and all(map(_WORD.fullmatch, words))
        and words[0] not in _PROGRAMS
        and not any(word.isupper() and len(word) > 1 and word not in _CAPITALS for word in words)
    )


def quoted() -> dict[str, str]:
    """The quoted messages, each with a page that quotes it."""
    found = {}
    for page in {*ENTRIES, *PAGES}:
        for paragraph in re.split(r"\n\n|\n(?=[|-] )", without_blocks(page.read_text("utf-8"))):
            for _, code in _CODE.findall(paragraph):
                if reads_like_a_sentence(code) and code not in NO_MESSAGES:
                    found[" ".join(code.split())] = name_of(page)
    return found


class Place:
    """Where a case may work."""

    def __init__(self, folder: Path, target: Target) -> None:
        self.path = folder / "x.db"
        self.target = target


@pytest.fixture
def place(tmp_path: Path, postgres: Postgres, postgres_schema: str) -> Place:
    return Place(tmp_path, Target(postgres.dsn, postgres_schema))


async def not_registered(place: Place) -> str:
    return await unreadable(place, StringValue, None)


async def changed(place: Place) -> str:
    return await unreadable(place, shaped("1 string x"), shaped("1 int32 x"))


async def unreadable(place: Place, before: Any, after: Any) -> str:
    """The reason of an entity that was stored with one message, and is read with another, or with none."""

    def schemas(message: Any) -> SchemaRegistry:
        registered = registry()
        if message is not None:
            registered.register_timeline_entity("Place", message)
        return registered

    async with SQLiteStore.open(place.path, schemas(before)) as store, Hub(schemas(before), store=store) as hub:
        payload = before()
        setattr(payload, payload.DESCRIPTOR.fields[0].name, "text")
        hub.register_timeline_projection(lambda event, session, view: [TimelineEntity("Place", "1", payload)])
        await hub.publish(said())
    async with SQLiteStore.open(place.path, schemas(after)) as store, Hub(schemas(after), store=store) as hub:
        (entity,) = (await hub.states("s")).entities
    assert isinstance(entity.payload, UnreadablePayload)
    return entity.payload.reason


async def unknown_any(place: Place) -> str:
    hub = notes.application()
    await notes.publish(hub, "s", put={"n": None})
    async with peers(WebSocketServer(hub), 1) as (peer,):
        await peer.subscribed("s")
    (snapshot,) = [json.loads(text) for text in peer.texts if '"reason"' in text]
    return str(snapshot["snapshot"]["entities"][0]["payload"]["reason"])


def refused(message: Any, payload: Any) -> str:
    """What a publish of a payload raises."""
    schemas = SchemaRegistry()
    schemas.register_event("Told", message)
    with pytest.raises(PayloadValueError) as raised:
        schemas.checked_copy("event", "Told", payload)
    return str(raised.value)


async def no_number(place: Place) -> str:
    return refused(Value, Value(number_value=float("nan")))


async def no_timestamp(place: Place) -> str:
    return refused(Timestamp, Timestamp(seconds=10**14))


class Kept(logging.Handler):
    """A handler that keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.entries.append(record)


async def uvicorn_complains(place: Place) -> str:
    server = WebSocketServer(notes.application(), limits=Limits(connections=1))
    handler = Kept()
    async with served(server) as address, connect_raw(address):
        logger = logging.getLogger("uvicorn.error")  # it does not propagate
        logger.addHandler(handler)
        try:
            with pytest.raises(websockets.exceptions.InvalidStatus, match="503"):
                await connect_raw(address)
            await until(lambda: bool(handler.entries))
        finally:
            logger.removeHandler(handler)
    return handler.entries[0].getMessage()


async def why_left(place: Place) -> str:
    (left,) = (await copied(place.path, place.target)).left
    return left.reason


async def too_long(place: Place) -> str:
    await fill(place.path, "a")
    edit(place.path, f"UPDATE sessions SET session_id = '{'s' * 1025}'")
    return await why_left(place)


async def changed_after_the_copy(place: Place) -> str:
    async with SQLiteStore.open(place.path, sample_registry()) as file:
        writer = SessionWriter(file, "a")
        await writer.log(put("one"))
        await copied(place.path, place.target)
        async with place.target.open() as store:
            await store.claim_command("a", "key", b"digest")
        await writer.log(put("two"))
        return await why_left(place)


async def not_copied_to_there(place: Place) -> str:
    await fill(place.path, "a")
    async with place.target.open() as store:
        await SessionWriter(store, "a").log(put("own"))
    return await why_left(place)


async def written_meanwhile(place: Place) -> str:
    await fill(place.path, "a")
    async with place.target.open() as store, place.target.held_up("events", "NEW.ordinal = 9") as waits:
        copying = asyncio.create_task(copied(place.path, place.target))
        await waits()
        await SessionWriter(store, "a").log(put("faster"))
    (left,) = (await copying).left
    return left.reason


async def damaged(place: Place) -> str:
    await fill(place.path, "a")
    edit(place.path, "UPDATE events SET payload = 5 WHERE ordinal = 2")
    return await why_left(place)


async def locked_by_another(place: Place) -> str:
    app = App(store=None)
    async with Opening(HastyDatabase(str(place.path)), app.schemas) as store, Hub(app.schemas, store=store) as hub:
        await hub.publish(said())
        with locked(place.path), pytest.raises(StoreError) as raised:
            await hub.publish(said())
    return str(raised.value)


async def cut_off(place: Place) -> str:
    await fill(place.path, "a")
    os.truncate(place.path, 5_000)
    with pytest.raises(StoreError) as raised:
        await SQLiteStore.open(place.path, sample_registry())
    return str(raised.value)


MESSAGES: dict[str, Callable[[Place], Awaitable[str]]] = {
    "its message is not registered": not_registered,
    "its message has changed: …": changed,
    "no message is known of the type …": unknown_any,
    "… is no JSON number": no_number,
    "Timestamp is not valid": no_timestamp,
    "ASGI callable returned without completing handshake.": uvicorn_complains,
    "… and at most 1024 fit": too_long,
    "it was changed in the database after it had been copied: …": changed_after_the_copy,
    "the database has a session of this id that was not copied to there: …": not_copied_to_there,
    "something else has written to it in … meanwhile …": written_meanwhile,
    "… is damaged: …": damaged,
    "… database is locked: …": locked_by_another,
    "… database disk image is malformed: …": cut_off,
}


def test_each_quoted_message_has_a_case() -> None:
    assert sorted(quoted()) == sorted(MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
async def test_a_message_is_what_the_page_says(message: str, place: Place) -> None:
    said = await MESSAGES[message](place)
    assert re.search(re.escape(message).replace("…", ".*"), said, re.DOTALL), said
