"""State shared by the turns of a hub: store, session cache, projections, fan-out and reporter."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from sessionstream.hub.spans import opened
from sessionstream.hub.yielding import YieldBudget
from sessionstream.logs import SessionLog
from sessionstream.types import NO_METADATA

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from sessionstream.hub.follower import Follower
    from sessionstream.hub.projecting import Projections
    from sessionstream.hub.reporting import Reporter
    from sessionstream.hub.sessions import SessionCache
    from sessionstream.observe import Instrumentation, Span
    from sessionstream.store import HydrationStore
    from sessionstream.types import Event, UIEvent

    Listener: TypeAlias = Callable[[int, Event | None], None]

_log = SessionLog()

_NO_SPAN: Final = nullcontext(NO_METADATA)


@dataclass(slots=True)
class TurnContext:
    """The objects that a turn uses, which are shared by all sessions.

    Attributes:
        max_ordinal: the highest ordinal that the store can hold.
        follower: follows other processes for the fan-out; None if the store has no feed.
        listeners: of each session with any, functions that are called when its log may have grown: with the event that
            this hub has logged and the ordinal before it, or with 0 and None.
        fan_out_misses_resyncs: whether a fan-out has no ``resync``, so that it cannot follow other processes.
        instrumentation: opens spans; None if the hub is not instrumented.
        misses_events: whether the log says already that the fan-out does not get the UI events of other processes.
    """

    store: HydrationStore
    max_ordinal: int
    sessions: SessionCache
    projections: Projections
    report: Reporter
    fan_out: Callable[[str, int, Sequence[UIEvent]], object] | None = None
    resync: Callable[[str, int, int], object] | None = None
    fan_out_misses_resyncs: bool = False
    follower: Follower | None = None
    misses_events: bool = False
    instrumentation: Instrumentation | None = None
    listeners: dict[str, list[Listener]] = field(default_factory=dict)
    budget: YieldBudget = field(default_factory=YieldBudget)

    def span(self, span: Span) -> AbstractContextManager[Mapping[str, str]]:
        """Return a context that opens a span if the hub is instrumented; its value is the metadata that carries it."""
        return _NO_SPAN if self.instrumentation is None else opened(self.instrumentation, span)

    def logged(self, session_ids: Collection[str] | None) -> None:
        """Tell the listeners of some sessions that there may be new events; None stands for every session."""
        for session_id in self.listeners.keys() if session_ids is None else self.listeners.keys() & session_ids:
            for listener in self.listeners[session_id]:
                listener(0, None)

    def warn_of_missed_events(self, session_id: str) -> None:
        """Log, once, that another process has moved a session and the fan-out cannot be told."""
        if self.fan_out_misses_resyncs and not self.misses_events:
            self.misses_events = True
            _log.warning(
                "another process has published events in session %r, and the fan-out gets none of their UI events: it "
                "has to call hub.joined and hub.left for the sessions that it watches, and to have a method resync, as "
                "a WebSocketServer does; see UIFanout",
                session_id,
                session_id=session_id,
            )
