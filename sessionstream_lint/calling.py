"""Calls: of classes, functions, bound methods, partials, and the builtins worth knowing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sessionstream_lint import containers, hints, library, members, records
from sessionstream_lint import syntax as s
from sessionstream_lint.frames import Frame, argument_for
from sessionstream_lint.scopes import CallSite, Scope, Site
from sessionstream_lint.syntax import Argument
from sessionstream_lint.values import (
    Alternatives,
    Bound,
    Callable,
    External,
    Given,
    Instance,
    Klass,
    Literal,
    Many,
    Mapping,
    Partial,
    Routine,
    Sequence,
    Symbol,
    Table,
    TupleClass,
    Value,
    Values,
    known,
    union,
    unsure,
)

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

CALLING = {"functools.partial", "builtins.map"}
MAX_FRAMES = 24
# The same where calls branch so much that most of the questions would be spent down there.
MAX_FRAMES_OF_MANY = 6
# How often one function may be on the way to itself.
MAX_RECURSION = 2


@dataclass(frozen=True, slots=True)
class Invocation:
    """A callable that a call may reach, with every argument it gets on the way."""

    target: Value
    given: tuple[Given, ...]


def invocations(ev: Evaluator, callee: Values, given: tuple[Given, ...]) -> Iterator[Invocation]:
    """Yield what a call may reach, seen through ``partial``."""
    for value in callee:
        layers = 0
        arguments = given
        target: Value = value
        while isinstance(target, Partial) and layers < MAX_FRAMES:
            arguments = target.given + arguments
            target = target.target
            layers += 1
        if isinstance(target, Instance) and isinstance(target.of, Klass):
            for method in members.attribute(ev, (target,), "__call__"):
                yield Invocation(method, arguments)
        elif isinstance(target, Alternatives):
            yield from (Invocation(made, arguments) for made in _generic(ev, target) or (target,))
        else:
            yield Invocation(target, arguments)


def _generic(ev: Evaluator, value: Alternatives) -> Values:
    """Return the class of the project that ``Class[…]`` is."""
    shape = s.view(value.node)
    heads = ev.evaluate(shape.value, value.site) if isinstance(shape, s.Subscript) else ()
    return tuple(head for head in heads if isinstance(head, Klass))


def called(ev: Evaluator, at: CallSite, way: Site) -> Iterator[Invocation]:
    """Yield what a call that is written out reaches, looked at in one way."""
    given = tuple(Given(argument, way) for argument in at.shape.args)
    return _reached(ev, ev.evaluate(at.shape.func, way), given)


def _reached(ev: Evaluator, callee: Values, given: tuple[Given, ...]) -> Iterator[Invocation]:
    """Yield the same, and also what is called by a function that calls its first argument, at once or later."""
    for found in invocations(ev, callee, given):
        target, passed = found.target, found.given
        if not isinstance(target, External) or target.name not in CALLING or not passed or passed[0].argument.star:
            yield found
            continue
        inner, rest = ev.given(passed[0]), passed[1:]
        match target.name:
            case "functools.partial":
                yield from invocations(ev, tuple(Partial(value, rest) for value in inner), ())
            case _:
                yield from invocations(ev, inner, mapped(ev, rest))


def call_all(ev: Evaluator, callee: Values, given: tuple[Given, ...], site: Site) -> Values:
    """Return what calling these may give."""
    return union(*(_call(ev, found.target, found.given, site) for found in invocations(ev, callee, given)))


def _call(ev: Evaluator, value: Value, given: tuple[Given, ...], site: Site) -> Values:
    match value:
        case Klass():
            return _make(ev, value, given, site)
        case TupleClass(fields):
            params = tuple(s.Parameter(name, None, None) for name in fields)
            parts = [argument_for(params, spread(ev, given), name) for name in fields]
            return (Sequence("tuple", tuple(() if one is None else ev.given(one) for one in parts), fields),)
        case Symbol():
            return (value,)
        case Routine(scope):
            return returned(ev, scope, given, None, site)
        case Bound(receiver, Routine(scope)):
            return returned(ev, scope, given, receiver, site)
        case Bound(Instance() as receiver, External(name)):
            return _method_outside(ev, receiver, name.rpartition(".")[2], given)
        case Bound(receiver, External(name)) if name.startswith("builtins.container."):
            return containers.method(ev, receiver, name.rpartition(".")[2], plain(ev, given))
        case Callable(result):
            return result
        case Alternatives(node, where):
            return hints.instances(ev, node, where)
        case External(name):
            return library.call(ev, name, given, site)
        case _:
            return ()


def _make(ev: Evaluator, of: Klass, given: tuple[Given, ...], site: Site) -> Values:
    ancestors = members.ancestors(ev, of.scope)
    if External("typing.TypedDict") in ancestors:
        return library.make_dict(ev, given)
    return (records.make(ev, of, given),)


def _method_outside(ev: Evaluator, receiver: Instance, name: str, given: tuple[Given, ...]) -> Values:
    """Return what a method that the project did not write gives."""
    match name:
        case "__enter__" | "__copy__" | "__deepcopy__":
            return (receiver,)
        case "_replace" | "model_copy":
            return records.replaced(ev, (receiver,), given)
        case "enter_context" | "enter_async_context" if given and not given[0].argument.star:
            values = containers.entered(ev, ev.given(given[0]))
            return values if name == "enter_context" else (Many("awaitable", values),)
        case _:
            return ()


def method(ev: Evaluator, value: Value, name: str) -> Values:
    """Return what a method without arguments gives."""
    found = members.attribute(ev, (value,), name)
    bound = tuple(one for one in found if isinstance(one, Bound) and isinstance(one.method, Routine))
    groups = [
        returned(ev, one.method.scope, (), one.receiver, one.method.scope.block.here())
        for one in bound
        if isinstance(one.method, Routine)
    ]
    return union(*groups)


# Functions of the project --------------------------------------------------------------------------------


def decorators(ev: Evaluator, scope: Scope) -> frozenset[str]:
    """Return the last names of the decorators of a function or class."""
    if not isinstance(scope.shape, s.Function | s.Class):
        return frozenset()
    found: set[str] = set()
    for node in scope.shape.decorators:
        shape = s.view(node)
        target = shape.func if isinstance(shape, s.Call) else node
        values = ev.evaluate(target, scope.site) if scope.site else ()
        found |= {value.name.rpartition(".")[2] for value in values if isinstance(value, External)}
    return frozenset(found)


def returned(ev: Evaluator, scope: Scope, given: tuple[Given, ...], receiver: Value | None, site: Site) -> Values:
    """Return what a call of this function gives."""
    depth = site.frame.depth + 1 if site.frame else 1
    deepest = MAX_FRAMES if ev.has_room() else MAX_FRAMES_OF_MANY
    if depth > deepest or _recursion(scope, site) >= MAX_RECURSION:
        return ()
    frame = ev.frame(scope, spread(ev, given), receiver, site.frame, depth)
    shape = scope.shape
    declared: Values = ()
    if isinstance(shape, s.Function) and shape.returns is not None and scope.signature is not None:
        declared = hints.instances(ev, shape.returns, scope.signature)
        if receiver is not None and declared == hints.self_type(scope.signature):
            declared = (receiver,) if isinstance(receiver, Instance) else declared
    kinds = decorators(ev, scope) if isinstance(shape, s.Function) and shape.decorators else frozenset()
    if scope.yields:
        return _generated(ev, scope, frame, declared, bool(kinds & {"contextmanager", "asynccontextmanager"}))
    said = known(declared) and not any(members.says_less(ev, value) for value in declared)
    values = declared if said else union(declared, _inferred(ev, scope, frame))
    if isinstance(shape, s.Function) and shape.is_async:
        return (Many("awaitable", values),)
    return values


def _recursion(scope: Scope, site: Site) -> int:
    found, frame = 0, site.frame
    while frame is not None:
        found += frame.scope is scope
        frame = frame.outer
    return found


def _inferred(ev: Evaluator, scope: Scope, frame: Frame) -> Values:
    found = [ev.evaluate(node, replace(site, frame=frame)) for node, site in scope.returns if node is not None]
    return union(*found) if len(scope.returns) == 1 else unsure(union(*found))


def _generated(ev: Evaluator, scope: Scope, frame: Frame, declared: Values, context: bool) -> Values:
    values = containers.elements(ev, declared)
    if not known(values):
        groups = []
        for node, whole, site in scope.yields:
            found = () if node is None else ev.evaluate(node, replace(site, frame=frame))
            groups.append(containers.elements(ev, found) if whole else found)
        values = union(*groups)
    return (Many("context" if context else "iterator", values),)


# Arguments -----------------------------------------------------------------------------------------------


def spread(ev: Evaluator, given: tuple[Given, ...]) -> tuple[Given, ...]:
    """Return the arguments with ``*`` and ``**`` unpacked where it is known what is in there."""
    if not any(item.argument.star and not item.opaque for item in given):
        return given
    found: list[Given] = []
    for item in given:
        if item.argument.star == "*" and not item.opaque:
            found += _starred(ev, item)
        elif item.argument.star == "**" and not item.opaque:
            found += _double_starred(ev, item)
        else:
            found.append(item)
    return tuple(found)


def _starred(ev: Evaluator, item: Given) -> Iterator[Given]:
    node, site = item.argument.value, item.site
    shape = s.view(node)
    written = item.held is None and isinstance(shape, s.Items)
    if written and not any(isinstance(s.view(part), s.Starred) for part in shape.parts()):
        yield from (Given(Argument(part), site) for part in shape.parts())
        return
    values = ev.given(item)
    tuples = [records.as_tuple(ev, value) or value for value in values]
    sizes = {len(value.items) for value in tuples if isinstance(value, Sequence)}
    for index in range(min(sizes, default=0)):
        yield Given(Argument(node), site, containers.unpack(ev, values, index, starred=False))
    if not sizes:
        yield replace(item, held=containers.elements(ev, values), opaque=True)


def _double_starred(ev: Evaluator, item: Given) -> Iterator[Given]:
    node, site = item.argument.value, item.site
    shape = s.view(node)
    if item.held is None and isinstance(shape, s.Pairs):
        yield from _display(ev, shape, site)
    elif item.held is None and isinstance(shape, s.Call) and _is_plain_dict(ev, shape, site):
        yield from spread(ev, tuple(Given(part, site) for part in shape.args))
    else:
        yield from _mapped(ev, item)


def _display(ev: Evaluator, shape: s.Pairs, site: Site) -> list[Given]:
    """Return the keywords of a dict display, the last of each name."""
    found: list[Given] = []
    for key, value in shape.pairs:
        if key is None:
            found += _double_starred(ev, Given(Argument(value, star="**"), site))
            continue
        names = strings(ev.evaluate(key, site))
        found = [item for item in found if names != [item.argument.keyword]]
        found += (Given(Argument(value, name), site) for name in names)
    return found


def _is_plain_dict(ev: Evaluator, shape: s.Call, site: Site) -> bool:
    """Say whether a call is ``dict(name=…, message=…)``."""
    plain_keywords = bool(shape.args) and all(part.keyword or part.star == "**" for part in shape.args)
    return plain_keywords and External("builtins.dict") in ev.evaluate(shape.func, site)


def _mapped(ev: Evaluator, item: Given) -> Iterator[Given]:
    named: dict[str, Values] = {}
    for value in ev.given(item):
        if isinstance(value, Table):
            for key, held in value.pairs:
                for name in strings(key):
                    named[name] = union(named.get(name, ()), held)
                if not key:
                    yield replace(item, held=held, opaque=True)
        elif isinstance(value, Mapping | Symbol):
            yield replace(item, held=value.value if isinstance(value, Mapping) else (value,), opaque=True)
    for name, held in named.items():
        yield Given(Argument(item.argument.value, name), item.site, held)


def strings(values: Values) -> list[str]:
    """Return the strings among constants."""
    return [value.value for value in values if isinstance(value, Literal) and isinstance(value.value, str)]


def mapped(ev: Evaluator, given: tuple[Given, ...]) -> tuple[Given, ...]:
    """Return the arguments with which ``map`` calls: an element of each iterable."""
    return tuple(replace(item, held=containers.elements(ev, ev.given(item))) for item in given)


def plain(ev: Evaluator, given: tuple[Given, ...]) -> tuple[Values, ...]:
    """The values of the positional arguments, up to the first that is unpacked."""
    found: list[Values] = []
    for item in spread(ev, given):
        if item.opaque or item.argument.keyword is not None:
            break
        found.append(ev.given(item))
    return tuple(found)


def last_name(func: s.Node) -> str:
    """Return the last identifier of a callee."""
    shape = s.view(func)
    if isinstance(shape, s.Attribute):
        return shape.attr
    return shape.id if isinstance(shape, s.Name) else ""
