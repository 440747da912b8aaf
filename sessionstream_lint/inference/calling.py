"""Calls: of classes, functions, bound methods, partials, and the builtins worth knowing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import libcst as cst

from sessionstream_lint.inference import arguments, classes, containers, hints, library, members
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.frames import Frame, argument_for, around, frame_of
from sessionstream_lint.program.scopes import CallSite, Scope, Site
from sessionstream_lint.reading.syntax import Parameter

PARTIAL = "functools.partial"
MAX_FRAMES = 24


@dataclass(frozen=True, slots=True)
class Invocation:
    """A callable that a call may reach, with every argument it gets on the way."""

    target: v.Value
    given: tuple[v.Given, ...]


def invocations(ev: Ask, callee: v.Values, given: tuple[v.Given, ...]) -> Iterator[Invocation]:
    """Yield what a call may reach, seen through ``partial``."""
    for value in callee:
        arguments = given
        target: v.Value = value
        while isinstance(target, v.Partial):
            later = [item.keyword for item in arguments if item.keyword]
            kept = (item for item in target.given if item.keyword not in later)
            arguments, target = (*kept, *arguments), target.target
        if isinstance(target, v.Instance) and isinstance(target.of, v.Klass):
            for method in members.attribute(ev, (target,), "__call__"):
                yield Invocation(method, arguments)
        else:
            yield Invocation(target, arguments)


def called(ev: Ask, at: CallSite, way: Site) -> Iterator[Invocation]:
    """Yield what a call that is written out reaches, looked at in one way.

    Of ``partial`` that is what it will call.
    """
    for found in invocations(ev, ev.evaluate(at.func, way), v.as_given(at.args, way)):
        if found.target != v.External(PARTIAL) or not found.given or found.given[0].star:
            yield found
        else:
            yield from invocations(ev, ev.given(found.given[0]), found.given[1:])


def call_all(ev: Ask, callee: v.Values, given: tuple[v.Given, ...], site: Site) -> v.Values:
    """Return what calling these may give."""
    return v.union(*(_call(ev, found.target, found.given, site) for found in invocations(ev, callee, given)))


def _call(ev: Ask, value: v.Value, given: tuple[v.Given, ...], site: Site) -> v.Values:
    match value:
        case v.Klass():
            return (arguments.make(ev, value, given),)
        case v.TupleClass(fields):
            params = tuple(Parameter(name) for name in fields)
            parts = [argument_for(params, arguments.spread(ev, given), name) for name in fields]
            return (v.Sequence("tuple", tuple(() if one is None else ev.given(one) for one in parts), fields),)
        case v.Symbol():
            return (value,)
        case v.Routine(scope):
            return returned(ev, scope, given, None, site)
        case v.Bound(receiver, v.Routine(scope)):
            return returned(ev, scope, given, receiver, site)
        case v.Bound(v.Instance(), v.External(name)):
            return _entered(ev, name.rpartition(".")[2], given)
        case v.Bound(receiver, v.External(name)) if name.startswith("builtins.container."):
            return containers.method(ev, receiver, name.rpartition(".")[2], arguments.plain(ev, given))
        case v.Callable(result):
            return result
        case v.Alternatives(node, where):
            return hints.instances(ev, node, where)
        case v.External(name):
            return library.call(ev, name, given, site)
        case _:
            return ()


def _entered(ev: Ask, method: str, given: tuple[v.Given, ...]) -> v.Values:
    """Return what a method of an ``ExitStack`` gives that enters what it is given; of other methods nothing."""
    if method not in ("enter_context", "enter_async_context") or not given or given[0].star:
        return ()
    values = containers.entered(ev, ev.given(given[0]))
    return values if method == "enter_context" else (v.Many("awaitable", values),)


# Functions of the project --------------------------------------------------------------------------------


def returned(ev: Ask, scope: Scope, given: tuple[v.Given, ...], receiver: v.Value | None, site: Site) -> v.Values:
    """Return what a call of this function gives."""
    outer = around(site)
    depth = outer.depth + 1 if outer else 1
    if depth > MAX_FRAMES or frame_of(site, scope) is not None:
        return ()
    frame = ev.frame(scope, arguments.spread(ev, given), receiver, outer, depth)
    node = scope.node if isinstance(scope.node, cst.FunctionDef) else None
    declared: v.Values = ()
    if node is not None and node.returns is not None and scope.signature is not None:
        declared = hints.instances(ev, node.returns.annotation, scope.signature)
        if receiver is not None and declared == hints.self_type(scope.signature):
            declared = (receiver,) if isinstance(receiver, v.Instance) else declared
    if scope.yields:
        context = bool(classes.decorators(ev, scope) & {"contextmanager", "asynccontextmanager"})
        return _generated(ev, scope, frame, declared, context)
    values = v.union(declared, _inferred(ev, scope, frame)) if classes.nothing_more(ev, declared) else declared
    if node is not None and node.asynchronous is not None:
        return (v.Many("awaitable", values),)
    return values


def _inferred(ev: Ask, scope: Scope, frame: Frame) -> v.Values:
    found = [ev.evaluate(node, replace(site, frame=frame)) for node, site in scope.returns if node is not None]
    return v.union(*found) if len(scope.returns) == 1 else v.unsure(v.union(*found))


def _generated(ev: Ask, scope: Scope, frame: Frame, declared: v.Values, context: bool) -> v.Values:
    values = containers.elements(ev, declared)
    if classes.nothing_more(ev, values):
        groups = [values]
        for node, whole, site in scope.yields:
            found = () if node is None else ev.evaluate(node, replace(site, frame=frame))
            groups.append(containers.elements(ev, found) if whole else found)
        values = v.union(*groups)
    return (v.Many("context" if context else "iterator", values),)
