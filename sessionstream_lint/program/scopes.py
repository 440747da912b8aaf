"""What one pass over a file leaves behind: scopes, blocks of ordered events, and the calls.

A *block* is a run of statements without a branch. Its events are bindings, forks (what a branch, a loop or a
``try`` did), assumptions (``assert``) and departures (``return`` and its like). A *site* is a point in a
block: the question "what may this name be here?" is answered by walking the events backwards from it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sessionstream_lint.program.names import absolute
from sessionstream_lint.reading.nodes import positions
from sessionstream_lint.reading.shapes import (
    Attribute,
    Call,
    Class,
    Function,
    Lambda,
    Name,
    Node,
    Nodes,
    Parameter,
    Pattern,
    Walrus,
    dotted,
    view,
)

# A key is what can be rebound and narrowed: a name or a chain of names such as "self.registry".
Key: TypeAlias = str

MAX_TEST_PARTS = 200
MAX_KEEPING = 3
# Attributes a test of which is a test of what has them.
ABOUT_CLASS = (".DESCRIPTOR", ".__class__", ".full_name")


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


@dataclass(eq=False, slots=True)
class Guard:
    """A test known to be true (or, not ``positive``, false); with a pattern, that ``test`` matches it."""

    test: Node
    positive: bool
    site: Site
    pattern: Pattern | None = None
    _mentions: frozenset[Key] | None = None

    def mentions(self, key: Key) -> bool:
        """Say whether the test looks at that key at all."""
        return key in self.keys()

    def keys(self) -> frozenset[Key]:
        """Return the keys that the test looks at."""
        if self._mentions is None:
            self._mentions = frozenset(_keys(self.test))
        return self._mentions


def _keys(test: Node) -> list[Key]:
    found: list[Key] = []
    stack = [test]
    for _ in range(MAX_TEST_PARTS):
        if not stack:
            break
        node = stack.pop()
        shape = view(node)
        if isinstance(shape, Name | Attribute):
            key = dotted(node)
            if key is not None:
                found.append(key)
                found += (key.partition(part)[0] for part in ABOUT_CLASS if part in key)
                continue
        stack.extend(shape.parts())
        if isinstance(shape, Walrus):
            stack.append(shape.target)
    return found


def _chain(key: Key) -> list[Key]:
    """Return a chain of names and each that it begins with."""
    parts = key.split(".")
    return [".".join(parts[:number]) for number in range(1, len(parts) + 1)]


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
    """An annotation, and the value if one was assigned with it."""

    annotation: Node
    value: Node | None


@dataclass(frozen=True, slots=True)
class Imported:
    """A module (``name`` is None), or a name out of one."""

    module: str
    level: int
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
    """A container into which ``value`` was put under ``key``; ``whole``: all elements of ``value``."""

    key: Node | None
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

    bound: Node | None
    default: Node | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """An object of one of these classes, caught by a pattern."""

    classes: Nodes


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something the engine does not follow: an exception, a deletion, a part of a pattern."""


Source: TypeAlias = (
    Assigned
    | Unpacked
    | Element
    | Entered
    | Declared
    | Imported
    | Defined
    | Passed
    | Stored
    | Augmented
    | Bounded
    | Matched
    | Unknown
)

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

    ``orelse`` is what follows a loop that ran to its end; one that was left by ``break`` passes by it.
    """

    arms: list[Block] = field(default_factory=list)
    skippable: bool = False
    jumps: list[tuple[Block, int, str]] = field(default_factory=list)
    orelse: Fork | None = None
    _touched: frozenset[Key] | None = None

    def touched(self) -> frozenset[Key]:
        """Return the keys that are bound, changed or tested inside, and "" if it is left in some other way."""
        if self._touched is None:
            self._touched = frozenset(self._events())
        return self._touched

    def _events(self) -> Iterator[Key]:
        stack: list[Fork] = [self]
        while stack:
            fork = stack.pop()
            if fork.jumps or fork.orelse is not None or (not fork.arms and not fork.skippable):
                yield ""
            for arm in fork.arms:
                for guard in arm.guards:
                    yield from guard.keys()
                for event in arm.events:
                    if isinstance(event, Fork):
                        stack.append(event)
                    elif isinstance(event, Assume):
                        yield from event.guard.keys()
                    else:
                        yield from _about(event)

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


def killing(key: Key) -> Key:
    """Return what stands for the bindings of a key after which nothing is left of what it held."""
    return f"{key} ="


def _about(event: Event) -> Iterable[Key]:
    """The keys that an event is about; "" is any."""
    match event:
        case Binding():
            return (event.key, killing(event.key)) if event.kills else (event.key,)
        case Assume(guard):
            return guard.keys()
        case Fork():
            return event.touched()
        case Departure():
            return ("",)


@dataclass(frozen=True, slots=True)
class Reached:
    """A binding that may be current, and the tests passed since then, oldest last.

    Without a binding the search ended elsewhere: for a dotted key at a binding of its base or at the outermost
    scope, for a plain name at the outermost scope only (so that it can only be a builtin).
    """

    binding: Binding | None
    guards: tuple[Guard, ...]


@dataclass(eq=False, slots=True)
class Block:
    """A run of events; ``parent`` and ``index`` say where it hangs, ``guards`` what held on entering it.

    ``loop`` is set on the body of one, ``torn`` on an exception handler: any part of that block may have run.
    ``private`` bindings are seen by nobody outside: those of a comprehension. ``places`` and ``reached`` are what was
    found out about it, once its file is collected.
    """

    scope: Scope
    parent: Block | None = None
    index: int = 0
    guards: tuple[Guard, ...] = ()
    loop: Fork | None = None
    torn: Block | None = None
    events: list[Event] = field(default_factory=list)
    dead: bool = False
    private: bool = False
    places: dict[Key, list[int]] | None = None
    reached: dict[tuple[Key, int, tuple[Guard, ...], tuple[Key, ...]], list[Reached]] = field(default_factory=dict)

    def around(self) -> list[Block]:
        """Return this block and those in which it lies, the innermost first."""
        found: list[Block] = [self]
        while (outer := found[-1].parent) is not None:
            found.append(outer)
        return found

    def home(self) -> Block:
        """Return the block that a walrus binds in: comprehensions keep only their own targets."""
        block = self
        while block.private and block.parent is not None:
            block = block.parent
        return block

    def before(self, index: int, keys: tuple[Key, ...]) -> int:
        """Return the position of the last event before ``index`` that is about one of the keys, or about any; or -1.

        Only for a block that is complete.
        """
        if self.places is None:
            self.places = {}
            for number, event in enumerate(self.events):
                for key in _about(event):
                    self.places.setdefault(key, []).append(number)
        last = -1
        for key in ("", *keys):
            found = self.places.get(key)
            if found is not None:
                position = bisect_left(found, index)
                last = max(last, found[position - 1] if position else -1)
        return last

    def here(self, guards: tuple[Guard, ...] = ()) -> Site:
        """Return the site after everything collected so far."""
        return Site(self, len(self.events), guards)


@dataclass(eq=False, slots=True)
class Scope:
    """A module, class, function or lambda; ``site`` is where it was defined, ``order`` when.

    ``attributes`` are what methods of a class give those of ``self``, ``stored`` what they put into them. ``decorated``
    are the calls of its decorators, the lowest first; ``expects`` says that it yields where an error is
    expected.
    """

    kind: str
    module: Module
    parent: Scope | None = None
    site: Site | None = None
    order: int = 0
    shape: Function | Class | Lambda | None = None
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
    expects: bool = False
    decorated: list[CallSite] = field(default_factory=list)
    block: Block = field(init=False)
    _keeping: dict[Key, tuple[Key, ...]] | None = None

    def __post_init__(self) -> None:
        self.block = Block(self)

    def keeping(self, key: Key) -> tuple[Key, ...]:
        """Return the names of a function that are given an expression in which the key is mentioned."""
        if self.kind not in ("function", "lambda"):
            return ()
        if self._keeping is None:
            self._keeping = {}
            for name, bindings in self.bindings.items():
                source = bindings[0].source
                if len(bindings) == 1 and isinstance(source, Assigned) and "." not in name:
                    for mentioned in {*_keys(source.value)} - {name}:
                        for part in _chain(mentioned):
                            self._keeping[part] = (*self._keeping.get(part, ()), name)[:MAX_KEEPING]
        return self._keeping.get(key, ())

    @property
    def name(self) -> str:
        """The name it was defined with; empty for a module or a lambda."""
        return self.shape.name if isinstance(self.shape, Function | Class) else ""

    @property
    def params(self) -> tuple[Parameter, ...]:
        """The parameters, of a function or lambda."""
        return self.shape.params if isinstance(self.shape, Function | Lambda) else ()

    def end(self) -> Site:
        """Return the site after its last statement."""
        return self.block.here()


@dataclass(eq=False, slots=True)
class CallSite:
    """A call, and where it stands; ``guarded`` where an error of it is expected or handled.

    ``managers`` are the context managers around it, of which the evaluator can say whether they expect one.
    """

    shape: Call
    site: Site
    guarded: bool = False
    managers: tuple[tuple[Node, Site], ...] = ()


@dataclass(eq=False, slots=True)
class Module:
    """One collected file; ``package`` is the package that its relative imports start from.

    ``mentions_beyond`` says whether its code mentions registrations more often than so many times, ``never_returns``
    whether a function of another file, by its full name, never comes back.
    ``sources`` are the names that were given the value of an expression, or a part of it, and functions with
    what they return, ``renamed`` are names of other modules and what they are called here. ``calls_by_name`` ,
    ``aliases`` and ``whole`` are made from the rest when somebody asks.
    """

    name: str
    package: str
    path: str
    tree: Node
    mentions_beyond: Callable[[int], bool] = lambda times: False
    never_returns: Callable[[str], bool] = lambda name: False
    calls: list[CallSite] = field(default_factory=list)
    calls_by_name: dict[str, list[CallSite]] | None = None
    sources: list[tuple[Key, Node]] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    aliases: dict[str, list[str]] | None = None
    whole: list[str] | None = None
    places: Callable[[Node], tuple[int, int]] | None = None
    lambdas: dict[int, Scope] = field(default_factory=dict)
    comprehensions: dict[int, Block] = field(default_factory=dict)
    scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        self.scope = Scope("module", self)

    def position(self, node: Node) -> tuple[int, int]:
        """Return line, from 1, and column, from 0 in characters, of a node; the first question takes long."""
        if self.places is None:
            self.places = positions(self.tree)
        return self.places(node)

    def wildcards(self) -> list[str]:
        """Return the full names of the modules from which everything is imported."""
        if self.whole is None:
            sources = (one.source for one in self.scope.bindings.get("*", ()))
            found = (absolute(one.module, one.level, self.package) for one in sources if isinstance(one, Imported))
            self.whole = list(dict.fromkeys(found))
        return self.whole
