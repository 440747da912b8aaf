"""A process of another protobuf build, or of an older release of the app, that executes commands on a store.

    python -m tests.durability.build FILE [--older]

It reads a JSON object a line and answers each with one. Payloads are the bytes of a ``rich.Rich``, in hexadecimal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from sessionstream import Command, Event, EventPublisher, Hub, SchemaRegistry, Session, SQLiteStore, payload_digest
from sessionstream.errors import CommandConflict, EventConflict

from .rich import files, message_class

if TYPE_CHECKING:
    from google.protobuf.message import Message

SESSION = "s"


class Build:
    """A hub on the file, with one event, one command, and a count of the commands that ran."""

    def __init__(self, store: SQLiteStore, schemas: SchemaRegistry, cls: type[Message]) -> None:
        self._store, self._cls, self._ran = store, cls, 0
        self._hub = Hub(schemas, store=store)
        self._hub.register_command("Do", self._handle)

    async def _handle(self, command: Command, session: Session, publisher: EventPublisher) -> None:
        self._ran += 1

    async def publish(self, data: str, id: str) -> dict[str, Any]:  # noqa: A002 - the word of the protocol
        payload = self._cls.FromString(bytes.fromhex(data))
        return {"ordinal": (await self._hub.publish(Event("Done", payload, SESSION, event_id=id))).ordinal}

    async def submit(self, data: str, key: str) -> dict[str, Any]:
        before = self._ran
        await self._hub.submit(SESSION, "Do", self._cls.FromString(bytes.fromhex(data)), idempotency_key=key)
        return {"ran": self._ran > before}

    async def prune(self) -> dict[str, Any]:
        before = await self._hub.event_cursor(SESSION)
        await self._store.prune(SESSION, before=before + 1)
        return {"kept": [event.ordinal for event in await self._store.events(SESSION)]}

    async def digest(self, data: str, descriptors: str = "") -> dict[str, Any]:
        """Return the digest of a payload, and its encoding by this build; nothing if the build cannot read it.

        The runtime in pure Python fails with a KeyError on some bytes that set the members of a oneof in turn.
        """
        try:
            payload = self._cls.FromString(bytes.fromhex(data))
        except KeyError:
            return {}
        found = payload_digest("Done", payload, bytes.fromhex(descriptors))
        return {"digest": found.hex(), "data": payload.SerializeToString().hex()}


async def main(file: str, *, older: bool) -> None:
    """Answer every line."""
    cls = message_class(files(older=older))
    schemas = SchemaRegistry()
    schemas.register_event("Done", cls)
    schemas.register_command("Do", cls)
    async with SQLiteStore.open(file, schemas) as store:
        build = Build(store, schemas, cls)
        while line := await asyncio.to_thread(sys.stdin.readline):
            what, *arguments = json.loads(line)
            try:
                answer = await getattr(build, what)(*arguments)
            except (EventConflict, CommandConflict) as error:
                answer = {"refused": type(error).__name__}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--older", action="store_true")
    asyncio.run(main(**vars(parser.parse_args())))
