"""Containers: building them, taking them apart, iterating over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

import libcst as cst

from sessionstream_lint.inference import classes, records
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.surface import ENTERED
from sessionstream_lint.reading.syntax import Comprehension, index, items

Pair: TypeAlias = tuple[v.Values, v.Values]

MAX_ITEMS = 500
STACKS = (v.External("contextlib.ExitStack"), v.External("contextlib.AsyncExitStack"))
WRAPPERS = ("awaitable", "context", "variable")

# Building ----------------------------------------------------------------------------------------------------


def display(ev: Ask, node: cst.Tuple | cst.List | cst.Set, site: sc.Site) -> v.Values:
    """Return the value of a tuple, list or set display."""
    kind = "tuple" if isinstance(node, cst.Tuple) else "list" if isinstance(node, cst.List) else "set"
    found: list[v.Values] = []
    exact = True
    for item in items(node)[:MAX_ITEMS]:
        if not isinstance(item, cst.StarredElement):
            found.append(v.placed(ev.evaluate(item, site), item, site))
            continue
        values = ev.evaluate(item.value, site)
        if len(values) == 1 and isinstance(values[0], v.Sequence):
            found += values[0].items
        else:
            exact = False
            found.append(elements(ev, values))
    return (v.Sequence(kind, tuple(found)) if exact else v.Many(kind, v.union(*found)),)


def table(ev: Ask, node: cst.Dict, site: sc.Site) -> v.Values:
    """Return the value of a dict display."""
    pairs: list[Pair] = []
    for one in node.elements[:MAX_ITEMS]:
        held = ev.evaluate(one.value, site)
        if isinstance(one, cst.DictElement):
            pairs.append((ev.evaluate(one.key, site), v.placed(held, one.value, site)))
        else:
            pairs += (pair for inner in held if isinstance(inner, v.Table) for pair in inner.pairs)
    return (v.Table(overridden(pairs)),)


def overridden(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return the pairs of a dict: a key that is certain keeps the last value only."""
    found: dict[object, Pair] = {}
    for number, (key, value) in enumerate(pairs):
        found[key if len(key) == 1 and isinstance(key[0], v.Literal) else number] = key, value
    return tuple(found.values())


def comprehension(ev: Ask, node: Comprehension, site: sc.Site) -> v.Values:
    """Return what a comprehension builds; ``site`` is after its last clause."""
    if isinstance(node, cst.DictComp):
        return (v.Table(((ev.evaluate(node.key, site), ev.evaluate(node.value, site)),)),)
    kind = "list" if isinstance(node, cst.ListComp) else "set" if isinstance(node, cst.SetComp) else "iterator"
    return (v.Many(kind, ev.evaluate(node.elt, site)),)


def added(ev: Ask, left: v.Values, right: v.Values) -> v.Values:
    """Return ``left + right`` and ``left | right`` of containers."""
    match left, right:
        case (v.Table(pairs),), (v.Table(more),):
            return (v.Table(overridden((*pairs, *more))),)
        case (v.Sequence() as first,), (v.Sequence() as second,):
            return (replace(first, items=first.items + second.items),)
        case _ if any(isinstance(value, v.Table) for value in left):
            return filled(left, (right,))
        case _:
            found = v.union(elements(ev, left), elements(ev, right))
            kind = "list" if any(map(is_container, left)) else "unknown"
            return (v.Many(kind, found),) if found else ()


# Putting into them -------------------------------------------------------------------------------------------


def stored(ev: Ask, source: sc.Stored, site: sc.Site) -> v.Values:
    """Return a container into which something was put."""
    values = ev.source(source.value, site)
    if isinstance(source.value, sc.Assigned):
        values = v.placed(values, source.value.value, site)
    if source.whole:
        return values
    if not values:
        return ()
    if source.key is None:
        return (v.Many("list", values),)
    key = (v.Literal(source.key),) if isinstance(source.key, str) else ev.evaluate(source.key, site)
    return (v.Table(((key, values),)),)


def filled(held: v.Values, put: Iterable[v.Values]) -> v.Values:
    """Return what a name holds into which something was put: what is no container takes nothing in."""
    return v.union(held, *put) if any(map(is_container, held)) else held


def is_container(value: v.Value) -> bool:
    """Say whether a value is known to be a list, a dict or the like."""
    is_wrapper = isinstance(value, v.Many) and value.kind in (*WRAPPERS, "iterator")
    return isinstance(value, v.Sequence | v.Many | v.Table) and not is_wrapper


# Taking them apart -------------------------------------------------------------------------------------------


def elements(ev: Ask, values: v.Values) -> v.Values:
    """Return what iterating over these may give."""
    return v.union(*(_elements(ev, value) for value in values))


def _elements(ev: Ask, value: v.Value) -> v.Values:
    match records.as_tuple(ev, value) or value:
        case v.Sequence(_, held):
            return v.union(*held)
        case v.Many(kind, element) if kind not in WRAPPERS:
            return element
        case v.Table(pairs):
            return v.union(*(key for key, _ in pairs))
        case v.Symbol():
            return (value,)
        case v.Klass(scope) if records.is_enum(ev, scope):
            return records.enum_members(ev, scope)
        case v.Instance(v.Klass()):
            made = _called(ev, value, "__iter__")
            return v.union(*(_elements(ev, inner) for inner in made if not isinstance(inner, v.Instance)))
        case _:
            return ()


def _called(ev: Ask, value: v.Value, method: str) -> v.Values:
    """Return what a method gives that is called without arguments."""
    return ev.call(ev.attribute((value,), method), (), ev.module.scope.end())


def inside(values: v.Values, kind: str) -> v.Values:
    """Return what awaitables, or context managers, hold."""
    return v.union(*(value.element for value in values if isinstance(value, v.Many) and value.kind == kind))


def entered(ev: Ask, values: v.Values) -> v.Values:
    """Return what ``with`` binds for these context managers."""
    groups = [inside(values, "context")]
    for value in values:
        if isinstance(value, v.Instance):
            groups += [_called(ev, value, "__enter__"), inside(_called(ev, value, "__aenter__"), "awaitable")]
            if value.of in STACKS or any(classes.inherits(ev, value.of, name) for name in ENTERED):
                groups.append((value,))
    return v.union(*groups)


def unpack(ev: Ask, values: v.Values, position: int, *, starred: bool) -> v.Values:
    """Return the item of these at a position, or the list of what is left from there."""
    groups: list[v.Values] = []
    for one in values:
        value = records.as_tuple(ev, one) or one
        if isinstance(value, v.Sequence) and value.kind != "set":
            if starred:
                groups.append((v.Sequence("list", value.items[position:]),))
            else:
                groups += [value.items[position]] if -len(value.items) <= position < len(value.items) else []
        else:
            held = _elements(ev, value)
            groups.append((v.Many("list", held),) if starred else held)
    return v.union(*groups)


def subscript(ev: Ask, node: cst.Subscript, site: sc.Site) -> v.Values:
    """Return ``value[index]``; of a class it is an annotation, for whoever reads it as one."""
    values, places = ev.evaluate(node.value, site), index(node)
    if len(places) == 1 and isinstance(places[0], cst.Slice):
        return tuple(v.Many("list", _elements(ev, value)) for value in values if is_container(value))
    wanted = ev.evaluate(places[0], site) if len(places) == 1 else ()
    return v.union(*(_item(ev, value, wanted, node, site) for value in values))


def _item(ev: Ask, value: v.Value, wanted: v.Values, node: cst.Subscript, site: sc.Site) -> v.Values:
    """Return one item; all of them when the index is not known."""
    keys = _keys(wanted)
    match records.as_tuple(ev, value) or value:
        case v.Sequence(kind, held) if kind != "set":
            exact = [key for key in keys if isinstance(key, int) and -len(held) <= key < len(held)]
            return v.union(*(held[key] for key in exact)) if keys else v.union(*held)
        case v.Many(kind, element) if kind not in WRAPPERS:
            return element
        case v.Table(pairs):
            return _under(pairs, keys)
        case v.Symbol():
            return (value,)
        case v.Klass():
            return (value,)
        case v.External():
            return (v.Alternatives(node, site),)
        case _:
            return ()


def _keys(values: v.Values) -> set[str | int]:
    return {value.value for value in values if isinstance(value, v.Literal) and isinstance(value.value, str | int)}


def _under(pairs: tuple[Pair, ...], keys: set[str | int]) -> v.Values:
    """Return what a dict may have under one of some keys; under any when none is known."""
    groups = []
    for key, held in pairs:
        exact = [value.value for value in key if isinstance(value, v.Literal)]
        if not keys or not exact or any(value in keys for value in exact):
            groups.append(held)
    return v.union(*groups)


# Their methods -----------------------------------------------------------------------------------------------

METHODS_OF_ELEMENTS = {"pop", "popleft", "__getitem__", "__next__"}


def method(ev: Ask, value: v.Value, name: str, args: tuple[v.Values, ...]) -> v.Values:
    """Return what a method of a container gives."""
    if name in ("copy", "union", "__iter__"):
        return (value,)
    if isinstance(value, v.Table):
        return _method_of_dict(value, name, args)
    if isinstance(value, v.Many) and value.kind == "variable" and name == "get":
        return value.element
    return _elements(ev, value) if name in METHODS_OF_ELEMENTS else ()


def _method_of_dict(value: v.Table, name: str, args: tuple[v.Values, ...]) -> v.Values:
    pairs = value.pairs
    if name == "items":
        return (v.Many("set", tuple(v.Sequence("tuple", pair) for pair in pairs)),)
    if name in ("keys", "values"):
        column = tuple(pair[name == "values"] for pair in pairs)
        counted = all(len(key) == 1 and isinstance(key[0], v.Literal) for key, _ in pairs)
        return (v.Sequence("list", column) if counted else v.Many("list", v.union(*column)),)
    if name in ("get", "pop", "setdefault", "__getitem__"):
        wanted, default = (*args, (), ())[:2]
        found = _under(pairs, _keys(wanted))
        keys = [key[0] for key, _ in pairs if len(key) == 1]
        if len(wanted) == 1 and wanted[0] in keys:  # it is certainly there
            return found
        return v.union(found, v.unsure(tuple(one for one in default if v.bare(one) not in keys)))
    return ()
