"""The shapes of nodes that the engine sees.

A *node* is what libcst produced: the engine keeps nodes as they are and asks for the shape of one only when it needs
to know it. `view(node)` answers one level deep, so nothing here recurses. ``syntax_cst`` fills the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

Node: TypeAlias = object
Nodes: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What every shape offers: the expressions directly inside it, in the order they are evaluated."""

    def parts(self) -> Iterator[Node]:
        """Yield the expressions directly inside this one."""
        return iter(())


# Expressions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Other(View):
    """An expression whose value is of no interest, though its parts may be."""

    children: Nodes = ()

    def parts(self) -> Iterator[Node]:
        """Yield the parts."""
        return iter(self.children)


@dataclass(frozen=True, slots=True)
class Name(View):
    """An identifier."""

    id: str


@dataclass(frozen=True, slots=True)
class Constant(View):
    """A literal string, number, ``None`` or ``True``."""

    value: object


@dataclass(frozen=True, slots=True)
class Attribute(View):
    """``value.attr``."""

    value: Node
    attr: str

    def parts(self) -> Iterator[Node]:
        """Yield the object."""
        yield self.value


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call or of a class statement; ``star`` is ``""``, ``"*"`` or ``"**"``."""

    value: Node
    keyword: str | None = None
    star: str = ""


@dataclass(frozen=True, slots=True)
class Call(View):
    """``func(args)``."""

    func: Node
    args: tuple[Argument, ...]

    def parts(self) -> Iterator[Node]:
        """Yield the callee and the arguments."""
        yield self.func
        for arg in self.args:
            yield arg.value


@dataclass(frozen=True, slots=True)
class Subscript(View):
    """``value[index]``; several indices are several items."""

    value: Node
    index: Nodes

    def parts(self) -> Iterator[Node]:
        """Yield the object and the indices."""
        yield self.value
        yield from self.index


@dataclass(frozen=True, slots=True)
class Formatted(Other):
    """An f-string with expressions in it; one without is a `Constant`."""


@dataclass(frozen=True, slots=True)
class Slice(View):
    """``lower:upper:step``."""

    lower: Node | None
    upper: Node | None
    step: Node | None

    def parts(self) -> Iterator[Node]:
        """Yield the bounds that are written out."""
        return (part for part in (self.lower, self.upper, self.step) if part is not None)


@dataclass(frozen=True, slots=True)
class Items(View):
    """A tuple, list or set display."""

    kind: str
    items: Nodes

    def parts(self) -> Iterator[Node]:
        """Yield the items."""
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Starred(View):
    """``*value`` in a display or a target."""

    value: Node

    def parts(self) -> Iterator[Node]:
        """Yield what is unpacked."""
        yield self.value


@dataclass(frozen=True, slots=True)
class Pairs(View):
    """A dict display; a key of ``None`` is ``**value``."""

    pairs: tuple[tuple[Node | None, Node], ...]

    def parts(self) -> Iterator[Node]:
        """Yield keys and values in turn."""
        for key, value in self.pairs:
            if key is not None:
                yield key
            yield value


@dataclass(frozen=True, slots=True)
class Conditional(View):
    """``body if test else orelse``."""

    test: Node
    body: Node
    orelse: Node

    def parts(self) -> Iterator[Node]:
        """Yield the test and both outcomes."""
        yield from (self.test, self.body, self.orelse)


@dataclass(frozen=True, slots=True)
class Boolean(View):
    """``and`` or ``or`` over any number of operands."""

    op: str
    operands: Nodes

    def parts(self) -> Iterator[Node]:
        """Yield the operands."""
        return iter(self.operands)


@dataclass(frozen=True, slots=True)
class Not(View):
    """``not operand``."""

    operand: Node

    def parts(self) -> Iterator[Node]:
        """Yield the operand."""
        yield self.operand


@dataclass(frozen=True, slots=True)
class Binary(View):
    """``left + right``, ``left % right`` or ``left | right``."""

    op: str
    left: Node
    right: Node

    def parts(self) -> Iterator[Node]:
        """Yield both sides."""
        yield from (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Comparison(View):
    """One comparison of two values; ``op`` is ``is``, ``is not``, ``==``, ``!=``, ``in`` or ``not in``."""

    op: str
    left: Node
    right: Node

    def parts(self) -> Iterator[Node]:
        """Yield both sides."""
        yield from (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Walrus(View):
    """``target := value``."""

    target: Node
    value: Node

    def parts(self) -> Iterator[Node]:
        """Yield the value."""
        yield self.value


@dataclass(frozen=True, slots=True)
class Await(View):
    """``await value``."""

    value: Node

    def parts(self) -> Iterator[Node]:
        """Yield what is awaited."""
        yield self.value


@dataclass(frozen=True, slots=True)
class Yield(View):
    """``yield value`` or, with ``whole``, ``yield from value``."""

    value: Node | None
    whole: bool

    def parts(self) -> Iterator[Node]:
        """Yield the value."""
        if self.value is not None:
            yield self.value


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; ``star`` is ``""``, ``"*"`` or ``"**"``; ``kind`` is ``positional``, ``any`` or ``keyword``."""

    name: str
    annotation: Node | None
    default: Node | None
    kind: str = "any"
    star: str = ""


@dataclass(frozen=True, slots=True)
class Lambda(View):
    """``lambda params: body``."""

    params: tuple[Parameter, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Clause:
    """``for target in iterable if conditions``."""

    target: Node
    iterable: Node
    conditions: Nodes


@dataclass(frozen=True, slots=True)
class Comprehension(View):
    """A list, set, dict or generator comprehension; a dict's has a ``key``."""

    kind: str
    key: Node | None
    element: Node
    clauses: tuple[Clause, ...]


# Statements ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expressions(Other):
    """A statement that only evaluates something: it binds nothing."""


@dataclass(frozen=True, slots=True)
class Assign(View):
    """``first = second = value``."""

    targets: Nodes
    value: Node


@dataclass(frozen=True, slots=True)
class Declare(View):
    """``target: annotation = value``."""

    target: Node
    annotation: Node
    value: Node | None


@dataclass(frozen=True, slots=True)
class Augment(View):
    """``target += value``."""

    target: Node
    value: Node


@dataclass(frozen=True, slots=True)
class Delete(View):
    """``del targets``."""

    targets: Nodes


@dataclass(frozen=True, slots=True)
class Import(View):
    """``import a.b``, ``import a.b as c``: pairs of the dotted name and the alias."""

    names: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class ImportFrom(View):
    """``from ..module import a, b as c``; the one name ``*`` is a wildcard."""

    module: str
    level: int
    names: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class If(View):
    """``if``; an ``elif`` is the one statement of ``orelse``."""

    test: Node
    body: Nodes
    orelse: Nodes


@dataclass(frozen=True, slots=True)
class While(View):
    """``while``."""

    test: Node
    body: Nodes
    orelse: Nodes


@dataclass(frozen=True, slots=True)
class For(View):
    """``for`` and ``async for``."""

    target: Node
    iterable: Node
    body: Nodes
    orelse: Nodes


@dataclass(frozen=True, slots=True)
class With(View):
    """``with`` and ``async with``: pairs of the manager and the target."""

    items: tuple[tuple[Node, Node | None], ...]
    body: Nodes


@dataclass(frozen=True, slots=True)
class Handler:
    """``except type as name``."""

    type: Node | None
    name: str | None
    body: Nodes


@dataclass(frozen=True, slots=True)
class Try(View):
    """``try``."""

    body: Nodes
    handlers: tuple[Handler, ...]
    orelse: Nodes
    final: Nodes


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the engine knows of a ``case``: the classes it names, the names it binds, what it catches.

    ``exact`` says that the subject matches whenever it is an instance of one of ``classes`` (with none: always).
    ``constants`` are what the subject has to equal one of, where that is all. ``name`` is bound to the subject itself,
    ``captures`` to parts of it. ``typed`` are those among them that are
    objects of certain classes: ``{"key": Class() as name}``.
    """

    classes: Nodes = ()
    exact: bool = False
    name: str | None = None
    captures: tuple[str, ...] = ()
    values: Nodes = ()
    typed: tuple[tuple[str, Nodes], ...] = ()
    constants: Nodes = ()


@dataclass(frozen=True, slots=True)
class Case:
    """``case pattern if guard``."""

    pattern: Pattern
    guard: Node | None
    body: Nodes


@dataclass(frozen=True, slots=True)
class Match(View):
    """``match``."""

    subject: Node
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class TypeParameter:
    """``T: bound = default`` of PEP 695 and 696."""

    name: str
    bound: Node | None
    default: Node | None = None


@dataclass(frozen=True, slots=True)
class Function(View):
    """``def`` and ``async def``."""

    name: str
    params: tuple[Parameter, ...]
    returns: Node | None
    decorators: Nodes
    body: Nodes
    is_async: bool
    type_params: tuple[TypeParameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Class(View):
    """``class``."""

    name: str
    bases: tuple[Argument, ...]
    decorators: Nodes
    body: Nodes
    type_params: tuple[TypeParameter, ...] = ()


@dataclass(frozen=True, slots=True)
class TypeAliasStatement(View):
    """``type name = value``."""

    name: str
    value: Node
    type_params: tuple[TypeParameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Leave(View):
    """``return``, ``raise``, ``break`` or ``continue``."""

    kind: str
    children: Nodes = ()


@dataclass(frozen=True, slots=True)
class Assert(View):
    """``assert test, message``."""

    test: Node
    message: Node | None


@dataclass(frozen=True, slots=True)
class Outer(View):
    """``global`` (``kind`` is "global") or ``nonlocal``."""

    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Decorated(View):
    """What a decorator is called with: no expression of the source, so ``decorator`` tells its place."""

    definition: Node
    decorator: Node


NOTHING = Other()
# Shapes that the parser did not produce may stand for nodes: the key in ``update(key=value)``, what a decorator gets.
VIEWS: dict[type, Callable[[Node], View]] = {
    Other: lambda node: node,  # type: ignore[dict-item, return-value]
    Constant: lambda node: node,  # type: ignore[dict-item, return-value]
    Decorated: lambda node: node,  # type: ignore[dict-item, return-value]
}


N = TypeVar("N")


def shape(kind: type[N]) -> Callable[[Callable[[N], View]], Callable[[N], View]]:
    """Enter a function that gives the shape of one kind of node."""

    def register(function: Callable[[N], View]) -> Callable[[N], View]:
        VIEWS[kind] = function  # type: ignore[assignment]
        return function

    return register


def view(node: Node) -> View:
    """Return the shape of a node, one level deep; a node nobody knows is an `Other` without parts."""
    known = VIEWS.get(type(node))
    return NOTHING if known is None else known(node)


def dotted(node: Node) -> str | None:
    """Return ``a.b.c`` for a chain of names, else None."""
    attrs: list[str] = []
    while True:
        inner = view(node)
        if isinstance(inner, Attribute) and len(attrs) < 20:
            attrs.append(inner.attr)
            node = inner.value
        elif isinstance(inner, Name):
            return ".".join([inner.id, *reversed(attrs)])
        else:
            return None
