"""Loads what a command needs of the application: a function that makes its hub, or its registry.

``--app module:function`` names a function, not a hub, because a hub belongs to one store.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sessionstream.admin.outcome import Failed, Refused
from sessionstream.callables import kind_of
from sessionstream.errors import SessionstreamError, StoreError, error_text
from sessionstream.hub import Hub, ReplayReport
from sessionstream.hydration.memory import MemoryStore
from sessionstream.schema import Family, SchemaRegistry
from sessionstream.tracebacks import app_frame

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.store import HydrationStore

Factory: TypeAlias = Callable[["HydrationStore"], Any]
"""Takes a store and returns a hub on it, or an awaitable of one."""

Replay: TypeAlias = Literal["retry", "rebuild"]


class AppSchemas(SchemaRegistry):
    """Registry of a store that is opened before its hub is made; it delegates to the hub's registry."""

    __slots__ = ("_app",)

    def __init__(self) -> None:
        super().__init__()
        self._app: SchemaRegistry | None = None

    def adopt(self, schemas: SchemaRegistry) -> None:
        """Decode with these from now on."""
        self._app = schemas

    def decode(self, family: Family, name: str, payload_type: str, data: bytes) -> Message:
        """Decode a stored payload with the schemas of the hub.

        Raises:
            StoreError: there is no hub yet.
            UnknownSchemaError, PayloadDecodeError: as the hub's own registry.
        """
        if self._app is None:
            raise StoreError(f"{family} {name!r} was asked for before the function of --app has returned its hub")
        return self._app.decode(family, name, payload_type, data)

    def stored_as(self, payload_type: str) -> type[Message] | None:
        """Return the class that the hub's own registry has under this full name."""
        return None if self._app is None else self._app.stored_as(payload_type)

    def unread(self, other: SchemaRegistry) -> tuple[Family, str] | None:
        """Return None: the hub that is being made brings its own schemas."""
        return None


def load(place: str) -> Factory:
    """Import what ``module:function`` names; modules are also looked for in the working directory.

    Raises:
        Refused: it cannot be imported, or is not a function.
    """
    found = _imported(place, "--app", "module:function")
    if isinstance(found, Hub):
        raise Refused(
            f"--app {place} is a hub, which has a store already: name a function that takes a store and returns a hub"
        )
    if not callable(found):
        raise Refused(
            f"--app {place} is a {type(found).__name__}: name a function that takes a store and returns a hub"
        )
    factory: Factory = found
    return factory


async def schemas_of(place: str) -> SchemaRegistry:
    """Return the registry that ``module:name`` names: itself, that of a hub, or of what a function returns.

    The function takes nothing, or a store as that of ``--app`` does; it may be async.

    Raises:
        Refused: it cannot be imported, or the function failed, or it is something else.
    """
    found = _imported(place, "APP", "module:registry")
    if callable(found) and not isinstance(found, Hub):
        try:
            takes_store = any(each.default is each.empty for each in inspect.signature(found).parameters.values())
            if takes_store:
                schemas = AppSchemas()
                return (await hub_on(MemoryStore(schemas), schemas, found, place)).schemas
            found = found()
            if inspect.isawaitable(found):
                found = await found
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"{place} failed{_at(error)}: {error_text(error)}") from error
    registry = found.schemas if isinstance(found, Hub) else found
    if not isinstance(registry, SchemaRegistry):
        raise Refused(
            f"{place} is a {type(registry).__name__}: name a SchemaRegistry, a Hub, or a function that returns one"
        )
    return registry


def _imported(place: str, option: str, form: str) -> Any:
    """Import what ``module:name`` names; modules are also looked for in the working directory.

    Raises:
        Refused: it has another form, or cannot be imported.
    """
    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise Refused(f"{option} is {form}, not {place!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (Exception, SystemExit) as error:
        raise Refused(f"cannot load {option} {place}{_at(error)}: {error_text(error)}") from error
    return found


async def hub_on(
    store: HydrationStore, schemas: AppSchemas, factory: Factory, name: str = "the function of --app"
) -> Hub:
    """Let the app make its hub on a store that decodes with ``schemas``, and have them delegate to the hub's.

    Args:
        name: of the function, in messages.

    Raises:
        Refused: the function failed, or returned something else.
    """
    try:
        made = factory(store)
        if inspect.isawaitable(made):
            made = await made
    except Exception as error:
        raise Refused(f"{name} failed{_at(error)}: {error_text(error)}") from error
    if not isinstance(made, Hub):
        raise Refused(f"{name} returned {kind_of(made)}: it has to return a sessionstream.Hub")
    if made.schemas is schemas:
        raise Refused(
            f"{name} made its hub with store.registry, which has no schemas here: they are the app's to "
            "bring, so make the hub with the SchemaRegistry that the app registers its messages in"
        )
    schemas.adopt(made.schemas)
    return made


async def carry_out(
    hub: Hub, session_id: str, replay: Replay, event_cursor: int, progress: Callable[[int], object] | None = None
) -> ReplayReport:
    """Retry or rebuild a session whose event cursor is at least ``event_cursor``.

    Args:
        progress: called from time to time with the number of events that are applied.

    Raises:
        Refused: the hub has no projections; or it has a lower cursor, so it is on another store.
        Failed: another part of the app than a projection failed, for example its ``session_metadata``.
        SessionstreamError: as ``Hub.retry_timeline`` and ``Hub.rebuild_timeline``.
    """
    if not hub.has_projections:
        raise Refused(
            "the hub of --app has no projections, so the events would be taken for applied and change nothing: let its "
            "function register those of the app"
        )
    if await hub.event_cursor(session_id) < event_cursor:
        raise Refused("the hub of --app is not on the store that its function was given")
    try:
        work = hub.retry_timeline if replay == "retry" else hub.rebuild_timeline
        return await work(session_id, progress=progress)
    except SessionstreamError:
        raise
    except Exception as error:
        raise Failed(f"the app failed{_at(error)}: {error_text(error)}") from error


def _at(error: BaseException) -> str:
    """Return " at" and the frame of the app in which an error was raised; empty if it was not the app's code."""
    place = app_frame(error)
    return f" at {place}" if place else ""
