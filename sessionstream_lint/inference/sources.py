"""What names hold: which bindings reach a place, and what each of them gives."""

from __future__ import annotations

import builtins

from sessionstream_lint.inference import callers, classes, containers, fixtures, hints, members, narrow, records
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.frames import Frame, argument_for, arguments_for, frame_of, parameters
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import Reached, keeping, passed_by_all, reaching
from sessionstream_lint.reading.syntax import Parameter

BUILTINS = frozenset(dir(builtins))

# Names -------------------------------------------------------------------------------------------------------


def lookup(ev: Ask, key: str, site: sc.Site) -> v.Values:
    """Return what a name, or a chain of names, may hold at a site."""
    found = reaching(key, site)
    if any(one.binding is not None for one in found) and (others := keeping(site.block.scope, key)):
        found = reaching(key, site, others)
    given = [one for one in found if not _is_put(one)]
    several = len({one.binding for one in given}) > 1
    common = passed_by_all(found)

    def hold(reached: Reached) -> v.Values:
        values = _reached(ev, key, reached, site)
        # Of an unknown value a test in one arm says nothing past the join: what else it may be nobody knows.
        guards = reached.guards if v.known(values) else common[reached.binding]
        values = narrow.apply(ev, values, key, guards)
        return v.unsure(values) if several or reached.guards else values

    return containers.filled(v.union(*map(hold, given)), (hold(one) for one in found if _is_put(one)))


def _is_put(reached: Reached) -> bool:
    """Say whether a name is only reached as what something was put into."""
    return reached.binding is not None and isinstance(reached.binding.source, sc.Stored)


def _reached(ev: Ask, key: str, reached: Reached, site: sc.Site) -> v.Values:
    binding = reached.binding
    if binding is None:
        base, _, attr = key.rpartition(".")
        if base:
            values = members.attribute(ev, ev.lookup(base, site), attr, site)
            return values if "." in base or site.frame else v.union(values, records.symbol(ev, base, attr, site))
        return (v.External("builtins." + key),) if key in BUILTINS else ()
    source = binding.source
    if binding.key == "*" and isinstance(source, sc.Imported):
        module = None if key in BUILTINS else ev.project.load(source.module)
        return () if module is None else members.exported(ev, module, key)
    return bound(ev, binding, site)


def bound(ev: Ask, binding: sc.Binding, site: sc.Site | None = None) -> v.Values:
    """Return what a binding gives its key."""
    where = binding.site.seen_from(site) if site else binding.site
    values = given_by(ev, binding.source, where)
    if v.known(values) or isinstance(binding.source, sc.Declared | sc.Passed):
        return values
    declared = where.block.scope.declared.get(binding.key)
    if declared is None or isinstance(binding.source, sc.Unknown):
        return values
    return v.union(values, hints.instances(ev, *declared))


def given_by(ev: Ask, source: sc.Source, site: sc.Site) -> v.Values:
    """Return what a source of bindings yields."""
    match source:
        case sc.Assigned(value):
            return ev.evaluate(value, site)
        case sc.Unpacked(inner, index, starred):
            return containers.unpack(ev, given_by(ev, inner, site), index, starred=starred)
        case sc.Element(iterable):
            return containers.elements(ev, ev.evaluate(iterable, site))
        case sc.Entered(manager):
            return containers.entered(ev, ev.evaluate(manager, site))
        case sc.Declared(annotation, value):
            values = ev.evaluate(value, site) if value is not None else ()
            told = v.known(values) and not any(map(containers.is_container, values))
            return values if told else v.union(values, hints.instances(ev, annotation, site))
        case sc.Imported(module, None):
            found = ev.project.load(module)
            return (v.File(found),) if found else (v.External(module),)
        case sc.Imported(module, str() as name):
            return members.of_module(ev, module, name)
        case sc.Defined(scope):
            return v.defined(scope) or ()
        case sc.Passed(scope, param):
            return _passed(ev, scope, param, site)
        case sc.Stored():
            return containers.stored(ev, source, site)
        case sc.Augmented(target, value):
            held = ev.evaluate(target, site)
            is_known = any(map(containers.is_container, held))
            return containers.added(ev, held, ev.evaluate(value, site)) if is_known else held
        case sc.Bounded(alternatives):
            return tuple(v.Alternatives(node, site) for node in alternatives)
        case _:
            return ()


# Parameters --------------------------------------------------------------------------------------------------


def _passed(ev: Ask, scope: sc.Scope, param: Parameter, site: sc.Site) -> v.Values:
    """Return what a parameter may hold: from the call looked into, else from everything known of it."""
    frame = frame_of(site, scope)
    signature = scope.signature or site
    if frame is not None:
        if frame.receiver is not None and param is scope.params[0]:
            return (frame.receiver,)
        if param.star:
            return _rest(ev, frame, param)
        given = argument_for(parameters(scope, bound=frame.receiver is not None), frame.given, param.name)
        if given is not None:
            values = ev.given(given)
            told = v.known(values) or given.held == ()
            return values if told else v.union(values, hints.parameter(ev, param, signature))
    values = () if param.default is None else ev.evaluate(param.default, signature)
    values = v.union(values, hints.parameter(ev, param, signature))
    if param.annotation is None and param is scope.params[0] and scope.owner:
        values = v.union(values, members.receiver(ev, scope, site))
        if values:
            return values
    told = v.known(tuple(one for one in values if not isinstance(one, v.Callable) and not classes.says_less(ev, one)))
    if not told and (scope.decorated or scope.name.startswith("test")):
        values = v.union(values, fixtures.passed(ev, scope, param))
    if not told and frame is None and not param.star and ev.follows_callers(scope):
        values = v.union(values, callers.passed(ev, scope, param))
    return (*values, v.Symbol(scope, param.name))


def _rest(ev: Ask, frame: Frame, param: Parameter) -> v.Values:
    """Return what ``*args`` or ``**kwargs`` get in a call."""
    items = arguments_for(parameters(frame.scope, bound=frame.receiver is not None), frame.given, param.name)
    if param.star == "**":
        keys: list[v.Values] = [(v.Literal(item.keyword),) if item.keyword else () for item in items]
        return (v.Table(tuple((key, ev.given(item)) for key, item in zip(keys, items, strict=True))),)
    if any(item.opaque for item in items):
        return (v.Many("tuple", v.union(*map(ev.given, items))),)
    return (v.Sequence("tuple", tuple(map(ev.given, items))),)
