"""The registrations in a file: which payload does which call give to which method of a SchemaRegistry?

A function whose parameter ends up as a payload registers too: its calls are followed, so that a finding
stands where somebody wrote the argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sessionstream_lint import callers, calling, members
from sessionstream_lint import syntax as s
from sessionstream_lint.callers import Link
from sessionstream_lint.calling import Invocation
from sessionstream_lint.evaluate import Evaluator
from sessionstream_lint.frames import argument_for
from sessionstream_lint.gate import METHODS
from sessionstream_lint.scopes import CallSite, Module, Scope
from sessionstream_lint.syntax import Node
from sessionstream_lint.values import (
    Bound,
    External,
    Given,
    Instance,
    Literal,
    Partial,
    Symbol,
    Value,
    Values,
    union,
)

REGISTRY = "sessionstream.SchemaRegistry"
FAMILIES = {
    "register_command": "command",
    "register_event": "event",
    "register_ui_event": "UI event",
    "register_timeline_entity": "timeline entity",
}
PARAMETERS = (s.Parameter("name", None, None), s.Parameter("message", None, None))
MAX_WRAPPERS = 100
MAX_CHAIN = 4


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload: the expression somebody wrote, and what it may be."""

    node: Node
    values: Values
    family: str
    name: str | None

    @property
    def subject(self) -> str:
        """What is registered, for a message: ``event 'ChatDelta'``."""
        return f"{self.family} {self.name!r}" if self.name is not None else f"{_article(self.family)} {self.family}"


def _article(family: str) -> str:
    return "an" if family[0] in "aeio" else "a"


@dataclass(frozen=True, slots=True)
class Registering:
    """A call of a registering method, reached by way of the calls in ``chain``, innermost first."""

    given: tuple[Given, ...]
    unbound: bool
    family: str
    chain: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Registered:
    """The message of a call, if it can be told apart, what it may be, and the name if it is known."""

    message: Given | None
    values: Values
    label: str | None


@dataclass(frozen=True, slots=True)
class Sink:
    """A function, or a class that is made, whose argument ``param`` ends up as a payload."""

    scope: Scope
    param: str
    call: Registering


class Registrations:
    """Finds the payloads of one module."""

    def __init__(self, module: Module, evaluator: Evaluator, mentions: int) -> None:
        self.module = module
        self.ev = evaluator
        self.mentions = mentions
        self._sinks: dict[Sink, None] = {}

    def payloads(self) -> Iterator[Payload]:
        """Yield every payload, in no particular order; one expression may be several."""
        seen: set[tuple[int, Values]] = set()
        for payload in self._all():
            key = (id(payload.node), payload.values)
            if key not in seen:
                seen.add(key)
                yield payload

    def _all(self) -> Iterator[Payload]:
        for site in self._candidates():
            self.ev.fresh()
            yield from self._direct(site)
        done = 0
        while done < min(len(self._sinks), MAX_WRAPPERS):
            sink = list(self._sinks)[done]
            done += 1
            yield from self._wrapped(sink)

    def _candidates(self) -> list[CallSite]:
        """The calls that name a method; when one is named in another way too, the other calls after them."""
        direct = [site for site in self.module.calls if calling.last_name(site.shape.func) in METHODS]
        if len(direct) >= self.mentions:
            return direct
        return direct + [site for site in self.module.calls if calling.last_name(site.shape.func) not in METHODS]

    def _direct(self, site: CallSite) -> Iterator[Payload]:
        given = tuple(Given(argument, site.site) for argument in site.shape.args)
        for found in calling.invocations(self.ev, self.ev.evaluate(site.shape.func, site.site), given):
            indirect = self._called_later(found.target, given)
            if indirect is None:
                yield from self._invoked(found)
                continue
            callee, passed = indirect
            for inner in calling.invocations(self.ev, callee, passed):
                yield from self._invoked(inner)

    def _called_later(self, target: Value, given: tuple[Given, ...]) -> tuple[Values, tuple[Given, ...]] | None:
        """Return what a function that calls its first argument calls, and with what."""
        if not given or given[0].argument.star or not isinstance(target, External):
            return None
        callee, rest = self.ev.given(given[0]), given[1:]
        match target.name:
            case "functools.partial":
                return tuple(Partial(value, rest) for value in callee), ()
            case "builtins.map":
                return callee, calling.mapped(self.ev, rest)
            case "itertools.starmap" if rest:
                return callee, calling.star_mapped(self.ev, rest[0])
            case _:
                return None

    def _invoked(self, found: Invocation) -> Iterator[Payload]:
        method, bound = self._method(found.target)
        if method is None:
            return
        call = Registering(found.given, not bound, FAMILIES[method])
        registered = self._registered(call)
        self._follow(registered, call)
        if registered.message is not None:
            yield Payload(registered.message.argument.value, registered.values, call.family, registered.label)

    def _method(self, target: Value) -> tuple[str | None, bool]:
        """Return which registering method a callee is, and whether it is bound to a registry."""
        match target:
            case Bound(receiver, External(name)):
                owner, _, method = name.rpartition(".")
                good = owner == REGISTRY and method in FAMILIES and self._is_registry(receiver)
                return (method if good else None), True
            case External(name):
                owner, _, method = name.rpartition(".")
                return (method if owner == REGISTRY and method in FAMILIES else None), False
            case _:
                return None, False

    def _is_registry(self, value: Value) -> bool:
        return isinstance(value, Instance) and members.inherits(self.ev, value.of, REGISTRY)

    def _registered(self, call: Registering) -> Registered:
        """Return what a call registers, as its own file shows it: not what its callers may pass."""
        given = callers.within(call.given, callers.frame(self.ev, call.chain))
        params = (s.Parameter("self", None, None), *PARAMETERS) if call.unbound else PARAMETERS
        if call.unbound and not self._receiver(calling.spread(self.ev, given)):
            return Registered(None, (), None)
        self.ev.follow_callers = False
        try:
            arguments = calling.spread(self.ev, given)
            message = argument_for(params, arguments, "message")
            if message is None:
                rest = union(*(self.ev.given(item) for item in arguments if item.opaque))
                return Registered(None, tuple(value for value in rest if isinstance(value, Symbol)), None)
            label = self._label(argument_for(params, arguments, "name"))
            return Registered(message, self.ev.given(message), label)
        finally:
            self.ev.follow_callers = True

    def _receiver(self, arguments: tuple[Given, ...]) -> bool:
        first = argument_for((s.Parameter("self", None, None),), arguments, "self")
        return first is not None and any(self._is_registry(value) for value in self.ev.given(first))

    def _label(self, name: Given | None) -> str | None:
        names = () if name is None else self.ev.given(name)
        label = names[0].value if len(names) == 1 and isinstance(names[0], Literal) else None
        return label if isinstance(label, str) else None

    # Wrappers

    def _follow(self, registered: Registered, call: Registering) -> None:
        if len(call.chain) < MAX_CHAIN:
            for value in registered.values:
                if isinstance(value, Symbol) and all(link.scope is not value.scope for link in call.chain):
                    self._sinks[Sink(value.scope, value.name, call)] = None

    def _wrapped(self, sink: Sink) -> Iterator[Payload]:
        for link in callers.links(self.ev, sink.scope):
            self.ev.fresh()
            positions = link.positions(self.ev, sink.param)
            for position in positions:
                yield from self._passed(sink.call, link, position, positions)

    def _passed(self, call: Registering, link: Link, position: int, positions: list[int]) -> Iterator[Payload]:
        """Yield what one argument of a wrapper contributes to the payload."""
        longer = replace(call, chain=(*call.chain, link.only(position, positions)))
        registered = self._registered(longer)
        self._follow(registered, longer)
        if registered.message is None:
            return
        base = self._registered(replace(call, chain=(*call.chain, link.only(None, positions)))).values
        values = tuple(value for value in registered.values if value not in base and not isinstance(value, Symbol))
        if values:
            label = self._registered(replace(call, chain=(*call.chain, link))).label
            yield Payload(link.given[position].argument.value, values, call.family, label)
