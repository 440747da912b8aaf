"""Calls: of classes, functions, bound methods, partials, and the builtins worth knowing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sessionstream_lint import containers, hints, members
from sessionstream_lint import syntax as s
from sessionstream_lint.frames import Frame, argument_for, parameters
from sessionstream_lint.resolve import canonical
from sessionstream_lint.scopes import CallSite, Scope, Site
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
    MethodCaller,
    Partial,
    Routine,
    Sequence,
    Super,
    Table,
    Value,
    Values,
    known,
    union,
)

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

MAX_FRAMES = 6
MAX_CALLERS = 50


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
            receivers = ev.evaluate(given[0].argument.value, given[0].site)
            for method in members.attribute(ev, receivers, target.method):
                yield Invocation(method, target.given)
        else:
            yield Invocation(target, arguments)


def call_all(ev: Evaluator, callee: Values, given: tuple[Given, ...], site: Site) -> Values:
    """Return what calling these may give."""
    return union(*(_call(ev, found.target, found.given, site) for found in invocations(ev, callee, given)))


def _call(ev: Evaluator, value: Value, given: tuple[Given, ...], site: Site) -> Values:
    match value:
        case Klass():
            return (Instance(value),)
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
        case Instance(Klass()):
            return method(ev, value, "__call__")
        case External(name):
            return _external(ev, name, given, site)
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
    """Return the last names of the decorators of a function."""
    if not isinstance(scope.shape, s.Function):
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
    frame = ev.frame(scope, given, receiver, site.frame, depth)
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


# Callers -------------------------------------------------------------------------------------------------


def callers(ev: Evaluator, scope: Scope) -> Iterator[tuple[CallSite, Invocation, bool]]:
    """Yield the calls in the same file that may reach a function, and whether ``self`` is bound already."""
    names = {scope.name, "self", "cls"} if scope.name != "__init__" else set()
    if scope.name == "__init__" and scope.parent:
        names = {scope.parent.name}
    looked = 0
    for site in scope.module.calls:
        name = last_name(site.shape.func)
        if name not in names or looked >= MAX_CALLERS:
            continue
        looked += 1
        given = tuple(Given(argument, site.site) for argument in site.shape.args)
        for found in invocations(ev, ev.evaluate(site.shape.func, site.site), given):
            bound = reaches(found.target, scope)
            if bound is not None:
                yield site, found, bound


def reaches(target: Value, scope: Scope) -> bool | None:
    """Say whether calling the target runs the function: None if not, else whether ``self`` is bound."""
    match target:
        case Routine(found) if found is scope:
            return False
        case Bound(_, Routine(found)) if found is scope:
            return True
        case Klass(found) if scope.name == "__init__" and scope.parent is found:
            return True
        case _:
            return None


def last_name(func: s.Node) -> str:
    """Return the last identifier of a callee."""
    shape = s.view(func)
    if isinstance(shape, s.Attribute):
        return shape.attr
    return shape.id if isinstance(shape, s.Name) else ""


def from_callers(ev: Evaluator, scope: Scope, param: s.Parameter) -> Values:
    """Return what the calls in the same file pass for a parameter."""
    return ev.once(("callers", id(scope), param.name), lambda: _from_callers(ev, scope, param))


def _from_callers(ev: Evaluator, scope: Scope, param: s.Parameter) -> Values:
    groups = []
    for _, found, bound in callers(ev, scope):
        given = argument_for(parameters(scope, bound=bound), found.given, param.name)
        if given is not None:
            groups.append(ev.evaluate(given.argument.value, given.site))
    return union(*groups)


# Outside functions ---------------------------------------------------------------------------------------


def _plain(ev: Evaluator, given: tuple[Given, ...]) -> tuple[Values, ...]:
    """The values of the positional arguments, up to the first that is unpacked."""
    found: list[Values] = []
    for item in given:
        if item.argument.star or item.argument.keyword is not None:
            break
        found.append(ev.evaluate(item.argument.value, item.site))
    return tuple(found)


def _keyword(ev: Evaluator, given: tuple[Given, ...], name: str) -> Values:
    for item in given:
        if item.argument.keyword == name:
            return ev.evaluate(item.argument.value, item.site)
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


def _next(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return union(containers.elements(ev, args[0]) if args else (), *args[1:])


def _dict(ev: Evaluator, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    pairs: list[tuple[Values, Values]] = []
    for value in args[0] if args else ():
        if isinstance(value, Table):
            pairs += value.pairs
        else:
            for one in containers.elements(ev, (value,)):
                if isinstance(one, Sequence) and len(one.items) > 1:
                    pairs.append((one.items[0], one.items[1]))
    for item in given:
        if item.argument.keyword is not None:
            held = ev.evaluate(item.argument.value, item.site)
            pairs.append(((Literal(item.argument.keyword),), held))
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
