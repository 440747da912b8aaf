"""Calls: of classes, functions, bound methods, partials, and the builtins worth knowing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sessionstream_lint import containers, hints, members, records
from sessionstream_lint import syntax as s
from sessionstream_lint.frames import Frame, argument_for
from sessionstream_lint.resolve import canonical
from sessionstream_lint.scopes import Scope, Site
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
    MethodCaller,
    Partial,
    Routine,
    Sequence,
    Super,
    Symbol,
    Table,
    TupleClass,
    Value,
    Values,
    known,
    union,
)

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

MAX_FRAMES = 6


@dataclass(frozen=True, slots=True)
class Invocation:
    """A callable that a call may reach, with every argument it gets on the way."""

    target: Value
    given: tuple[Given, ...]


def invocations(ev: Evaluator, callee: Values, given: tuple[Given, ...]) -> Iterator[Invocation]:
    """Yield what a call may reach, seen through ``partial`` and ``methodcaller``."""
    for value in callee:
        layers = 0
        arguments = given
        target: Value = value
        while isinstance(target, Partial) and layers < MAX_FRAMES:
            arguments = target.given + arguments
            target = target.target
            layers += 1
        if isinstance(target, MethodCaller) and given and not given[0].argument.star:
            for method in members.attribute(ev, ev.given(given[0]), target.method):
                yield Invocation(method, target.given)
        elif isinstance(target, Instance) and isinstance(target.of, Klass):
            for method in members.attribute(ev, (target,), "__call__"):
                yield Invocation(method, arguments)
        else:
            yield Invocation(target, arguments)


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
            return (receiver,) if name.endswith(("__enter__", "__copy__", "__deepcopy__")) else ()
        case Bound(receiver, External(name)) if name.startswith("builtins.container."):
            return containers.method(ev, receiver, name.rpartition(".")[2], _plain(ev, given))
        case Callable(result):
            return result
        case External(name):
            return _external(ev, name, given, site)
        case _:
            return ()


def _make(ev: Evaluator, of: Klass, given: tuple[Given, ...], site: Site) -> Values:
    ancestors = members.ancestors(ev, of.scope)
    if External("typing.TypedDict") in ancestors:
        return _dict(ev, _plain(ev, given), given, site)
    return (records.make(ev, of, given),)


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
    if depth > MAX_FRAMES:
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
    values = declared if known(declared) else union(declared, _inferred(ev, scope, frame))
    if isinstance(shape, s.Function) and shape.is_async:
        return (Many("awaitable", values),)
    return values


def _inferred(ev: Evaluator, scope: Scope, frame: Frame) -> Values:
    return union(*(ev.evaluate(node, replace(site, frame=frame)) for node, site in scope.returns if node is not None))


def _generated(ev: Evaluator, scope: Scope, frame: Frame, declared: Values, context: bool) -> Values:
    values = containers.elements(ev, declared)
    if not known(values):
        groups = []
        for node, whole, site in scope.yields:
            found = ev.evaluate(node, replace(site, frame=frame)) if node is not None else ()
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
    if isinstance(shape, s.Items) and not any(isinstance(s.view(part), s.Starred) for part in shape.items):
        yield from (Given(Argument(part), site) for part in shape.items)
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
    if isinstance(shape, s.Pairs):
        for key, value in shape.pairs:
            if key is None:
                yield from _double_starred(ev, Given(Argument(value, star="**"), site))
                continue
            for name in _strings(ev.evaluate(key, site)):
                yield Given(Argument(value, name), site)
    elif isinstance(shape, s.Call) and shape.args and External("builtins.dict") in ev.evaluate(shape.func, site):
        yield from spread(ev, tuple(Given(part, site) for part in shape.args if part.keyword or part.star == "**"))
    else:
        yield from _mapped(ev, item)


def _mapped(ev: Evaluator, item: Given) -> Iterator[Given]:
    for value in ev.given(item):
        if isinstance(value, Table):
            for key, held in value.pairs:
                for name in _strings(key):
                    yield Given(Argument(item.argument.value, name), item.site, held)
                if not key:
                    yield replace(item, held=held, opaque=True)
        elif isinstance(value, Mapping | Symbol):
            yield replace(item, held=value.value if isinstance(value, Mapping) else (value,), opaque=True)


def _strings(values: Values) -> list[str]:
    return [value.value for value in values if isinstance(value, Literal) and isinstance(value.value, str)]


def last_name(func: s.Node) -> str:
    """Return the last identifier of a callee."""
    shape = s.view(func)
    if isinstance(shape, s.Attribute):
        return shape.attr
    return shape.id if isinstance(shape, s.Name) else ""


# Outside functions ---------------------------------------------------------------------------------------


def _plain(ev: Evaluator, given: tuple[Given, ...]) -> tuple[Values, ...]:
    """The values of the positional arguments, up to the first that is unpacked."""
    found: list[Values] = []
    for item in spread(ev, given):
        if item.opaque or item.argument.keyword is not None:
            break
        found.append(ev.given(item))
    return tuple(found)


def _keyword(ev: Evaluator, given: tuple[Given, ...], name: str) -> Values:
    for item in given:
        if item.argument.keyword == name:
            return ev.given(item)
    return ()


SAME = {
    "copy.copy", "copy.deepcopy", "functools.cache", "functools.lru_cache", "builtins.iter", "typing.final",
    "weakref.proxy", "builtins.aiter", "typing.assert_type", "typing.reveal_type",
}  # fmt: skip
LISTED = {"builtins.list", "builtins.sorted", "builtins.reversed", "builtins.tuple", "collections.deque"}
SETS = {"builtins.set", "builtins.frozenset", "builtins.filter"}


def _external(ev: Evaluator, name: str, given: tuple[Given, ...], site: Site) -> Values:
    args = _plain(ev, given)
    first = args[0] if args else ()
    if name in SAME:
        return first
    if name in LISTED or name in SETS:
        source = args[1] if name == "builtins.filter" and len(args) > 1 else first
        exact = name in ("builtins.list", "builtins.tuple") and bool(source)
        if exact and all(isinstance(value, Sequence) for value in source):
            return source
        return (Many("set" if name in SETS else "list", containers.elements(ev, source)),)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(ev, args, given, site)
    return _made(name)


def _made(name: str) -> Values:
    """By the spelling alone: calling ``pkg.Name`` makes an object, and of ``pkg.Name.create`` nothing is known."""
    owner, _, last = name.rpartition(".")
    if last in members.MESSAGE_FACTORIES and owner:
        return (Instance(External(owner)),)
    return (Instance(External(canonical(name))),) if last[:1].isupper() else ()


def _named_tuple(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    """``namedtuple("Row", "name message")``, or ``NamedTuple("Row", [("name", str), ("message", type)])``."""
    found: list[Value] = []
    for value in args[1] if len(args) > 1 else _keyword(ev, given, "field_names"):
        if isinstance(value, Literal) and isinstance(value.value, str):
            found.append(TupleClass(tuple(value.value.replace(",", " ").split())))
        elif isinstance(value, Sequence):
            heads = [containers.unpack(ev, one, 0, starred=False) or one for one in value.items]
            names = [_strings(head)[:1] for head in heads]
            if all(names):
                found.append(TupleClass(tuple(name[0] for name in names)))
    return tuple(found)


def _map(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    if not args:
        return ()
    return (Many("iterator", call_all(ev, args[0], mapped(ev, given[1:]), site)),)


def _starmap(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    if len(args) < 2:
        return ()
    return (Many("iterator", call_all(ev, args[0], star_mapped(ev, given[1]), site)),)


def mapped(ev: Evaluator, given: tuple[Given, ...]) -> tuple[Given, ...]:
    """Return the arguments with which ``map`` calls: an element of each iterable."""
    return tuple(replace(item, held=containers.elements(ev, ev.given(item))) for item in given)


def star_mapped(ev: Evaluator, given: Given) -> tuple[Given, ...]:
    """Return the arguments with which ``starmap`` calls: an element, unpacked."""
    held = containers.elements(ev, ev.given(given))
    return (replace(given, argument=replace(given.argument, star="*"), held=held),)


def _cast(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    if len(given) < 2:
        return ()
    values = hints.instances(ev, given[0].argument.value, given[0].site)
    return values or (args[1] if len(args) > 1 else ())


def _getattr(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    if len(args) < 2:
        return ()
    names = [value.value for value in args[1] if isinstance(value, Literal) and isinstance(value.value, str)]
    return union(*(members.attribute(ev, args[0], name) for name in names), *args[2:])


def _type(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return hints.classes(args[0]) if len(args) == 1 else ()


def _super(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    scope: Scope | None = site.block.scope
    while scope is not None and not (scope.kind == "function" and scope.parent and scope.parent.kind == "class"):
        scope = scope.parent
    if scope is None or scope.parent is None or not scope.params:
        return ()
    found = ev.lookup(scope.params[0].name, Site(scope.block, 1, (), site.frame))
    return tuple(Super(value, scope.parent) for value in found if isinstance(value, Instance | Klass))


def _enumerate(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    element = containers.elements(ev, args[0]) if args else ()
    return (Many("iterator", (Sequence("tuple", ((), element)),)),)


def _zip(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return (Many("iterator", (Sequence("tuple", tuple(containers.elements(ev, one) for one in args)),)),)


def _chain(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return (Many("iterator", union(*(containers.elements(ev, one) for one in args))),)


def _chained(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return (Many("iterator", containers.elements(ev, containers.elements(ev, args[0] if args else ()))),)


def _next(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return union(containers.elements(ev, args[0]) if args else (), *args[1:])


def _dict(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    pairs: list[tuple[Values, Values]] = []
    for value in args[0] if args else ():
        if isinstance(value, Table):
            pairs += value.pairs
        elif isinstance(value, Symbol):
            pairs.append(((), (value,)))
        else:
            for one in containers.elements(ev, (value,)):
                if isinstance(one, Sequence) and len(one.items) > 1:
                    pairs.append((one.items[0], one.items[1]))
    for item in spread(ev, given):
        if item.argument.keyword is not None:
            pairs.append(((Literal(item.argument.keyword),), ev.given(item)))
    return (Table(tuple(pairs)),)


def _partial(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return tuple(Partial(target, given[1:]) for target in (args[0] if args else ()))


def _methodcaller(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    names = args[0] if args else ()
    return tuple(
        MethodCaller(name.value, given[1:])
        for name in names
        if isinstance(name, Literal) and isinstance(name.value, str)
    )


def _context(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return (Many("context", args[0] if args else ()),)


def _field(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    made = call_all(ev, _keyword(ev, given, "default_factory"), (), site)
    return union(made, _keyword(ev, given, "default"))


def _new_type(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return args[1] if len(args) > 1 else ()


def _type_var(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    nodes = [item.argument for item in given[1:] if item.argument.keyword in (None, "bound")]
    return tuple(Alternatives(argument.value, site) for argument in nodes)


_SPECIAL = {
    "typing.cast": _cast,
    "builtins.getattr": _getattr,
    "builtins.type": _type,
    "builtins.super": _super,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "itertools.chain": _chain,
    "itertools.chain.from_iterable": _chained,
    "itertools.starmap": _starmap,
    "builtins.map": _map,
    "collections.namedtuple": _named_tuple,
    "typing.NamedTuple": _named_tuple,
    "builtins.next": _next,
    "builtins.dict": _dict,
    "functools.partial": _partial,
    "operator.methodcaller": _methodcaller,
    "contextlib.nullcontext": _context,
    "contextlib.closing": _context,
    "dataclasses.field": _field,
    "attrs.field": _field,
    "typing.NewType": _new_type,
    "typing.TypeVar": _type_var,
}
