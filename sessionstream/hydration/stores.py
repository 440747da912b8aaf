"""Says which store a location means: for operators' tools, which get the location as an argument of a command.

A path means a SQLite file; a URL that begins with ``postgres://`` or ``postgresql://`` means a PostgresStore. Such a
URL may have the option ``schema``, the namespace of the tables, which only this module knows:
``postgres://user@host/database?schema=jobs``. Everything else in it is the store's DSN.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar
from urllib.parse import unquote

from sessionstream.errors import StoreDamaged, StoreError
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.hydration.sqlite.failures import is_of_rows
from sessionstream.hydration.stored import StoredState
from sessionstream.schema import SchemaRegistry
from sessionstream.store import HydrationStore

if TYPE_CHECKING:
    from sessionstream.hints import Hints
    from sessionstream.hydration.postgres import PostgresStore
    from sessionstream.hydration.postgres.loading import Loading

T = TypeVar("T")

Location: TypeAlias = str | os.PathLike[str]
"""Where a store is."""

_SCHEME: Final = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_MISTYPED: Final = re.compile(r"\s*postgres(ql)?:", re.IGNORECASE)
_WORDS: Final = re.compile(r"(.*\s)?(ssl)?password\s*=", re.IGNORECASE | re.DOTALL)
"""A DSN of words: ``host=… password=…``."""

_PASSWORD: Final = re.compile(r"^(\s*[A-Za-z][A-Za-z0-9+.-]*:/{0,2}[^:/?#@]*):.*@", re.DOTALL)
_PASSWORD_OPTION: Final = re.compile(r"(?<=[?&])((?:ssl)?password)=[^&#]*", re.IGNORECASE)


def look(location: Location, question: Callable[[StoredState], T]) -> T:
    """Answer a question from one state of a store, without opening it: it changes nothing and needs no schemas.

    It is a plain function that reads a disk, or waits for a server: where an event loop runs, call it in a thread.

    Args:
        location: the path of a SQLite file, or the URL of a PostgreSQL database.
        question: takes a ``StoredState``, and returns the answer. Its exceptions are passed on. It may be called again
            if the store was changed meanwhile, so it must have no side effects.

    Raises:
        StoreError: there is no such store, or it cannot be read, is damaged, or of a newer version; or the URL is of
            no known kind, or the package that its store needs is not installed.
        RuntimeError: the location is a URL, and an event loop runs in this thread.
        TypeError: ``location`` is neither a string nor a path, or ``question`` cannot be called.
    """
    if is_url(location):
        database = _database(os.fspath(location))
        return database.store.look(database.dsn, question, schema=database.schema)
    return SQLiteStore.look(location, question)


def open(  # noqa: A001
    location: Location, registry: SchemaRegistry, *, listen_dsn: str | None = None, hints: Hints | None = None
) -> AbstractAsyncContextManager[HydrationStore]:
    """Return an async context manager that opens a store, and closes it at the end.

    Args:
        location: the path of a SQLite file, or the URL of a PostgreSQL database.
        registry: what payloads are decoded with.
        listen_dsn: if the URL leads through a pooler, the DSN of the server itself; see ``PostgresStore.connect``.
        hints: another way to tell processes of each other's commits; see ``PostgresStore.connect``.

    Raises:
        StoreError: the location does not name a store; or, on entering, it cannot be opened.
        ValueError: ``listen_dsn`` is not a URL of PostgreSQL, or the location is a path and ``listen_dsn`` or ``hints``
            is given.
        TypeError: ``location`` is neither a string nor a path, or ``registry`` is not a SchemaRegistry.
    """
    if is_url(location):
        database = _database(os.fspath(location))
        return database.store.connect(
            database.dsn, registry, schema=database.schema, listen_dsn=listen_dsn, hints=hints
        )
    for name, value in (("listen_dsn", listen_dsn), ("hints", hints)):
        if value is not None:
            raise ValueError(f"{name} is for a PostgreSQL database, and {os.fspath(location)} is a path: leave it out")
    return SQLiteStore.open(location, registry)


def loading(location: Location) -> AbstractContextManager[Loading]:
    """Return a context manager with which whole sessions are loaded into a store, and which closes it at the end.

    Args:
        location: the URL of a PostgreSQL database; of the server itself, not of a pooler.

    Raises:
        StoreError: the location does not name a database; or, on entering, it cannot be written.
        RuntimeError: on entering, an event loop runs in this thread.
        TypeError: ``location`` is neither a string nor a path.
    """
    if not is_url(location):
        raise StoreError(
            "the target is no URL: sessions are copied to a PostgreSQL database, postgres://user@host/database; to "
            "copy a file to a file, use `sessionstream backup`"
        )
    database = _database(os.fspath(location))
    from sessionstream.hydration.postgres.loading import loading as load

    return load(database.dsn, database.schema)


def is_damage(error: StoreError) -> bool:
    """Whether what was read of a store is wrong, so that the rest may be read; not, whether reading failed."""
    return isinstance(error, StoreDamaged) or is_of_rows(error)


def is_url(location: Location) -> bool:
    """Whether a location is a URL or a DSN, not a path."""
    return isinstance(location, str) and any(form.match(location) for form in (_SCHEME, _MISTYPED, _WORDS))


def shown(location: Location) -> str:
    """Return a location as it may be printed: without a password."""
    text = os.fspath(location)
    if not is_url(location):
        return text
    if _SCHEME.match(text) or _MISTYPED.match(text):
        return _PASSWORD.sub(r"\1@", _PASSWORD_OPTION.sub(r"\1=…", text))
    words = _WORDS.match(text)  # nothing of what comes after the password: who knows where that ends
    return f"{words[0]}…" if words else text


class _Database(NamedTuple):
    """What a URL says."""

    store: type[PostgresStore]
    dsn: str
    schema: str


def _database(url: str) -> _Database:
    """Take a URL apart.

    Raises:
        StoreError: it is not one of a PostgreSQL database, or its schema is not a name; or asyncpg is not installed.
    """
    if not url.startswith(("postgres://", "postgresql://")):
        kind = "URL of no known store" if _SCHEME.match(url) and not url[0].isspace() else "DSN of another form"
        raise StoreError(
            f"{shown(url)} is a {kind}: give the path of a SQLite file, or the URL of a PostgreSQL "
            f"database, postgres://…"
        )
    try:
        from sessionstream.hydration.postgres import PostgresStore
        from sessionstream.hydration.postgres.connections import SCHEMA, check_schema
    except ImportError as error:
        raise StoreError(f"{shown(url)} cannot be used: {error}") from error
    base, _, query = url.partition("?")
    options = query.split("&") if query else []
    schemas = [unquote(each.partition("=")[2]) for each in options if each.startswith("schema=")]
    others = [each for each in options if not each.startswith("schema=")]
    schema = schemas[-1] if schemas else SCHEMA
    try:
        check_schema(schema)
    except ValueError as error:
        raise StoreError(f"{shown(url)} cannot be used: {error}") from error
    return _Database(PostgresStore, f"{base}?{'&'.join(others)}" if others else base, schema)
