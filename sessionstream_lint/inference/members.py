"""Attributes: of modules, classes, instances and ``super()``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sessionstream_lint.inference import classes, containers, hints, records
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.frames import Frame, frame_of
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.resolve import canonical
from sessionstream_lint.program.surface import ATTRIBUTES

MAX_CLASSES = 100
MAX_PUT = 100


def attribute(ev: Ask, values: v.Values, attr: str, site: sc.Site | None = None) -> v.Values:
    """Return what ``.attr`` of these may be, in the calls through which the site was reached if there is one."""
    return v.union(*(_of(ev, value, attr, site) for value in values))


def _of(ev: Ask, value: v.Value, attr: str, site: sc.Site | None) -> v.Values:
    match value:
        case v.File(module):
            return of_module(ev, module.name, attr)
        case v.External(name):
            return (v.External(canonical(f"{name}.{attr}")),)
        case v.Klass(scope):
            return _of_class(ev, scope, attr, None, site)
        case v.Instance(of) if attr == "__class__":
            return (of,)
        case v.Instance(v.External(name)):
            return (member(value, f"{name}.{attr}"),)
        case v.Instance(v.Klass(scope)):
            return _of_class(ev, scope, attr, value, site)
        case v.Super(instance, above):
            return _of_class(ev, above, attr, instance, site, above=True)
        case v.Symbol():
            return (value,)
        case v.Sequence(_, items, names) if attr in names:
            return items[names.index(attr)]
        case v.Sequence() | v.Many() | v.Table() | v.Literal():
            return (v.Bound(value, v.External(f"builtins.container.{attr}")),)
        case _:
            return ()


def of_module(ev: Ask, module: str, name: str) -> v.Values:
    """Return what ``from module import name`` gives."""
    found = ev.project.load(module)
    if found is None:
        return (v.External(canonical(f"{module}.{name}")),)
    values = exported(ev, found, name)
    if values:
        return values
    inner = ev.project.load(f"{module}.{name}")
    return (v.File(inner),) if inner else (v.External(canonical(f"{module}.{name}")),)


def exported(ev: Ask, module: sc.Module, name: str) -> v.Values:
    """Return what a module of the project offers under a name, maybe by way of wildcards."""
    stub = ev.project.stub(module.name)
    declared = ev.lookup(name, stub.scope.end()) if stub is not None and name in stub.scope.bindings else ()
    if name in module.scope.bindings or "*" in module.scope.bindings:
        return v.union(declared, ev.lookup(name, module.scope.end()))
    return declared


def _of_class(
    ev: Ask, scope: sc.Scope, attr: str, instance: v.Value | None, site: sc.Site | None, above: bool = False
) -> v.Values:
    """Return what a class, or an instance of it, has under a name; ``above``: only what it inherits."""
    given = _enumerated(ev, scope, attr) if instance is None else () if above else records.field(ev, instance, attr)
    if given:
        return given
    for ancestor in classes.ancestors(ev, scope)[above:]:
        if isinstance(ancestor, v.Klass):
            values = _declared(ev, ancestor.scope, attr, instance, site)
            if values is not None:
                return values
        elif ancestor.name not in ("abc.ABC", "builtins.object", "typing.Generic", "typing.Protocol"):
            name = f"{ancestor.name}.{attr}"
            return (member(instance, name) if instance else v.External(canonical(name)),)
    return ()


def _enumerated(ev: Ask, scope: sc.Scope, attr: str) -> v.Values:
    """Return the member of an enumeration, if the class is one."""
    found = scope.bindings.get(attr)
    return records.enum_member(attr, found[0]) if found and records.is_enum(ev, scope) else ()


def _declared(ev: Ask, scope: sc.Scope, attr: str, instance: v.Value | None, site: sc.Site | None) -> v.Values | None:
    """Return what a class itself says of an attribute; None when it says nothing."""
    assigned = scope.attributes.get(attr, [])[:MAX_PUT] if instance else []
    inside = scope.bindings.get(attr, [])
    if not assigned and not inside:
        return None
    frame = records.frame(ev, instance) if assigned else None
    groups = [_seen(ev, binding, frame) for binding in assigned]
    if inside:
        current = ev.lookup(attr, scope.end())
        groups.append(v.union(*(_through(ev, value, instance, scope) for value in current)))
    hinted = (
        hints.instances(ev, binding.source.annotation, binding.site)
        for binding in (*inside, *assigned)
        if isinstance(binding.source, sc.Declared)
    )
    put = (
        _seen(ev, binding, None if site is None else frame_of(site, binding.site.block.scope))
        for binding in scope.stored.get(attr, ())[:MAX_PUT]
    )
    return containers.filled(v.union(*groups, *hinted), put)


def _seen(ev: Ask, binding: sc.Binding, frame: Frame | None) -> v.Values:
    """Return what a method gives an attribute, or puts into it; the call looked into counts, if it is one of that."""
    home = binding.site.block.scope
    return ev.bound(binding, replace(binding.site, frame=frame if frame is not None and frame.scope is home else None))


def _through(ev: Ask, value: v.Value, instance: v.Value | None, owner: sc.Scope) -> v.Values:
    """Bind a method, run a property."""
    if not isinstance(value, v.Routine) or value.scope.parent is not owner:
        return (value,)
    kinds = classes.decorators(ev, value.scope)
    if "staticmethod" in kinds:
        return (value,)
    if "classmethod" in kinds:
        of = instance.of if isinstance(instance, v.Instance) else v.Klass(owner)
        return (v.Bound(of, value),)
    if instance is None:
        return (value,)
    if kinds & {"property", "cached_property"}:
        return ev.call((v.Bound(instance, value),), (), value.scope.block.here())
    return (v.Bound(instance, value),)


def _receiver(ev: Ask, scope: sc.Scope) -> v.Values:
    """Return what the first parameter of a method is: of the class, or of one beside it that has the method from it."""
    if scope.parent is None or scope.kind != "function":
        return ()
    kinds = classes.decorators(ev, scope)
    if "staticmethod" in kinds:
        return ()
    heirs = ev.once(("heirs", id(scope)), lambda: tuple(_heirs(ev, scope)))
    if scope.name == "__init_subclass__":
        return heirs
    found = (v.Klass(scope.parent), *heirs)
    return found if "classmethod" in kinds or scope.name == "__new__" else hints.from_classes(ev, found)


def _heirs(ev: Ask, method: sc.Scope) -> Iterator[v.Klass]:
    """Yield the classes defined beside the one that a method is written in, and which have it from there."""
    home = method.parent.parent if method.parent is not None else None
    beside = [] if home is None else [one for found in home.bindings.values() for one in found]
    defined = [one.source.scope for one in beside if isinstance(one.source, sc.Defined)]
    for scope in defined[:MAX_CLASSES]:
        if scope.kind == "class" and scope is not method.parent:
            line = [one.scope for one in classes.ancestors(ev, scope) if isinstance(one, v.Klass)]
            if method.parent in line and not any(method.name in one.names for one in line[: line.index(method.parent)]):
                yield v.Klass(scope)


def receiver(ev: Ask, method: sc.Scope, site: sc.Site) -> v.Values:
    """Return what the first parameter of a method is; made by the call looked into, if that is one."""
    return tuple(_made_within(ev, value, site) for value in _receiver(ev, method))


def _made_within(ev: Ask, value: v.Value, site: sc.Site) -> v.Value:
    if not isinstance(value, v.Instance) or not isinstance(value.of, v.Klass):
        return value
    init = records.initializer(ev, value.of.scope)
    made = frame_of(site, value.of.scope if init is None else init)
    return value if made is None else v.Instance(value.of, made.given)


def member(receiver: v.Value, name: str) -> v.Value:
    """Return what an object of a class outside the project has under that name, a method if nothing is known."""
    name = canonical(name)
    return v.Instance(v.External(ATTRIBUTES[name])) if name in ATTRIBUTES else v.Bound(receiver, v.External(name))
