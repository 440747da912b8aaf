"""The registrations in a file: which name and payload does which call give to which method of a SchemaRegistry?

A function whose parameter ends up as one of them registers too: its calls are followed, so that a finding
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
from sessionstream_lint.scopes import CallSite, Module, Scope, Site
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
NAME, MESSAGE = "name", "message"
PARAMETERS = {
    family: (s.Parameter("kind" if family == "timeline entity" else NAME, None, None), s.Parameter(MESSAGE, None, None))
    for family in FAMILIES.values()
}
MAX_WRAPPERS = 100
MAX_CHAIN = 20


@dataclass(frozen=True, slots=True)
class Registering:
    """A call of a registering method, reached by way of the calls in ``chain``, innermost first."""

    at: CallSite
    given: tuple[Given, ...]
    unbound: bool
    family: str
    chain: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A name or payload: the expression somebody wrote, where, what it may be, and the name if that is known."""

    node: Node
    site: Site
    values: Values
    call: Registering
    label: str | None

    @property
    def family(self) -> str:
        """What is registered."""
        return self.call.family

    @property
    def subject(self) -> str:
        """What is registered, for a message: ``event 'ChatDelta'``."""
        return f"{self.family} {self.label!r}" if self.label is not None else f"{_article(self.family)} {self.family}"


def _article(family: str) -> str:
    return "an" if family[0] in "aeio" else "a"


@dataclass(frozen=True, slots=True)
class Registered:
    """The argument of a call, if it can be told apart, what it may be, and the name if it is known."""

    argument: Given | None
    values: Values
    label: str | None


@dataclass(frozen=True, slots=True)
class Sink:
    """A function, or a class that is made, whose argument ``param`` ends up in a registration."""

    scope: Scope
    param: str
    call: Registering


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with an argument of a registration, to be reported at its expression."""

    code: str
    node: Node
    message: str


class Registrations:
    """Finds the names and payloads of one module."""

    def __init__(self, module: Module, evaluator: Evaluator, mentions: int) -> None:
        self.module = module
        self.ev = evaluator
        self.mentions = mentions
        self._written: dict[str, tuple[Written, ...]] = {}

    def payloads(self) -> tuple[Written, ...]:
        """Return every payload, in no particular order; one expression may be several."""
        return self._find(MESSAGE)

    def names(self) -> tuple[Written, ...]:
        """Return every name, in no particular order; one expression may be several."""
        return self._find(NAME)

    def _find(self, role: str) -> tuple[Written, ...]:
        if role not in self._written:
            search = _Search(self.ev, role)
            found = {(id(one.node), one.values): one for one in search.run(self._candidates())}
            self._written[role] = tuple(found.values())
        return self._written[role]

    def _candidates(self) -> list[CallSite]:
        """The calls that name a method; when one is named in another way too, the other calls after them."""
        direct = [site for site in self.module.calls if calling.last_name(site.shape.func) in METHODS]
        if len(direct) >= self.mentions:
            return direct
        return direct + [site for site in self.module.calls if calling.last_name(site.shape.func) not in METHODS]


class _Search:
    """Finds the arguments of one role."""

    def __init__(self, ev: Evaluator, role: str) -> None:
        self.ev = ev
        self.role = role
        self._sinks: dict[Sink, None] = {}

    def run(self, candidates: list[CallSite]) -> Iterator[Written]:
        for site in candidates:
            self.ev.fresh()
            yield from self._direct(site)
        done = 0
        while done < min(len(self._sinks), MAX_WRAPPERS):
            sink = list(self._sinks)[done]
            done += 1
            yield from self._wrapped(sink)

    def _direct(self, site: CallSite) -> Iterator[Written]:
        given = tuple(Given(argument, site.site) for argument in site.shape.args)
        for found in calling.invocations(self.ev, self.ev.evaluate(site.shape.func, site.site), given):
            indirect = self._called_later(found.target, given)
            if indirect is None:
                yield from self._invoked(found, site)
                continue
            callee, passed = indirect
            for inner in calling.invocations(self.ev, callee, passed):
                yield from self._invoked(inner, site)

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

    def _invoked(self, found: Invocation, site: CallSite) -> Iterator[Written]:
        method, bound = self._method(found.target)
        if method is None:
            return
        call = Registering(site, found.given, not bound, FAMILIES[method])
        registered = self._registered(call)
        self._follow(registered, call)
        written = registered.argument
        if written is not None:
            yield Written(written.argument.value, written.site, registered.values, call, registered.label)

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
        own = PARAMETERS[call.family]
        name, message = (param.name for param in own)
        params = (s.Parameter("self", None, None), *own) if call.unbound else own
        if call.unbound and not self._receiver(calling.spread(self.ev, given)):
            return Registered(None, (), None)
        self.ev.follow_callers = False
        try:
            arguments = calling.spread(self.ev, given)
            argument = argument_for(params, arguments, message if self.role == MESSAGE else name)
            if argument is None:
                rest = union(*(self.ev.given(item) for item in arguments if item.opaque))
                return Registered(None, tuple(value for value in rest if isinstance(value, Symbol)), None)
            label = self._label(argument_for(params, arguments, name))
            return Registered(argument, self.ev.given(argument), label)
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

    def _wrapped(self, sink: Sink) -> Iterator[Written]:
        for link in callers.links(self.ev, sink.scope):
            self.ev.fresh()
            positions = link.positions(self.ev, sink.param)
            for position in positions:
                yield from self._passed(sink.call, link, position, positions)

    def _passed(self, call: Registering, link: Link, position: int, positions: list[int]) -> Iterator[Written]:
        """Yield what one argument of a wrapper contributes; of a name also that nothing is known."""
        longer = replace(call, chain=(*call.chain, link.only(position, positions)))
        registered = self._registered(longer)
        self._follow(registered, longer)
        if registered.argument is None:
            return
        base = self._registered(replace(call, chain=(*call.chain, link.only(None, positions)))).values
        values = tuple(value for value in registered.values if value not in base and not isinstance(value, Symbol))
        if values or self.role == NAME:
            whole = replace(call, chain=(*call.chain, link))
            given = link.given[position]
            yield Written(given.argument.value, given.site, values, whole, self._registered(whole).label)
