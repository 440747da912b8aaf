"""A process that carries out one half of a command, and the other half when it is told to.

    python -m tests.durability.halfway LOCATION

Each half is an event; it says when that is stored, as ``child`` does. It gives no hint of what it commits, as if it
were killed before it could, and counts as there for ``LEASE_SECONDS`` after it last said so.
"""

from __future__ import annotations

import asyncio
import sys
from unittest.mock import patch

from sessionstream import Command, EventPublisher, Session
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand
from sessionstream.hydration import stores
from sessionstream.hydration.postgres import upkeep
from sessionstream.hydration.postgres.notifications import Notifications
from sessionstream.hydration.sqlite import feed

from .app import Said, new_hub, registry
from .child import tell

SESSION = "session"
KEY = "key"
COMMAND = StartInferenceCommand(prompt="tell me more")

LEASE_SECONDS = 1.0
"""Instead of the ten seconds of both stores, so that a test need not wait for long."""


async def main(location: str) -> None:
    """Carry out the command."""
    schemas = registry()
    async with stores.open(location, schemas) as store, new_hub(schemas, store, shaky=False, tell=tell) as hub:

        @hub.command("Say")
        async def say(command: Command, session: Session, publisher: EventPublisher) -> None:
            await publisher.publish(Said("half", "text", "half of it").event(session.id))
            tell("half")
            await asyncio.to_thread(sys.stdin.readline)
            await publisher.publish(Said("rest", "text", ", and the rest").event(session.id))
            tell("rest")

        await hub.submit(SESSION, "Say", COMMAND, idempotency_key=KEY)


if __name__ == "__main__":
    with (
        patch.object(Notifications, "send", lambda self, session_ids: None),
        patch.object(upkeep, "LEASE_SECONDS", LEASE_SECONDS),
        patch.object(upkeep, "BEAT_SECONDS", LEASE_SECONDS / 4),
        patch.object(feed, "LEASE_SECONDS", LEASE_SECONDS),
    ):
        asyncio.run(main(sys.argv[1]))
