"""Tests that a value has passed: ``isinstance``, ``is``, ``==``, ``match`` and their negations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream_lint import containers, hints, members
from sessionstream_lint import syntax as s
from sessionstream_lint.flow import Guards
from sessionstream_lint.scopes import Guard, Key, Removal, Site
from sessionstream_lint.values import (
    NONE,
    Computed,
    External,
    Instance,
    Klass,
    Literal,
    Many,
    Mapping,
    Sequence,
    Symbol,
    Table,
    Value,
    Values,
    union,
)

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

MAX_NESTING = 10


def apply(ev: Evaluator, values: Values, key: Key, guards: Guards, site: Site) -> Values:
    """Return what is left of the values after the tests and removals."""
    for guard in reversed(guards):
        if isinstance(guard, Removal):
            values = containers.removed(ev, values, guard, site)
        elif guard.pattern is not None:
            values = _matched(ev, values, key, guard)
        else:
            values = _tested(ev, values, key, guard.test, guard.positive, guard.site, 0)
    return values


def _matched(ev: Evaluator, values: Values, key: Key, guard: Guard) -> Values:
    pattern = guard.pattern
    if pattern is None or s.dotted(guard.test) != key:
        return values
    if pattern.constants:
        wanted = [ev.evaluate(node, guard.site) for node in pattern.constants]
        return _equal(values, union(*wanted), guard.positive) if all(wanted) else values
    if not pattern.classes:
        return () if pattern.exact and not guard.positive else values
    groups = [hints.from_classes(ev, ev.evaluate(node, guard.site)) for node in pattern.classes]
    return _instance_of(ev, values, union(*groups), guard.positive)


def _tested(ev: Evaluator, values: Values, key: Key, test: s.Node, positive: bool, site: Site, depth: int) -> Values:
    shape = s.view(test)
    if depth > MAX_NESTING:
        return values
    match shape:
        case s.Not(operand):
            return _tested(ev, values, key, operand, not positive, site, depth + 1)
        case s.Boolean(op, operands):
            if (op == "and") is positive:
                for operand in operands[:MAX_NESTING]:
                    values = _tested(ev, values, key, operand, positive, site, depth + 1)
                return values
            return union(
                *(_tested(ev, values, key, operand, positive, site, depth + 1) for operand in operands[:MAX_NESTING])
            )
        case s.Call(func, args) if len(args) == 2:
            return _called(ev, values, key, func, args, positive, site)
        case s.Comparison(op, left, right):
            same = op in ("is", "==", "in")
            if op in ("in", "not in"):
                return _contained(ev, values, key, left, right, same is positive, site)
            return _compared(ev, values, key, left, right, same is positive, site)
        case s.Name() | s.Attribute() if s.dotted(test) == key and positive:
            return tuple(value for value in values if value != NONE)
        case _:
            return values


def _called(
    ev: Evaluator, values: Values, key: Key, func: s.Node, args: tuple[s.Argument, ...], positive: bool, site: Site
) -> Values:
    if s.dotted(args[0].value) != key:
        return values
    called = ev.evaluate(func, site)
    given = ev.evaluate(args[1].value, site)
    if External("builtins.isinstance") in called:
        return _instance_of(ev, values, hints.from_classes(ev, given), positive)
    if External("builtins.issubclass") in called:
        objects = _instance_of(ev, hints.from_classes(ev, values), hints.from_classes(ev, given), positive)
        return hints.classes(objects)
    return values


def _compared(ev: Evaluator, values: Values, key: Key, left: s.Node, right: s.Node, same: bool, site: Site) -> Values:
    if s.dotted(left) == key:
        wanted = ev.evaluate(right, site)
        return _equal(values, wanted, same) if wanted else values
    if _is_type_of(ev, left, key, site):
        return _instance_of(ev, values, hints.from_classes(ev, ev.evaluate(right, site)), same)
    return values


def _equal(values: Values, wanted: Values, same: bool) -> Values:
    """Keep what is (or, not ``same``, is not) one of the wanted values."""
    if not same:
        return tuple(value for value in values if value not in wanted)
    if _open(values):
        return tuple(value for value in wanted if isinstance(value, External | Klass))
    return tuple(value for value in values if value in wanted)


def _contained(ev: Evaluator, values: Values, key: Key, left: s.Node, right: s.Node, same: bool, site: Site) -> Values:
    """Keep what is (or, not ``same``, is not) among the items of a container written out."""
    held = ev.evaluate(right, site) if s.dotted(left) == key else ()
    if len(held) != 1 or not isinstance(held[0], Sequence):
        return values
    wanted = [item for items in held[0].items for item in items]
    if not same:
        sure = [items[0] for items in held[0].items if len(items) == 1]
        return tuple(value for value in values if value not in sure)
    if _open(values):
        return tuple(value for value in wanted if isinstance(value, External | Klass))
    return tuple(value for value in values if value in wanted or isinstance(value, Symbol))


def _is_type_of(ev: Evaluator, node: s.Node, key: Key, site: Site) -> bool:
    """Say whether an expression is ``type(key)``."""
    shape = s.view(node)
    if not isinstance(shape, s.Call) or len(shape.args) != 1:
        return False
    about = s.dotted(shape.args[0].value) == key
    return about and External("builtins.type") in ev.evaluate(shape.func, site)


def _open(values: Values) -> bool:
    return all(isinstance(value, Symbol) for value in values)


def _instance_of(ev: Evaluator, values: Values, wanted: Values, positive: bool) -> Values:
    """Keep the objects that are (or, not ``positive``, are not) of one of the wanted classes."""
    if positive:
        kept = union(*(_meet(ev, value, wanted) for value in values))
        return kept if kept or not _open(values) else wanted
    return tuple(value for value in values if not any(_is(ev, value, other) for other in wanted))


def _meet(ev: Evaluator, value: Value, wanted: Values) -> Values:
    """Return what an object is that is also of one of the wanted classes."""
    if any(_is(ev, value, other) for other in wanted):
        return (value,)
    return tuple(other for other in wanted if _is(ev, other, value))


def _builtin(value: Value) -> tuple[External, ...]:
    """Return the classes of a value that is written out."""
    match value:
        case Literal(constant):
            return tuple(External(f"builtins.{one.__name__}") for one in type(constant).__mro__)
        case Computed():
            return (External("builtins.str"),)
        case Table() | Mapping():
            return External("builtins.dict"), External("typing.Mapping"), External("typing.MutableMapping")
        case Sequence(kind, _) | Many(kind, _) if kind in ("list", "tuple"):
            return External(f"builtins.{kind}"), External("typing.Sequence"), External("typing.Iterable")
        case _:
            return ()


def _is(ev: Evaluator, value: Value, other: Value) -> bool:
    if isinstance(other, Literal):
        return value == other
    builtin = _builtin(value)
    if builtin:
        return isinstance(other, Instance) and other.of in builtin
    if not isinstance(value, Instance) or not isinstance(other, Instance):
        return False
    if isinstance(value.of, External):
        return value.of == other.of
    return other.of in members.ancestors(ev, value.of.scope)
