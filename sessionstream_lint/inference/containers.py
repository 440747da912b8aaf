"""Containers: building them, taking them apart, iterating over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

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
    known,
    placed,
    union,
    unsure,
)
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.scopes import Site
from sessionstream_lint.program.surface import ENTERED
from sessionstream_lint.reading import shapes as s

Pair: TypeAlias = tuple[Values, Values]

MAX_ITEMS = 500
MAX_TEXT = 1000
STACKS = (External("contextlib.ExitStack"), External("contextlib.AsyncExitStack"))
WRAPPERS = ("awaitable", "context", "variable")


def display(ev: Ask, shape: s.Items, site: Site) -> Values:
    """Return the value of a tuple, list or set display."""
    items: list[Values] = []
    exact = True
    for node in shape.items[:MAX_ITEMS]:
        inner = s.view(node)
        if isinstance(inner, s.Starred):
            values = ev.evaluate(inner.value, site)
            if len(values) == 1 and isinstance(values[0], Sequence):
                items += values[0].items
            else:
                exact = False
                items.append(elements(ev, values))
        else:
            items.append(placed(ev.evaluate(node, site), node, site))
    if exact:
        return (Sequence(shape.kind, tuple(items)),)
    return (Many(shape.kind, union(*items)),)


def table(ev: Ask, shape: s.Pairs, site: Site) -> Values:
    """Return the value of a dict display."""
    pairs: list[Pair] = []
    for key, value in shape.pairs[:MAX_ITEMS]:
        held = ev.evaluate(value, site)
        if key is not None:
            pairs.append((ev.evaluate(key, site), placed(held, value, site)))
        else:
            pairs += (pair for inner in held if isinstance(inner, Table) for pair in inner.pairs)
    return (Table(overridden(pairs)),)


def overridden(pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Return the pairs of a dict: a key that is certain keeps the last value only."""
    found: dict[object, Pair] = {}
    for number, (key, value) in enumerate(pairs):
        found[key if len(key) == 1 and isinstance(key[0], Literal) else number] = key, value
    return tuple(found.values())


def elements(ev: Ask, values: Values) -> Values:
    """Return what iterating over these may give."""
    return union(*(_elements(ev, value) for value in values))


def _elements(ev: Ask, value: Value) -> Values:
    match value:
        case Sequence(_, items):
            return union(*items)
        case Many(kind, element) if kind not in WRAPPERS:
            return element
        case Table(pairs):
            return union(*(key for key, _ in pairs))
        case Symbol():
            return (value,)
        case Klass(scope) if records.is_enum(ev, scope):
            return records.enum_members(ev, scope)
        case Instance(Klass()):
            known = records.as_tuple(ev, value)
            if known is not None:
                return union(*known.items)
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
        if isinstance(value, Instance) and value.of in STACKS:
            groups.append((value,))
        elif isinstance(value, Instance):
            made = ev.method(value, "__enter__")
            later = ev.method(value, "__aenter__")
            groups += [made, inside(later, "awaitable")]
            if any(classes.inherits(ev, value.of, name) for name in ENTERED):
                groups.append((value,))
    return union(*groups)


def unpack(ev: Ask, values: Values, index: int, *, starred: bool) -> Values:
    """Return item ``index`` of these, or the list of what is left from there."""
    groups: list[Values] = []
    for one in values:
        value = records.as_tuple(ev, one) or one
        if isinstance(value, Sequence) and value.kind != "set":
            if starred:
                groups.append((Sequence("list", value.items[index:]),))
            elif -len(value.items) <= index < len(value.items):
                groups.append(value.items[index])
        elif starred:
            groups.append((Many("list", _elements(ev, value)),))
        else:
            groups.append(_elements(ev, value))
    return union(*groups)


def subscript(ev: Ask, values: Values, shape: s.Subscript, node: s.Node, site: Site) -> Values:
    """Return ``value[index]``; of a class it is an annotation, for whoever reads it as one."""
    index: Values = ()
    if len(shape.index) == 1:
        inner = s.view(shape.index[0])
        if isinstance(inner, s.Slice):
            return tuple(_sliced(ev, value, inner, site) for value in values)
        index = ev.evaluate(shape.index[0], site)
    return union(*(item(ev, value, index, node, site) for value in values))


def _sliced(ev: Ask, value: Value, shape: s.Slice, site: Site) -> Value:
    """Return ``value[lower:upper:step]``, exactly if it can be told."""
    bounds: list[int | None] = []
    for node in (shape.lower, shape.upper, shape.step):
        found = (NONE,) if node is None else ev.evaluate(node, site)
        bound = found[0].value if len(found) == 1 and isinstance(found[0], Literal) else ...
        if isinstance(bound, int | None):
            bounds.append(bound)
    if isinstance(value, Sequence) and len(bounds) == 3 and bounds[2] != 0:
        return Sequence(value.kind, value.items[slice(*bounds)], certain=value.certain)
    return Many("list", _elements(ev, value), is_container(value))


def item(ev: Ask, value: Value, index: Values, node: s.Node, site: Site) -> Values:
    """Return one item; all of them when the index is not known."""
    keys = {key.value for key in index if isinstance(key, Literal) and isinstance(key.value, str | int)}
    match value:
        case Sequence(kind, items) if kind != "set":
            exact = [key for key in keys if isinstance(key, int) and -len(items) <= key < len(items)]
            return union(*(items[key] for key in exact)) if keys else union(*items)
        case Many(kind, element) if kind in ("list", "tuple"):
            return element
        case Table(pairs):
            return union(*(held for key, held in pairs if not keys or _may_equal(key, keys)))
        case Symbol():
            return (value,)
        case Klass(scope) if records.is_enum(ev, scope):
            return union(*(ev.attribute((value,), key) for key in keys if isinstance(key, str)))
        case External() | Klass():
            return (Alternatives(node, site),)
        case Instance(Klass(scope)):
            known = records.as_tuple(ev, value)
            if known is not None:
                return item(ev, known, index, node, site)
            if External("typing.TypedDict") in classes.ancestors(ev, scope):
                return union(*(ev.attribute((value,), key) for key in keys if isinstance(key, str)))
            return ev.method(value, "__getitem__")
        case _:
            return ()


def _may_equal(key: Values, wanted: set[str | int]) -> bool:
    exact = [value.value for value in key if isinstance(value, Literal)]
    return not exact or any(value in wanted for value in exact)


def added(ev: Ask, left: Values, right: Values) -> Values:
    """Return ``left + right`` and ``left | right`` of containers."""
    if len(left) == len(right) == 1 and isinstance(left[0], Table) and isinstance(right[0], Table):
        return (replace(left[0], pairs=overridden((*left[0].pairs, *right[0].pairs))),)
    if any(isinstance(value, Table) for value in left):
        return filled(left, right)
    groups = [elements(ev, left), elements(ev, right)]
    if len(left) == len(right) == 1:
        one, two = left[0], right[0]
        if isinstance(one, Sequence) and isinstance(two, Sequence):
            return (Sequence(one.kind, one.items + two.items, certain=one.certain),)
        if isinstance(one, Literal) and isinstance(two, Literal):
            return _joined(one.value, two.value)
    found = union(*groups)
    return (Many("list", found, any(is_container(value) for value in left)),) if found else ()


def _joined(one: object, two: object) -> Values:
    if isinstance(one, str) and isinstance(two, str) and len(one) + len(two) < MAX_TEXT:
        return (Literal(one + two),)
    return ()


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
    key = ev.evaluate(source.key, site)
    found: Values = (Table(((key, values),)),)
    if any(isinstance(one, Literal) and isinstance(one.value, str) for one in key):
        return found
    # It may just as well be a list: then this is one of its elements, at a place that other keys do not name.
    return (*found, Many("set", values))


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


def filled(held: Values, put: Values) -> Values:
    """Return what a name holds into which something was put: nothing that is known becomes a container by that."""
    if any(is_container(value) for value in held):
        return union(held, put)
    return held if known(held) else union(held, _uncertain(put))


def augmented(held: Values, added: Values) -> Values:
    """Return what a name holds after ``+=`` or ``|=``: what it was, with the items or the text that were added."""
    if len(held) == len(added) == 1 and isinstance(held[0], Sequence) and isinstance(added[0], Sequence):
        return (replace(held[0], items=held[0].items + added[0].items),)
    more = tuple(value for value in added if is_container(value) or not is_certain(value))
    if any(isinstance(value, Literal | Computed) for value in held):
        more = (*more, *(value for value in added if isinstance(value, Literal | Computed)))
    return filled(held, more)


def _uncertain(values: Values) -> Values:
    """Return what is left of values that an unknown object took in: of constants nothing, of containers the rest."""
    return tuple(_loose(value) for value in values if not isinstance(value, Literal | Computed))


def _loose(value: Value) -> Value:
    match value:
        case Sequence(items=items):
            return replace(value, items=tuple(map(_uncertain, items)), certain=False)
        case Many(element=element):
            return replace(value, element=_uncertain(element), certain=False)
        case Table(pairs):
            return replace(value, pairs=tuple((key, _uncertain(held)) for key, held in pairs), certain=False)
        case _:
            return value


def _poured(ev: Ask, values: Values) -> Values:
    """Return what ``update`` or ``extend`` adds: a dict of the same keys, or any of the elements."""
    tables = tuple(value for value in values if isinstance(value, Table))
    held = elements(ev, tuple(value for value in values if value not in tables))
    pairs = [value.items for value in held if isinstance(value, Sequence) and len(value.items) == 2]
    added: list[Values] = [tables]
    if held:
        added.append((Many("list", held),))
    if pairs:
        added.append((Table(tuple((key, value) for key, value in pairs)),))
    return union(*added)


def comprehension(ev: Ask, shape: s.Comprehension, site: Site) -> Values:
    """Return what a comprehension builds; ``site`` is after its last clause."""
    values = ev.evaluate(shape.element, site)
    if shape.kind != "dict" or shape.key is None:
        return (Many(shape.kind, values),)
    return (Table(((ev.evaluate(shape.key, site), values),)),)


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
    if isinstance(value, Table):
        return _method_of_dict(value, name, args)
    if name in METHODS_OF_ELEMENTS:
        return _elements(ev, value)
    if name == "get" and isinstance(value, Many) and value.kind == "variable":
        return union(value.element, *args[:1])
    if name in ("copy", "union", "__iter__"):
        return (value,)
    return ()


def _method_of_dict(value: Table, name: str, args: tuple[Values, ...]) -> Values:
    pairs = value.pairs
    if name == "items":
        return (Many("set", tuple(Sequence("tuple", pair) for pair in pairs), value.certain),)
    if name in ("keys", "values"):
        return (Sequence("list", tuple(pair[name == "values"] for pair in pairs), certain=value.certain),)
    if name in ("get", "pop", "setdefault", "__getitem__"):
        keys = {k.value for k in (args[0] if args else ()) if isinstance(k, Literal) and isinstance(k.value, str | int)}
        found = union(*(held for key, held in pairs if not keys or _may_equal(key, keys)))
        replaced = [key[0] for key, _ in pairs if len(key) == 1 and key[0] in args[0]] if args else []
        default = tuple(one for one in (args[1] if len(args) > 1 else ()) if one not in replaced)
        return union(found, unsure(default))
    return (value,) if name == "copy" else ()
