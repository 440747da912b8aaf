"""Containers: building them, taking them apart, iterating over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

import libcst as cst

from sessionstream_lint.inference import classes, records
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import (
    NONE,
    Alternatives,
    Computed,
    External,
    Instance,
    Klass,
    Literal,
    Many,
    Sequence,
    Symbol,
    Table,
    Value,
    Values,
    bare,
    known,
    placed,
    union,
    unsure,
)
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.scopes import Site
from sessionstream_lint.program.surface import ENTERED
from sessionstream_lint.reading.syntax import Comprehension, index, items

Pair: TypeAlias = tuple[Values, Values]

MAX_ITEMS = 500
MAX_TEXT = 1000
STACKS = (External("contextlib.ExitStack"), External("contextlib.AsyncExitStack"))
WRAPPERS = ("awaitable", "context", "variable")

# Building ----------------------------------------------------------------------------------------------------


def display(ev: Ask, node: cst.Tuple | cst.List | cst.Set, site: Site) -> Values:
    """Return the value of a tuple, list or set display."""
    kind = "tuple" if isinstance(node, cst.Tuple) else "list" if isinstance(node, cst.List) else "set"
    found: list[Values] = []
    exact = True
    for item in items(node)[:MAX_ITEMS]:
        if not isinstance(item, cst.StarredElement):
            found.append(placed(ev.evaluate(item, site), item, site))
            continue
        values = ev.evaluate(item.value, site)
        if len(values) == 1 and isinstance(values[0], Sequence):
            found += values[0].items
        else:
            exact = False
            found.append(elements(ev, values))
    return (Sequence(kind, tuple(found)) if exact else Many(kind, union(*found)),)


def table(ev: Ask, node: cst.Dict, site: Site) -> Values:
    """Return the value of a dict display."""
    pairs: list[Pair] = []
    for one in node.elements[:MAX_ITEMS]:
        held = ev.evaluate(one.value, site)
        if isinstance(one, cst.DictElement):
            pairs.append((ev.evaluate(one.key, site), placed(held, one.value, site)))
        else:
            pairs += (pair for inner in held if isinstance(inner, Table) for pair in inner.pairs)
    return (Table(overridden(pairs)),)


def overridden(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return the pairs of a dict: a key that is certain keeps the last value only."""
    found: dict[object, Pair] = {}
    for number, (key, value) in enumerate(pairs):
        found[key if len(key) == 1 and isinstance(key[0], Literal) else number] = key, value
    return tuple(found.values())


def comprehension(ev: Ask, node: Comprehension, site: Site) -> Values:
    """Return what a comprehension builds; ``site`` is after its last clause."""
    if isinstance(node, cst.DictComp):
        return (Table(((ev.evaluate(node.key, site), ev.evaluate(node.value, site)),)),)
    kind = "list" if isinstance(node, cst.ListComp) else "set" if isinstance(node, cst.SetComp) else "iterator"
    return (Many(kind, ev.evaluate(node.elt, site)),)


def added(ev: Ask, left: Values, right: Values) -> Values:
    """Return ``left + right`` and ``left | right`` of containers."""
    match left, right:
        case (Table(pairs, certain),), (Table(more),):
            return (Table(overridden((*pairs, *more)), certain),)
        case (Sequence() as first,), (Sequence() as second,):
            return (replace(first, items=first.items + second.items),)
        case (Literal(str() as one),), (Literal(str() as two),):
            return (Literal(one + two),) if len(one) + len(two) < MAX_TEXT else ()
        case _ if any(isinstance(value, Table) for value in left):
            return filled(left, right)
        case _:
            found = union(elements(ev, left), elements(ev, right))
            return (Many("list", found, any(map(is_container, left))),) if found else ()


# Putting into them -------------------------------------------------------------------------------------------


def stored(ev: Ask, source: sc.Stored, site: Site) -> Values:
    """Return a container into which something was put."""
    values = ev.source(source.value, site)
    if isinstance(source.value, sc.Assigned):
        values = placed(values, source.value.value, site)
    if source.whole:
        return _poured(ev, values)
    if not values:
        return ()
    if source.key is None:
        return (Many("list", values),)
    key = (Literal(source.key),) if isinstance(source.key, str) else ev.evaluate(source.key, site)
    found: Values = (Table(((key, values),)),)
    if any(isinstance(one, Literal) and isinstance(one.value, str) for one in key):
        return found
    # It may just as well be a list: then this is one of its elements, at a place that other keys do not name.
    return (*found, Many("set", values))


def _poured(ev: Ask, values: Values) -> Values:
    """Return what ``update`` or ``extend`` adds: a dict of the same keys, or any of the elements."""
    tables = tuple(value for value in values if isinstance(value, Table))
    held = elements(ev, tuple(value for value in values if value not in tables))
    pairs = tuple(value.items for value in held if isinstance(value, Sequence) and len(value.items) == 2)
    return union(tables, (Many("list", held),) if held else (), (Table(pairs),) if pairs else ())


def augmented(held: Values, added: Values) -> Values:
    """Return what a name holds after ``+=`` or ``|=``: what it was, with the items or the text that were added."""
    if len(held) == len(added) == 1 and isinstance(held[0], Sequence) and isinstance(added[0], Sequence):
        return (replace(held[0], items=held[0].items + added[0].items),)
    more = tuple(value for value in added if is_container(value) or not is_certain(value))
    if any(isinstance(value, Literal | Computed) for value in held):
        more = (*more, *(value for value in added if isinstance(value, Literal | Computed)))
    return filled(held, more)


def filled(held: Values, put: Values) -> Values:
    """Return what a name holds into which something was put: nothing that is known becomes a container by that."""
    if any(map(is_container, held)):
        return union(held, put)
    return held if known(held) else union(held, _uncertain(put))


def _uncertain(values: Values) -> Values:
    """Return what is left of values that an unknown object took in: of constants nothing, of containers the rest."""
    return tuple(_loose(value) for value in values if not isinstance(value, Literal | Computed))


def _loose(value: Value) -> Value:
    match value:
        case Sequence(items=held):
            return replace(value, items=tuple(map(_uncertain, held)), certain=False)
        case Many(element=held):
            return replace(value, element=_uncertain(held), certain=False)
        case Table(pairs):
            return replace(value, pairs=tuple((key, _uncertain(held)) for key, held in pairs), certain=False)
        case _:
            return value


def is_certain(value: Value) -> bool:
    """Say whether a value is more than what was put into something unknown."""
    return not isinstance(value, Sequence | Many | Table) or value.certain


def is_container(value: Value) -> bool:
    """Say whether a value is known to be a list, a dict or the like."""
    if isinstance(value, Many) and value.kind in (*WRAPPERS, "iterator"):
        return False
    return isinstance(value, Sequence | Many | Table) and value.certain


def is_empty(value: Value) -> bool:
    """Say whether a container holds nothing, as far as can be told from how it was made."""
    match value:
        case Sequence(items=held) | Table(pairs=held) | Many(element=held):
            return not held
        case _:
            return False


# Taking them apart -------------------------------------------------------------------------------------------


def elements(ev: Ask, values: Values) -> Values:
    """Return what iterating over these may give."""
    return union(*(_elements(ev, value) for value in values))


def _elements(ev: Ask, value: Value) -> Values:
    match records.as_tuple(ev, value) or value:
        case Sequence(_, held):
            return union(*held)
        case Many(kind, element) if kind not in WRAPPERS:
            return element
        case Table(pairs):
            return union(*(key for key, _ in pairs))
        case Symbol():
            return (value,)
        case Klass(scope) if records.is_enum(ev, scope):
            return records.enum_members(ev, scope)
        case Instance(Klass()):
            made = ev.method(value, "__iter__") or ev.method(value, "__aiter__")
            return union(*(_elements(ev, inner) for inner in made if not isinstance(inner, Instance)))
        case _:
            return ()


def inside(values: Values, kind: str) -> Values:
    """Return what awaitables, or context managers, hold."""
    return union(*(value.element for value in values if isinstance(value, Many) and value.kind == kind))


def entered(ev: Ask, values: Values) -> Values:
    """Return what ``with`` binds for these context managers."""
    groups = [inside(values, "context")]
    for value in values:
        if isinstance(value, Instance):
            groups += [ev.method(value, "__enter__"), inside(ev.method(value, "__aenter__"), "awaitable")]
            if value.of in STACKS or any(classes.inherits(ev, value.of, name) for name in ENTERED):
                groups.append((value,))
    return union(*groups)


def unpack(ev: Ask, values: Values, position: int, *, starred: bool) -> Values:
    """Return the item of these at a position, or the list of what is left from there."""
    groups: list[Values] = []
    for one in values:
        value = records.as_tuple(ev, one) or one
        if isinstance(value, Sequence) and value.kind != "set":
            if starred:
                groups.append((Sequence("list", value.items[position:]),))
            else:
                groups += [value.items[position]] if -len(value.items) <= position < len(value.items) else []
        else:
            held = _elements(ev, value)
            groups.append((Many("list", held),) if starred else held)
    return union(*groups)


def subscript(ev: Ask, node: cst.Subscript, site: Site) -> Values:
    """Return ``value[index]``; of a class it is an annotation, for whoever reads it as one."""
    values, places = ev.evaluate(node.value, site), index(node)
    if len(places) == 1 and isinstance(places[0], cst.Slice):
        return tuple(_sliced(ev, value, places[0], site) for value in values)
    wanted = ev.evaluate(places[0], site) if len(places) == 1 else ()
    return union(*(_item(ev, value, wanted, node, site) for value in values))


def _sliced(ev: Ask, value: Value, node: cst.Slice, site: Site) -> Value:
    """Return ``value[lower:upper:step]``, exactly if it can be told."""
    bounds: list[int | None] = []
    for part in (node.lower, node.upper, node.step):
        match (NONE,) if part is None else ev.evaluate(part, site):
            case (Literal(int() | None as bound),):
                bounds.append(bound)
            case _:
                pass
    if isinstance(value, Sequence) and len(bounds) == 3 and bounds[2] != 0:
        return Sequence(value.kind, value.items[slice(*bounds)], certain=value.certain)
    return Many("list", _elements(ev, value), is_container(value))


def _item(ev: Ask, value: Value, wanted: Values, node: cst.Subscript, site: Site) -> Values:
    """Return one item; all of them when the index is not known."""
    keys = _keys(wanted)
    match records.as_tuple(ev, value) or value:
        case Sequence(kind, held) if kind != "set":
            exact = [key for key in keys if isinstance(key, int) and -len(held) <= key < len(held)]
            return union(*(held[key] for key in exact)) if keys else union(*held)
        case Many(kind, element) if kind in ("list", "tuple"):
            return element
        case Table(pairs):
            return _under(pairs, keys)
        case Symbol():
            return (value,)
        case Klass(scope) if records.is_enum(ev, scope):
            return union(*(ev.attribute((value,), key) for key in keys if isinstance(key, str)))
        case External() | Klass():
            return (Alternatives(node, site),)
        case Instance(Klass(scope)):
            if External("typing.TypedDict") in classes.ancestors(ev, scope):
                return union(*(ev.attribute((value,), key) for key in keys if isinstance(key, str)))
            return ev.method(value, "__getitem__")
        case _:
            return ()


def _keys(values: Values) -> set[str | int]:
    return {value.value for value in values if isinstance(value, Literal) and isinstance(value.value, str | int)}


def _under(pairs: tuple[Pair, ...], keys: set[str | int]) -> Values:
    """Return what a dict may have under one of some keys; under any when none is known."""
    groups = []
    for key, held in pairs:
        exact = [value.value for value in key if isinstance(value, Literal)]
        if not keys or not exact or any(value in keys for value in exact):
            groups.append(held)
    return union(*groups)


# Their methods -----------------------------------------------------------------------------------------------

METHODS_OF_STRINGS = {
    "capitalize", "casefold", "center", "expandtabs", "format", "format_map", "join", "ljust", "lower", "lstrip",
    "removeprefix", "removesuffix", "replace", "rjust", "rstrip", "strip", "swapcase", "title", "translate", "upper",
    "zfill",
}  # fmt: skip
METHODS_OF_ELEMENTS = {"pop", "popleft", "__getitem__", "__next__"}


def method(ev: Ask, value: Value, name: str, args: tuple[Values, ...]) -> Values:
    """Return what a method of a container or string gives."""
    if isinstance(value, Computed | Literal):
        return (Computed("a call"),) if name in METHODS_OF_STRINGS else ()
    if name in ("copy", "union", "__iter__"):
        return (value,)
    if isinstance(value, Table):
        return _method_of_dict(value, name, args)
    if isinstance(value, Many) and value.kind == "variable" and name == "get":
        return value.element
    return _elements(ev, value) if name in METHODS_OF_ELEMENTS else ()


def _method_of_dict(value: Table, name: str, args: tuple[Values, ...]) -> Values:
    pairs = value.pairs
    if name == "items":
        return (Many("set", tuple(Sequence("tuple", pair) for pair in pairs), value.certain),)
    if name in ("keys", "values"):
        return (Sequence("list", tuple(pair[name == "values"] for pair in pairs), certain=value.certain),)
    if name in ("get", "pop", "setdefault", "__getitem__"):
        wanted, default = (*args, (), ())[:2]
        keys = [key[0] for key, _ in pairs if len(key) == 1]
        return union(_under(pairs, _keys(wanted)), unsure(tuple(one for one in default if bare(one) not in keys)))
    return ()
