"""Annotations: what is an object that is declared so?"""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.program.scopes import Site
from sessionstream_lint.reading.syntax import Node, Nodes, Parameter, index, items, quoted

TRANSPARENT = {"Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly", "InitVar", "TypeGuard"}
CHOICES = {"Optional", "Union"}
MAPPINGS = {
    "dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "DefaultDict", "OrderedDict", "ChainMap",
    "MappingProxyType", "WeakValueDictionary",
}  # fmt: skip
CONTAINERS = {
    "list": "list", "List": "list", "set": "set", "Set": "set", "frozenset": "set", "FrozenSet": "set",
    "Sequence": "list", "MutableSequence": "list", "Collection": "set", "Iterable": "iterator",
    "Iterator": "iterator", "Generator": "iterator", "AsyncIterator": "iterator", "AsyncGenerator": "iterator",
    "AsyncIterable": "iterator", "deque": "list", "Deque": "list", "AbstractSet": "set", "KeysView": "set",
    "ValuesView": "set", "Awaitable": "awaitable", "Coroutine": "awaitable", "ContextManager": "context",
    "ContextVar": "variable",
    "AbstractContextManager": "context", "AsyncContextManager": "context", "AbstractAsyncContextManager": "context",
}  # fmt: skip
UNKNOWN = {"typing.Any", "builtins.object"}


def parameter(ev: Ask, param: Parameter, site: Site) -> v.Values:
    """Return what a parameter is declared to be; ``*args`` and ``**kwargs`` are containers of it, or it unpacked."""
    if param.annotation is None:
        return ()
    values = instances(ev, param.annotation, site)
    if param.star == "*":
        return (v.Many("tuple", values),)
    if param.star == "**":
        return (v.Table((((), values),)),)
    return values


def instances(ev: Ask, node: Node, site: Site) -> v.Values:
    """Return what an object of that annotation may be."""
    return ev.once(("annotation", id(node), site), lambda: _instances(ev, node, site))


def _instances(ev: Ask, node: Node, site: Site) -> v.Values:
    match node:
        case cst.BinaryOperation(left=left, operator=cst.BitOr(), right=right):
            return _either(instances(ev, left, site), instances(ev, right, site))
        case cst.Tuple():  # the constraints of a type parameter
            return v.union(*(instances(ev, item, site) for item in items(node)))
        case cst.Subscript():
            return _generic(ev, node, site)
        case _:
            return v.union(*(_instance(ev, value, site) for value in ev.evaluate(node, site)))


def _instance(ev: Ask, value: v.Value, site: Site) -> v.Values:
    """Return an object of the class, alias or type variable that an annotation names."""
    match value:
        case v.External(name) if name in UNKNOWN or (name.startswith("typing.") and name != "typing.Self"):
            return ()
        case v.External("typing.Self"):
            return self_type(site)
        case v.External() | v.Klass():
            return (v.Instance(v.bare(value)),)
        case v.Alternatives(node, where):
            return instances(ev, node, where)
        case v.Literal(str() as text):
            inner = quoted(text)
            if inner is None:
                return ()
            # What is quoted may be defined later on: it is looked up where everything is.
            return instances(ev, inner, site) or instances(ev, inner, site.block.scope.end())
        case v.Literal(None):
            return (v.NONE,)
        case _:
            return ()


def self_type(site: Site) -> v.Values:
    """Return an object of the class around a site."""
    scope = site.block.scope
    while scope.kind != "class" and scope.parent is not None:
        scope = scope.parent
    return (v.Instance(v.Klass(scope)),) if scope.kind == "class" else ()


def _generic(ev: Ask, node: cst.Subscript, site: Site) -> v.Values:
    groups = []
    for head in ev.evaluate(node.value, site):
        if isinstance(head, v.External):
            groups.append(_external(ev, head, index(node), site))
        elif isinstance(head, v.Klass):
            groups.append(_instance(ev, head, site))
        elif isinstance(head, v.Alternatives):
            groups.append(instances(ev, head.node, head.site))
    return v.union(*groups)


def _external(ev: Ask, head: v.External, parts: Nodes, site: Site) -> v.Values:
    name = head.name.rpartition(".")[2]
    if name in TRANSPARENT:
        return instances(ev, parts[0], site)
    if name in CHOICES:
        return _either(*(instances(ev, part, site) for part in parts), *(((v.NONE,),) if name == "Optional" else ()))
    if name in ("type", "Type"):
        return v.union(*(classes(instances(ev, part, site)) for part in parts))
    if name in MAPPINGS and len(parts) == 2:
        return (v.Table(((instances(ev, parts[0], site), instances(ev, parts[1], site)),)),)
    if name in ("tuple", "Tuple"):
        return _tuple(ev, parts, site)
    if name == "Callable":
        return (v.Callable(instances(ev, parts[-1], site)),)
    if name in CONTAINERS:
        part = parts[-1] if name == "Coroutine" else parts[0]
        return (v.Many(CONTAINERS[name], instances(ev, part, site)),)
    return (v.Instance(head),) if not head.name.startswith("typing.") else ()


def _either(*alternatives: v.Values) -> v.Values:
    """Return what is one of several alternatives: which one nobody knows, unless the only other is None."""
    if sum(one != (v.NONE,) for one in alternatives) < 2:
        return v.union(*alternatives)
    return tuple(map(_unsure, v.union(*alternatives)))


def _unsure(value: v.Value) -> v.Value:
    if isinstance(value, v.Many):
        return replace(value, kind="unknown")
    return replace(value, sure=False) if isinstance(value, v.Instance) else value


def _tuple(ev: Ask, parts: Nodes, site: Site) -> v.Values:
    if len(parts) == 2 and isinstance(parts[1], cst.Ellipsis):
        return (v.Many("tuple", instances(ev, parts[0], site)),)
    return (v.Sequence("tuple", tuple(instances(ev, part, site) for part in parts)),)


def classes(values: v.Values) -> v.Values:
    """Return the classes of objects."""
    return v.union(value.of for value in values if isinstance(value, v.Instance))


def from_classes(ev: Ask, values: v.Values) -> v.Values:
    """Return objects of classes: what ``cast`` gives, what ``isinstance`` proves."""
    found: list[v.Value] = []
    for value in values:
        match value:
            case v.External() | v.Klass():
                found.append(v.Instance(v.bare(value)))
            case v.Sequence(_, held):
                for item in held:
                    found += from_classes(ev, item)
            case v.Alternatives(node, site):
                found += instances(ev, node, site)
            case v.Literal(None):
                found.append(v.NONE)
            case _:
                pass
    return tuple(found)
