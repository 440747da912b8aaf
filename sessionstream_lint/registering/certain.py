"""What is certain of a registration, where "may" is not enough: its name, the registry, what precedes it."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from sessionstream_lint.inference import classes
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import File, Instance, Klass
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import only, reaching
from sessionstream_lint.reading.gate import METHODS
from sessionstream_lint.reading.syntax import Node, constant, dotted, last_name
from sessionstream_lint.registering.written import Registering

MAX_STEPS = 10


def text(ev: Ask, node: Node, site: sc.Site, steps: int = MAX_STEPS) -> str | None:
    """Return the string that an expression certainly is, if that is written out somewhere."""
    written = constant(node)
    if written is not None:
        return written.value if isinstance(written.value, str) else None
    key = dotted(node)
    return None if key is None else _named(ev, key, site, steps)


def _named(ev: Ask, key: str, site: sc.Site, steps: int) -> str | None:
    binding = only(key, site)
    if not steps:
        return None
    match None if binding is None else binding.source:
        case sc.Assigned(value) | sc.Declared(_, value) if value is not None and binding is not None:
            return text(ev, value, binding.site.seen_from(site), steps - 1)
        case sc.Imported(module, str() as name):
            loaded = ev.project.load(module)
            return None if loaded is None else _named(ev, name, loaded.scope.end(), steps - 1)
        case None:
            base, _, attr = key.rpartition(".")
            held = ev.lookup(base, site) if base else ()
            match held:
                case (File(home),):
                    return _named(ev, attr, home.scope.end(), steps - 1)
                case (Klass(scope),):
                    return _named(ev, attr, scope.end(), steps - 1)
            return None
        case _:
            return None


def is_tested(node: Node, site: sc.Site) -> bool:
    """Say whether a name was tested on a way to the site, so that it may never get there with that value."""
    key = dotted(node)
    return key is not None and any(one.guards for one in reaching(key, site))


@dataclass(frozen=True, slots=True)
class Origin:
    """One object: what a binding gave, and the attributes of it that lead there."""

    binding: sc.Binding
    path: tuple[str, ...] = ()


def registry(ev: Ask, call: Registering) -> Origin | None:
    """Return which registry a call registers with, if it is certain; one that a wrapper gets is its caller's."""
    found = _receiver(ev, call)
    for link in call.chain:
        if found is None:
            return None
        source = found.binding.source
        if isinstance(source, sc.Passed) and source.scope is link.scope:
            filling = link.filling(ev, source.param.name)
            if len(filling) != 1 or found.path:
                return None
            found = _origin(ev, filling[0].value, filling[0].site)
        elif found.binding.site.block.scope is link.scope:
            return None
    return found


def _receiver(ev: Ask, call: Registering) -> Origin | None:
    node = call.at.func
    if not isinstance(node, cst.Attribute) or last_name(node) not in METHODS:
        return None
    return _origin(ev, node.value, call.at.site)


def _origin(ev: Ask, node: Node, site: sc.Site, steps: int = MAX_STEPS) -> Origin | None:
    key = dotted(node)
    return None if key is None else _origin_of(ev, key, site, steps)


def _origin_of(ev: Ask, key: sc.Key, site: sc.Site, steps: int) -> Origin | None:
    found = {one.binding for one in reaching(key, site)}
    binding = found.pop() if len(found) == 1 else None
    base, _, attr = key.rpartition(".")
    if found or not steps:
        return None
    match None if binding is None else binding.source:
        case None:
            inner = _origin_of(ev, base, site, steps - 1) if base and _is_stable(ev, base, attr, site) else None
            return None if inner is None else Origin(inner.binding, (*inner.path, attr))
        case sc.Assigned(value) | sc.Declared(_, value) if value is not None and binding is not None:
            return _origin(ev, value, binding.site, steps - 1) or Origin(binding)
        case sc.Imported() | sc.Passed() | sc.Entered() | sc.Unpacked() | sc.Element() if binding is not None:
            return Origin(binding)
        case _:
            return None


def _is_stable(ev: Ask, base: sc.Key, attr: str, site: sc.Site) -> bool:
    """Say whether an attribute is the same object each time: set once, where the object is made, and no property."""
    for value in ev.lookup(base, site):
        if isinstance(value, Instance) and isinstance(value.of, Klass):
            scopes = [one.scope for one in classes.ancestors(ev, value.of.scope) if isinstance(one, Klass)]
            assigned = [one.site.block.scope.name for scope in scopes for one in scope.attributes.get(attr, ())]
            defined = [one for scope in scopes for one in scope.bindings.get(attr, ())]
            if assigned not in ([], ["__init__"]) or any(isinstance(one.source, sc.Defined) for one in defined):
                return False
        elif isinstance(value, File) and len(value.module.scope.bindings.get(attr, ())) > 1:
            return False
    return True


def precedes(first: sc.Site, second: sc.Site) -> bool:
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
