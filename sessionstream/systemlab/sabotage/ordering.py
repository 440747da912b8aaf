"""The breaks of phase 2: wrappers of the bus and of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sessionstream import EventBus, HydrationStore
from sessionstream.hydration import StoreProxy
from sessionstream.systemlab.breaks import Break, Press
from sessionstream.systemlab.sabotage import buses, stores

_Bus = Callable[[EventBus], EventBus]
_Store = Callable[[HydrationStore], HydrationStore]


@dataclass(frozen=True, slots=True)
class Wrong(Break):
    """A break of ordering: the wrapper of the bus or of the store."""

    bus: _Bus = buses.BusThatWorks
    store: _Store = StoreProxy


_BURST: Final = (Press("burst", {"events": 6, "ids": "derived", "twice": False}),)
_BOTH: Final = (Press("burst", {"second": "b", "events": 6, "ids": "derived", "twice": False}),)
_TWICE: Final = (Press("burst", {"twice": True}),)
_RESTART: Final = (Press("restart", {"meanwhile": 4}),)

BROKEN: Final[Mapping[str, Wrong]] = MappingProxyType(
    {
        "numbers": Wrong(
            "The bus publishes with ordinals of its own", "published-without", _BURST, buses.BusThatNumbers
        ),
        "stream-ids": Wrong("The bus delivers without its stream ids", "assigned", _BURST, buses.BusThatDropsStreamIds),
        "swaps": Wrong("The bus delivers two messages in the wrong order", "in-order", _BURST, buses.BusThatSwaps),
        "misdelivers": Wrong("The bus delivers into another session", "apart", _BOTH, buses.BusThatMisdelivers),
        "renames": Wrong("The bus gives a message delivered again a new id", "once", _TWICE, buses.BusThatRenames),
        "loses": Wrong("The bus loses every third message", "nothing-lost", _BURST, buses.BusThatLoses),
        "forgets": Wrong(
            "The bus forgets what nobody is there to take", "nothing-lost", _RESTART, buses.BusThatForgets
        ),
        "backwards": Wrong("The store lists its log backwards", "rising", _BURST, store=stores.StoreThatListsBackwards),
        "drops-entities": Wrong(
            "The store forgets what events mean", "as-folded", _BURST, store=stores.StoreThatDropsEntities
        ),
    }
)
"""The breaks by their names in requests."""
