"""Attributes: of modules, classes, instances and ``super()``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sessionstream_lint import calling, containers, hints, library, records
from sessionstream_lint import scopes as sc
from sessionstream_lint import syntax as s
from sessionstream_lint.frames import Frame, frame_of
from sessionstream_lint.resolve import canonical
from sessionstream_lint.scopes import Binding, Scope, Site
from sessionstream_lint.values import (
    Bound,
    Computed,
    External,
    File,
    Instance,
    Klass,
    Literal,
    Many,
    Mapping,
    Routine,
    Sequence,
    Super,
    Symbol,
    Table,
    Value,
    Values,
    union,
)

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

MAX_ANCESTORS = 30
# Classes of which other classes that matter are subclasses.
LESS = (
    (MESSAGE := External("google.protobuf.message.Message")),
    Instance(MESSAGE),
    Instance(External("builtins.object")),
    Instance(External("builtins.type")),
    External("abc.ABC"),
    External("typing.Protocol"),
)
MAX_CLASSES = 100
MAX_PUT = 100
MESSAGE_FACTORIES = ("FromString",)


def attribute(ev: Evaluator, values: Values, attr: str, site: Site | None = None) -> Values:
    """Return what ``.attr`` of these may be, in the calls through which the site was reached if there is one."""
    return union(*(_of(ev, value, attr, site) for value in values))


def _of(ev: Evaluator, value: Value, attr: str, site: Site | None) -> Values:
    match value:
        case File(module):
            return of_module(ev, module.name, attr)
        case External(name):
            return (External(canonical(f"{name}.{attr}")),)
        case Klass(scope):
            return _of_class(ev, scope, attr, None, site)
        case Instance(of) if attr == "__class__":
            return (of,)
        case Instance(External(name)):
            return (library.member(value, f"{name}.{attr}"),)
        case Instance(Klass(scope)):
            return _of_class(ev, scope, attr, value, site)
        case Super(instance, above):
            return _inherited(ev, above, attr, instance, site)
        case Symbol():
            return (value,)
        case Sequence(_, items, names) if attr in names:
            return items[names.index(attr)]
        case Sequence() | Many() | Table() | Mapping() | Literal() | Computed():
            return (Bound(value, External(f"builtins.container.{attr}")),)
        case Routine() if attr == "__wrapped__":
            return (value,)
        case _:
            return ()


def of_module(ev: Evaluator, module: str, name: str) -> Values:
    """Return what ``from module import name`` gives."""
    found = ev.project.load(module)
    if found is None:
        return (External(canonical(f"{module}.{name}")),)
    values = ev.exported(found, name)
    if values:
        return values
    inner = ev.project.load(f"{module}.{name}")
    return (File(inner),) if inner else (External(canonical(f"{module}.{name}")),)


def _of_class(ev: Evaluator, scope: Scope, attr: str, instance: Value | None, site: Site | None) -> Values:
    given = _enumerated(ev, scope, attr) if instance is None else records.field(ev, instance, attr)
    if given:
        return given
    for ancestor in ancestors(ev, scope):
        if isinstance(ancestor, External):
            name = f"{ancestor.name}.{attr}"
            if ancestor.name in ("abc.ABC", "builtins.object", "typing.Generic", "typing.Protocol"):
                continue
            return (library.member(instance, name) if instance else External(canonical(name)),)
        values = _declared(ev, ancestor.scope, attr, instance, site)
        if values is not None:
            return values
    return ()


def _enumerated(ev: Evaluator, scope: Scope, attr: str) -> Values:
    """Return the member of an enumeration, if the class is one."""
    for binding in scope.bindings.get(attr, ())[:1]:
        if isinstance(binding.source, sc.Assigned) and records.is_enum(ev, scope):
            return (records.enum_member(attr, binding),)
    return ()


def _inherited(ev: Evaluator, scope: Scope, attr: str, instance: Value, site: Site | None) -> Values:
    for ancestor in ancestors(ev, scope)[1:]:
        if isinstance(ancestor, External):
            return (Bound(instance, External(canonical(f"{ancestor.name}.{attr}"))),)
        values = _declared(ev, ancestor.scope, attr, instance, site)
        if values is not None:
            return values
    return ()


def _declared(ev: Evaluator, scope: Scope, attr: str, instance: Value | None, site: Site | None) -> Values | None:
    """Return what a class itself says of an attribute; None when it says nothing."""
    assigned = scope.attributes.get(attr, [])[:MAX_PUT] if instance else []
    inside = scope.bindings.get(attr, [])
    if not assigned and not inside:
        return None
    frame = records.frame(ev, instance) if assigned else None
    groups = [_assigned(ev, binding, frame) for binding in assigned]
    if inside:
        current = ev.lookup(attr, scope.end())
        groups.append(union(*(_through(ev, value, instance, scope) for value in current)))
    hinted = (
        hints.instances(ev, binding.source.annotation, binding.site)
        for binding in (*inside, *assigned)
        if isinstance(binding.source, sc.Declared)
    )
    put = [_put(ev, binding, site) for binding in scope.stored.get(attr, ())[:MAX_PUT]]
    return containers.filled(union(*groups, *hinted), union(*put))


def _put(ev: Evaluator, binding: Binding, site: Site | None) -> Values:
    """Return what a method put into an attribute, the one that is looked into with its arguments."""
    frame = None if site is None else frame_of(site, binding.site.block.scope)
    return ev.bound(binding, replace(binding.site, frame=frame))


def _assigned(ev: Evaluator, binding: Binding, frame: Frame | None) -> Values:
    """Return what a method assigned to an attribute, the ``__init__`` that made the object with its arguments."""
    if frame is None or binding.site.block.scope is not frame.scope:
        return ev.bound(binding)
    return ev.bound(binding, replace(binding.site, frame=frame))


def _through(ev: Evaluator, value: Value, instance: Value | None, owner: Scope) -> Values:
    """Bind a method, run a property."""
    if not isinstance(value, Routine) or value.scope.parent is not owner:
        return (value,)
    kinds = calling.decorators(ev, value.scope)
    if "staticmethod" in kinds:
        return (value,)
    if "classmethod" in kinds:
        of = instance.of if isinstance(instance, Instance) else Klass(owner)
        return (Bound(of, value),)
    if instance is None:
        return (value,)
    if kinds & {"property", "cached_property"}:
        return calling.returned(ev, value.scope, (), instance, value.scope.block.here())
    return (Bound(instance, value),)


def receiver(ev: Evaluator, scope: Scope) -> Values:
    """Return what the first parameter of a method is."""
    if scope.parent is None or scope.kind != "function":
        return ()
    kinds = calling.decorators(ev, scope)
    if "staticmethod" in kinds:
        return ()
    classes = (Klass(scope.parent), *_inheriting(ev, scope))
    if scope.name == "__init_subclass__":
        return classes[1:]
    return classes if "classmethod" in kinds or scope.name == "__new__" else tuple(Instance(one) for one in classes)


def _inheriting(ev: Evaluator, method: Scope) -> tuple[Klass, ...]:
    """Return the classes defined beside the one that a method is written in, and which have it from there."""
    found = ev.once(("inheriting", id(method)), lambda: tuple(_heirs(ev, method)))
    return tuple(one for one in found if isinstance(one, Klass))


def _heirs(ev: Evaluator, method: Scope) -> Iterator[Klass]:
    home = method.parent.parent if method.parent is not None else None
    beside = [] if home is None else [one for found in home.bindings.values() for one in found]
    defined = [one.source.scope for one in beside if isinstance(one.source, sc.Defined)]
    for scope in defined[:MAX_CLASSES]:
        if scope.kind == "class" and scope is not method.parent:
            line = [one.scope for one in ancestors(ev, scope) if isinstance(one, Klass)]
            if method.parent in line and not any(method.name in one.names for one in line[: line.index(method.parent)]):
                yield Klass(scope)


def ancestors(ev: Evaluator, scope: Scope) -> list[Klass | External]:
    """Return the class and what it inherits from, nearest first."""
    found: list[Klass | External] = []
    todo: list[Klass | External] = [Klass(scope)]
    while todo and len(found) < MAX_ANCESTORS:
        current = todo.pop(0)
        if current in found:
            continue
        found.append(current)
        if isinstance(current, Klass):
            todo = [*bases(ev, current.scope), *todo]
    return found


def bases(ev: Evaluator, scope: Scope) -> list[Klass | External]:
    """Return what the bases of a class statement may be."""
    found: list[Klass | External] = []
    site = scope.signature
    if site is None or not isinstance(scope.shape, s.Class):
        return found
    for base in scope.shape.bases:
        if base.keyword is None and not base.star:
            values = ev.evaluate(base.value, replace(site, guards=()))
            found += [value for value in values if isinstance(value, Klass | External)]
    return found


def says_less(ev: Evaluator, value: Value) -> bool:
    """Say whether an annotation says less of an object than what is given for it: a protocol, a base class."""
    if value in LESS:
        return True
    of = value.of if isinstance(value, Instance) else value
    return isinstance(of, Klass) and any(one in LESS for one in ancestors(ev, of.scope))


def inherits(ev: Evaluator, of: External | Klass, name: str) -> bool:
    """Say whether a class is, or descends from, the external class of that name."""
    if isinstance(of, External):
        return of.name == name
    return External(name) in ancestors(ev, of.scope)
