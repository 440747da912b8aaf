"""What functions and classes of other libraries return, as far as it matters here."""

from __future__ import annotations

from dataclasses import replace

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
    Value,
    Values,
    union,
    unsure,
)
from sessionstream_lint.program.resolve import canonical
from sessionstream_lint.program.scopes import Scope, Site
from sessionstream_lint.program.surface import OPENING, RETURNING

MESSAGE_FACTORIES = ("FromString",)


def _keyword(ev: Ask, given: tuple[Given, ...], name: str) -> Values:
    for item in given:
        if item.keyword == name:
            return ev.given(item)
    return ()


SAME = {
    "asyncio.create_task", "asyncio.ensure_future", "asyncio.shield", "asyncio.wait_for",
    "copy.copy", "copy.deepcopy", "functools.cache", "functools.lru_cache", "builtins.iter", "typing.final",
    "weakref.proxy", "types.MappingProxyType", "builtins.aiter", "typing.assert_type", "typing.reveal_type",
}  # fmt: skip
LISTED = {"builtins.list", "builtins.sorted", "builtins.reversed", "builtins.tuple", "collections.deque"}
SETS = {"builtins.set", "builtins.frozenset", "builtins.filter"}
EXACT = {"builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset"}


def call(ev: Ask, name: str, given: tuple[Given, ...], site: Site) -> Values:
    """Return what a call of that function gives; by the spelling alone when nothing is known of it."""
    args = arguments.plain(ev, given)
    first = args[0] if args else ()
    if name in SAME:
        return first
    if name in RETURNING:
        return (Instance(External(RETURNING[name])),)
    if name in OPENING:
        opened = (Instance(External(OPENING[name])),)
        return Many("awaitable", opened), Many("context", opened)
    if name in LISTED or name in SETS:
        source = args[1] if name == "builtins.filter" and len(args) > 1 else first
        exact = [value for value in source if isinstance(value, Sequence)] if name in EXACT else []
        if exact and len(exact) == len(source):
            return tuple(exact) if name in LISTED else tuple(replace(value, kind="set") for value in exact)
        held = containers.elements(ev, source)
        return (Many("set" if name in SETS else "list", unsure(held) if name == "builtins.filter" else held),)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(ev, args, given, site)
    return _made(name)


def _made(name: str) -> Values:
    """By the spelling alone: calling ``pkg.Name`` makes an object, and of ``pkg.Name.create`` nothing is known."""
    owner, _, last = name.rpartition(".")
    if last in MESSAGE_FACTORIES and owner:
        return (Instance(External(owner)),)
    return (Instance(External(canonical(name))),) if last[:1].isupper() else ()


def _named_tuple(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    """``namedtuple("Row", "name message")``, or ``NamedTuple("Row", [("name", str), ("message", type)])``."""
    found: list[Value] = []
    for value in args[1] if len(args) > 1 else _keyword(ev, given, "field_names"):
        if isinstance(value, Literal) and isinstance(value.value, str):
            found.append(TupleClass(tuple(value.value.replace(",", " ").split())))
        elif isinstance(value, Sequence):
            heads = [containers.unpack(ev, one, 0, starred=False) or one for one in value.items]
            names = [arguments.strings(head)[:1] for head in heads]
            if all(names):
                found.append(TupleClass(tuple(name[0] for name in names)))
    return tuple(found)


def _map(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    if not args:
        return ()
    return (Many("iterator", ev.call(args[0], arguments.mapped(ev, given[1:]), site)),)


def _cast(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    if len(given) < 2:
        return ()
    return union(args[1] if len(args) > 1 else (), hints.instances(ev, given[0].value, given[0].site))


def _getattr(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    if len(args) < 2:
        return ()
    names = [value.value for value in args[1] if isinstance(value, Literal) and isinstance(value.value, str)]
    found = union(*(ev.attribute(args[0], name) for name in names), *args[2:])
    return unsure(found) if len(args) > 2 else found


def _type(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return hints.classes(args[0]) if len(args) == 1 else ()


def _super(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    scope: Scope | None = site.block.scope
    while scope is not None and not (scope.kind == "function" and scope.parent and scope.parent.kind == "class"):
        scope = scope.parent
    if scope is None or scope.parent is None or not scope.params:
        return ()
    found = ev.lookup(scope.params[0].name, Site(scope.block, 1, (), site.frame))
    return tuple(Super(value, scope.parent) for value in found if isinstance(value, Instance | Klass))


def _run(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return containers.inside(args[0], "awaitable") if args else ()


def _variable(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    """A context variable: of one without a default only its annotation says what it holds."""
    default = _keyword(ev, given, "default")
    return (Many("variable", default),) if default else ()


def _param(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return (Sequence("param", args),)


def _parsed(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    """``json_format`` returns the message that it is given to fill."""
    return args[1] if len(args) > 1 else _keyword(ev, given, "message")


def _enumerate(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    rows = containers.elements(ev, args[0]) if args else ()
    return (Many("iterator", tuple(Sequence("tuple", ((), (row,))) for row in rows)),)


def _zip(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    """Pair what is at the same places; any with any where these are not known."""
    columns = [values[0].items for values in args if len(values) == 1 and isinstance(values[0], Sequence)]
    if len(columns) == len(args) == len(given):
        return (Many("iterator", tuple(Sequence("tuple", row) for row in zip(*columns, strict=False))),)
    return (Many("iterator", (Sequence("tuple", tuple(containers.elements(ev, one) for one in args)),)),)


def _chain(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return (Many("iterator", union(*(containers.elements(ev, one) for one in args))),)


def _next(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return union(containers.elements(ev, args[0]) if args else (), unsure(union(*args[1:])))


def make_dict(ev: Ask, given: tuple[Given, ...]) -> Values:
    """Return the dict that ``dict(given)`` is."""
    pairs: list[tuple[Values, Values]] = []
    for value in union(*arguments.plain(ev, given)[:1]):
        if isinstance(value, Table):
            pairs += value.pairs
        elif isinstance(value, Symbol):
            pairs.append(((), (value,)))
        else:
            for one in containers.elements(ev, (value,)):
                if isinstance(one, Sequence) and len(one.items) > 1:
                    pairs.append((one.items[0], one.items[1]))
    for item in arguments.spread(ev, given):
        if item.keyword is not None:
            pairs.append(((Literal(item.keyword),), ev.given(item)))
    return (Table(containers.overridden(pairs)),)


def _dict(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return make_dict(ev, given)


def _default_dict(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    """What the factory makes is there under every key."""
    made = ev.call(args[0], (), site) if args else ()
    return (*make_dict(ev, given[1:]), *((Table((((), made),)),) if made else ()))


def _namespace(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    named = [item for item in arguments.spread(ev, given) if item.keyword is not None]
    values = tuple(ev.given(item) for item in named)
    return (Sequence("namespace", values, tuple(item.keyword or "" for item in named)),)


def _replace(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return arguments.replaced(ev, args[0] if args else (), given[1:])


def _partial(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return tuple(Partial(target, given[1:]) for target in (args[0] if args else ()))


def _context(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return (Many("context", args[0] if args else ()),)


def _field(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    made = ev.call(_keyword(ev, given, "default_factory"), (), site)
    return union(made, _keyword(ev, given, "default"))


def _new_type(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return args[1] if len(args) > 1 else ()


def _type_var(ev: Ask, args: tuple[Values, ...], given: tuple[Given, ...], site: Site) -> Values:
    return tuple(Alternatives(item.value, site) for item in given[1:] if item.keyword in (None, "bound", "default"))


_SPECIAL = {
    "google.protobuf.json_format.Parse": _parsed,
    "google.protobuf.json_format.ParseDict": _parsed,
    "pytest.param": _param,
    "typing.cast": _cast,
    "builtins.getattr": _getattr,
    "builtins.type": _type,
    "builtins.super": _super,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "itertools.chain": _chain,
    "builtins.map": _map,
    "collections.namedtuple": _named_tuple,
    "typing.NamedTuple": _named_tuple,
    "builtins.next": _next,
    "asyncio.run": _run,
    "contextvars.ContextVar": _variable,
    "builtins.dict": _dict,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _default_dict,
    "types.SimpleNamespace": _namespace,
    "dataclasses.replace": _replace,
    "attrs.evolve": _replace,
    "attr.evolve": _replace,
    "functools.partial": _partial,
    "contextlib.nullcontext": _context,
    "contextlib.closing": _context,
    "dataclasses.field": _field,
    "attrs.field": _field,
    "typing.NewType": _new_type,
    "typing.TypeVar": _type_var,
}
