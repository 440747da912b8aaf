"""The registrations in a file: which payload does which call give to which method of a SchemaRegistry?

A function whose parameter ends up as a payload registers too: its calls are followed, so that a finding
stands where somebody wrote the argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sessionstream_lint import calling, containers, members
from sessionstream_lint import syntax as s
from sessionstream_lint.calling import Invocation
from sessionstream_lint.evaluate import Evaluator
from sessionstream_lint.frames import argument_for, parameters
from sessionstream_lint.gate import METHODS
from sessionstream_lint.scopes import CallSite, Module, Scope, Site
from sessionstream_lint.syntax import Argument, Node
from sessionstream_lint.values import (
    Bound,
    External,
    Given,
    Instance,
    Literal,
    Mapping,
    Partial,
    Sequence,
    Symbol,
    Table,
    Value,
    Values,
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
class Sink:
    """A function that registers what it gets as ``param``."""

    scope: Scope
    param: str
    family: str


class Registrations:
    """Finds the payloads of one module."""

    def __init__(self, module: Module, evaluator: Evaluator, mentions: int) -> None:
        self.module = module
        self.ev = evaluator
        self.mentions = mentions
        self._sinks: dict[Sink, None] = {}

    def payloads(self) -> Iterator[Payload]:
        """Yield every payload, each expression once, in no particular order."""
        seen: set[int] = set()
        for payload in self._all():
            if id(payload.node) not in seen:
                seen.add(id(payload.node))
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
            if found.target == External("functools.partial") and given:
                yield from self._partial(given)
            else:
                yield from self._invoked(found)

    def _partial(self, given: tuple[Given, ...]) -> Iterator[Payload]:
        for target in self.ev.evaluate(given[0].argument.value, given[0].site):
            for found in calling.invocations(self.ev, (Partial(target, given[1:]),), ()):
                yield from self._invoked(found)

    def _invoked(self, found: Invocation) -> Iterator[Payload]:
        method, bound = self._method(found.target)
        if method is not None:
            yield from self._payload(found.given, not bound, FAMILIES[method])

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

    def _payload(self, given: tuple[Given, ...], unbound: bool, family: str) -> Iterator[Payload]:
        params = (s.Parameter("self", None, None), *PARAMETERS) if unbound else PARAMETERS
        arguments = list(self._spread(given))
        if unbound and not self._receiver(arguments):
            return
        name = _argument(arguments, params, "name")
        message = _argument(arguments, params, "message")
        if message is not None:
            yield self._record(message, name, family)

    def _receiver(self, arguments: list[_Spread]) -> bool:
        if not arguments or arguments[0].keyword is not None:
            return False
        return any(self._is_registry(value) for value in self._values(arguments[0]))

    def _record(self, message: _Spread, name: _Spread | None, family: str) -> Payload:
        self.ev.follow_callers = False
        try:
            values = self._values(message)
        finally:
            self.ev.follow_callers = True
        names = () if name is None else self._values(name)
        label = names[0].value if len(names) == 1 and isinstance(names[0], Literal) else None
        for value in values:
            if isinstance(value, Symbol):
                self._sinks[Sink(value.scope, value.name, family)] = None
        return Payload(message.node, values, family, label if isinstance(label, str) else None)

    def _values(self, argument: _Spread) -> Values:
        if argument.values is not None:
            return argument.values
        return self.ev.evaluate(argument.value, argument.site)

    # Arguments, with * and ** spread out where they can be read

    def _spread(self, given: tuple[Given, ...]) -> Iterator[_Spread]:
        for item in given:
            argument, site = item.argument, item.site
            if argument.star == "*":
                yield from self._starred(argument, site)
            elif argument.star == "**":
                yield from self._double_starred(argument, site)
            else:
                yield _Spread(argument.value, argument.value, site, argument.keyword)

    def _starred(self, argument: Argument, site: Site) -> Iterator[_Spread]:
        shape = s.view(argument.value)
        if isinstance(shape, s.Items) and not any(isinstance(s.view(i), s.Starred) for i in shape.items):
            for node in shape.items:
                yield _Spread(node, node, site)
            return
        values = self.ev.evaluate(argument.value, site)
        sizes = {len(value.items) for value in values if isinstance(value, Sequence)}
        for index in range(min(sizes, default=0)):
            held = containers.unpack(self.ev, values, index, starred=False)
            yield _Spread(argument.value, argument.value, site, values=held)
        if not sizes:
            yield _Spread(argument.value, argument.value, site, values=(), opaque=True)

    def _double_starred(self, argument: Argument, site: Site) -> Iterator[_Spread]:
        shape = s.view(argument.value)
        if isinstance(shape, s.Pairs):
            for key, node in shape.pairs:
                name = s.view(key) if key is not None else None
                if isinstance(name, s.Constant) and isinstance(name.value, str):
                    yield _Spread(node, node, site, name.value)
            return
        if isinstance(shape, s.Call):
            for inner in shape.args:
                if inner.keyword and External("builtins.dict") in self.ev.evaluate(shape.func, site):
                    yield _Spread(inner.value, inner.value, site, inner.keyword)
        for value in self.ev.evaluate(argument.value, site):
            if isinstance(value, Table | Mapping):
                for param in PARAMETERS:
                    held = containers.item(self.ev, value, (Literal(param.name),), argument.value, site)
                    yield _Spread(argument.value, argument.value, site, param.name, held)

    # Wrappers

    def _wrapped(self, sink: Sink) -> Iterator[Payload]:
        scope = sink.scope
        for _, found, bound in calling.callers(self.ev, scope):
            self.ev.fresh()
            params = parameters(scope, bound=bound)
            given = argument_for(params, found.given, sink.param)
            if given is None:
                continue
            spread = _Spread(given.argument.value, given.argument.value, given.site)
            yield self._record(spread, None, sink.family)


@dataclass(frozen=True, slots=True)
class _Spread:
    """One argument after unpacking; ``values`` when it is a part of ``node`` rather than all of it."""

    node: Node
    value: Node
    site: Site
    keyword: str | None = None
    values: Values | None = None
    opaque: bool = False


def _argument(arguments: list[_Spread], params: tuple[s.Parameter, ...], name: str) -> _Spread | None:
    index = 0
    for argument in arguments:
        if argument.opaque:
            return next((later for later in arguments if later.keyword == name), None)
        if argument.keyword is not None:
            if argument.keyword == name:
                return argument
        else:
            if index < len(params) and params[index].name == name:
                return argument
            index += 1
    return None
