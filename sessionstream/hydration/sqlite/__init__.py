"""The SQLite store: one file, one writer thread, readers that never wait for it.

``store`` is the asyncio face, ``writer`` the thread that groups commits into transactions, ``writes`` what one
commit does, ``aside``, ``sweep`` and ``sweeping`` what is too much for one, ``reader`` and ``reads`` the questions,
``columns`` checks what is read, ``rows`` and ``types`` encode payloads, ``files``, ``schema`` and ``failures`` are of
the file itself. ``file`` is for tools that look into a file without the app's schemas, ``payloads`` makes readable what
they find, ``backup`` copies a file.
"""

from sessionstream.hydration.sqlite.file import (
    PayloadType,
    SQLiteFile,
    StoredEntity,
    StoredEvent,
    StoredPayload,
    StoredSession,
    StoredSnapshot,
)
from sessionstream.hydration.sqlite.payloads import Payload, Payloads, UnreadablePayload, readable
from sessionstream.hydration.sqlite.store import SQLiteStore

__all__ = [
    "SQLiteStore",
    "SQLiteFile",
    "PayloadType",
    "StoredEntity",
    "StoredEvent",
    "StoredPayload",
    "StoredSession",
    "StoredSnapshot",
    "Payloads",
    "Payload",
    "UnreadablePayload",
    "readable",
]
