"""Who calls a function, and with which arguments?

A function is called by its name, by a name it was given later, as what another function returned, through
``partial`` or as a decorator with arguments. Every call that may do so by its spelling is looked into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

import libcst as cst

from sessionstream_lint.inference import arguments, calling, records
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.calling import Invocation
from sessionstream_lint.inference.frames import Frame, arguments_for, parameters
from sessionstream_lint.inference.values import Bound, Given, Instance, Klass, Routine, Value, Values, union
from sessionstream_lint.program.scopes import CallSite, Module, Scope, Site
from sessionstream_lint.reading.syntax import Node, Parameter, last_name, walk

# What stands for the name of a function that has none: no name can be that.
LAMBDA = "lambda"
MAX_ALIASES = 50
# How many calls are looked into to tell what a parameter may be.
MAX_CALLS = 50
MAX_PARTS = 200


@dataclass(frozen=True, slots=True)
class Link:
    """A call of ``scope`` at a site: its arguments, and what its first parameter is bound to."""

    scope: Scope
    site: Site
    given: tuple[Given, ...]
    receiver: Value | None

    def parameters(self, ev: Ask) -> tuple[Parameter, ...]:
        """The parameters that the arguments fill."""
        if self.scope.kind == "class":
            return records.fields(ev, self.scope)
        return parameters(self.scope, bound=self.receiver is not None)

    def filling(self, ev: Ask, name: str) -> list[Given]:
        """Return the arguments that go into the parameter called ``name``; into ``*args`` it may be any number."""
        return arguments_for(self.parameters(ev), arguments.spread(ev, self.given), name)

    def without(self, ev: Ask, filling: list[Given]) -> Link:
        """Return the same call, nothing being known of some of its arguments."""
        given = arguments.spread(ev, self.given)
        return replace(self, given=tuple(replace(one, held=()) if one in filling else one for one in given))


def links(ev: Ask, scope: Scope, known: Module | None = None) -> Iterator[Link]:
    """Yield the calls that may reach a function, or make an object of a class, but for those in the ``known`` file.

    They stand in the same file, in the one that is checked, or in a function of a file between the two.
    """
    for at in _candidates(ev, scope, known):
        for found in calling.called(ev, at, at.site):
            link = _link(ev, found, scope, at.site)
            if link is not None:
                yield link


def _link(ev: Ask, found: Invocation, scope: Scope, site: Site) -> Link | None:
    match found.target:
        case Routine(target) if target is scope:
            return Link(scope, site, found.given, None)
        case Bound(receiver, Routine(target)) if target is scope:
            return Link(scope, site, found.given, receiver)
        case Klass(made) if scope is made or (scope.name == "__init__" and records.initializer(ev, made) is scope):
            new = None if scope is made else Instance(Klass(made))
            return Link(scope, site, found.given, new)
        case _:
            return None


def frame(ev: Ask, chain: tuple[Link, ...]) -> Frame | None:
    """Return the frame of the first of these calls, each of which was made from within the next."""
    found: Frame | None = None
    for depth, link in enumerate(reversed(chain), 1):
        site = replace(link.site, frame=found)
        given = arguments.spread(ev, within(link.given, site))
        found = ev.frame(link.scope, given, link.receiver, found, depth)
    return found


def within(given: tuple[Given, ...], site: Site) -> tuple[Given, ...]:
    """Return arguments as they are in a call looked into."""
    return tuple(replace(item, site=item.site.seen_from(site)) for item in given)


def passed(ev: Ask, scope: Scope, param: Parameter) -> Values:
    """Return what the calls in the same file pass for a parameter."""
    return ev.once(("callers", id(scope), param.name), lambda: _passed(ev, scope, param))


def _passed(ev: Ask, scope: Scope, param: Parameter) -> Values:
    groups = []
    for link in islice(links(ev, scope), MAX_CALLS):
        groups += [ev.given(given) for given in link.filling(ev, param.name)]
    return union(*groups)


# By spelling ---------------------------------------------------------------------------------------------


def _candidates(ev: Ask, scope: Scope, known: Module | None) -> Iterator[CallSite]:
    """The calls that may reach a function, by the names that may stand for it."""
    first = LAMBDA if scope.kind == "lambda" else scope.name
    if first in ("__init__", "__call__") and scope.parent is not None:
        first = scope.parent.name
    # What has no name: ``make()(x)``, ``table["x"](x)``; and those that are named after what they do.
    others = ("", "self", "cls", "partial", "super" if scope.name != "__init__" else "__init__")
    around = tuple(dict.fromkeys((scope.module, ev.module, *ev.neighbours)))
    names = dict.fromkeys((*_names(around, first), *others))
    for module in around:
        if module is known:
            continue
        calls = _calls_by_name(module)
        found = (site for name in names for site in calls.get(name, ()))
        if module in (scope.module, ev.module):
            yield from found
        else:  # outside of functions nobody passes on what was passed in
            yield from (site for site in found if site.site.block.scope.kind != "module")


def by_name(ev: Ask, names: Iterable[str], module: Module) -> Iterator[CallSite]:
    """Yield the calls in a file of what may be, by its name there, one of the things with these names."""
    calls = _calls_by_name(module)
    for name in _names((module, *ev.neighbours), *names):
        yield from calls.get(name, ())


def _names(modules: tuple[Module, ...], *first: str) -> Iterator[str]:
    """Yield names, and what these files call what has them."""
    found = dict.fromkeys(first)
    todo = list(first)
    while todo and len(found) < MAX_ALIASES:
        name = todo.pop()
        fresh = [alias for module in modules for alias in _aliases(module).get(name, ()) if alias not in found]
        found.update(dict.fromkeys(fresh))
        todo += dict.fromkeys(fresh)
    yield from found


@lru_cache(maxsize=512)
def _calls_by_name(module: Module) -> dict[str, list[CallSite]]:
    found: dict[str, list[CallSite]] = {}
    for site in module.calls:
        found.setdefault(last_name(site.func), []).append(site)
    return found


@lru_cache(maxsize=512)
def _aliases(module: Module) -> dict[str, list[str]]:
    """For each name the names that were given something in which it is mentioned, or under which it was imported."""
    found: dict[str, list[str]] = {}
    for key, node in module.sources:
        for name in set(_mentioned(node)):
            found.setdefault(name, []).append(key.rpartition(".")[2])
    for name, alias in module.renamed:
        found.setdefault(name, []).append(alias)
    return found


def _mentioned(node: Node) -> Iterator[str]:
    for part in islice(walk(node), MAX_PARTS):
        if isinstance(part, cst.Name | cst.Attribute):
            yield last_name(part)
        elif isinstance(part, cst.Lambda):
            yield LAMBDA
