"""A process that publishes to the same sessions as another one at the same time.

    python -m tests.durability.rival FILE NAME COUNT

It says when it is ready, begins when it is told to, and prints what was acknowledged, as ``child`` does.
"""

from __future__ import annotations

import asyncio
import sys

from sessionstream import SQLiteStore

from .app import PLAIN, Said, new_hub, registry
from .child import tell


async def main(file: str, name: str, count: int) -> None:
    """Publish to each session an event, and one that the other process publishes too; so many times."""
    schemas = registry()
    async with SQLiteStore.open(file, schemas) as store:
        hub = new_hub(schemas, store, shaky=False, tell=tell)

        async def publish(session: str, said: Said) -> None:
            event = await hub.publish(said.event(session))
            tell("published", session=session, ordinal=event.ordinal, said=vars(said))

        async def live(session: str) -> None:
            for number in range(count):
                how = "delete" if number % 17 == 16 else "append"
                await publish(session, Said(f"{name}-{number}", f"t{number % 3}", f"{name}{number};", how))
                await publish(session, Said(f"shared-{number}", f"t{number % 2}", f"shared{number};"))

        tell("ready")
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*map(live, PLAIN))
        await hub.shutdown()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
