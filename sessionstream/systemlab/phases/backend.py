"""A backend that can be stopped and started again: a store, a hub on it, and a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from sessionstream import Hub, HydrationStore, MemoryStore, ProjectionPolicies, SchemaRegistry, SQLiteStore
from sessionstream.serving.running import RETURN_AFTER
from sessionstream.systemlab.journal import Journal
from sessionstream.transport.ws import WebSocketServer

Around: TypeAlias = Callable[[HydrationStore], HydrationStore]
"""Wraps a store to break a guarantee."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The parts of a backend that end with its process.

    Attributes:
        server: its principals are the names that clients give.
        file: the file of the store; None: the store is in memory.
    """

    store: HydrationStore
    hub: Hub
    server: WebSocketServer
    file: Path | None

    async def end(self, *, retry_after: float | None = RETURN_AFTER) -> None:
        """Shut down: tell clients to reconnect, finish running work, close the store. Calling it twice is allowed."""
        await self.server.shutdown(retry_after=retry_after)
        await self.hub.shutdown()
        await self.store.close()

    async def as_killed(self, copy: Path | None) -> None:
        """Copy the file to ``copy`` as a kill at this moment would leave it, then end without telling clients.

        A kill finishes nothing: what the file and its write-ahead log hold now is all that the next process finds.
        """
        if self.file is not None and copy is not None:
            await asyncio.to_thread(_copy, self.file, copy)
        await self.end(retry_after=None)


async def open_backend(
    file: Path | None, schemas: SchemaRegistry, opened: Callable[[Hub], Hub], around: Around, journal: Journal
) -> Backend:
    """Start a backend.

    Args:
        file: the file of the store; None: the store is in memory.
        schemas: the registry of the store and the hub.
        opened: registers the application on the hub.
        around: wraps the store.
        journal: receives errors and the stages of connections.

    Raises:
        StoreError: the file cannot be opened.
    """
    store = around(MemoryStore(schemas) if file is None else await SQLiteStore.open(file, schemas))
    hub = Hub(
        schemas,
        store=store,
        policies=ProjectionPolicies(ui="advance"),
        pipeline_observer=journal.pipeline.append,
        error_observer=journal.errors.append,
    )
    server = WebSocketServer(opened(hub), authenticate=_name, observer=journal.connections.append)
    hub.set_fanout(server)
    return Backend(store, hub, server, file)


def _name(scope: Mapping[str, Any]) -> str:
    """Use the name that the client sends as ``?client=NAME``. This distinguishes tabs and refuses nobody."""
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("ascii", "replace")).get("client", ["nameless"])[0]


def _copy(file: Path, copy: Path) -> None:
    copyfile(file, copy)
    log = file.with_name(f"{file.name}-wal")
    if log.exists():
        copyfile(log, copy.with_name(f"{copy.name}-wal"))
