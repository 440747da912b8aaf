"""Which one constant is an expression, whichever way control came? It may be told by a row, or a call, looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream_lint import members
from sessionstream_lint import scopes as sc
from sessionstream_lint import syntax as s
from sessionstream_lint.flow import reaching
from sessionstream_lint.frames import argument_for, frame_of, parameters
from sessionstream_lint.modules import absolute
from sessionstream_lint.scopes import Binding, Key, Site
from sessionstream_lint.values import File, Instance, Klass, Literal, Value, Values

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

MAX_STEPS = 10


def text(ev: Evaluator, node: s.Node, site: Site) -> str | None:
    """Return the string that an expression certainly is, if that is written out somewhere."""
    found = exact(ev, node, site)
    return found.value if found is not None and isinstance(found.value, str) else None


def exact(ev: Evaluator, node: s.Node, site: Site, steps: int = MAX_STEPS) -> Literal | None:
    """Return the constant that an expression certainly is."""
    shape = s.view(node)
    if isinstance(shape, s.Constant):
        return Literal(shape.value)
    if not steps:
        return None
    if site.rows and _is_of_row(ev, node, site, steps):
        return _only(ev.evaluate(node, site))
    key = s.dotted(node)
    return None if key is None else _named(ev, key, site, steps)


def _named(ev: Evaluator, key: Key, site: Site, steps: int) -> Literal | None:
    key, site = ev.origin(key, site)
    found, binding = single(key, site)
    if not found or not steps:
        return None
    if binding is None:
        base, _, attr = key.rpartition(".")
        if base and _is_made(ev, ev.lookup(base, site), attr):
            return _only(ev.lookup(key, site))
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


def _passed(ev: Evaluator, scope: sc.Scope, param: s.Parameter, site: Site, steps: int) -> Literal | None:
    """Return the constant that a parameter gets in the call looked into."""
    frame = frame_of(site, scope)
    if frame is None or param.star:
        return None
    given = argument_for(parameters(scope, bound=frame.receiver is not None), frame.given, param.name)
    if given is not None:
        if given.held is not None:
            return _only(given.held)
        return exact(ev, given.argument.value, given.site, steps - 1)
    if param.default is None or any(item.opaque for item in frame.given):
        return None
    return exact(ev, param.default, scope.signature or site, steps - 1)


def _is_of_row(ev: Evaluator, node: s.Node, site: Site, steps: int) -> bool:
    """Say whether an expression is a part of a row that is looked at."""
    shape = s.view(node)
    attrs: list[str] = []
    while isinstance(shape, s.Attribute | s.Subscript):
        attrs += [shape.attr] if isinstance(shape, s.Attribute) else []
        shape = s.view(shape.value)
    if not isinstance(shape, s.Name) or not steps:
        return False
    key, where = ev.origin(shape.id, site)
    _, binding = single(key, where)
    source = None if binding is None else root(binding.source)
    if binding is not None and isinstance(source, sc.Assigned):
        return _is_of_row(ev, source.value, binding.site.seen_from(where), steps - 1)
    row = next((row for row in site.rows if row.source is source), None)
    return row is not None and not (isinstance(source, sc.Passed) and _is_set(ev, row.value, attrs[-1:]))


def _is_made(ev: Evaluator, values: Values, attr: str) -> bool:
    """Say whether a value is one object, of known arguments, that gets an attribute only where it is made."""
    if len(values) != 1 or not isinstance(values[0], Instance) or values[0].made is None:
        return False
    classes = _classes(ev, values[0])
    times = sum(len(scope.attributes.get(attr, ())) for scope in classes)
    return times == 0 or (times == 1 and not any(attr in scope.names for scope in classes))


def _is_set(ev: Evaluator, value: Value, attrs: list[str]) -> bool:
    """Say whether a method sets an attribute of an object, so that its class does not say what it is."""
    return any(attr in scope.attributes for scope in _classes(ev, value) for attr in attrs)


def _classes(ev: Evaluator, value: Value) -> list[sc.Scope]:
    """Return the class of an object, or a class itself, and what of the project it inherits from."""
    of = value.of if isinstance(value, Instance) else value
    found = members.ancestors(ev, of.scope) if isinstance(of, Klass) else []
    return [one.scope for one in found if isinstance(one, Klass)]


def _only(values: Values) -> Literal | None:
    return values[0] if len(values) == 1 and isinstance(values[0], Literal) else None


def root(source: sc.Source) -> sc.Source:
    """Return what a source is a part of."""
    while isinstance(source, sc.Unpacked):
        source = source.source
    return source


def single(key: Key, site: Site) -> tuple[bool, Binding | None]:
    """Return whether exactly one way leads to the key, and its binding, which a dotted key may lack."""
    reached = reaching(key, site)
    bindings = {one.binding for one in reached}
    if len(bindings) != 1:
        return False, None
    return True, bindings.pop()
