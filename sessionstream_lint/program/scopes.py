"""What one pass over a file leaves behind: scopes, blocks of ordered events, and the calls.

A *block* is a run of statements without a branch. Its events are bindings, forks (what a branch, a loop or a
``try`` did), assumptions (``assert``) and departures (``return`` and its like). A *site* is a point in a
block: the question "what may this name be here?" is answered by walking the events backwards from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import libcst as cst

from sessionstream_lint.reading.patterns import Pattern
from sessionstream_lint.reading.syntax import Node, Nodes, Parameter, identifier, keys_in, parameters, positions

# A key is what can be rebound and narrowed: a name or a chain of names such as "self.registry".
Key: TypeAlias = str
Definition: TypeAlias = cst.FunctionDef | cst.ClassDef | cst.Lambda


@dataclass(frozen=True, slots=True)
class Site:
    """A point in a block, just before its event number ``index``.

    ``guards`` are the tests of the expression around it, ``frame`` the call through which it was reached, which is what
    whoever evaluates makes it.
    """

    block: Block
    index: int
    guards: tuple[Guard, ...] = ()
    frame: object | None = None

    def seen_from(self, site: Site) -> Site:
        """Return this point in the same call as another."""
        return replace(self, frame=site.frame)


@dataclass(eq=False)
class Guard:
    """A test known to be true (or, not ``positive``, false); with a pattern, that ``test`` matches it."""

    test: Node
    positive: bool
    site: Site
    pattern: Pattern | None = None

    @cached_property
    def keys(self) -> frozenset[Key]:
        """The keys that the test looks at."""
        return frozenset(keys_in(self.test))


# Where a bound value comes from ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assigned:
    """The value of an expression."""

    value: Node


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Item ``index`` of a value; counted from the end when negative; ``starred``: the list of the rest."""

    source: Source
    index: int
    starred: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """An element of an iterable, whichever."""

    iterable: Node


@dataclass(frozen=True, slots=True)
class Entered:
    """What a context manager yields."""

    manager: Node


@dataclass(frozen=True, slots=True)
class Declared:
    """An annotation, and the value if one was assigned with it; of a part of a pattern it is the class."""

    annotation: Node
    value: Node | None


@dataclass(frozen=True, slots=True)
class Imported:
    """A module (``name`` is None), or a name out of one; the module's name is absolute."""

    module: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Defined:
    """A function or a class."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class Passed:
    """A parameter."""

    scope: Scope
    param: Parameter


@dataclass(frozen=True, slots=True)
class Stored:
    """A container into which ``value`` was put under ``key``, which may be a keyword; ``whole``: all its elements."""

    key: Node | str | None
    value: Source
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Augmented:
    """What the name held before, and what was added to it."""

    target: Node
    value: Node


@dataclass(frozen=True, slots=True)
class Bounded:
    """A type parameter with its bound and its default."""

    alternatives: Nodes


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something the engine does not follow: an exception, a deletion, a part of a pattern."""


Source: TypeAlias = (
    Assigned | Unpacked | Element | Entered | Declared | Imported | Defined | Passed | Stored | Augmented | Bounded
    | Unknown
)  # fmt: skip

# Events --------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Binding:
    """A key gets a value; one that does not ``kill`` adds to what the key may hold."""

    key: Key
    source: Source
    site: Site
    order: int
    kills: bool = True


@dataclass(eq=False, slots=True)
class Fork:
    """Control passed through one of the arms; a loop may also have been skipped, or left by a jump.

    ``touched`` is what is known of the keys in it, once somebody asks.
    """

    arms: list[Block] = field(default_factory=list)
    skippable: bool = False
    jumps: list[tuple[Block, int, str]] = field(default_factory=list)
    touched: frozenset[Key] | None = None

    def breaks(self) -> bool:
        """Say whether a loop is left by ``break``."""
        return any(kind == "break" for _, _, kind in self.jumps)


@dataclass(eq=False, slots=True)
class Assume:
    """From here on this holds."""

    guard: Guard


@dataclass(eq=False, slots=True)
class Departure:
    """Control never gets past this."""


Event: TypeAlias = Binding | Fork | Assume | Departure


@dataclass(eq=False, slots=True)
class Block:
    """A run of events; ``parent`` and ``index`` say where it hangs, ``guards`` what held on entering it.

    ``loop`` is set on the body of one.
    ``private`` bindings are seen by nobody outside: those of a comprehension. ``places`` and ``reached`` are what was
    found out about it, once its file is collected.
    """

    scope: Scope
    parent: Block | None = None
    index: int = 0
    guards: tuple[Guard, ...] = ()
    loop: Fork | None = None
    events: list[Event] = field(default_factory=list)
    dead: bool = False
    private: bool = False
    places: dict[Key, list[int]] | None = None
    reached: dict[object, Any] = field(default_factory=dict)

    def around(self) -> list[Block]:
        """Return this block and those in which it lies, the innermost first."""
        found: list[Block] = [self]
        while (outer := found[-1].parent) is not None:
            found.append(outer)
        return found

    def here(self, guards: tuple[Guard, ...] = ()) -> Site:
        """Return the site after everything collected so far."""
        return Site(self, len(self.events), guards)


@dataclass(eq=False)
class Scope:
    """A module, class, function or lambda; ``site`` is where it was defined, ``order`` when.

    ``signature`` is where its annotations are read. ``attributes`` are what methods of a class give those of ``self``,
    ``stored`` what they put into them. ``decorated`` are the calls of its decorators, the lowest first.
    """

    kind: str
    module: Module
    parent: Scope | None = None
    site: Site | None = None
    order: int = 0
    node: Definition | None = None
    names: set[str] = field(default_factory=set)
    outer: dict[str, str] = field(default_factory=dict)
    declared: dict[Key, tuple[Node, Site]] = field(default_factory=dict)
    bindings: dict[Key, list[Binding]] = field(default_factory=dict)
    foreign: dict[Key, list[Binding]] = field(default_factory=dict)
    attributes: dict[str, list[Binding]] = field(default_factory=dict)
    stored: dict[str, list[Binding]] = field(default_factory=dict)
    returns: list[tuple[Node | None, Site]] = field(default_factory=list)
    yields: list[tuple[Node | None, bool, Site]] = field(default_factory=list)
    signature: Site | None = None
    decorated: list[CallSite] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.block: Block = Block(self)
        self.params: tuple[Parameter, ...] = (
            parameters(self.node.params) if isinstance(self.node, cst.FunctionDef | cst.Lambda) else ()
        )
        self.name: str = identifier(self.node.name) if isinstance(self.node, cst.FunctionDef | cst.ClassDef) else ""

    @property
    def owner(self) -> Scope | None:
        """The class of which this is a method."""
        return self.parent if self.parent is not None and self.parent.kind == "class" and self.params else None

    def end(self) -> Site:
        """Return the site after its last statement."""
        return self.block.here()


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call or of a class; a decorator, as the ``value``, is given what is ``defined`` below it."""

    value: Node
    keyword: str | None = None
    star: str = ""
    defined: Scope | None = None


def arguments(args: Iterable[cst.Arg]) -> tuple[Argument, ...]:
    """Return the arguments, in the order of the source."""
    return tuple(Argument(one.value, identifier(one.keyword) if one.keyword else None, one.star) for one in args)


@dataclass(eq=False, slots=True)
class CallSite:
    """A call, and where it stands; ``guarded`` where an error of it is expected or handled."""

    func: Node
    args: tuple[Argument, ...]
    site: Site
    guarded: bool = False


@dataclass(eq=False)
class Module:
    """One collected file; ``package`` is the package that its relative imports start from.

    ``mentions`` is how often its text mentions registrations. ``sources`` are the names that were given the value of
    an expression, or a part of it, and functions with what they return; ``renamed`` are names of other modules and
    what they are called here. ``inner`` are the scopes of lambdas and the blocks of comprehensions.
    """

    name: str
    package: str
    path: str
    tree: cst.Module
    mentions: int = 0
    calls: list[CallSite] = field(default_factory=list)
    sources: list[tuple[Key, Node]] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    lambdas: dict[Node, Scope] = field(default_factory=dict)
    comprehensions: dict[Node, Block] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scope: Scope = Scope("module", self)

    @cached_property
    def _positions(self) -> Callable[[Node], tuple[int, int]]:
        return positions(self.tree)

    def position(self, node: Node) -> tuple[int, int]:
        """Return line, from 1, and column, from 0 in characters, of a node; the first question takes long."""
        return self._positions(node)
