"""Which expressions end up as a name, or as a payload, of a registration?

A function whose parameter ends up as one of them registers too: its calls are followed, so that a finding
stands where somebody wrote the argument, be it in another file than the function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from sessionstream_lint.inference import arguments, callers, calling, classes
from sessionstream_lint.inference.callers import Link
from sessionstream_lint.inference.calling import Invocation
from sessionstream_lint.inference.evaluate import Evaluator
from sessionstream_lint.inference.frames import argument_for
from sessionstream_lint.inference.values import (
    Bound,
    External,
    Given,
    Instance,
    Literal,
    Symbol,
    Value,
    union,
)
from sessionstream_lint.program.resolve import Project
from sessionstream_lint.program.scopes import CallSite, Module, Row, Site
from sessionstream_lint.reading import shapes as s
from sessionstream_lint.reading.gate import METHODS
from sessionstream_lint.reading.shapes import Node
from sessionstream_lint.registering import rows
from sessionstream_lint.registering.written import (
    FAMILIES,
    MESSAGE,
    NAME,
    PARAMETERS,
    REGISTRY,
    Registered,
    Registering,
    Sink,
    Written,
)

Looked = tuple[Row, ...]

MAX_WRAPPERS = 100
MAX_CHAIN = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """What a file has for those who import it, as far as it can be told from that file alone.

    ``sinks`` are its functions that register what they are given, ``open`` its calls that do if only their receiver,
    of which the file does not say what it is, is a registry.
    """

    sinks: tuple[Sink, ...]
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
        self.sinks: dict[Sink, bool] = {}  # and whether the calls in the sink's own file are known already
        self.open: dict[CallSite, None] = {}

    def run(self) -> Iterator[Written]:
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
        direct = [site for site in module.calls if calling.last_name(site.shape.func) in METHODS]
        if module.mentions_beyond(len(direct)):
            return direct + [site for site in module.calls if calling.last_name(site.shape.func) not in METHODS]
        if not self.ev.neighbours:
            return direct
        return list(dict.fromkeys([*direct, *callers.by_name(self.ev, METHODS, module)]))

    def _all(self, sites: Iterable[CallSite]) -> Iterator[Written]:
        for site in sites:
            self.ev.fresh()
            yield from self._direct(site)

    def _direct(self, site: CallSite) -> Iterator[Written]:
        callee = self.ev.evaluate(site.shape.func, site.site)
        if calling.last_name(site.shape.func) in METHODS and any(isinstance(value, Symbol) for value in callee):
            self.open[site] = None
        for found in calling.called(self.ev, site, site.site):
            yield from self._invoked(found, site)

    def _invoked(self, found: Invocation, site: CallSite) -> Iterator[Written]:
        method, bound = self._method(found.target)
        if method is None:
            return
        call = Registering(site, found.given, not bound, FAMILIES[method])
        registered = self._registered(call)
        self._follow(registered, call, plain=True)
        written = registered.argument
        if written is not None:
            one = Written(written.argument.value, site.site, registered.values, call, registered.label)
            yield from self._by_row(one, None)

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
        return isinstance(value, Instance) and classes.inherits(self.ev, value.of, REGISTRY)

    def _site(self, call: Registering, inner: Looked = (), outer: Looked = ()) -> Site:
        """Return where a call stands, within the calls through which it is reached, and the rows looked at."""
        frame = callers.frame(self.ev, call.chain, outer)
        return replace(call.at.site, frame=frame, rows=inner if call.chain else (*outer, *inner))

    def _registered(self, call: Registering, inner: Looked = (), outer: Looked = ()) -> Registered:
        """Return what a call registers, as its own file shows it: not what its callers may pass.

        ``inner`` are the rows that are looked at around the call itself, ``outer`` those around its outermost caller.
        """
        given = callers.within(call.given, self._site(call, inner, outer))
        own = PARAMETERS[call.family]
        name, message = (param.name for param in own)
        params = (s.Parameter("self", None, None), *own) if call.unbound else own
        if call.unbound and not self._receiver(arguments.spread(self.ev, given)):
            return Registered(None, (), None)
        with self.ev.within_file():
            spread = arguments.spread(self.ev, given)
            argument = argument_for(params, spread, message if self.role == MESSAGE else name)
            if argument is None:
                rest = union(*(self.ev.given(item) for item in spread if item.opaque))
                return Registered(None, tuple(value for value in rest if isinstance(value, Symbol)), None)
            label = self._label(argument_for(params, spread, name))
            return Registered(argument, self.ev.given(argument), label)

    def _may_register(self, call: Registering) -> bool:
        """Say whether what is called on this way may be a registry's method, as far as this way tells what it is."""
        targets = [found.target for found in calling.called(self.ev, call.at, self._site(call))]
        return not targets or any(isinstance(one, Symbol) or self._method(one)[0] for one in targets)

    def _receiver(self, arguments: tuple[Given, ...]) -> bool:
        first = argument_for((s.Parameter("self", None, None),), arguments, "self")
        return first is not None and any(self._is_registry(value) for value in self.ev.given(first))

    def _label(self, name: Given | None) -> str | None:
        names = () if name is None else self.ev.given(name)
        label = names[0].value if len(names) == 1 and isinstance(names[0], Literal) else None
        return label if isinstance(label, str) else None

    # Wrappers

    def _follow(self, registered: Registered, call: Registering, *, plain: bool) -> None:
        if len(call.chain) < MAX_CHAIN:
            for value in registered.values:
                if isinstance(value, Symbol) and all(link.scope is not value.scope for link in call.chain):
                    self.sinks.setdefault(Sink(value.scope, value.name, call, plain and value.plain), False)

    def _wrapped(self, sink: Sink) -> Iterator[Written]:
        known = sink.scope.module if self.sinks[sink] else None
        for link in callers.links(self.ev, sink.scope, known):
            self.ev.fresh()
            positions = link.positions(self.ev, sink.param)
            for position in positions:
                yield from self._passed(sink, link, position, positions)

    def _passed(self, sink: Sink, link: Link, position: int, positions: list[int]) -> Iterator[Written]:
        """Yield what one argument of a wrapper contributes; of a name also that nothing is known."""
        call = sink.call
        longer = replace(call, chain=(*call.chain, link.only(position, positions)))
        alone = self._registered(longer)
        self._follow(alone, longer, plain=sink.plain)
        given = link.given[position]
        if given.site.block.scope.module is not self.ev.module:
            return
        without = self._registered(replace(call, chain=(*call.chain, link.only(None, positions))))
        found = () if alone.argument is None else alone.values
        brought = tuple(value for value in found if value not in without.values and not isinstance(value, Symbol))
        whole = replace(call, chain=(*call.chain, link))
        one = self._registered(whole)
        values = tuple(value for value in one.values if value in brought)
        if one.argument is not None and (values or self.role == NAME) and self._may_register(whole):
            written = Written(given.argument.value, given.site, values, whole, one.label, sink.plain)
            yield from self._by_row(written, one.argument)

    # Tables

    def _by_row(self, one: Written, inside: Given | None) -> Iterator[Written]:
        """Yield what is written for each row of the table that a loop goes over; the same if there is none.

        The loop is around what is written, or around the call in which it is registered in the end, ``inside``.
        """
        if self.role != MESSAGE or not one.values:
            yield one
            return
        left = one.values
        for loop, inner in self._loops(one, inside):
            for row in rows.rows(self.ev, loop.source.iterable, loop.where):
                self.ev.fresh()
                looked = (Row(loop.source, loop.block, row.value),)
                whole = self._registered(one.call, *((looked, ()) if inner else ((), looked)))
                values = tuple(value for value in whole.values if value in one.values)
                node = rows.place(self.ev, row, values)
                if node is not None:
                    left = tuple(value for value in left if value not in values)
                    yield self._in_row(replace(one, values=values, label=whole.label), row, node)
            if left != one.values:
                break
        if left:
            yield replace(one, values=left)

    def _loops(self, one: Written, inside: Given | None) -> Iterator[tuple[rows.Loop, bool]]:
        """Yield the loops around what is written, and around where it is registered, which is told by the flag."""
        loop = rows.loop(self.ev, one.node, one.site)
        if loop is not None:
            yield loop, False
        loop = None if inside is None else rows.loop(self.ev, inside.argument.value, self._site(one.call))
        if loop is not None:
            yield loop, True

    def _in_row(self, one: Written, row: rows.Row, node: Node) -> Written:
        """Return what is written in a row; if that is in another file, only what the row is called changes."""
        if row.module is self.ev.module:
            return replace(one, node=node, site=row.where)
        return replace(one, row=f"{row.module.path}:{row.module.position(node)[0]}")
