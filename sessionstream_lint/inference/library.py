"""What functions and classes of other libraries return, as far as it matters here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from sessionstream_lint.inference import arguments, containers, hints
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.inference.values import (
    Alternatives,
    External,
    Given,
    Instance,
    Klass,
    Literal,
    Many,
    Partial,
    Sequence,
    Super,
    Symbol,
    Table,
    TupleClass,
    Values,
    union,
    unsure,
)
from sessionstream_lint.program.resolve import canonical
from sessionstream_lint.program.scopes import Scope, Site
from sessionstream_lint.program.surface import OPENING, RETURNING

MESSAGE_FACTORIES = ("FromString",)
SAME = {
    "asyncio.create_task", "asyncio.ensure_future", "asyncio.shield", "asyncio.wait_for", "builtins.aiter",
    "builtins.iter", "copy.copy", "copy.deepcopy", "functools.cache", "functools.lru_cache", "types.MappingProxyType",
    "typing.assert_type", "typing.final", "typing.reveal_type", "weakref.proxy",
}  # fmt: skip
COPYING = {
    "builtins.list": "list", "builtins.sorted": "list", "builtins.reversed": "list", "builtins.tuple": "tuple",
    "collections.deque": "list", "builtins.set": "set", "builtins.frozenset": "set",
}  # fmt: skip
REORDERING = {"builtins.sorted", "builtins.reversed", "collections.deque"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function of another library."""

    ev: Ask
    given: tuple[Given, ...]
    site: Site
    args: tuple[Values, ...]

    def argument(self, position: int, name: str = "") -> Values:
        """Return what an argument may be that is given by position or by name."""
        if position < len(self.args):
            return self.args[position]
        return next((self.ev.given(item) for item in self.given if name and item.keyword == name), ())

    def elements(self, position: int) -> Values:
        """Return what iterating over an argument may give."""
        return containers.elements(self.ev, self.argument(position))


def call(ev: Ask, name: str, given: tuple[Given, ...], site: Site) -> Values:
    """Return what a call of that function gives; by the spelling alone when nothing is known of it."""
    made = Call(ev, given, site, arguments.plain(ev, given))
    if name in SAME:
        return made.argument(0)
    if name in RETURNING:
        return (Instance(External(RETURNING[name])),)
    if name in OPENING:
        opened = (Instance(External(OPENING[name])),)
        return Many("awaitable", opened), Many("context", opened)
    if name in COPYING:
        return _copied(made, COPYING[name], exact=name not in REORDERING)
    if name in _SPECIAL:
        return _SPECIAL[name](made)
    owner, _, last = name.rpartition(".")
    if last in MESSAGE_FACTORIES and owner:
        return (Instance(External(owner)),)
    return (Instance(External(canonical(name))),) if last[:1].isupper() else ()


def _copied(made: Call, kind: str, *, exact: bool) -> Values:
    source = made.argument(0)
    same = tuple(replace(value, kind=kind) for value in source if isinstance(value, Sequence))
    if exact and same and len(same) == len(source):
        return same
    return (Many(kind, made.elements(0)),)


def _filter(made: Call) -> Values:
    return (Many("set", unsure(made.elements(1))),)


def _named_tuple(made: Call) -> Values:
    """``namedtuple("Row", "name message")``, or with a list of the names."""
    names = made.argument(1, "field_names")
    parts = (union(*value.items) if isinstance(value, Sequence) else (value,) for value in names)
    texts = [text for part in parts for text in arguments.strings(part)]
    return (TupleClass(tuple(" ".join(texts).replace(",", " ").split())),) if texts else ()


def _cast(made: Call) -> Values:
    """A value that is cast stays what it is; the type says what else it may be."""
    kinds = (hints.instances(made.ev, item.value, item.site) for item in made.given[:1] if len(made.given) > 1)
    return union(made.argument(1), *kinds)


def _getattr(made: Call) -> Values:
    names = arguments.strings(made.argument(1))
    found = union(*(made.ev.attribute(made.argument(0), name) for name in names), made.argument(2))
    return unsure(found) if len(made.args) > 2 else found


def _type(made: Call) -> Values:
    return hints.classes(made.argument(0)) if len(made.args) == 1 else ()


def _super(made: Call) -> Values:
    scope: Scope | None = made.site.block.scope
    while scope is not None and not (scope.kind == "function" and scope.owner):
        scope = scope.parent
    if scope is None or scope.owner is None:
        return ()
    found = made.ev.lookup(scope.params[0].name, Site(scope.block, 1, (), made.site.frame))
    return tuple(Super(value, scope.owner) for value in found if isinstance(value, Instance | Klass))


def _param(made: Call) -> Values:
    return (Sequence("param", made.args),)


def _parsed(made: Call) -> Values:
    """``json_format`` returns the message that it is given to fill."""
    return made.argument(1, "message")


def _enumerate(made: Call) -> Values:
    return (Many("iterator", tuple(Sequence("tuple", ((), (row,))) for row in made.elements(0))),)


def _zip(made: Call) -> Values:
    """Pair what is at the same places; any with any where these are not known."""
    columns = [values[0].items for values in made.args if len(values) == 1 and isinstance(values[0], Sequence)]
    if len(columns) == len(made.args) == sum(item.keyword is None for item in made.given):
        return (Many("iterator", tuple(Sequence("tuple", row) for row in zip(*columns, strict=False))),)
    return (Many("iterator", (Sequence("tuple", tuple(map(made.elements, range(len(made.args))))),)),)


def _chain(made: Call) -> Values:
    return (Many("iterator", union(*map(made.elements, range(len(made.args))))),)


def make_dict(ev: Ask, given: tuple[Given, ...]) -> Values:
    """Return the dict that ``dict(given)`` is."""
    pairs: list[tuple[Values, Values]] = []
    for value in union(*arguments.plain(ev, given)[:1]):
        if isinstance(value, Table):
            pairs += value.pairs
        elif isinstance(value, Symbol):
            pairs.append(((), (value,)))
        else:
            held = containers.elements(ev, (value,))
            pairs += ((one.items[0], one.items[1]) for one in held if isinstance(one, Sequence) and len(one.items) > 1)
    named = (item for item in arguments.spread(ev, given) if item.keyword is not None)
    return (Table(containers.overridden([*pairs, *(((Literal(item.keyword),), ev.given(item)) for item in named)])),)


def _dict(made: Call) -> Values:
    return make_dict(made.ev, made.given)


def _namespace(made: Call) -> Values:
    named = [item for item in arguments.spread(made.ev, made.given) if item.keyword is not None]
    values = tuple(made.ev.given(item) for item in named)
    return (Sequence("namespace", values, tuple(item.keyword or "" for item in named)),)


def _replace(made: Call) -> Values:
    return arguments.replaced(made.ev, made.argument(0), made.given[1:])


def _partial(made: Call) -> Values:
    return tuple(Partial(target, made.given[1:]) for target in made.argument(0))


def _context(made: Call) -> Values:
    return (Many("context", made.argument(0)),)


def _field(made: Call) -> Values:
    factory = made.argument(MAX_POSITION, "default_factory")
    return union(made.ev.call(factory, (), made.site), made.argument(MAX_POSITION, "default"))


def _variable(made: Call) -> Values:
    """A context variable: of one without a default only its annotation says what it holds."""
    default = made.argument(MAX_POSITION, "default")
    return (Many("variable", default),) if default else ()


def _new_type(made: Call) -> Values:
    return made.argument(1)


def _type_var(made: Call) -> Values:
    bounds = (item.value for item in made.given[1:] if item.keyword in (None, "bound", "default"))
    return tuple(Alternatives(node, made.site) for node in bounds)


MAX_POSITION = 99  # no argument is there: it is given by name only
Special: TypeAlias = Callable[[Call], Values]
_SPECIAL: dict[str, Special] = {
    "attrs.evolve": _replace,
    "attrs.field": _field,
    "builtins.dict": _dict,
    "builtins.enumerate": _enumerate,
    "builtins.filter": _filter,
    "builtins.getattr": _getattr,
    "builtins.super": _super,
    "builtins.type": _type,
    "builtins.zip": _zip,
    "collections.OrderedDict": _dict,
    "collections.namedtuple": _named_tuple,
    "contextlib.nullcontext": _context,
    "contextvars.ContextVar": _variable,
    "dataclasses.field": _field,
    "dataclasses.replace": _replace,
    "functools.partial": _partial,
    "google.protobuf.json_format.Parse": _parsed,
    "google.protobuf.json_format.ParseDict": _parsed,
    "itertools.chain": _chain,
    "pytest.param": _param,
    "types.SimpleNamespace": _namespace,
    "typing.NewType": _new_type,
    "typing.TypeVar": _type_var,
    "typing.cast": _cast,
}
