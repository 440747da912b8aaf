"""Projections: they derive UI events and timeline entities from events. (Reference: Projection interfaces.)

A projection is a plain or async function ``(event, session, view)``, or an object with such a ``project``
method. It returns UI events or timeline entities, and publishes nothing itself.
"""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, get_args

from sessionstream.types import Event, Session, TimelineEntity, UIEvent


class TimelineView(Protocol):
    """The timeline before the event. Its methods return copies, which may be kept and changed."""

    @property
    def ordinal(self) -> int:
        """Ordinal of the last event the timeline reflects, 0 before the first."""
        ...

    def get(self, kind: str, id: str) -> TimelineEntity | None:  # noqa: A002 - the entity's own word
        """Return one entity, or None. The time does not depend on the number of entities."""
        ...

    def list(self, kind: str = "") -> builtins.list[TimelineEntity]:
        """Return the entities of one kind, or of all, in snapshot order. Each of them is copied."""
        ...


UIResult: TypeAlias = Iterable[UIEvent] | None
TimelineResult: TypeAlias = Iterable[TimelineEntity] | None

UIProjectionFunction: TypeAlias = Callable[[Event, Session, TimelineView], UIResult | Awaitable[UIResult]]
TimelineProjectionFunction: TypeAlias = Callable[
    [Event, Session, TimelineView], TimelineResult | Awaitable[TimelineResult]
]


class UIProjection(Protocol):
    """An object that derives UI events; a plain function is accepted as well."""

    def project(self, event: Event, session: Session, view: TimelineView, /) -> UIResult | Awaitable[UIResult]:
        """Return the UI events of one event, in the order in which clients receive them."""
        ...


class TimelineProjection(Protocol):
    """An object that derives timeline entities; a plain function is accepted as well."""

    def project(
        self, event: Event, session: Session, view: TimelineView, /
    ) -> TimelineResult | Awaitable[TimelineResult]:
        """Return the entities one event creates, updates or (as tombstones) deletes."""
        ...


Policy: TypeAlias = Literal["fail", "advance"]


@dataclass(frozen=True, slots=True)
class ProjectionPolicies:
    """The effect of a projection that fails.

    ``"fail"``: the event is stored, the publisher gets a ProjectionError, and the session is held until the
    projection succeeds. ``"advance"``: the error is recorded and the session continues, without this event's UI
    events (``ui``; those of ``entity_changes`` are sent) or without its entities (``timeline``).

    Raises:
        ValueError: a policy is not one of these.
    """

    ui: Policy = "fail"
    timeline: Policy = "fail"

    def __post_init__(self) -> None:
        for name, value in (("ui", self.ui), ("timeline", self.timeline)):
            if value not in get_args(Policy):
                raise ValueError(f"the {name} policy is 'fail' or 'advance', not {value!r}")
