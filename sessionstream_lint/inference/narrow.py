"""Tests that a value has passed: ``isinstance``, ``is``, ``==``, ``match`` and their negations."""

from __future__ import annotations

from functools import reduce

import libcst as cst

from sessionstream_lint.inference import classes, hints
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.program.flow import Guards, only, reaching
from sessionstream_lint.program.scopes import Assigned, Guard, Key, Scope, Site, arguments
from sessionstream_lint.reading.patterns import Pattern
from sessionstream_lint.reading.syntax import Constant, Node, constant, dotted, identifier, operands

MAX_NESTING = 10
TYPE = v.Instance(v.External("builtins.type"))
ISINSTANCE, ISSUBCLASS = v.External("builtins.isinstance"), v.External("builtins.issubclass")


def apply(ev: Ask, values: v.Values, key: Key, guards: Guards, depth: int = 0) -> v.Values:
    """Return what is left of the values after the tests."""
    for guard in reversed(guards):
        if guard.pattern is not None:
            values = _matched(ev, values, key, guard, guard.pattern)
        else:
            values = _tested(ev, values, key, guard.test, guard.positive, guard.site, depth)
    return values


def _matched(ev: Ask, values: v.Values, key: Key, guard: Guard, pattern: Pattern) -> v.Values:
    if dotted(guard.test) != key:
        return values
    if not pattern.classes:
        return () if pattern.exact and not guard.positive else values
    groups = [hints.from_classes(ev, ev.evaluate(node, guard.site)) for node in pattern.classes]
    return _instance_of(ev, values, v.union(*groups), guard.positive)


def _tested(ev: Ask, values: v.Values, key: Key, test: Node, positive: bool, site: Site, depth: int) -> v.Values:
    if depth > MAX_NESTING:
        return values

    def left(values: v.Values, operand: Node, outcome: bool = positive) -> v.Values:
        return _tested(ev, values, key, operand, outcome, site, depth + 1)

    match test:
        case cst.UnaryOperation(operator=cst.Not(), expression=operand):
            return left(values, operand, not positive)
        case cst.BooleanOperation():
            parts = operands(test)[:MAX_NESTING]
            if isinstance(test.operator, cst.And) is positive:
                return reduce(left, parts, values)
            return v.union(*(left(values, part) for part in parts))
        case cst.Call():
            return _called(ev, values, key, test, positive, site, depth)
        case cst.Comparison(comparisons=[target]) if isinstance(target.operator, (*SAME, *OTHER)):
            among = isinstance(target.operator, cst.In | cst.NotIn)
            same = isinstance(target.operator, SAME) is positive
            return _compared(ev, values, key, (test.left, target.comparator), same, among, site)
        case _ if dotted(test) == key:
            return tuple(value for value in values if value != v.NONE) if positive else values
        case cst.Name():
            kept = _kept(identifier(test), site)
            return values if kept is None else _tested(ev, values, key, kept[0], positive, kept[1], depth + 1)
        case _:
            return values


SAME: tuple[type[cst.BaseCompOp], ...] = (cst.Is, cst.Equal, cst.In)
OTHER: tuple[type[cst.BaseCompOp], ...] = (cst.IsNot, cst.NotEqual, cst.NotIn)


def _kept(name: str, site: Site) -> tuple[Node, Site] | None:
    """Return the expression that a name certainly keeps the value of, and where that stands."""
    binding = only(name, site)
    if binding is None or binding.key != name or not isinstance(binding.source, Assigned):
        return None
    return binding.source.value, binding.site


def _called(ev: Ask, values: v.Values, key: Key, call: cst.Call, positive: bool, site: Site, depth: int) -> v.Values:
    about = subject(ev, call.args[0].value, key, site) if len(call.args) == 2 else None
    if about is None and all(dotted(argument.value) != key for argument in call.args):
        return values  # the callee may be what the key holds: it is not looked up for tests of something else
    called = ev.evaluate(call.func, site)
    if about is not None and not {ISINSTANCE, ISSUBCLASS}.isdisjoint(called):
        wanted = hints.from_classes(ev, ev.evaluate(call.args[1].value, site))
        if about == "value" and ISINSTANCE in called:
            return _instance_of(ev, values, wanted, positive)
        if about == "value" and all(isinstance(value, v.External | v.Klass | v.Symbol) for value in values):
            return hints.classes(_instance_of(ev, hints.from_classes(ev, values), wanted, positive))
        if about in ("value", "class"):
            return tuple(one for one in values if _is_certain(one, wanted, ev) is positive or isinstance(one, v.Symbol))
        return values
    routines = [one.scope for one in called if isinstance(one, v.Routine)]
    names = [name for scope in routines for name in _receiving(scope, call, key)]
    if len(routines) != 1 or len(names) != 1:
        return values
    return _answered(ev, values, routines[0], names[0], positive, depth)


def _is_certain(value: v.Value, wanted: v.Values, ev: Ask) -> bool:
    """Say whether the class of a value, or a class, is one of those wanted or below it."""
    found = v.Instance(v.bare(value)) if isinstance(value, v.External | v.Klass) else value
    return any(_is(ev, found, other) for other in wanted)


def _receiving(scope: Scope, call: cst.Call, key: Key) -> list[str]:
    """Return the parameters of a function that a call gives what the key holds."""
    plain = [param.name for param in scope.params if not param.star]
    found = []
    for number, argument in enumerate(arguments(call.args)):
        if dotted(argument.value) == key and not argument.star:
            found += [argument.keyword] if argument.keyword else plain[number : number + 1]
    return found


def _answered(ev: Ask, values: v.Values, scope: Scope, name: str, positive: bool, depth: int) -> v.Values:
    """Return the values for which a function that tests its parameter gives a true value (not ``positive``: none)."""
    groups: list[v.Values] = []
    ends = [] if scope.block.dead or scope.kind == "lambda" else [(None, scope.end())]
    for node, site in [*scope.returns, *ends]:
        written = Constant(None) if node is None else constant(node)
        for one in reaching(name, site):
            left = apply(ev, values, name, one.guards, depth + 1)
            if node is None or written is not None:
                groups.append(left if written is not None and bool(written.value) is positive else ())
            else:
                groups.append(_tested(ev, left, name, node, positive, site, depth + 1))
    return v.union(*groups)


def subject(ev: Ask, node: Node, key: Key, site: Site, steps: int = MAX_NESTING) -> str | None:
    """Return what an expression is of what the key holds: the "value", its "class", "descriptor" or "full name"."""
    if dotted(node) == key:
        return "value"
    if not steps:
        return None
    match node:
        case cst.Call(args=[argument]) if dotted(argument.value) == key:
            return "class" if v.External("builtins.type") in ev.evaluate(node.func, site) else None
        case cst.IfExp():  # ``m if isinstance(m, type) else type(m)``
            kinds = {subject(ev, one, key, site, steps - 1) for one in (node.body, node.orelse)}
            return "class" if kinds == {"value", "class"} else None
        case cst.Attribute(value=value):
            return _OF_SUBJECT.get((subject(ev, value, key, site, steps - 1), identifier(node.attr)))
        case cst.Name():
            kept = _kept(identifier(node), site)
            return None if kept is None else subject(ev, kept[0], key, kept[1], steps - 1)
        case _:
            return None


_OF_SUBJECT: dict[tuple[str | None, str], str] = {
    ("value", "__class__"): "class",
    ("value", "DESCRIPTOR"): "descriptor",
    ("class", "DESCRIPTOR"): "descriptor",
    ("descriptor", "full_name"): "full name",
}


def _compared(
    ev: Ask, values: v.Values, key: Key, sides: tuple[Node, Node], same: bool, among: bool, site: Site
) -> v.Values:
    """Keep the values for which a comparison comes out so; ``among`` says that one side is a container."""
    left, right = sides
    about = subject(ev, left, key, site)
    if about is None and not among:
        left, right = right, left
        about = subject(ev, left, key, site)
        about = None if about == "value" else about  # then it is the name of a class that something is compared with
    if about is None:
        return values
    held = ev.evaluate(right, site)
    if among:
        if len(held) != 1 or not isinstance(held[0], v.Sequence):
            return values
        items = held[0].items
        if not same:
            items = tuple(item for item in items if len(item) == 1)
        held = v.union(*items)
    match about:
        case "value":
            return _equal(values, held, same, among) if held else values
        case "class":
            held = tuple(map(v.bare, held))
            return tuple(
                value for value in values if (v.class_of(value) in held) is same or isinstance(value, v.Symbol)
            )
        case "descriptor":
            described = [_described(value) for value in held]
            return tuple(value for value in values if _is_named(value, described, same))
        case _:
            named = [value.value for value in held if isinstance(value, v.Literal)]
            return tuple(value for value in values if _is_named(value, named, same))


def _described(value: v.Value) -> object:
    """Return the full name of the message that a descriptor is of."""
    match value:
        case v.External(name) | v.Bound(_, v.External(name)) if name.endswith(".DESCRIPTOR"):
            return _full_name(name.removesuffix(".DESCRIPTOR"))
        case _:
            return None


def _full_name(name: str) -> str:
    return ".".join(part for part in name.split(".") if not part.endswith("_pb2"))


def _is_named(value: v.Value, names: list[object], same: bool) -> bool:
    """Say whether a value may be a message with (or, not ``same``, without) one of these full names."""
    of = v.class_of(value)
    if not isinstance(of, v.External) or "_pb2." not in of.name:
        return True
    return (_full_name(of.name) in names) is same


def _equal(values: v.Values, wanted: v.Values, same: bool, among: bool) -> v.Values:
    """Keep what is (or, not ``same``, is not) one of the wanted values."""
    wanted = tuple(map(v.bare, wanted))
    if not same:
        return tuple(value for value in values if v.bare(value) not in wanted)
    if _open(values):
        return tuple(value for value in wanted if isinstance(value, v.External | v.Klass))
    return tuple(value for value in values if v.bare(value) in wanted or (among and isinstance(value, v.Symbol)))


def _open(values: v.Values) -> bool:
    return all(isinstance(value, v.Symbol) for value in values)


def _instance_of(ev: Ask, values: v.Values, wanted: v.Values, positive: bool) -> v.Values:
    """Keep the objects that are (or, not ``positive``, are not) of one of the wanted classes."""
    if positive:
        kept = tuple(value for value in values if any(_is(ev, value, other) for other in wanted))
        return kept if kept or not _open(values) else wanted
    return tuple(value for value in values if not any(_is(ev, value, other) for other in wanted))


def _builtin(value: v.Value) -> str | None:
    """Return the name of the class of a value that is written out."""
    match value:
        case v.Literal(constant):
            return type(constant).__name__
        case v.Table():
            return "dict"
        case v.Sequence(kind, _) | v.Many(kind, _):
            return kind
        case _:
            return None


def _is(ev: Ask, value: v.Value, other: v.Value) -> bool:
    value, other = v.bare(value), v.bare(other)
    if isinstance(other, v.Literal):
        return value == other
    if other == TYPE:
        return isinstance(value, v.Klass) or (
            isinstance(value, v.External) and value.name.rpartition(".")[2][:1].isupper()
        )
    name = _builtin(value)
    if name is not None:
        return other == v.Instance(v.External(f"builtins.{name}"))
    if not isinstance(value, v.Instance) or not isinstance(other, v.Instance):
        return False
    if isinstance(value.of, v.External):
        return v.bare(value.of) == v.bare(other.of)
    return other.of in classes.ancestors(ev, value.of.scope)
