"""Validates arguments of Hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sessionstream.bus import EventBus
from sessionstream.callables import plain_callback
from sessionstream.projection import ProjectionPolicies
from sessionstream.schema import SchemaRegistry, describe
from sessionstream.store import HydrationStore

_STORE: Final = "an open store", "MemoryStore(registry) is one, and await SQLiteStore.open(…) gives one"
_BUS: Final = "an open bus", "MemoryBus() is one"


def check_arguments(
    schemas: object, store: object, bus: object, policies: object, metadata: object, capacity: object
) -> None:
    """Check the arguments of ``Hub``, except the fan-out and the observers.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the capacity is negative, or the store's registry cannot read what ``schemas`` has.
    """
    _check_instance("schemas", SchemaRegistry, schemas)
    if store is not None:
        _check_port("store", HydrationStore, store, *_STORE)
        _check_registry(schemas, getattr(store, "registry", None))
    if bus is not None:
        _check_port("bus", EventBus, bus, *_BUS)
    _check_instance("policies", ProjectionPolicies, policies)
    if metadata is not None and not callable(metadata):
        raise TypeError(f"session_metadata is a function of a session id, not {metadata!r}")
    if not isinstance(capacity, int) or isinstance(capacity, bool):
        raise TypeError(f"cache_entities is a number of entities, not {capacity!r}")
    if capacity < 0:
        raise ValueError(f"cache_entities is a number of entities, and must not be negative: {capacity}")


def check_progress(progress: object) -> Callable[[int], object] | None:
    """Return the ``progress`` of a retry or a rebuild.

    Raises:
        TypeError: it is not a plain function of one argument.
    """
    return None if progress is None else plain_callback("progress", "(events)", progress)


def _check_registry(schemas: object, of_store: object) -> None:
    """Check that the store can decode the events and entities that the hub's registry can publish."""
    if not isinstance(schemas, SchemaRegistry) or not isinstance(of_store, SchemaRegistry) or schemas is of_store:
        return
    unread = of_store.unread(schemas)
    if unread is not None:
        family, name = unread
        raise ValueError(
            f"the store was opened with another registry than schemas, and that registry lacks the message of {family} "
            f"{name!r}: open the store with the registry that is given to the hub"
        )


def _check_instance(name: str, cls: type, value: object) -> None:
    if value is cls:
        raise TypeError(f"{name} is a {cls.__name__}, not the class: write {cls.__name__}(…)")
    if not isinstance(value, cls):
        raise TypeError(f"{name} is a {cls.__name__}, not {value!r}")


def _check_port(name: str, port: type, value: object, wanted: str, way_out: str) -> None:
    methods = [name for name, member in vars(port).items() if not name.startswith("_") and callable(member)]
    if isinstance(value, type) or not callable(getattr(value, methods[0], None)):
        got = describe(value) if isinstance(value, type) else repr(value)
        raise TypeError(f"{name} is {wanted}, not {got} ({way_out})")
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing:
        raise TypeError(f"{name} {value!r} does not implement {port.__name__}: it lacks {', '.join(missing)}")
