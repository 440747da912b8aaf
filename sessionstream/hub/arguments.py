"""What a hub is made of: refused at once where it would fail at the first event, or after that was stored."""

from __future__ import annotations

from typing import Final

from sessionstream.projection import ProjectionPolicies
from sessionstream.schema import SchemaRegistry, describe
from sessionstream.store import HydrationStore

_STORE: Final = [name for name in vars(HydrationStore) if not name.startswith("_")]


def check_arguments(schemas: object, store: object, policies: object, metadata: object, capacity: object) -> None:
    """Check what is given to ``Hub``, apart from functions that it is to tell.

    Raises:
        TypeError: an argument is of another type.
        ValueError: the capacity is negative.
    """
    _check_instance("schemas", SchemaRegistry, schemas)
    if store is not None:
        _check_store(store)
    _check_instance("policies", ProjectionPolicies, policies)
    if metadata is not None and not callable(metadata):
        raise TypeError(f"session_metadata is a function of a session id, not {metadata!r}")
    if not isinstance(capacity, int) or isinstance(capacity, bool):
        raise TypeError(f"cache_entities is a number of entities, not {capacity!r}")
    if capacity < 0:
        raise ValueError(f"cache_entities is a number of entities, which is never negative: {capacity}")


def _check_instance(name: str, cls: type, value: object) -> None:
    if value is cls:
        raise TypeError(f"{name} is a {cls.__name__}, not the class: write {cls.__name__}(…)")
    if not isinstance(value, cls):
        raise TypeError(f"{name} is a {cls.__name__}, not {value!r}")


def _check_store(store: object) -> None:
    if isinstance(store, type) or not hasattr(store, "commit"):
        got = describe(store) if isinstance(store, type) else repr(store)
        raise TypeError(
            f"store is an open store, not {got} (MemoryStore(registry) is one, and await SQLiteStore.open(…) gives one)"
        )
    missing = [name for name in _STORE if not callable(getattr(store, name, None))]
    if missing:
        raise TypeError(f"store {store!r} is no HydrationStore: it lacks {', '.join(missing)}")
