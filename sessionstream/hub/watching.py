"""Watch: a session as an async iterator of a snapshot and the live UI events after it; and the watches of a hub."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

from sessionstream.codec import copy_ui_event
from sessionstream.errors import TransportError
from sessionstream.hub.snapshots import copy_snapshot
from sessionstream.subscription import MAX_LOADS, Action, Basis, Input, State, Subscription
from sessionstream.types import LiveEvents, Snapshot
from sessionstream.v1.transport_pb2 import UnreadablePayload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from types import TracebackType

    from sessionstream.types import TimelineEntity, UIEvent

    Read: TypeAlias = Callable[..., Awaitable[Snapshot]]
    Report: TypeAlias = Callable[[str, Iterable[TimelineEntity]], Awaitable[None]]

WATCH_LIMIT: Final = 1_000
"""Default of how many UI events wait for whoever iterates."""

LIMIT_BYTES: Final = 4_194_304
"""How many bytes of their payloads wait."""


class Batch:
    """The UI events of one backend event, shared by all watches of a session."""

    __slots__ = ("count", "live", "ordinal", "size")

    def __init__(self, live: LiveEvents) -> None:
        self.live: LiveEvents = live
        self.ordinal: int = live.ordinal
        self.count: int = len(live.events)
        self.size: int = sum([event.payload.ByteSize() for event in live.events])


class Watch:
    """An async context manager and iterator of a session's snapshot and UI events; see ``Hub.watch``."""

    __slots__ = (
        "_basis", "_count", "_deltas", "_grown", "_limit", "_read", "_ready", "_report", "_shared", "_size",
        "_subscription", "_token", "_watchers", "session_id",
    )  # fmt: skip

    def __init__(
        self,
        watchers: Watchers,
        read: Read,
        report: Report,
        session_id: str,
        since: int | None,
        epoch: int | None,
        limit: int,
        shared: bool,
    ) -> None:
        self.session_id: str = session_id
        self._watchers = watchers
        self._read = read
        self._report = report
        self._limit = limit
        self._shared = shared
        self._deltas = epoch is not None
        self._basis = Basis(since, epoch) if since and epoch is not None else None  # what the iterating task holds
        self._subscription: Subscription[Batch] = Subscription(held=self._basis)
        self._ready: deque[Snapshot | Batch] = deque()
        self._count = self._size = 0  # of the UI events that are ready
        self._grown = asyncio.Event()
        self._token = 0  # which load is current; the result of an earlier one is ignored

    async def __aenter__(self) -> Watch:
        """Begin to watch: what is published from now on is not missed.

        Raises:
            RuntimeError: the watch was entered before.
        """
        if self._subscription.state is not State.ABSENT:
            raise RuntimeError("a watch can be entered once: call hub.watch again")
        self._subscription.enter(Input.SUBSCRIBE)
        self._subscription.enter(Input.ALLOWED)
        self._subscription.begin_load()
        self._watchers.join(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watchers.leave(self)
        self._clear()

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Snapshot | LiveEvents:
        """Wait for what comes next. The iteration ends when the hub is shut down.

        It may be cancelled, and nothing is lost. If it raises, the next call loads a snapshot again.

        Raises:
            RuntimeError: the context was not entered.
            TransportError: more events come while a snapshot loads than may wait, or the timeline moves without
                events, several times in a row.
            StoreError: the store failed.
        """
        if self._subscription.state is State.ABSENT:
            raise RuntimeError("write: async with hub.watch(session_id) as watch, and iterate inside it")
        while not self._ready:
            if not self._watchers.watches(self):
                raise StopAsyncIteration
            if self._subscription.state is State.LIVE:
                self._grown.clear()
                await self._grown.wait()
            else:
                await self._load()
        came = self._ready.popleft()
        if isinstance(came, Snapshot):
            self._basis = Basis(came.snapshot_ordinal, came.epoch) if came.snapshot_ordinal else None
            return came
        self._count -= came.count
        self._size -= came.size
        if self._shared:
            return came.live
        return LiveEvents(came.ordinal, tuple(map(copy_ui_event, came.live.events)))

    # -- what the hub calls ------------------------------------------------------------------------------------

    def events(self, batch: Batch) -> None:
        """Take UI events of the session."""
        subscription = self._subscription
        if not subscription.is_new(batch):
            return
        action = subscription.enter(Input.EVENTS)
        if action is Action.KEEP:
            subscription.keep(batch, self._limit, LIMIT_BYTES)
        elif action is Action.PASS_ON:
            subscription.floor = batch.ordinal
            self._add(batch)

    def resync(self, ordinal: int, epoch: int) -> None:
        """Load a snapshot, unless the watch is at or above this ordinal of this epoch, or loads one already."""
        if self._subscription.must_load(ordinal, epoch):
            self._reload()

    def end(self) -> None:
        """End the iteration: the hub is shut down."""
        self._clear()

    # -- loading -----------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        subscription = self._subscription
        if subscription.loading:  # an earlier call was cancelled, or has raised
            subscription.begin_load()
        subscription.loading = True
        self._token += 1
        token = self._token
        snapshot = await self._snapshot(subscription.held if self._deltas else None)
        if token != self._token:
            return
        action = subscription.enter(subscription.outcome(snapshot.snapshot_ordinal, snapshot.epoch))
        if action is not Action.TRY_AGAIN:
            newer = subscription.hydrate(snapshot.snapshot_ordinal, snapshot.epoch)
            self._ready.append(snapshot)
            for batch in newer:
                self._add(batch)
        elif subscription.loads < MAX_LOADS:
            subscription.begin_load(again=True)
        else:
            raise TransportError(
                f"session {self.session_id!r}: more than {self._limit} UI events, or {LIMIT_BYTES} bytes of them, came "
                f"while each of {MAX_LOADS} snapshots was loading, or it moved otherwise: watch with a higher limit"
            )

    async def _snapshot(self, basis: Basis | None) -> Snapshot:
        if basis is None:
            snapshot = await self._read(self.session_id)
        else:
            snapshot = await self._read(self.session_id, since=basis.ordinal, epoch=basis.epoch)
        unreadable = [each for each in snapshot.entities if isinstance(each.payload, UnreadablePayload)]
        if unreadable:
            await self._report(self.session_id, unreadable)
        return snapshot if self._shared else await copy_snapshot(snapshot)

    def _add(self, batch: Batch) -> None:
        self._count += batch.count
        self._size += batch.size
        if self._ready and (self._count > self._limit or self._size > LIMIT_BYTES):
            self._clear()
            self._subscription.held = self._basis
            self._reload()
        else:
            self._ready.append(batch)
            self._grown.set()

    def _reload(self) -> None:
        if self._subscription.enter(Input.RESYNC) is Action.RELOAD:
            self._subscription.begin_load()
            self._token += 1
            self._grown.set()

    def _clear(self) -> None:
        self._ready.clear()
        self._count = self._size = 0
        self._grown.set()


class Watchers:
    """The watches of a hub: a fan-out that is added to the hub while there are any.

    Args:
        add: ``Fanouts.add``.
        joined: called for every watch, with its session.
        left: called when a watch ends.
    """

    __slots__ = ("_add", "_by_session", "_joined", "_left", "_remove")

    def __init__(
        self,
        add: Callable[[Watchers], Callable[[], None]],
        joined: Callable[[str], None],
        left: Callable[[str], None],
    ) -> None:
        self._add = add
        self._joined = joined
        self._left = left
        self._remove: Callable[[], None] | None = None
        self._by_session: dict[str, list[Watch]] = {}

    def watches(self, watch: Watch) -> bool:
        """Whether a watch has joined and not left, and the hub is not shut down."""
        return watch in self._by_session.get(watch.session_id, ())

    def join(self, watch: Watch) -> None:
        """Pass events to a watch from now on."""
        if self._remove is None:
            self._remove = self._add(self)
        self._by_session.setdefault(watch.session_id, []).append(watch)
        self._joined(watch.session_id)

    def leave(self, watch: Watch) -> None:
        """Pass no more events to a watch. It may be called again."""
        watches = self._by_session.get(watch.session_id, [])
        if watch not in watches:
            return
        watches.remove(watch)
        if not watches:
            del self._by_session[watch.session_id]
        self._left(watch.session_id)
        self._release()

    def close(self) -> None:
        """End all watches."""
        ending = [watch for watches in self._by_session.values() for watch in watches]
        self._by_session.clear()
        for watch in ending:
            watch.end()
        self._release()

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Pass the UI events of one backend event to the watches of the session."""
        watches = self._by_session.get(session_id)
        if watches:
            batch = Batch(LiveEvents(ordinal, tuple(events)))
            for watch in watches:
                watch.events(batch)

    def resync(self, session_id: str, ordinal: int, epoch: int, /) -> None:
        """Have the watches of a session load a snapshot, if they are behind."""
        for watch in self._by_session.get(session_id, ()):
            watch.resync(ordinal, epoch)

    def _release(self) -> None:
        if not self._by_session and self._remove is not None:
            self._remove()
            self._remove = None
