"""The library's public surface, as far as it leads to a registry: one table, which a test compares with the library."""

from __future__ import annotations

REGISTRY = "sessionstream.SchemaRegistry"
HUB = "sessionstream.Hub"
MEMORY = "sessionstream.MemoryStore"
SQLITE = "sessionstream.SQLiteStore"
POSTGRES = "sessionstream.PostgresStore"

# Attributes and properties that are an object of a class, by their full names.
ATTRIBUTES = {f"{HUB}.schemas": REGISTRY} | {f"{store}.registry": REGISTRY for store in (MEMORY, SQLITE, POSTGRES)}
# Functions that return one.
RETURNING = {
    "sessionstream.testing.sample_registry": REGISTRY,
    "sessionstream.examples.chatdemo.chat_schemas": REGISTRY,
}
# Class methods whose result is awaited, or entered with ``async with``.
OPENING = {f"{SQLITE}.open": SQLITE, f"{POSTGRES}.connect": POSTGRES}
# Classes whose objects are entered with ``async with``, which gives the object.
ENTERED = {HUB}
# Where in the library these are defined, which is another name for each.
DEFINED = {
    "sessionstream.schema.SchemaRegistry": REGISTRY,
    "sessionstream.hub.Hub": HUB,
    "sessionstream.hub.hub.Hub": HUB,
    "sessionstream.hydration.MemoryStore": MEMORY,
    "sessionstream.hydration.memory.MemoryStore": MEMORY,
    "sessionstream.hydration.sqlite.SQLiteStore": SQLITE,
    "sessionstream.hydration.sqlite.store.SQLiteStore": SQLITE,
    "sessionstream.hydration.postgres.PostgresStore": POSTGRES,
    "sessionstream.hydration.postgres.store.PostgresStore": POSTGRES,
    "sessionstream.examples.chatdemo.schemas.chat_schemas": "sessionstream.examples.chatdemo.chat_schemas",
    "sessionstream.testing.sessions.sample_registry": "sessionstream.testing.sample_registry",
}
