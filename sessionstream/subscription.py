"""One subscription, without I/O: a snapshot at N, then exactly the UI events above N.

It is the same for a session on a WebSocket connection and for a ``hub.watch``. Whoever subscribes receives events
before a snapshot begins to load, buffers those that arrive while it loads, and passes the newer ones on after the
snapshot.

The guarantee depends on one number, the floor: the highest ordinal that was passed on, dropped, or missed. An event at
or below the floor is old. A snapshot below the floor lacks events, and is loaded again. A timeline that has moved
without events (a resync) raises the floor of a subscription that loads; the load goes on, or it might begin anew for
ever, because reading a timeline may be what finds out that it has moved.

``TABLE`` is the state machine: state and input to action and next state. The owner of a subscription performs the
actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Generic, Protocol, TypeVar

MAX_LOADS: Final = 5
"""Snapshots in a row that may be too old before a subscription is given up."""


class Batch(Protocol):
    """The UI events of one backend event."""

    @property
    def ordinal(self) -> int:
        """The ordinal of the backend event."""
        ...

    @property
    def count(self) -> int:
        """The number of UI events."""
        ...

    @property
    def size(self) -> int:
        """Their bytes, in memory or on the wire."""
        ...


B = TypeVar("B", bound=Batch)


@dataclass(frozen=True, slots=True)
class Basis:
    """The timeline state that a client holds, from which a delta may start.

    Ordinal 0 is not allowed: a delta from there would be a full snapshot with tombstones.

    Raises:
        ValueError: the ordinal is 0.
    """

    ordinal: int
    epoch: int

    def __post_init__(self) -> None:
        if not self.ordinal:
            raise ValueError("a delta cannot start at ordinal 0: request a full snapshot")


class State(Enum):
    """The states of a subscription."""

    ABSENT = auto()
    AUTHORIZING = auto()
    """``authorize`` was called and has not answered."""
    LOADING = auto()
    """It receives events; the snapshot that the client requested is loading."""
    LIVE = auto()
    """The client has a snapshot and every event after it."""
    RESYNCING = auto()
    """Like LOADING, but the snapshot was requested by the server."""


class Input(Enum):
    """The inputs of a subscription."""

    SUBSCRIBE = auto()
    UNSUBSCRIBE = auto()
    ALLOWED = auto()
    REFUSED = auto()
    REVOKED = auto()
    """The application has revoked the client's right to watch the session."""
    LOADED = auto()
    TOO_OLD = auto()
    """A snapshot was loaded that is below the floor, or of an earlier epoch."""
    LOAD_FAILED = auto()
    EVENTS = auto()
    RESYNC = auto()


class Action(Enum):
    """What the owner of a subscription does on an input."""

    AUTHORIZE = auto()
    UNSUBSCRIBE = auto()
    DENY = auto()
    LOAD = auto()
    RELOAD = auto()
    HYDRATE = auto()
    REFRESH = auto()
    TRY_AGAIN = auto()
    REPORT_FAILURE = auto()
    GIVE_UP = auto()
    SKIP = auto()
    KEEP = auto()
    PASS_ON = auto()


TABLE: Final[Mapping[State, Mapping[Input, tuple[Action, State]]]] = {
    State.ABSENT: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
    },
    State.AUTHORIZING: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
        Input.ALLOWED: (Action.LOAD, State.LOADING),
        Input.REFUSED: (Action.DENY, State.ABSENT),
        Input.REVOKED: (Action.DENY, State.ABSENT),
        Input.LOAD_FAILED: (Action.REPORT_FAILURE, State.ABSENT),  # authorize timed out
        Input.EVENTS: (Action.SKIP, State.AUTHORIZING),
    },
    State.LOADING: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
        Input.LOADED: (Action.HYDRATE, State.LIVE),
        Input.TOO_OLD: (Action.TRY_AGAIN, State.LOADING),
        Input.LOAD_FAILED: (Action.REPORT_FAILURE, State.ABSENT),
        Input.REVOKED: (Action.DENY, State.ABSENT),
        Input.EVENTS: (Action.KEEP, State.LOADING),
        Input.RESYNC: (Action.RELOAD, State.LOADING),
    },
    State.LIVE: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
        Input.REVOKED: (Action.DENY, State.ABSENT),
        Input.EVENTS: (Action.PASS_ON, State.LIVE),
        Input.RESYNC: (Action.RELOAD, State.RESYNCING),
    },
    State.RESYNCING: {
        Input.SUBSCRIBE: (Action.AUTHORIZE, State.AUTHORIZING),
        Input.UNSUBSCRIBE: (Action.UNSUBSCRIBE, State.ABSENT),
        Input.LOADED: (Action.REFRESH, State.LIVE),
        Input.TOO_OLD: (Action.TRY_AGAIN, State.RESYNCING),
        Input.LOAD_FAILED: (Action.GIVE_UP, State.ABSENT),
        Input.REVOKED: (Action.DENY, State.ABSENT),
        Input.EVENTS: (Action.KEEP, State.RESYNCING),
        Input.RESYNC: (Action.RELOAD, State.RESYNCING),
    },
}
"""By state and input: the action and the next state. Inputs that are not listed are ignored."""


@dataclass(slots=True)
class Subscription(Generic[B]):
    """Where one subscription stands.

    Attributes:
        floor: the highest ordinal that was passed on, dropped, or missed. An event at or below it is old; a snapshot
            below it is too old.
        epoch: the epoch of the last snapshot; None before the first.
        held: what the client holds once it has read everything passed on; None if no delta can start from it.
        loads: snapshots requested in a row; all but the last were too old.
        loading: whether the requested snapshot has begun to load. Before that, events need not be buffered: the
            snapshot will contain them.
        loading_epoch: the epoch that this snapshot has to have; None: any.
    """

    state: State = State.ABSENT
    floor: int = 0
    epoch: int | None = None
    held: Basis | None = None
    loads: int = 0
    loading: bool = False
    loading_epoch: int | None = None
    _kept: list[B] = field(default_factory=list)
    _kept_count: int = 0
    _kept_size: int = 0

    def enter(self, what: Input) -> Action | None:
        """Change the state as the table says; return the action to perform, None if the input is ignored."""
        step = TABLE[self.state].get(what)
        if step is None:
            return None
        action, self.state = step
        return action

    def is_new(self, batch: B) -> bool:
        """Whether a batch is above everything passed on, dropped or buffered."""
        return batch.ordinal > (self._kept[-1].ordinal if self._kept else self.floor)

    def must_load(self, ordinal: int | None, epoch: int | None) -> bool:
        """Return whether a timeline that has moved without events has to be loaded.

        A snapshot that loads has to reach this position. None: the timeline is loaded whatever was shown of it.
        """
        if ordinal is None or epoch is None or self.state in (State.ABSENT, State.AUTHORIZING):
            return True
        if self.state is State.LIVE:
            return self.epoch != epoch or self.floor < ordinal
        if ordinal > (self._kept[-1].ordinal if self._kept else self.floor):
            self.drop()
            self.floor = ordinal
        if self.loading:
            self.loading_epoch = epoch
        return False

    def begin_load(self, *, again: bool = False) -> None:
        """Request a snapshot; ``again``: because the last one was too old."""
        self.loads = self.loads + 1 if again else 1
        self.loading = False
        self.loading_epoch = None
        self.drop()

    def keep(self, batch: B, max_count: int, max_size: int) -> int:
        """Buffer a batch until the snapshot is loaded; above a limit, drop the buffer. Return the events dropped.

        A batch is skipped if the snapshot has not begun to load.
        """
        if not self.loading:
            self.floor = batch.ordinal
            return 0
        count, size = self._kept_count + batch.count, self._kept_size + batch.size
        if count > max_count or size > max_size:
            self.drop()
            self.floor = batch.ordinal
            return count
        self._kept.append(batch)
        self._kept_count, self._kept_size = count, size
        return 0

    def drop(self) -> None:
        """Drop the buffer, and raise the floor to its last batch."""
        if self._kept:
            self.floor = self._kept[-1].ordinal
            self._kept = []
            self._kept_count = self._kept_size = 0

    def outcome(self, ordinal: int, epoch: int) -> Input:
        """Return the input that a loaded snapshot is: new enough, or below the floor or of an earlier epoch."""
        replaced = self.loading_epoch not in (None, epoch)
        return Input.TOO_OLD if replaced or ordinal < self.floor else Input.LOADED

    def hydrate(self, ordinal: int, epoch: int) -> list[B]:
        """Continue from a snapshot; return the buffered batches above it, and empty the buffer."""
        newer = [batch for batch in self._kept if batch.ordinal > ordinal]
        self.drop()
        self.floor = max(self.floor, ordinal)
        self.epoch = epoch
        self.held = Basis(ordinal, epoch) if ordinal else None
        return newer
