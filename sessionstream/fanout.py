"""The ports between the pipeline and transports: fan-out of live UI events, reads of snapshots, and live sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from sessionstream.types import LiveEvents, Snapshot, UIEvent

if TYPE_CHECKING:
    from google.protobuf.message import Message


class UIFanout(Protocol):
    """Receives the UI events of every committed event; a plain function is accepted as well.

    It may also have a method ``resync(session_id, ordinal, epoch)``. It is called, in order with the calls of
    ``publish_ui``, if the session's timeline is at this ordinal of this epoch and may have changed without events
    published here: it was rebuilt, or another process moved it, or this hub has read it again. A client with a lower
    ordinal, or with another epoch, needs a snapshot.

    UI events of other processes that share the store come only for sessions that the fan-out watches: it calls the
    hub's ``joined`` and ``left`` for them, and has ``resync``, because some of those events may have been lost.
    """

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Receive the UI events of one backend event.

        It is called once for each event that has UI events, in ordinal order within a session, after the commit. It
        must enqueue them and return without blocking. The receiver may keep and change the events. An exception is
        recorded and does not reach the publisher, because the event is already committed.
        """
        ...


FanoutFunction: TypeAlias = Callable[[str, int, Sequence[UIEvent]], None]


class SnapshotSource(Protocol):
    """Provides snapshots to a transport. A hub is one.

    It may also have ``async states(session_id, *, since=None)``, which a transport then calls instead of ``snapshot``.
    It returns an equal snapshot whose entities and payloads are shared: the source may return the same objects again,
    and the receiver must not change them. A transport caches the JSON of each object. Entities that cannot be read,
    for which ``snapshot`` raises, have a ``sessionstream.v1.transport_pb2.UnreadablePayload`` as their payload.

    It may also have ``async report_unreadable(session_id, entities)``: a transport calls it after each snapshot with
    the entities that it sent to clients with an UnreadablePayload, if there are any.

    It may also have ``joined(session_id)`` and ``left(session_id)``. A transport calls ``joined`` before it reads the
    first snapshot of a session for its clients, and ``left`` when none of them watches the session any more: between
    the two, a hub passes on the UI events that other processes cause.

    It may also have ``follower``, a ``FollowerStatus`` or None: how far it has followed those processes.
    """

    async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
        """Return a session's timeline, or its changes after ``since``, with deletions as tombstones.

        It has to reflect every event whose ``publish_ui`` was called before this call. For a session that does not
        exist, it is empty, and the call does not create the session.

        Raises:
            HistoryPruned: that part of the history was pruned.
            SessionstreamError: the source failed in another way.
        """
        ...


class LiveSessions(Protocol):
    """What an endpoint needs to serve sessions over any protocol: to watch, to submit, and to read. A hub is one."""

    def watch(
        self,
        session_id: str,
        *,
        since: int | None = None,
        epoch: int | None = None,
        limit: int = ...,
        shared: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[Snapshot | LiveEvents]]:
        """Watch a session; see ``Hub.watch``."""
        ...

    async def submit(self, session_id: str, name: str, payload: Message, *, idempotency_key: str | None = None) -> None:
        """Run a command's handler; see ``Hub.submit``."""
        ...

    async def snapshot(self, session_id: str, *, since: int | None = None, epoch: int | None = None) -> Snapshot:
        """Return a session's timeline; see ``Hub.snapshot``."""
        ...
