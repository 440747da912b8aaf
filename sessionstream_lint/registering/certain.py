"""What is certain of a registration, where "may" is not enough: the object it registers with, what precedes it."""

from __future__ import annotations

from dataclasses import dataclass

from sessionstream_lint.inference import classes
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.constants import single
from sessionstream_lint.inference.values import Bound, External, File, Instance, Klass, Routine
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import reaching
from sessionstream_lint.program.scopes import Binding, CallSite, Key, Site
from sessionstream_lint.reading import shapes as s
from sessionstream_lint.reading.gate import METHODS
from sessionstream_lint.registering.written import Registering

MAX_STEPS = 10


def is_tested(node: s.Node, site: Site) -> bool:
    """Say whether a name was tested on a way to the site, so that it may never get there with that value."""
    key = s.dotted(node)
    return key is not None and any(one.guards for one in reaching(key, site))


def is_expected(ev: Ask, call: CallSite) -> bool:
    """Say whether an error of a call is expected or handled, maybe by a context manager that the project wrote."""
    return call.guarded or any(_expects(ev, node, site) for node, site in call.managers)


def _expects(ev: Ask, node: s.Node, site: Site) -> bool:
    shape = s.view(node)
    for value in ev.evaluate(shape.func, site) if isinstance(shape, s.Call) else ():
        routine = value.method if isinstance(value, Bound) else value
        if isinstance(routine, Routine) and routine.scope.expects:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Origin:
    """One object: what a binding gave, and the attributes of it that lead there."""

    binding: Binding
    path: tuple[str, ...] = ()


def registry(ev: Ask, call: Registering) -> Origin | None:
    """Return which registry a call registers with, if it is certain; one that a wrapper gets is its caller's."""
    node, site = call.at.shape.func, call.at.site
    found = _receiver(ev, node, site, call)
    for link in call.chain:
        if found is None:
            return None
        source = found.binding.source
        if isinstance(source, sc.Passed) and source.scope is link.scope:
            filling = link.filling(ev, source.param.name)
            if len(filling) != 1 or found.path:
                return None
            given = filling[0]
            found = _origin(ev, given.value, given.site)
        elif found.binding.site.block.scope is link.scope:
            return None
    return found


def _receiver(ev: Ask, node: s.Node, site: Site, call: Registering) -> Origin | None:
    for _ in range(MAX_STEPS):
        shape = s.view(node)
        if isinstance(shape, s.Attribute) and shape.attr in METHODS:
            if call.unbound:
                first = call.given[0] if call.given else None
                return None if first is None or first.star else _origin(ev, first.value, call.given[0].site)
            return _origin(ev, shape.value, site)
        if isinstance(shape, s.Call) and shape.args and External("builtins.getattr") in ev.evaluate(shape.func, site):
            return _origin(ev, shape.args[0].value, site)
        key = s.dotted(node)
        found, binding = (False, None) if key is None else single(key, site)
        if not found or binding is None or not isinstance(binding.source, sc.Assigned):
            return None
        node, site = binding.source.value, binding.site
    return None


def _origin(ev: Ask, node: s.Node, site: Site) -> Origin | None:
    key = s.dotted(node)
    return None if key is None else _origin_of(ev, key, site, MAX_STEPS)


def _origin_of(ev: Ask, key: Key, site: Site, steps: int) -> Origin | None:
    key, site = ev.origin(key, site)
    found, binding = single(key, site)
    if not found or not steps:
        return None
    if binding is None:
        base, _, attr = key.rpartition(".")
        inner = _origin_of(ev, base, site, steps - 1) if base else None
        if inner is None or not _is_stable(ev, base, attr, site):
            return None
        return Origin(inner.binding, (*inner.path, attr))
    match binding.source:
        case sc.Assigned(value) | sc.Declared(_, value) if value is not None:
            alias = s.dotted(value)
            return (None if alias is None else _origin_of(ev, alias, binding.site, steps - 1)) or Origin(binding)
        case sc.Imported() | sc.Passed() | sc.Entered() | sc.Unpacked() | sc.Element():
            return Origin(binding)
        case _:
            return None


def _is_stable(ev: Ask, base: Key, attr: str, site: Site) -> bool:
    """Say whether an attribute is the same object each time: assigned in one place, and no property."""
    for value in ev.lookup(base, site):
        if isinstance(value, Instance) and isinstance(value.of, Klass):
            scopes = [one.scope for one in classes.ancestors(ev, value.of.scope) if isinstance(one, Klass)]
            assigned = [one for scope in scopes for one in scope.attributes.get(attr, ())]
            defined = [one for scope in scopes for one in scope.bindings.get(attr, ())]
            if len(assigned) > 1 or any(isinstance(one.source, sc.Defined) for one in defined):
                return False
        elif isinstance(value, File) and len(value.module.scope.bindings.get(attr, ())) > 1:
            return False
    return True


def may_change(ev: Ask, origin: Origin, calls: list[CallSite]) -> bool:
    """Say whether one of these calls may put another object where the origin leads: an attribute is set by methods."""
    if not origin.path:
        return False
    key = origin.binding.key
    return any(_may_set(ev, call, key, origin.path) for call in calls) and _is_set_again(ev, origin)


def _may_set(ev: Ask, call: CallSite, key: Key, path: tuple[str, ...]) -> bool:
    """Say whether a call is one of a method of that object that the project wrote, or gets the object."""
    func = s.dotted(call.shape.func) or ""
    if any(s.dotted(argument.value) == key for argument in call.shape.args):
        return True
    if not func.startswith(f"{key}.") or func.startswith(f"{key}.{'.'.join(path)}."):
        return False
    found = ev.evaluate(call.shape.func, call.site)
    return not found or any(not (isinstance(one, Bound) and isinstance(one.method, External)) for one in found)


def _is_set_again(ev: Ask, origin: Origin) -> bool:
    """Say whether the attribute is set anywhere but where the object is made."""
    for value in ev.bound(origin.binding):
        if isinstance(value, Instance) and isinstance(value.of, Klass):
            for one in classes.ancestors(ev, value.of.scope):
                set_here = one.scope.attributes.get(origin.path[0], ()) if isinstance(one, Klass) else ()
                if any(binding.site.block.scope.name != "__init__" for binding in set_here):
                    return True
        else:
            return True
    return False


def precedes(first: Site, second: Site) -> bool:
    """Say whether control can pass the first site and then the second, which stands after it, in one go.

    That is so when one of them lies in a branch, at most, of the block of the other.
    """
    if first.block.scope is not second.block.scope or (first.guards and second.guards):
        return False
    if first.block in second.block.around():
        return True
    for block in first.block.around():
        if block is second.block:
            return True
        if block.dead:
            return False
    return False
