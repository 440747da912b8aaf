"""SST005: a payload has to be a protobuf message."""

from __future__ import annotations

import builtins
from collections.abc import Iterator

import libcst as cst

from sessionstream_lint.inference import classes
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.program.scopes import Scope, Site
from sessionstream_lint.reading.syntax import Node, called, constant
from sessionstream_lint.registering.registrations import Finding, Registrations
from sessionstream_lint.registering.written import Written

CODE = "SST005"
SUMMARY = "a payload is no protobuf message"

# Classes from outside the project of which it is known that they are no messages, and what inherits from them and
# from nothing else is none either. Of ``object`` and ``type`` anything may be an instance.
MODULES = ("datetime.", "decimal.", "enum.", "fractions.", "pathlib.", "uuid.")
KNOWN = {
    "abc.ABC", "collections.ChainMap", "collections.Counter", "collections.OrderedDict", "collections.UserDict",
    "collections.defaultdict", "collections.deque", "msgspec.Struct", "pydantic.BaseModel", "pydantic.RootModel",
    "types.SimpleNamespace", "typing.NamedTuple", "typing.TypedDict", "sessionstream.Command", "sessionstream.Event",
    "sessionstream.Hub", "sessionstream.SchemaRegistry", "sessionstream.TimelineEntity", "sessionstream.UIEvent",
}  # fmt: skip
TIMES = {"date", "datetime", "time", "timedelta", "timezone", "tzinfo"}
BUILTINS = {f"builtins.{name}" for name, value in vars(builtins).items() if isinstance(value, type)}
OPEN = {"builtins.object", "builtins.type", "abc.ABC"}
# Decorators that give back a class, or another that is no message either.
DECORATORS = {
    "dataclasses.dataclass", "attr.s", "attr.attrs", "attr.define", "attr.frozen", "attr.mutable", "attrs.define",
    "attrs.frozen", "attrs.mutable", "enum.unique", "functools.total_ordering", "pydantic.dataclasses.dataclass",
    "typing.final",
}  # fmt: skip


def check(registrations: Registrations) -> Iterator[Finding]:
    """Yield a finding for every payload that is something else, on one path at least, unless the error is expected."""
    for payload in registrations.payloads:
        what = None if payload.call.at.guarded or not payload.plain else _what(registrations.ev, payload)
        if what is not None:
            text = f"{payload.subject} registers {what} as its payload; it has to be a protobuf message"
            yield Finding(CODE, payload.node, text, payload.row)


def _what(ev: Ask, payload: Written) -> str | None:
    """Say what a payload is."""
    written = constant(payload.node)
    if written is not None:
        return None if written.value is ... else _literal(written.value)
    found = [_described(ev, value, payload.node) for value in payload.values]
    what = next(filter(None, found), None)
    if what is not None:
        return what
    # Scalars lie beside messages in many a table: that one is the payload is sure only if nothing else can be.
    if any(not isinstance(value, v.Literal) or value.value in (None, ...) for value in payload.possible):
        return None
    return next((_literal(value.value) for value in payload.values if isinstance(value, v.Literal)), None)


def _literal(value: object) -> str:
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind == 'int' else 'a'} {kind}"


def _described(ev: Ask, value: v.Value, until: Node) -> str | None:
    """Describe a value that is certainly no message; a decorator that gets it sees what the ones below have done."""
    match value:
        case v.Klass(scope):
            return f"the class {scope.name}" if _is_foreign(ev, scope, until) else None
        case v.External(name) if name.endswith("_pb2"):
            return f"the module {name.rpartition('.')[2]}"
        case v.External(name) | v.Bound(v.Instance(), v.External(name)) if "_pb2." in name and name.endswith(
            ".DESCRIPTOR"
        ):
            return f"the descriptor of {name.split('.')[-2]}"
        case v.External(name):
            return f"the class {_short(name)}" if _is_known(name) else None
        case v.Instance(sure=False):
            return None
        case v.Instance(v.Klass(scope)):
            return f"an object of the class {scope.name}" if _is_foreign(ev, scope, until) else None
        case v.Instance(v.External(name)) if name.startswith("google.protobuf.descriptor."):
            return "a descriptor"
        case v.Instance(v.External(name)):
            return f"an object of the class {_short(name)}" if _is_known(name) and name not in OPEN else None
        case _:
            return _container(value) or _function(ev, value, until)


KINDS = {"iterator": "an iterator", "awaitable": "a coroutine"} | {
    kind: f"a {kind}" for kind in ("list", "set", "tuple")
}


def _container(value: v.Value) -> str | None:
    match value:
        case v.Table():
            return "a dict"
        case v.Sequence(kind, _) | v.Many(kind, _):
            return KINDS.get(kind)
        case v.TupleClass():
            return "a named tuple"
        case v.File(module):
            return f"the module {module.name.rpartition('.')[2]}"
        case _:
            return None


def _function(ev: Ask, value: v.Value, until: Node) -> str | None:
    scope = value.scope if isinstance(value, v.Routine) else None
    if isinstance(value, v.Bound) and isinstance(value.method, v.Routine):
        scope = value.method.scope
    if scope is None or not _is_given_back(ev, scope, until):
        return None
    return f"the function {scope.name}" if scope.name else "a lambda"


def _short(name: str) -> str:
    return name.removeprefix("builtins.")


def _is_known(name: str) -> bool:
    last = name.rpartition(".")[2]
    return name in BUILTINS or name in KNOWN or (name.startswith(MODULES) and (last[:1].isupper() or last in TIMES))


def _is_foreign(ev: Ask, scope: Scope, until: Node) -> bool:
    """Say whether nothing that a class inherits, and nothing that decorates it, could make it a message."""
    return all(_stays_foreign(ev, one.scope, until) for one in classes.ancestors(ev, scope) if isinstance(one, v.Klass))


def _stays_foreign(ev: Ask, scope: Scope, until: Node) -> bool:
    node, site = scope.node, scope.signature
    if not isinstance(node, cst.ClassDef) or site is None or any(one.keyword for one in node.keywords):
        return False
    given_back = _is_given_back(ev, scope, until)
    return given_back and all(not base.star and _is_foreign_base(ev, base.value, site) for base in node.bases)


def _is_given_back(ev: Ask, scope: Scope, until: Node) -> bool:
    """Say whether every decorator below one gives back what it decorates, or another that is no message either."""
    for site in scope.decorated:
        if site.func is until:
            break
        known = ev.evaluate(called(site.func), site.site)
        if not known or any(not isinstance(one, v.External) or one.name not in DECORATORS for one in known):
            return False
    return True


def _is_foreign_base(ev: Ask, node: Node, site: Site) -> bool:
    values = ev.evaluate(node.value if isinstance(node, cst.Subscript) else node, site)
    return bool(values) and all(
        isinstance(value, v.Klass | v.TupleClass | v.Alternatives)
        or (isinstance(value, v.External) and (_is_known(value.name) or value.name == "typing.Generic"))
        for value in values
    )
