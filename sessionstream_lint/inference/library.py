"""What functions and classes of other libraries return, as far as it matters here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from sessionstream_lint.inference import arguments, containers, hints
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.ask import Ask
from sessionstream_lint.program.resolve import canonical
from sessionstream_lint.program.scopes import Scope, Site
from sessionstream_lint.program.surface import OPENING, RETURNING

SAME = {
    "asyncio.create_task", "asyncio.ensure_future", "asyncio.shield", "asyncio.wait_for", "builtins.frozenset",
    "builtins.iter", "builtins.list", "builtins.reversed", "builtins.set", "builtins.sorted", "builtins.tuple",
    "collections.deque", "copy.copy", "copy.deepcopy", "functools.cache", "functools.lru_cache",
    "types.MappingProxyType", "typing.assert_type", "typing.final", "typing.reveal_type", "weakref.proxy",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function of another library."""

    ev: Ask
    given: tuple[v.Given, ...]
    site: Site
    args: tuple[v.Values, ...]

    def argument(self, position: int, name: str = "") -> v.Values:
        """Return what an argument may be that is given by position or by name."""
        if position < len(self.args):
            return self.args[position]
        return next((self.ev.given(item) for item in self.given if name and item.keyword == name), ())

    def elements(self, position: int) -> v.Values:
        """Return what iterating over an argument may give."""
        return containers.elements(self.ev, self.argument(position))


def call(ev: Ask, name: str, given: tuple[v.Given, ...], site: Site) -> v.Values:
    """Return what a call of that function gives; by the spelling alone when nothing is known of it."""
    made = Call(ev, given, site, arguments.plain(ev, given))
    if name in SAME:
        return made.argument(0)
    if name in RETURNING:
        return (v.Instance(v.External(RETURNING[name])),)
    if name in OPENING:
        opened = (v.Instance(v.External(OPENING[name])),)
        return v.Many("awaitable", opened), v.Many("context", opened)
    if name in _SPECIAL:
        return _SPECIAL[name](made)
    return (v.Instance(v.External(canonical(name))),) if name.rpartition(".")[2][:1].isupper() else ()


def _named_tuple(made: Call) -> v.Values:
    """``namedtuple("Row", "name message")``, or with a list of the names."""
    names = made.argument(1, "field_names")
    parts = (v.union(*value.items) if isinstance(value, v.Sequence) else (value,) for value in names)
    texts = [text for part in parts for text in arguments.strings(part)]
    return (v.TupleClass(tuple(" ".join(texts).replace(",", " ").split())),) if texts else ()


def _cast(made: Call) -> v.Values:
    """A value that is cast stays what it is; the type says what else it may be."""
    kinds = (hints.instances(made.ev, item.value, item.site) for item in made.given[:1] if len(made.given) > 1)
    return v.union(made.argument(1), *kinds)


def _getattr(made: Call) -> v.Values:
    names = arguments.strings(made.argument(1))
    found = v.union(*(made.ev.attribute(made.argument(0), name) for name in names), made.argument(2))
    return v.unsure(found) if len(made.args) > 2 else found


def _super(made: Call) -> v.Values:
    scope: Scope | None = made.site.block.scope
    while scope is not None and not (scope.kind == "function" and scope.owner):
        scope = scope.parent
    if scope is None or scope.owner is None:
        return ()
    found = made.ev.lookup(scope.params[0].name, Site(scope.block, 1, (), made.site.frame))
    return tuple(v.Super(value, scope.owner) for value in found if isinstance(value, v.Instance | v.Klass))


def _zip(made: Call) -> v.Values:
    """Pair what is at the same places; any with any where these are not known."""
    columns = [values[0].items for values in made.args if len(values) == 1 and isinstance(values[0], v.Sequence)]
    if len(columns) != len(made.args) or any(item.star for item in made.given):
        columns = [(made.elements(position),) for position in range(len(made.args))]
    return _iterator(v.Sequence("tuple", row) for row in zip(*columns, strict=False))


def _dict(made: Call) -> v.Values:
    ev, given = made.ev, made.given
    pairs: list[containers.Pair] = []
    for value in v.union(*arguments.plain(ev, given)[:1]):
        match value:
            case v.Table():
                pairs += value.pairs
            case v.Symbol():
                pairs.append(((), (value,)))
            case _:
                rows = containers.elements(ev, (value,))
                pairs += (row.items for row in rows if isinstance(row, v.Sequence) and len(row.items) == 2)
    for item in arguments.spread(ev, given):
        if item.keyword is not None:
            pairs.append(((v.Literal(item.keyword),), ev.given(item)))
    return (v.Table(containers.overridden(pairs)),)


def _namespace(made: Call) -> v.Values:
    named = [item for item in arguments.spread(made.ev, made.given) if item.keyword is not None]
    values = tuple(made.ev.given(item) for item in named)
    return (v.Sequence("namespace", values, tuple(item.keyword or "" for item in named)),)


def _field(made: Call) -> v.Values:
    factory = made.argument(MAX_POSITION, "default_factory")
    return v.union(made.ev.call(factory, (), made.site), made.argument(MAX_POSITION, "default"))


def _type_var(made: Call) -> v.Values:
    bounds = (item.value for item in made.given[1:] if item.keyword in (None, "bound", "default"))
    return tuple(v.Alternatives(node, made.site) for node in bounds)


def _iterator(elements: Iterable[v.Value]) -> v.Values:
    return (v.Many("iterator", tuple(elements)),)


MAX_POSITION = 99  # no argument is there: it is given by name only
Special: TypeAlias = Callable[[Call], v.Values]
_SPECIAL: dict[str, Special] = {
    "builtins.dict": _dict,
    "builtins.enumerate": lambda made: _iterator(v.Sequence("tuple", ((), (row,))) for row in made.elements(0)),
    "builtins.getattr": _getattr,
    "builtins.super": _super,
    "builtins.type": lambda made: hints.classes(made.argument(0)) if len(made.args) == 1 else (),
    "builtins.zip": _zip,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _dict,
    "collections.namedtuple": _named_tuple,
    "contextvars.ContextVar": lambda made: (),  # its annotation says what it holds
    "dataclasses.field": _field,
    "dataclasses.replace": lambda made: arguments.replaced(made.ev, made.argument(0), made.given[1:]),
    "functools.partial": lambda made: tuple(v.Partial(target, made.given[1:]) for target in made.argument(0)),
    "google.protobuf.json_format.Parse": lambda made: made.argument(1, "message"),
    "google.protobuf.json_format.ParseDict": lambda made: made.argument(1, "message"),
    "itertools.chain": lambda made: _iterator(v.union(*map(made.elements, range(len(made.args))))),
    "pytest.param": lambda made: (v.Sequence("param", made.args),),
    "types.SimpleNamespace": _namespace,
    "typing.NewType": lambda made: made.argument(1),
    "typing.TypeVar": _type_var,
    "typing.cast": _cast,
}
