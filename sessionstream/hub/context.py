"""State shared by the turns of a hub: store, session cache, projections, policies, fan-out and reporter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sessionstream.hub.yielding import YieldBudget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessionstream.hub.projecting import Projections
    from sessionstream.hub.reporting import Reporter
    from sessionstream.hub.sessions import SessionCache
    from sessionstream.projection import ProjectionPolicies
    from sessionstream.store import HydrationStore
    from sessionstream.types import UIEvent


@dataclass(slots=True)
class TurnContext:
    """The objects that a turn uses, which are shared by all sessions.

    Attributes:
        max_ordinal: the highest ordinal that the store can hold.
    """

    store: HydrationStore
    max_ordinal: int
    sessions: SessionCache
    projections: Projections
    policies: ProjectionPolicies
    report: Reporter
    fan_out: Callable[[str, int, Sequence[UIEvent]], object] | None = None
    resync: Callable[[str, int, int], None] | None = None
    budget: YieldBudget = field(default_factory=YieldBudget)
