"""Classes: what they inherit from, and what decorates them."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import (
    External,
    Instance,
    Klass,
    Many,
    Sequence,
    Table,
    Value,
    Values,
    bare,
    known,
)
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
    match value:
        case Klass(scope) | Instance(Klass(scope)):
            return any(one in LESS for one in ancestors(ev, scope))
        case Many(_, element):
            return nothing_more(ev, element)
        case Sequence(_, items):
            return any(nothing_more(ev, item) for item in items)
        case Table(pairs):
            return any(nothing_more(ev, held) for _, held in pairs)
        case _:
            return bare(value) in LESS


def nothing_more(ev: Ask, values: Values) -> bool:
    """Say whether an annotation leaves it to the value what there is, at least in a part of it."""
    return not known(values) or any(says_less(ev, value) for value in values)


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
