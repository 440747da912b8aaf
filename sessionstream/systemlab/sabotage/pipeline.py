"""The breaks of phase 1: wrappers of the fan-out and of the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from sessionstream import HydrationStore, UIFanout
from sessionstream.hydration import StoreProxy
from sessionstream.systemlab.breaks import Break, Press
from sessionstream.systemlab.sabotage import fanouts, stores


@dataclass(frozen=True, slots=True)
class Fault(Break):
    """A break of the pipeline: the wrapper of the fan-out or of the store."""

    fanout: Callable[[UIFanout], UIFanout] = fanouts.Passing
    store: Callable[[HydrationStore], HydrationStore] = StoreProxy


_SUBMIT: Final = (Press("submit"),)

FAULTS: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        "drop": Fault("The fan-out drops every second batch", "told", _SUBMIT, partial(fanouts.Dropping, every=2)),
        "repeat": Fault("The fan-out sends everything twice", "told", _SUBMIT, fanouts.Repeating),
        "swap": Fault("The fan-out swaps neighbouring batches", "told", _SUBMIT, fanouts.Reordering),
        "gap": Fault("The log loses its second event", "numbered", _SUBMIT, store=stores.StoreThatSkips),
        "lost": Fault("Snapshots lose their last entity", "fold", _SUBMIT, store=stores.StoreThatLosesEntities),
        "stale": Fault("Snapshots lag one event behind", "current", _SUBMIT, store=stores.StoreThatLags),
    }
)
"""The faults by their names in requests."""
