"""Records what the hub passed to the fan-out, so that the lab can compare it with what clients received."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from sessionstream import UIEvent, UIFanout

KEPT: Final = 5_000
"""How many batches of a session are kept; the oldest go first."""


class Places:
    """Numbers everything that is taken note of, so that what was first can be told across ledgers."""

    def __init__(self) -> None:
        self._places = count(1)

    def take(self) -> int:
        """Return the next place."""
        return next(self._places)


@dataclass(frozen=True, slots=True)
class Batch:
    """The UI events of one backend event, as the hub handed them to its fan-out after the commit."""

    place: int
    ordinal: int
    events: tuple[UIEvent, ...]


class Ledger:
    """A fan-out that records its calls and passes them on to another fan-out, which may be a broken one.

    Args:
        places: where it gets its numbers from.
        kept: how many batches of a session it keeps.
    """

    def __init__(self, places: Places, kept: int = KEPT) -> None:
        self._places = places
        self._fanout: UIFanout | None = None
        self._batches: defaultdict[str, deque[Batch]] = defaultdict(lambda: deque(maxlen=kept))
        self._epochs: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)

    def pass_on_to(self, fanout: UIFanout) -> None:
        """Pass on what is told from now on."""
        self._fanout = fanout

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Keep a batch and pass it on."""
        self._batches[session_id].append(Batch(self._places.take(), ordinal, tuple(events)))
        if self._fanout is not None:
            self._fanout.publish_ui(session_id, ordinal, events)

    def resync(self, session_id: str, ordinal: int, epoch: int, /) -> None:
        """Keep which epoch it is from now on, and pass it on."""
        self._epochs[session_id].append((self._places.take(), epoch))
        resync = getattr(self._fanout, "resync", None)
        if resync is not None:
            resync(session_id, ordinal, epoch)

    def batches(self, session_id: str) -> list[Batch]:
        """Return what a session's live clients were to be told, oldest first."""
        return list(self._batches.get(session_id, ()))

    def told(self, session_id: str) -> int:
        """Return the ordinal of the latest batch; 0 before the first."""
        batches = self._batches.get(session_id)
        return batches[-1].ordinal if batches else 0

    def ended(self, session_id: str, epoch: int, place: int) -> bool:
        """Whether, at a place, an epoch of a session was known to be over."""
        known = [of for since, of in self._epochs.get(session_id, ()) if since < place]
        return bool(known) and known[-1] != epoch
