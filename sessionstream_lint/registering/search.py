"""Which expressions end up as a name, or as a payload, of a registration?

A function whose parameter ends up as one of them registers too: its calls are followed, so that a finding
stands where somebody wrote the argument, be it in another file than the function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import libcst as cst

from sessionstream_lint.inference import arguments, callers, calling, classes
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.callers import Link
from sessionstream_lint.inference.calling import Invocation
from sessionstream_lint.inference.evaluate import Evaluator
from sessionstream_lint.inference.frames import argument_for
from sessionstream_lint.program.flow import only
from sessionstream_lint.program.resolve import Project
from sessionstream_lint.program.scopes import Assigned, CallSite, Element, Module, Site, Unpacked
from sessionstream_lint.reading.gate import METHODS
from sessionstream_lint.reading.syntax import Node, identifier, index, last_name, walk
from sessionstream_lint.registering import written as w

MAX_WRAPPERS = 100
MAX_CHAIN = 20
MAX_STEPS = 12


@dataclass(frozen=True, slots=True)
class Offer:
    """What a file has for those who import it, as far as it can be told from that file alone.

    ``sinks`` are its functions that register what they are given, ``open`` its calls that do if only their receiver,
    of which the file does not say what it is, is a registry.
    """

    sinks: tuple[w.Sink, ...]
    open: tuple[CallSite, ...]


@lru_cache(maxsize=512)
def offer(module: Module, project: Project, role: str) -> Offer:
    """Return what a file has for those who import it; asked once, whoever that is."""
    search = Search(Evaluator(module, project), role)
    for _ in search.run():
        pass  # what stands there is found when that file is checked
    return Offer(tuple(search.sinks), tuple(search.open))


class Search:
    """Finds the arguments of one role.

    Those it yields stand in the evaluator's file. On the way it notes what an `Offer` consists of.
    """

    def __init__(self, ev: Evaluator, role: str) -> None:
        self.ev = ev
        self.role = role
        self.sinks: dict[w.Sink, bool] = {}  # and whether the calls in the sink's own file are known already
        self.open: dict[CallSite, None] = {}

    def run(self) -> Iterator[w.Written]:
        """Yield every argument of the role, and what may be passed on to a function that registers it."""
        yield from self._all(self._candidates())
        for module in self.ev.neighbours:
            offered = offer(module, self.ev.project, self.role)
            self.sinks.update(dict.fromkeys(offered.sinks, True))
            for _ in self._all(offered.open):
                pass  # only what is passed to it is written in this file
        done = 0
        while done < min(len(self.sinks), MAX_WRAPPERS):
            sink = list(self.sinks)[done]
            done += 1
            yield from self._wrapped(sink)

    def _candidates(self) -> list[CallSite]:
        """The calls that name a method; when one is named in another way too, the other calls after them."""
        module = self.ev.module
        direct = [site for site in module.calls if last_name(site.func) in METHODS]
        if module.mentions > len(direct):
            return direct + [site for site in module.calls if last_name(site.func) not in METHODS]
        if not self.ev.neighbours:
            return direct
        return list(dict.fromkeys([*direct, *callers.by_name(self.ev, METHODS, module)]))

    def _all(self, sites: Iterable[CallSite]) -> Iterator[w.Written]:
        for site in sites:
            self.ev.fresh()
            yield from self._direct(site)

    def _direct(self, site: CallSite) -> Iterator[w.Written]:
        callee = self.ev.evaluate(site.func, site.site)
        if last_name(site.func) in METHODS and any(isinstance(value, v.Symbol) for value in callee):
            self.open[site] = None
        for found in calling.called(self.ev, site, site.site):
            yield from self._invoked(found, site)

    def _invoked(self, found: Invocation, site: CallSite) -> Iterator[w.Written]:
        method, given = self._method(found)
        if method is None:
            return
        call = w.Registering(site, given, w.FAMILIES[method])
        registered = self._registered(call)
        argument, values = registered.argument, registered.values
        looped = any(_is_looped(one.value, one.site) for one in (given if argument is None else (argument,)))
        call = replace(call, looped=looped)
        self._follow(registered, call, plain=True)
        if argument is not None:
            one = w.Written(argument.value, site.site, values, values, call, registered.label)
            yield from self._written(one, [argument])

    def _method(self, found: Invocation) -> tuple[str | None, tuple[v.Given, ...]]:
        """Return which registering method is called, and its arguments but for the registry."""
        given = found.given
        registries: v.Values = ()
        match found.target:
            case v.Bound(receiver, v.External(name)):
                registries = (receiver,)
            case v.External(name) if name.startswith(w.REGISTRY):
                first, *rest = arguments.spread(self.ev, given) or (None,)
                given, registries = tuple(rest), self.ev.given(first) if first else ()
            case _:
                return None, ()
        owner, _, method = name.rpartition(".")
        known = owner == w.REGISTRY and method in w.FAMILIES and any(map(self._is_registry, registries))
        return (method if known else None), given

    def _is_registry(self, value: v.Value) -> bool:
        return isinstance(value, v.Instance) and classes.inherits(self.ev, value.of, w.REGISTRY)

    def _site(self, call: w.Registering) -> Site:
        """Return where a call stands, within the calls through which it is reached."""
        return replace(call.at.site, frame=callers.frame(self.ev, call.chain))

    def _registered(self, call: w.Registering) -> w.Registered:
        """Return what a call registers, as its own file shows it: not what its callers may pass."""
        given = callers.within(call.given, self._site(call))
        params = w.PARAMETERS[call.family]
        name, message = (param.name for param in params)
        with self.ev.within_file():
            spread = arguments.spread(self.ev, given)
            argument = argument_for(params, spread, message if self.role == w.MESSAGE else name)
            if argument is None:
                rest = v.union(*(self.ev.given(item) for item in spread if item.opaque))
                return w.Registered(None, tuple(value for value in rest if isinstance(value, v.Symbol)), None)
            label = self._label(argument_for(params, spread, name))
            return w.Registered(argument, self.ev.given(argument), label)

    def _may_register(self, call: w.Registering) -> bool:
        """Say whether what is called on this way may be a registry's method, as far as this way tells what it is."""
        found = list(calling.called(self.ev, call.at, self._site(call)))
        return not found or any(isinstance(one.target, v.Symbol) or self._method(one)[0] for one in found)

    def _label(self, name: v.Given | None) -> str | None:
        names = () if name is None else self.ev.given(name)
        label = names[0].value if len(names) == 1 and isinstance(names[0], v.Literal) else None
        return label if isinstance(label, str) else None

    # Wrappers

    def _follow(self, registered: w.Registered, call: w.Registering, *, plain: bool) -> None:
        if len(call.chain) < MAX_CHAIN:
            for value in registered.values:
                if isinstance(value, v.Symbol) and all(link.scope is not value.scope for link in call.chain):
                    sink = w.Sink(value.scope, value.name, call, plain and value.plain)
                    self.sinks.setdefault(sink, False)

    def _wrapped(self, sink: w.Sink) -> Iterator[w.Written]:
        known = sink.scope.module if self.sinks[sink] else None
        for link in callers.links(self.ev, sink.scope, known):
            self.ev.fresh()
            yield from self._passed(sink, link, link.filling(self.ev, sink.param))

    def _passed(self, sink: w.Sink, link: Link, filling: list[v.Given]) -> Iterator[w.Written]:
        """Yield what the arguments of a wrapper contribute; of a name also that nothing is known."""
        if not filling:
            return
        looped = sink.call.looped or any(_is_looped(one.value, one.site) for one in filling)
        call = replace(sink.call, chain=(*sink.call.chain, link), looped=looped)
        registered = self._registered(call)
        self._follow(registered, call, plain=sink.plain)
        given = filling[0]
        if given.site.block.scope.module is not self.ev.module or registered.argument is None:
            return
        chain = (*sink.call.chain, link.without(self.ev, filling))
        beside = self._registered(replace(sink.call, chain=chain)).values
        values = tuple(one for one in registered.values if one not in beside and not isinstance(one, v.Symbol))
        if (values or self.role == w.NAME) and self._may_register(call):
            one = w.Written(given.value, given.site, values, registered.values, call, registered.label, sink.plain)
            yield from self._written(one, filling)

    # Tables

    def _written(self, one: w.Written, filling: list[v.Given]) -> Iterator[w.Written]:
        """Yield what is written in one of some arguments, or in the row of a table out of which a loop takes it."""
        found: dict[tuple[int, str], w.Written] = {}
        for value in one.values or (None,):
            node, row = self._place(value, filling, one.call.looped)
            before = found.get((id(node), row), replace(one, node=node, row=row, values=()))
            found[id(node), row] = replace(before, values=(*before.values, *(() if value is None else (value,))))
        yield from found.values()

    def _place(self, value: v.Value | None, filling: list[v.Given], looped: bool) -> tuple[Node, str]:
        """Return the expression that a value stands in, and its row if that is in another file."""
        at = value.at if isinstance(value, v.External | v.Klass | v.Instance) else None
        if at is None:
            return next((one for one in filling if value in self.ev.given(one)), filling[0]).value, ""
        unpacked = [one for one in filling if len(filling) > 1 or one.held is not None]
        if looped or any(part is at.node for one in unpacked for part in walk(one.value)):
            if at.module is self.ev.module:
                return at.node, ""
            return filling[0].value, f"{at.module.path}:{at.module.position(at.node)[0]}"
        return filling[0].value, ""


def _is_looped(node: Node, site: Site) -> bool:
    """Say whether an expression comes out of a loop: its variable, a part of that, or what was assigned from it."""
    for _ in range(MAX_STEPS):
        while isinstance(node, cst.Attribute | cst.Subscript):
            if isinstance(node, cst.Subscript) and any(_is_looped(one, site) for one in index(node)):
                return True
            node = node.value
        binding = only(identifier(node), site) if isinstance(node, cst.Name) else None
        source = None if binding is None else binding.source
        while isinstance(source, Unpacked):
            source = source.source
        if binding is None or not isinstance(source, Assigned):
            return isinstance(source, Element)
        node, site = source.value, binding.site
    return False
