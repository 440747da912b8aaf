"""Classes: what they inherit from, and what decorates them."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import External, Instance, Klass, Value, bare
from sessionstream_lint.program.scopes import Scope
from sessionstream_lint.reading.syntax import called

MAX_ANCESTORS = 30
# Classes of which other classes that matter are subclasses.
LESS = (
    (MESSAGE := External("google.protobuf.message.Message")),
    Instance(MESSAGE),
    Instance(External("builtins.object")),
    Instance(External("builtins.type")),
    External("abc.ABC"),
    External("typing.Protocol"),
)


def ancestors(ev: Ask, scope: Scope) -> list[Klass | External]:
    """Return the class and what it inherits from, nearest first."""
    found: list[Klass | External] = []
    todo: list[Klass | External] = [Klass(scope)]
    while todo and len(found) < MAX_ANCESTORS:
        current = todo.pop(0)
        if current in found:
            continue
        found.append(current)
        if isinstance(current, Klass):
            todo = [*bases(ev, current.scope), *todo]
    return found


def bases(ev: Ask, scope: Scope) -> list[Klass | External]:
    """Return what the bases of a class statement may be."""
    found: list[Klass | External] = []
    site = scope.signature
    if site is None or not isinstance(scope.node, cst.ClassDef):
        return found
    for base in scope.node.bases:
        if not base.star:
            values = ev.evaluate(base.value, replace(site, guards=()))
            found += [value for value in values if isinstance(value, Klass | External)]
    return found


def says_less(ev: Ask, value: Value) -> bool:
    """Say whether an annotation says less of an object than what is given for it: a protocol, a base class."""
    if bare(value) in LESS:
        return True
    of = value.of if isinstance(value, Instance) else value
    return isinstance(of, Klass) and any(one in LESS for one in ancestors(ev, of.scope))


def inherits(ev: Ask, of: External | Klass, name: str) -> bool:
    """Say whether a class is, or descends from, the external class of that name."""
    if isinstance(of, External):
        return of.name == name
    return External(name) in ancestors(ev, of.scope)


def decorators(ev: Ask, scope: Scope) -> frozenset[str]:
    """Return the last names of the decorators of a function or class."""
    found: set[str] = set()
    for one in scope.decorated:
        values = ev.evaluate(called(one.func), one.site)
        found |= {value.name.rpartition(".")[2] for value in values if isinstance(value, External)}
    return frozenset(found)
