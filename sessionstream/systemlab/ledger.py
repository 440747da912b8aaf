"""Records what the hub passed to the fan-out, so that the lab can compare it with what clients received."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from sessionstream import UIEvent, UIFanout

KEPT: Final = 5_000
"""The maximum number of batches of a session; the oldest are removed first."""


class Places:
    """Numbers all records, so that records of several ledgers have an order."""

    def __init__(self) -> None:
        self._places = count(1)

    def take(self) -> int:
        """Return the next number."""
        return next(self._places)


@dataclass(frozen=True, slots=True)
class Batch:
    """The UI events of one backend event, as the hub passed them to its fan-out after the commit."""

    place: int
    ordinal: int
    events: tuple[UIEvent, ...]


class Ledger:
    """A fan-out that records its calls and passes them on to another fan-out, which may be a broken one.

    Args:
        places: numbers the batches.
        kept: the maximum number of batches of a session.
    """

    def __init__(self, places: Places, kept: int = KEPT) -> None:
        self._places = places
        self._fanout: UIFanout | None = None
        self._batches: defaultdict[str, deque[Batch]] = defaultdict(lambda: deque(maxlen=kept))
        self._epochs: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)

    def pass_on_to(self, fanout: UIFanout) -> None:
        """Pass further calls on to this fan-out."""
        self._fanout = fanout

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Record a batch and pass it on."""
        self._batches[session_id].append(Batch(self._places.take(), ordinal, tuple(events)))
        if self._fanout is not None:
            self._fanout.publish_ui(session_id, ordinal, events)

    def resync(self, session_id: str, ordinal: int, epoch: int, /) -> None:
        """Record the new epoch, and pass it on."""
        self._epochs[session_id].append((self._places.take(), epoch))
        resync = getattr(self._fanout, "resync", None)
        if resync is not None:
            resync(session_id, ordinal, epoch)

    def batches(self, session_id: str) -> list[Batch]:
        """Return the batches of a session, oldest first."""
        return list(self._batches.get(session_id, ()))

    def told(self, session_id: str) -> int:
        """Return the ordinal of the latest batch; 0 before the first."""
        batches = self._batches.get(session_id)
        return batches[-1].ordinal if batches else 0

    def ended(self, session_id: str, epoch: int, place: int) -> bool:
        """Whether an epoch of a session had ended at a position."""
        known = [of for since, of in self._epochs.get(session_id, ()) if since < place]
        return bool(known) and known[-1] != epoch
