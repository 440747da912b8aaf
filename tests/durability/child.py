"""The process that is killed: it publishes to all sessions at once, for ever, and prints what was acknowledged.

    python -m tests.durability.child FILE --name NAME --seed SEED [--synchronous full] [--known JSON] [--shaky]

Each line of its output is one write to the pipe, so that what was printed before the kill can be read after it:

=============  ==============================================================================================
``opening``    the file is about to be opened
``opened``     it is
``published``  an event was acknowledged, or (``held``) stored behind one that fails
``told``       the fan-out was called
``ran``        a command's handler was called
``submitted``  a command with a key was acknowledged, which ran here, or had run before
``begin``      a rebuild, a pruning, a deletion or a retry is about to begin
``done``       it is acknowledged
=============  ==============================================================================================
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
from contextvars import ContextVar
from itertools import count
from random import Random
from typing import Any

from sessionstream import (
    Command,
    CommandUnfinished,
    EventPublisher,
    HistoryPruned,
    Hub,
    ProjectionError,
    Session,
    SessionHeld,
    SQLiteStore,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand

from .app import DELETED, HELD, PARTS, PLAIN, PRUNED, REBUILT, SESSIONS, Said, line, new_hub, registry

SHARED = 60
"""Event ids that all processes publish, each of which must land once."""

KEYS = 12
"""Idempotency keys that all processes use, over and over."""

ran: ContextVar[list[str]] = ContextVar("ran")
"""Filled by the handler with what it was called with."""


def tell(what: str, **details: Any) -> None:
    os.write(1, line(what, details))


class Life:
    """The operations of one process on one session."""

    def __init__(self, hub: Hub, store: SQLiteStore, session: str, options: argparse.Namespace) -> None:
        self.hub = hub
        self.store = store
        self.session = session
        self.name: str = options.name
        self.known: int = json.loads(options.known).get(session, 0)
        self.seed = f"{options.seed} {session}"
        self.acknowledged: list[Said] = []
        self.number = count(1)

    async def live(self, task: int) -> None:
        """Do one thing after the other; several tasks do."""
        random = Random(f"{self.seed} {task}")
        while True:
            await self.act(random)

    async def act(self, random: Random) -> None:
        chance = random.random()
        if chance < 0.1 and self.session in PLAIN:
            await self.submit(random)
        elif chance < 0.06 and self.session == REBUILT:
            await self.operate("rebuild", self.hub.rebuild_timeline(self.session))
        elif chance < 0.06 and self.session == PRUNED:
            await self.operate("prune", self.store.prune(self.session, before=random.randint(0, self.known)))
        elif chance < 0.06 and self.session == HELD:
            await self.operate("retry", self.hub.retry_timeline(self.session))
        elif chance < 0.03 and self.session == DELETED:
            await self.operate("delete", self.store.delete_session(self.session))
        elif chance < 0.2 and self.acknowledged:
            await self.publish(random.choice(self.acknowledged))
        elif chance < 0.3 and self.session != DELETED:
            number = random.randrange(SHARED)
            await self.publish(Said(f"shared-{number}", f"t{number % 3}", f"{number};"))
        else:
            await self.publish(self.something(random))

    def something(self, random: Random) -> Said:
        how = random.choices(("append", "delete"), (12, 1))[0]
        if self.session == HELD and random.random() < 0.1:
            how = "shaky"
        name = f"{self.name}.{next(self.number)}"
        chunk = "" if how == "delete" else f"{name}{'.' * random.choice((0, 5, 60))};"
        return Said(name, f"t{random.randrange(4)}", chunk, how)

    async def publish(self, said: Said) -> None:
        held = False
        try:
            event = await self.hub.publish(said.event(self.session))
        except (ProjectionError, SessionHeld) as error:
            event, held = error.event, True
        tell("published", session=self.session, ordinal=event.ordinal, held=held, said=vars(said))
        self.acknowledged.append(said)

    async def submit(self, random: Random) -> None:
        key = f"key-{random.randrange(KEYS)}" if random.random() < 0.5 else f"{self.name}-{next(self.number)}"
        again: list[str] = []
        ran.set(again)
        try:
            await self.hub.submit(self.session, "Say", StartInferenceCommand(prompt=key), idempotency_key=key)
        except CommandUnfinished:  # of a process that was killed
            return
        tell("submitted", session=self.session, key=key, ran=bool(again))

    async def operate(self, what: str, operation: Any) -> None:
        tell("begin", session=self.session, operation=what)
        try:
            await operation
        except (ProjectionError, HistoryPruned):
            return
        tell("done", session=self.session, operation=what)


async def main(options: argparse.Namespace) -> None:
    schemas = registry()
    tell("opening")
    async with SQLiteStore.open(options.file, schemas, synchronous=options.synchronous) as store:
        tell("opened")
        hub = new_hub(schemas, store, shaky=options.shaky, tell=tell)

        @hub.command("Say")
        async def say(command: Command, session: Session, publisher: EventPublisher) -> None:
            assert isinstance(command.payload, StartInferenceCommand)
            key = command.payload.prompt
            tell("ran", session=session.id, key=key)
            ran.get().append(key)
            for part in range(PARTS):
                await publisher.publish(Said(f"{key}/{part}", key, f"{part};").event(session.id))

        lives = [Life(hub, store, session, options) for session in SESSIONS]
        await asyncio.gather(*(life.live(task) for life in lives for task in range(2)))


if __name__ == "__main__":
    logging.getLogger("sessionstream").addHandler(logging.NullHandler())  # or Python prints it, and nobody reads that
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--name", required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--synchronous", default="normal")
    parser.add_argument("--known", default="{}")
    parser.add_argument("--shaky", action="store_true")
    asyncio.run(main(parser.parse_args()))
