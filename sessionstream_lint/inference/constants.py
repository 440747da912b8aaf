"""Which one constant is an expression, whichever way control came? It may be told by a row, or a call, looked into."""

from __future__ import annotations

from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.frames import argument_for, frame_of, parameters
from sessionstream_lint.inference.values import File, Klass, Literal, Values
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import reaching
from sessionstream_lint.program.names import absolute
from sessionstream_lint.program.scopes import Binding, Key, Site
from sessionstream_lint.reading import shapes as s

MAX_STEPS = 10


def text(ev: Ask, node: s.Node, site: Site) -> str | None:
    """Return the string that an expression certainly is, if that is written out somewhere."""
    found = exact(ev, node, site)
    return found.value if found is not None and isinstance(found.value, str) else None


def exact(ev: Ask, node: s.Node, site: Site, steps: int = MAX_STEPS) -> Literal | None:
    """Return the constant that an expression certainly is."""
    shape = s.view(node)
    if isinstance(shape, s.Constant):
        return Literal(shape.value)
    if not steps:
        return None
    key = s.dotted(node)
    return None if key is None else _named(ev, key, site, steps)


def _named(ev: Ask, key: Key, site: Site, steps: int) -> Literal | None:
    key, site = ev.origin(key, site)
    found, binding = single(key, site)
    if not found or not steps:
        return None
    if binding is None:
        base, _, attr = key.rpartition(".")
        scopes = {
            value.module.scope if isinstance(value, File) else value.scope
            for value in (ev.lookup(base, site) if base else ())
            if isinstance(value, File | Klass)
        }
        return _named(ev, attr, scopes.pop().end(), steps - 1) if len(scopes) == 1 else None
    match binding.source:
        case sc.Assigned(value) | sc.Declared(_, value) if value is not None:
            return exact(ev, value, binding.site.seen_from(site), steps - 1)
        case sc.Imported(module, level, str() as name):
            home = ev.project.load(absolute(module, level, binding.site.block.scope.module.package))
            return None if home is None else _named(ev, name, home.scope.end(), steps - 1)
        case sc.Passed(scope, param):
            return _passed(ev, scope, param, site, steps)
        case _:
            return None


def _passed(ev: Ask, scope: sc.Scope, param: s.Parameter, site: Site, steps: int) -> Literal | None:
    """Return the constant that a parameter gets in the call looked into."""
    frame = frame_of(site, scope)
    if frame is None or param.star:
        return None
    given = argument_for(parameters(scope, bound=frame.receiver is not None), frame.given, param.name)
    if given is not None:
        if given.held is not None:
            return _only(given.held)
        return exact(ev, given.value, given.site, steps - 1)
    if param.default is None or any(item.opaque for item in frame.given):
        return None
    return exact(ev, param.default, scope.signature or site, steps - 1)


def _only(values: Values) -> Literal | None:
    return values[0] if len(values) == 1 and isinstance(values[0], Literal) else None


def single(key: Key, site: Site) -> tuple[bool, Binding | None]:
    """Return whether exactly one way leads to the key, and its binding, which a dotted key may lack."""
    reached = reaching(key, site)
    bindings = {one.binding for one in reached}
    if len(bindings) != 1:
        return False, None
    return True, bindings.pop()
