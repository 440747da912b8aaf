"""The breaks of phase 5: wrappers of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from sessionstream import HydrationStore
from sessionstream.hydration import StoreProxy
from sessionstream.systemlab.breaks import Break, Press
from sessionstream.systemlab.sabotage import stores

Kind: TypeAlias = Literal["sqlite", "memory"]

_Around: TypeAlias = Callable[[HydrationStore], HydrationStore]


def _as_it_is() -> _Around:
    return StoreProxy


@dataclass(frozen=True, slots=True)
class Wrong(Break):
    """A break of persistence.

    Attributes:
        around: makes the wrapper of the stores of one run of backends.
        kind: the store whose guarantee it breaks.
    """

    around: Callable[[], _Around] = _as_it_is
    kind: Kind = "sqlite"


_WRITE: Final = Press("seed")
_RESTART: Final = Press("restart", {"meanwhile": 1})

BROKEN: Final[Mapping[str, Wrong]] = MappingProxyType(
    {
        "forgets": Wrong(
            "The store forgets everything when it is closed",
            "events-kept",
            (_WRITE, _RESTART),
            lambda: stores.StoreThatForgetsOnClose,
        ),
        "drops-entities": Wrong(
            "The store drops the entities", "as-folded", (_WRITE, _RESTART), lambda: stores.StoreThatDropsEntities
        ),
        "miscounts": Wrong(
            "The store returns cursors that are one too low",
            "cursors-kept",
            (_WRITE, _RESTART),
            lambda: stores.StoreThatMiscounts,
        ),
        "forgets-errors": Wrong(
            "The store keeps no errors",
            "errors-kept",
            (Press("seed", {"trouble": True}), _RESTART),
            lambda: stores.StoreThatForgetsErrors,
        ),
        "forgets-keys": Wrong(
            "The store recognises no repeated command",
            "once",
            (_WRITE, _RESTART, Press("repeat")),
            lambda: stores.StoreThatForgetsKeys,
        ),
        "stale": Wrong(
            "The store returns an old timeline as the current one",
            "client-converges",
            (_WRITE, _RESTART),
            lambda: stores.StoreThatIsStale,
        ),
        "lingers": Wrong(
            "The memory store outlives its process",
            "events-kept",
            (_WRITE, _RESTART),
            stores.Lingering,
            kind="memory",
        ),
    }
)
"""The breaks by their names in requests."""
