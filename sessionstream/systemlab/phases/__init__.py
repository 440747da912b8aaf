"""The contents of the pages, one module each, and the order in which the lab has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from sessionstream.systemlab.phase import Phase
from sessionstream.systemlab.phases.chat import ChatPhase
from sessionstream.systemlab.phases.foundations import Foundations
from sessionstream.systemlab.phases.hydration import Hydration
from sessionstream.systemlab.phases.ordering import Ordering
from sessionstream.systemlab.phases.persistence import Persistence
from sessionstream.systemlab.phases.pipeline import Pipeline

PhaseFactory: TypeAlias = Callable[[Path], Phase]
"""Makes a phase with its own directory for files, which is deleted at the end."""

PHASES: Final[tuple[PhaseFactory, ...]] = (
    Foundations,
    Pipeline,
    Ordering,
    Hydration,
    ChatPhase,
    Persistence,
)
