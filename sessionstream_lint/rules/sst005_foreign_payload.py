"""SST005: a payload has to be a protobuf message."""

from __future__ import annotations

import builtins
from collections.abc import Iterator

import libcst as cst

from sessionstream_lint.inference import classes, containers
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import (
    Alternatives,
    Bound,
    Computed,
    External,
    File,
    Instance,
    Klass,
    Literal,
    Many,
    Routine,
    Sequence,
    Table,
    TupleClass,
    Value,
    Values,
    union,
)
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
    of_node: dict[int, Values] = {}
    for payload in registrations.payloads():
        of_node[id(payload.node)] = union(of_node.get(id(payload.node), ()), payload.possible)
    for payload in registrations.payloads():
        if not payload.plain or payload.call.at.guarded:
            continue
        what = _what(registrations.ev, payload, of_node[id(payload.node)])
        if what is not None:
            text = f"{payload.subject} registers {what} as its payload; it has to be a protobuf message"
            yield Finding(CODE, payload.node, text, payload.row)


def _what(ev: Ask, payload: Written, possible: Values) -> str | None:
    """Say what a payload is, of those that are ``possible`` for its expression."""
    written = constant(payload.node)
    if written is not None:
        return None if written.value is ... else _literal(written.value)
    found = [_described(ev, value, payload.node) for value in payload.values]
    what = next(filter(None, found), None)
    if what is not None:
        return what
    # Scalars lie beside messages in many a table: that one is the payload is sure only if nothing else can be.
    if any(not isinstance(value, Literal) or value.value in (None, ...) for value in possible):
        return None
    return next((_literal(value.value) for value in payload.values if isinstance(value, Literal)), None)


def _literal(value: object) -> str:
    kind = type(value).__name__
    return "None" if value is None else f"{'an' if kind == 'int' else 'a'} {kind}"


def _described(ev: Ask, value: Value, until: Node) -> str | None:
    """Describe a value that is certainly no message; a decorator that gets it sees what the ones below have done."""
    match value:
        case Klass(scope):
            return f"the class {scope.name}" if _is_foreign(ev, scope, until) else None
        case External(name) if name.endswith("_pb2"):
            return f"the module {name.rpartition('.')[2]}"
        case External(name) | Bound(Instance(), External(name)) if _is_descriptor(name):
            of = name.split(".")[-2]
            return f"the descriptor of {of}, not {of} itself," if not of.endswith("_pb2") else f"the descriptor of {of}"
        case Instance(External("google.protobuf.descriptor.Descriptor")):
            return "a descriptor, not its class (that is google.protobuf.message_factory.GetMessageClass(descriptor)),"
        case External(name):
            return f"the class {_short(name)}" if _is_known(name) else None
        case Instance(sure=False):
            return None
        case Instance(Klass(scope)):
            return f"an object of the class {scope.name}" if _is_foreign(ev, scope, until) else None
        case Instance(External(name)) if name.startswith("google.protobuf.descriptor."):
            return f"a {name.rpartition('.')[2]}"
        case Instance(External(name)):
            return f"an object of the class {_short(name)}" if _is_known(name) and name not in OPEN else None
        case _:
            return _container(value) or _function(ev, value, until)


def _is_descriptor(name: str) -> bool:
    """Say whether a name is that of what a generated module, or a message of one, has as its descriptor."""
    *owner, last = name.split(".")
    return last == "DESCRIPTOR" and any(part.endswith("_pb2") for part in owner)


def _container(value: Value) -> str | None:
    if not containers.is_certain(value):
        return None
    match value:
        case Computed():
            return "a str"
        case Table():
            return "a dict"
        case Sequence(kind, _):
            return f"a {kind}"
        case Many("list" | "set" | "tuple" as kind, _):
            return f"a {kind}"
        case Many("iterator"):
            return "an iterator"
        case Many("awaitable"):
            return "a coroutine"
        case TupleClass():
            return "a named tuple"
        case File(module):
            return f"the module {module.name.rpartition('.')[2]}"
        case _:
            return None


def _function(ev: Ask, value: Value, until: Node) -> str | None:
    scope = value.scope if isinstance(value, Routine) else None
    if isinstance(value, Bound) and isinstance(value.method, Routine):
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
    return all(_stays_foreign(ev, one.scope, until) for one in classes.ancestors(ev, scope) if isinstance(one, Klass))


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
        if not known or any(not isinstance(one, External) or one.name not in DECORATORS for one in known):
            return False
    return True


def _is_foreign_base(ev: Ask, node: Node, site: Site) -> bool:
    values = ev.evaluate(node.value if isinstance(node, cst.Subscript) else node, site)
    return bool(values) and all(
        isinstance(value, Klass | TupleClass | Alternatives)
        or (isinstance(value, External) and (_is_known(value.name) or value.name == "typing.Generic"))
        for value in values
    )
