"""Avoids recording an error of a held event again: every publish retries the event, and may fail in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionstream.errors import StoreError, error_text
from sessionstream.tracebacks import storable, where

if TYPE_CHECKING:
    from sessionstream.hub.completion import Completion
    from sessionstream.observe import ErrorKind
    from sessionstream.store import HydrationStore

MAX_DIFFERENT: Final = 10
"""How many different errors of one kind are recorded for an event that is retried, as some messages differ each time.
Errors are the same if they have the same text and the same place."""

_LOOKED_AT: Final = 100
"""How many error records of a session are searched for those of the event that holds it."""

_HOLDING: Final = frozenset({"decode", "ui-projection", "timeline-projection"})
"""The kinds of errors that keep an event from being applied, so that it is retried."""


class KnownErrors:
    """The recorded errors of the event that holds a session, by ordinal and kind."""

    __slots__ = ("_known", "_session_id", "_store")

    def __init__(self, session_id: str, store: HydrationStore) -> None:
        self._session_id = session_id
        self._store = store
        self._known: dict[tuple[int, ErrorKind], set[tuple[str, str]]] = {}

    async def is_new(
        self,
        kind: ErrorKind,
        ordinal: int,
        error: BaseException,
        projector: str,
        completion: Completion,
        *,
        tried_before: bool,
    ) -> bool:
        """Return whether an error has to be recorded; if so, take it as recorded from now on.

        Args:
            tried_before: whether an earlier run of the hub, or another process, may have recorded it.
        """
        if kind not in _HOLDING:
            return True
        known = self._known.get((ordinal, kind))
        if known is None:
            known = await self._recorded(kind, ordinal, completion) if tried_before else set()
            self._known[ordinal, kind] = known
        what = storable(where(error, projector)), storable(error_text(error))
        if what in known or len(known) >= MAX_DIFFERENT:
            return False
        known.add(what)
        return True

    async def _recorded(self, kind: ErrorKind, ordinal: int, completion: Completion) -> set[tuple[str, str]]:
        try:
            records = await completion.finish(self._store.error_records(self._session_id, limit=_LOOKED_AT))
        except StoreError:  # the error may then be recorded twice
            return set()
        return {(each.where, each.error) for each in records if (each.ordinal, each.kind) == (ordinal, kind)}
