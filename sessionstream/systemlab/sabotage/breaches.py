"""The guarantees of delivery that a page can break, each by wrapping one port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sessionstream import SnapshotSource, UIFanout
from sessionstream.systemlab.breaks import NOTHING, Break, Press
from sessionstream.systemlab.conversations import Cable, Line
from sessionstream.systemlab.sabotage.fanouts import Dropping, Passing, Reordering, Repeating
from sessionstream.systemlab.sabotage.lines import Overtaking, Swapping
from sessionstream.systemlab.sabotage.sources import OneEpoch, Stale


def _as_it_is(source: SnapshotSource) -> SnapshotSource:
    return source


@dataclass(frozen=True, slots=True)
class Breach:
    """One way to break a guarantee.

    Attributes:
        label: a description.
        check: the id of the check that fails.
        hydration: the buttons to press for it in phase 3.
        chat: the buttons to press for it in phase 4; None: that phase does not offer it.
        fanout: wraps the fan-out, between the hub and the server.
        source: wraps the snapshot source, between the server and the hub.
        line: wraps the connection, between the server and each client.
        hasty: whether UI events are sent before the commit.
    """

    label: str
    check: str = ""
    hydration: tuple[Press, ...] = ()
    chat: tuple[Press, ...] | None = ()
    fanout: Callable[[UIFanout], UIFanout] = Passing
    source: Callable[[SnapshotSource], SnapshotSource] = _as_it_is
    line: Callable[[], Line] = Cable
    hasty: bool = False


_CONNECT: Final = Press("Connect and subscribe both")
_ADD: Final = (_CONNECT, Press("add"))
_SEND: Final = (Press("send"),)
_DROP: Final = Press("drop")

BREACHES: Final[Mapping[str, Breach]] = MappingProxyType(
    {
        NOTHING: Breach("Nothing"),
        "overtake": Breach(
            "A proxy lets a live event overtake the snapshot", "snapshot-first", _ADD, _SEND, line=Overtaking
        ),
        "swap": Breach("A proxy swaps neighbouring live events", "in-order", _ADD, _SEND, line=Swapping),
        "drop": Breach("The fan-out loses every third event", "none-missing", _ADD, _SEND, fanout=Dropping),
        "reorder": Breach(
            "The fan-out sends neighbouring events in the wrong order", "none-missing", _ADD, _SEND, fanout=Reordering
        ),
        "repeat": Breach("The fan-out sends every event twice", "none-twice", _ADD, _SEND, fanout=Repeating),
        "hasty": Breach("UI events are sent before the commit", "true-first", _ADD, _SEND, hasty=True),
        "stale": Breach("Snapshots are outdated", "none-missing", (*_ADD, _DROP), (*_SEND, _DROP), source=Stale),
        "epoch": Breach(
            "Snapshots claim an epoch that has ended",
            "one-epoch",
            (*_ADD, Press("hydrate"), Press("rebuild"), _DROP),
            chat=None,
            source=OneEpoch,
        ),
    }
)
"""The breaches by their names in requests."""


def breaks_of_hydration() -> dict[str, Break]:
    """Return the breaks of phase 3."""
    return {name: Break(each.label, each.check, each.hydration) for name, each in BREACHES.items() if each.check}


def breaks_of_chat() -> dict[str, Break]:
    """Return the breaks of phase 4 that lie between the application and the browser."""
    return {
        name: Break(each.label, each.check, each.chat)
        for name, each in BREACHES.items()
        if each.check and each.chat is not None
    }
