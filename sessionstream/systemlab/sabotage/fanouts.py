"""Fan-outs that pass on wrong events, and one that passes events on before the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sessionstream import Event, Session, TimelineView, UIEvent, UIFanout

Projection: TypeAlias = Callable[[Event, Session, TimelineView], Sequence[UIEvent]]


class Passing:
    """Forwards to another fan-out; each subclass changes one behaviour."""

    def __init__(self, fanout: UIFanout) -> None:
        self._fanout = fanout

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Pass a batch on."""
        self._fanout.publish_ui(session_id, ordinal, events)

    def resync(self, session_id: str, ordinal: int, epoch: int, /) -> None:
        """Pass the position of a timeline on to the wrapped fan-out, if it has ``resync``."""
        resync = getattr(self._fanout, "resync", None)
        if resync is not None:
            resync(session_id, ordinal, epoch)


class Dropping(Passing):
    """Drops one batch of every so many."""

    def __init__(self, fanout: UIFanout, every: int = 3) -> None:
        super().__init__(fanout)
        self._every = every
        self._batches = 0

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Pass a batch on, or drop it."""
        self._batches += 1
        if self._batches % self._every:
            super().publish_ui(session_id, ordinal, events)


class Repeating(Passing):
    """Passes every batch on twice.

    Within a batch, because the server notices an ordinal that it has sent before.
    """

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Pass a batch on twice."""
        super().publish_ui(session_id, ordinal, [*events, *events])


class Reordering(Passing):
    """Holds every second batch of a session until the next one was passed on."""

    def __init__(self, fanout: UIFanout) -> None:
        super().__init__(fanout)
        self._kept: dict[str, tuple[int, Sequence[UIEvent]]] = {}

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Hold a batch, or pass it on and then the held one."""
        kept = self._kept.pop(session_id, None)
        if kept is None:
            self._kept[session_id] = (ordinal, events)
            return
        super().publish_ui(session_id, ordinal, events)
        super().publish_ui(session_id, *kept)


class Hasty:
    """A UI projection that sends its UI events itself, before the commit.

    Args:
        projection: returns the UI events.

    Attributes:
        fanout: receives them; None: they are not sent early.
    """

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self.fanout: UIFanout | None = None

    def project(self, event: Event, session: Session, view: TimelineView) -> list[UIEvent]:
        """Send the UI events to the fan-out, if there is one, and return none to the pipeline."""
        if self.fanout is not None:
            self.fanout.publish_ui(session.id, event.ordinal, self._projection(event, session, view))
        return []
