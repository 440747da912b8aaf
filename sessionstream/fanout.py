"""The two ports between the pipeline and transports: where live UI events go, and where snapshots come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from sessionstream.types import Snapshot, UIEvent


class UIFanout(Protocol):
    """Receives the UI events of every committed event; a plain function serves as well.

    It may also have a method ``resync(session_id, ordinal, epoch)``. That one is called, in order with the calls of
    ``publish_ui``, when the session's timeline stands at this ordinal of this epoch and may have come there in
    another way than by the events that were published here: it was rebuilt, or another process moved it, or this hub
    has read it anew. A client that holds less, or another epoch, has to be given a snapshot.
    """

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Take the UI events of one backend event.

        Called once per event that has any, in ordinal order within a session, after the commit. It enqueues and
        returns: it must not block. The events are the receiver's to keep. What it raises is recorded and does
        not reach the publisher, because the event is already true.
        """
        ...


FanoutFunction: TypeAlias = Callable[[str, int, Sequence[UIEvent]], None]


class SnapshotSource(Protocol):
    """Where a transport gets snapshots from. A hub is one.

    It may also have ``async states(session_id, *, since=None)``, which a transport then calls in place of ``snapshot``.
    It returns the same, in the same order, except that the entities and their payloads never change: the source may
    return the same objects again, and the receiver must not change them. A transport keeps the JSON of each object.
    Entities that cannot be read, because of which ``snapshot`` fails, have a
    ``sessionstream.v1.transport_pb2.UnreadablePayload`` as their payload.

    And it may have ``async report_unreadable(session_id, entities)``: a transport calls it with the entities that
    clients were shown with an UnreadablePayload, after each snapshot that holds any.
    """

    async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
        """Return a session's timeline, or what changed in it after ``since``, deletions as tombstones.

        It has to reflect every event of which ``publish_ui`` was called before this call. For a session that
        nobody has used it is empty and leaves no trace.

        Raises:
            HistoryPruned: that part of the history is gone.
            SessionstreamError: whatever else the source cannot do.
        """
        ...
