"""The rows of a table that a loop goes over, as they are written: what each of them is, and where it stands.

A table is a display, or what a few functions make of one: ``sorted(TABLE)``, ``zip(NAMES, TYPES)``, ``TABLE.items()``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sessionstream_lint.inference import records
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.frames import argument_for, frame_of, parameters
from sessionstream_lint.inference.values import External, File, Instance, Klass, Sequence, Value, Values
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import reaching
from sessionstream_lint.program.names import absolute
from sessionstream_lint.program.scopes import Binding, Module, Scope, Site
from sessionstream_lint.reading import shapes as s

MAX_STEPS = 12
MAX_ROWS = 200
# Functions that give the rows of their first argument, whatever else they do.
SAME = {
    "builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset", "builtins.sorted", "builtins.reversed",
    "builtins.iter", "builtins.dict", "collections.OrderedDict", "types.MappingProxyType", "collections.deque",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """What a loop gets in one turn, and the expressions in which that is written; ``where`` is the site of them."""

    value: Value
    nodes: tuple[s.Node, ...]
    where: Site

    @property
    def module(self) -> Module:
        """The file in which the row is written."""
        return self.where.block.scope.module


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop that binds what an expression is a part of: source and body, and the site of what it goes over."""

    source: sc.Element
    block: sc.Block
    where: Site


def loop(ev: Ask, node: s.Node, site: Site) -> Loop | None:
    """Return the loop out of which an expression comes: its variable, a part of that, or what was assigned from it."""
    for _ in range(MAX_STEPS):
        shape = s.view(node)
        while isinstance(shape, s.Attribute | s.Subscript):
            node = shape.value
            shape = s.view(node)
        binding = _only(shape.id, site) if isinstance(shape, s.Name) else None
        if binding is None:
            return None
        source = binding.source
        while isinstance(source, sc.Unpacked):
            source = source.source
        where = binding.site.seen_from(site)
        if isinstance(source, sc.Element):
            return Loop(source, binding.site.block, where)
        if not isinstance(source, sc.Assigned):
            return None
        node, site = source.value, where
    return None


def _only(key: str, site: Site) -> Binding | None:
    found = {one.binding for one in reaching(key, site)}
    return found.pop() if len(found) == 1 else None


def rows(ev: Ask, node: s.Node, site: Site, steps: int = MAX_STEPS) -> list[Row]:
    """Return the rows that iterating over an expression gives, as far as they are written out; of others none."""
    if not steps:
        return []
    shape = s.view(node)
    match shape:
        case s.Items(_, items):
            return [Row(value, (item,), site) for item in items[:MAX_ROWS] for value in ev.evaluate(item, site)[:1]]
        case s.Pairs():
            return []  # iterating over a dict gives its keys
        case s.Subscript(value, (index,)) if isinstance(s.view(index), s.Slice):
            return rows(ev, value, site, steps - 1)
        case s.Binary("+", left, right):
            return rows(ev, left, site, steps - 1) + rows(ev, right, site, steps - 1)
        case s.Walrus(_, value):
            return rows(ev, value, site, steps - 1)
        case s.Call():
            return _called(ev, shape, site, steps)
        case s.Name() | s.Attribute():
            found = _written(ev, node, site)
            if isinstance(found, Scope):
                return _members(ev, found)
            return [] if found is None else rows(ev, *found, steps - 1)
        case _:
            return []


def _called(ev: Ask, shape: s.Call, site: Site, steps: int) -> list[Row]:
    func = s.view(shape.func)
    if isinstance(func, s.Attribute) and not shape.args and func.attr in ("items", "values"):
        pairs = _pairs(ev, func.value, site, steps - 1)
        return [_paired(ev, key, value, where, func.attr) for key, value, where in pairs]
    names = {one.name for one in ev.evaluate(shape.func, site) if isinstance(one, External)}
    arguments = [argument.value for argument in shape.args if not argument.star and argument.keyword is None]
    if not arguments:
        return []
    if names & SAME:
        return rows(ev, arguments[0], site, steps - 1)
    if "itertools.chain" in names:
        return [row for one in arguments for row in rows(ev, one, site, steps - 1)]
    if "builtins.enumerate" in names:
        inner = rows(ev, arguments[0], site, steps - 1)
        return [Row(Sequence("tuple", ((), (row.value,))), row.nodes, row.where) for row in inner]
    if "builtins.zip" in names:
        return _zipped([rows(ev, one, site, steps - 1) for one in arguments])
    return []


def _zipped(columns: list[list[Row]]) -> list[Row]:
    found = []
    for parts in zip(*columns, strict=False):
        if len({part.module for part in parts}) == 1:
            value = Sequence("tuple", tuple((part.value,) for part in parts))
            found.append(Row(value, tuple(node for part in parts for node in part.nodes), parts[-1].where))
    return found


def _paired(ev: Ask, key: s.Node, value: s.Node, where: Site, attr: str) -> Row:
    held = ev.evaluate(value, where)
    row = Sequence("tuple", (ev.evaluate(key, where), held))
    return Row(held[0] if attr == "values" and held else row, (value,), where)


def _pairs(ev: Ask, node: s.Node, site: Site, steps: int) -> list[tuple[s.Node, s.Node, Site]]:
    """Return the keys and values of a dict that is written out."""
    if not steps:
        return []
    shape = s.view(node)
    match shape:
        case s.Pairs(pairs):
            return [(key, value, site) for key, value in pairs[:MAX_ROWS] if key is not None]
        case s.Items(_, items):
            parts = [s.view(item) for item in items[:MAX_ROWS]]
            return [(*one.items, site) for one in parts if isinstance(one, s.Items) and len(one.items) == 2]
        case s.Call(func, args):
            names = {one.name for one in ev.evaluate(func, site) if isinstance(one, External)}
            if not names & SAME:
                return []
            named = [(s.Constant(one.keyword), one.value, site) for one in args if one.keyword is not None]
            plain = [one.value for one in args[:1] if one.keyword is None and not one.star]
            return [*(pair for one in plain for pair in _pairs(ev, one, site, steps - 1)), *named]
        case s.Name() | s.Attribute():
            found = _written(ev, node, site)
            return _pairs(ev, *found, steps - 1) if isinstance(found, tuple) else []
        case _:
            return []


def _written(ev: Ask, node: s.Node, site: Site) -> tuple[s.Node, Site] | Scope | None:
    """Return the expression that a name stands for, and its site; an enumeration is its class."""
    key = s.dotted(node)
    if key is None:
        return None
    binding = _only(key, site)
    if binding is None:
        base, _, attr = key.rpartition(".")
        owners = {_owner(value) for value in (ev.lookup(base, site) if base else ())}
        owner = owners.pop() if len(owners) == 1 else None
        if owner is None:
            return None
        bound = [*owner.bindings.get(attr, ()), *owner.attributes.get(attr, ())]
        return _of(ev, bound[0], bound[0].site) if len(bound) == 1 else None
    return _of(ev, binding, binding.site.seen_from(site))


def _owner(value: Value) -> Scope | None:
    match value:
        case File(module):
            return module.scope
        case Klass(scope) | Instance(Klass(scope)):
            return scope
        case _:
            return None


def _of(ev: Ask, binding: Binding, site: Site) -> tuple[s.Node, Site] | Scope | None:
    match binding.source:
        case sc.Assigned(value) | sc.Declared(_, value) if value is not None:
            return value, site
        case sc.Defined(scope):
            return scope if scope.kind == "class" and records.is_enum(ev, scope) else None
        case sc.Imported(module, level, str() as name):
            home = ev.project.load(absolute(module, level, site.block.scope.module.package))
            found = None if home is None else home.scope.bindings.get(name)
            return _of(ev, found[0], found[0].site) if found and len(found) == 1 else None
        case sc.Passed(scope, param):
            frame = frame_of(site, scope)
            bound = frame is not None and frame.receiver is not None
            given = None if frame is None else argument_for(parameters(scope, bound=bound), frame.given, param.name)
            return None if given is None or given.held is not None else (given.argument.value, given.site)
        case _:
            return None


def _members(ev: Ask, scope: Scope) -> list[Row]:
    found = []
    for value in records.enum_members(ev, scope):
        if isinstance(value, Instance) and value.made:
            given = value.made[-1]
            found.append(Row(value, (given.argument.value,), given.site))
    return found


def place(ev: Ask, row: Row, wanted: Values) -> s.Node | None:
    """Return the expression in a row that is one of the values wanted, also for who does not know the calls around."""
    with ev.within_file():
        for node in (node for part in row.nodes for node in _parts(part)):
            if any(value in wanted for value in ev.evaluate(node, replace(row.where, frame=None))):
                return node
    return None


def _parts(node: s.Node) -> Iterator[s.Node]:
    shape = s.view(node)
    if isinstance(shape, s.Items | s.Pairs):
        for part in shape.parts():
            yield from _parts(part)
    elif isinstance(shape, s.Call):
        yield node  # ``Struct()`` is the payload itself, and no row that holds one
        for argument in shape.args:
            yield from _parts(argument.value)
    else:
        yield node
