"""Says which store a location means: for operators' tools, which get the location as an argument of a command.

A path means a SQLite file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias, TypeVar

from sessionstream.errors import StoreError
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.hydration.stored import StoredState
from sessionstream.schema import SchemaRegistry
from sessionstream.store import HydrationStore

T = TypeVar("T")

Location: TypeAlias = str | os.PathLike[str]
"""Where a store is."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PASSWORD: Final = re.compile(r"(?<=://)([^:/?#@]*):.*@", re.DOTALL)
_PASSWORD_OPTION: Final = re.compile(r"(?<=[?&])((?:ssl)?password)=[^&#]*", re.IGNORECASE)


def look(location: Location, question: Callable[[StoredState], T]) -> T:
    """Answer a question from one state of a store, without opening it: it changes nothing and needs no schemas.

    It is a plain function that reads a disk: where an event loop runs, call it in a thread.

    Args:
        location: the path of a SQLite file.
        question: takes a ``StoredState``, and returns the answer. Its exceptions are passed on. It may be called again
            if the store was changed meanwhile, so it must have no side effects.

    Raises:
        StoreError: there is no such store, or it cannot be read, is damaged, or of a newer version.
        TypeError: ``location`` is neither a string nor a path, or ``question`` cannot be called.
    """
    return SQLiteStore.look(_path(location), question)


def open(location: Location, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:  # noqa: A001
    """Return an async context manager that opens a store, and closes it at the end.

    Args:
        location: the path of a SQLite file.
        registry: what payloads are decoded with.

    Raises:
        StoreError: the location does not name a store; or, on entering, it cannot be opened.
        TypeError: ``location`` is neither a string nor a path, or ``registry`` is not a SchemaRegistry.
    """
    return SQLiteStore.open(_path(location), registry)


def is_url(location: Location) -> bool:
    """Whether a location is a URL, not a path."""
    return isinstance(location, str) and _SCHEME.match(location) is not None


def shown(location: Location) -> str:
    """Return a location as it may be printed: a URL has no password then."""
    return _PASSWORD_OPTION.sub(r"\1=…", _PASSWORD.sub(r"\1@", os.fspath(location)))


def _path(location: Location) -> Location:
    """Return the path of a SQLite file.

    Raises:
        StoreError: the location is a URL.
    """
    if is_url(location):
        raise StoreError(f"{shown(location)} is a URL, and no store is known by URLs: give the path of a SQLite file")
    return location
