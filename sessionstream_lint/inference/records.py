"""Objects that keep what they were made with: dataclasses, named tuples, and whatever has an ``__init__``."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from sessionstream_lint.inference import classes
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.frames import Frame, argument_for, around
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.reading.syntax import Node, Parameter, dotted

DECORATORS = {"dataclass", "define", "frozen", "mutable", "attrs", "attr", "s"}
BASES = {"typing.NamedTuple", "pydantic.BaseModel", "msgspec.Struct"}
MAX_FRAMES = 6


def initializer(ev: Ask, scope: sc.Scope) -> sc.Scope | None:
    """Return the ``__init__`` that making an object of this class runs, if the project wrote it."""
    for ancestor in classes.ancestors(ev, scope):
        for binding in ancestor.scope.bindings.get("__init__", ()) if isinstance(ancestor, v.Klass) else ():
            if isinstance(binding.source, sc.Defined):
                return binding.source.scope
    return None


def fields(ev: Ask, scope: sc.Scope) -> tuple[Parameter, ...]:
    """Return what the generated ``__init__`` of a class takes; of an enumeration what its members have."""
    found: dict[str, Parameter] = {}
    ancestors = classes.ancestors(ev, scope)
    if is_enum(ev, scope):
        return Parameter("value"), Parameter("name")
    if initializer(ev, scope) is not None or not any(_is_record(ev, one) for one in ancestors):
        return ()
    for ancestor in reversed(ancestors):
        for key, bindings in ancestor.scope.bindings.items() if isinstance(ancestor, v.Klass) else ():
            source = bindings[0].source
            if isinstance(source, sc.Declared) and "." not in key and not _is_shared(source.annotation):
                found[key] = Parameter(key, source.annotation, source.value)
    return tuple(found.values())


def _is_record(ev: Ask, of: v.Klass | v.External) -> bool:
    if isinstance(of, v.External):
        return of.name in BASES
    return bool(classes.decorators(ev, of.scope) & DECORATORS)


def _is_shared(annotation: Node) -> bool:
    name = dotted(annotation.value if isinstance(annotation, cst.Subscript) else annotation)
    return name is not None and name.rpartition(".")[2] == "ClassVar"


def is_enum(ev: Ask, scope: sc.Scope) -> bool:
    """Say whether a class is an enumeration."""
    return any(isinstance(one, v.External) and one.name.startswith("enum.") for one in classes.ancestors(ev, scope))


def enum_members(ev: Ask, scope: sc.Scope) -> v.Values:
    """Return the members of an enumeration."""
    return tuple(
        member
        for name, bindings in scope.bindings.items()
        if not name.startswith("_") and "." not in name
        for member in enum_member(name, bindings[0])
    )


def enum_member(name: str, binding: sc.Binding) -> v.Values:
    """Return one member of an enumeration: an object with a name and a value."""
    if not isinstance(binding.source, sc.Assigned):
        return ()
    value, site = binding.source.value, binding.site
    given = v.Given(value, site), v.Given(value, site, held=(v.Literal(name),))
    return (v.Instance(v.Klass(site.block.scope), given),)


def field(ev: Ask, instance: v.Value | None, attr: str) -> v.Values:
    """Return what an object got for a field when it was made."""
    if not isinstance(instance, v.Instance) or not isinstance(instance.of, v.Klass) or instance.made is None:
        return ()
    given = argument_for(fields(ev, instance.of.scope), instance.made, attr)
    return () if given is None else ev.given(given)


def frame(ev: Ask, instance: v.Value | None) -> Frame | None:
    """Return the call of ``__init__`` that made an object."""
    if not isinstance(instance, v.Instance) or not isinstance(instance.of, v.Klass) or instance.made is None:
        return None
    made, init = instance.made, initializer(ev, instance.of.scope)
    if is_enum(ev, instance.of.scope):  # that of an enumeration is given the parts of the value
        parts = (part for value in ev.given(made[0]) if isinstance(value, v.Sequence) for part in value.items)
        made = tuple(replace(made[0], held=part) for part in parts) or made[:1]
    frames = [found for item in made if (found := around(item.site)) is not None]
    depth = 1 + max((found.depth for found in frames), default=0)
    if init is None or depth > MAX_FRAMES:
        return None
    return ev.frame(init, made, instance, None, depth)


def as_tuple(ev: Ask, value: v.Value) -> v.Sequence | None:
    """Return a named tuple as the tuple it is."""
    if not isinstance(value, v.Instance) or not isinstance(value.of, v.Klass) or value.made is None:
        return None
    if v.External("typing.NamedTuple") not in classes.ancestors(ev, value.of.scope):
        return None
    params = fields(ev, value.of.scope)
    return v.Sequence("tuple", tuple(field(ev, value, param.name) for param in params), tuple(p.name for p in params))


def symbol(ev: Ask, base: str, attr: str, site: sc.Site) -> v.Values:
    """Return the symbol for ``self.attr``, when that is a field which whoever makes the object gives."""
    scope: sc.Scope | None = site.block.scope
    while scope is not None and not (scope.params and scope.params[0].name == base):
        scope = scope.parent
    if scope is None or scope.parent is None or scope.parent.kind != "class":
        return ()
    return (v.Symbol(scope.parent, attr),) if any(p.name == attr for p in fields(ev, scope.parent)) else ()
