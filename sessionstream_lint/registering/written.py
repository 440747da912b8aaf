"""What a call registers: the name, the payload, and the calls through which they came there."""

from __future__ import annotations

from dataclasses import dataclass

from sessionstream_lint.inference.callers import Link
from sessionstream_lint.inference.values import Given, Values
from sessionstream_lint.program.scopes import CallSite, Scope, Site
from sessionstream_lint.reading.syntax import Node, Parameter

REGISTRY = "sessionstream.SchemaRegistry"
FAMILIES = {
    "register_command": "command",
    "register_event": "event",
    "register_ui_event": "UI event",
    "register_timeline_entity": "timeline entity",
}
NAME, MESSAGE = "name", "message"
PARAMETERS = {
    family: (Parameter("kind" if family == "timeline entity" else NAME), Parameter(MESSAGE))
    for family in FAMILIES.values()
}


@dataclass(frozen=True, slots=True)
class Registering:
    """A call of a registering method, reached by way of the calls in ``chain``, innermost first.

    It is ``looped`` when what it is given comes out of a loop on the way.
    """

    at: CallSite
    given: tuple[Given, ...]
    family: str
    chain: tuple[Link, ...] = ()
    looped: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """A name or payload: the expression somebody wrote, where, what it may be, and the name if that is known.

    ``possible`` is also what else may be registered by the same call. It is not ``plain`` when a function that it is
    passed to may register something else in its place. ``row`` is the row of a table in another file, as
    ``file:line``, when the expression is only what a loop takes from there.
    """

    node: Node
    site: Site
    values: Values
    possible: Values
    call: Registering
    label: str | None
    plain: bool = True
    row: str = ""

    @property
    def family(self) -> str:
        """What is registered."""
        return self.call.family

    @property
    def subject(self) -> str:
        """What is registered, for a message: ``event 'ChatDelta'``."""
        return self.kind if self.label is None else f"{self.family} {self.label!r}"

    @property
    def kind(self) -> str:
        """What is registered, with an article."""
        return f"{'an' if self.family[0] in 'aeio' else 'a'} {self.family}"


@dataclass(frozen=True, slots=True)
class Registered:
    """The argument of a call, if it can be told apart, what it may be, and the name if it is known."""

    argument: Given | None
    values: Values
    label: str | None


@dataclass(frozen=True, slots=True)
class Sink:
    """A function, or a class that is made, whose argument ``param`` ends up in a registration.

    It is not ``plain`` when something else may be registered in its
    place: see `Symbol`.
    """

    scope: Scope
    param: str
    call: Registering
    plain: bool = True
