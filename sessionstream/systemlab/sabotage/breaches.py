"""The guarantees of delivery that a page can break, each by wrapping one port."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sessionstream import SnapshotSource, UIFanout
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
        fanout: wraps the fan-out, between the hub and the server.
        source: wraps the snapshot source, between the server and the hub.
        line: wraps the connection, between the server and each client.
        hasty: whether UI events are sent before the commit.
    """

    label: str
    fanout: Callable[[UIFanout], UIFanout] = Passing
    source: Callable[[SnapshotSource], SnapshotSource] = _as_it_is
    line: Callable[[], Line] = Cable
    hasty: bool = False


NONE: Final = "none"

BREACHES: Final[Mapping[str, Breach]] = MappingProxyType(
    {
        NONE: Breach("Nothing: keep every guarantee"),
        "overtake": Breach("A proxy lets a live event overtake the snapshot", line=Overtaking),
        "swap": Breach("A proxy swaps neighbouring live events", line=Swapping),
        "drop": Breach("The fan-out loses every third event", fanout=Dropping),
        "reorder": Breach("The fan-out sends neighbouring events in the wrong order", fanout=Reordering),
        "repeat": Breach("The fan-out sends every event twice", fanout=Repeating),
        "hasty": Breach("UI events are sent before the commit", hasty=True),
        "stale": Breach("Snapshots are outdated", source=Stale),
        "epoch": Breach("Snapshots claim an epoch that has ended", source=OneEpoch),
    }
)
"""The breaches by their names in requests."""
