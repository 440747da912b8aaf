"""What an expression may be: a tuple of possibilities, empty when nothing is known."""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar, TypeAlias, TypeVar

from sessionstream_lint.program.scopes import Argument, Module, Scope, Site
from sessionstream_lint.reading.syntax import Node

MAX_VALUES = 200


@dataclass(frozen=True, slots=True)
class Compound:
    """A value made of values. It remembers its hash: values share parts, and hashing each anew is exponential."""

    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = [getattr(self, one.name) for one in fields(self) if one.init]
        object.__setattr__(self, "_hash", hash((self.__class__.__name__, *parts)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Place:
    """The expression by which a value was put into a container or given as an argument, and its file."""

    node: Node
    module: Module


@dataclass(frozen=True, slots=True)
class External:
    """A module, class or function outside the project, by its full dotted name; ``at`` where it was put or given."""

    name: str
    at: Place | None = None


@dataclass(frozen=True, slots=True)
class Klass:
    """A class of the project."""

    scope: Scope
    at: Place | None = None


@dataclass(frozen=True, slots=True)
class Routine:
    """A function or lambda of the project."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class File:
    """A module of the project."""

    module: Module


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a class; ``made`` are the arguments it was made with, if they are known.

    It is not ``sure`` when it is one of several alternatives of an annotation.
    """

    of: External | Klass
    made: tuple[Given, ...] | None = None
    sure: bool = field(default=True, compare=False)
    at: Place | None = None


@dataclass(frozen=True, slots=True)
class Super(Compound):
    """``super()`` of an instance, seen from a class."""

    instance: Value
    above: Scope
    __hash__: ClassVar[abc.Callable[[Compound], int]] = Compound.__hash__


@dataclass(frozen=True, slots=True)
class Bound(Compound):
    """A method with the object it is bound to; of a container it is the method's name."""

    receiver: Value
    method: Routine | External
    __hash__: ClassVar[abc.Callable[[Compound], int]] = Compound.__hash__


@dataclass(frozen=True, slots=True)
class Given:
    """An argument, and where it was written; ``star`` is ``""``, ``"*"`` or ``"**"``.

    ``held`` is what it gives when that is not the value of its expression: a part of what ``*`` unpacks.
    An ``opaque`` one stands for any number of arguments, none of which is known for itself.
    """

    value: Node
    site: Site
    keyword: str | None = None
    star: str = ""
    held: Values | None = None
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class Partial(Compound):
    """A callable with some arguments given."""

    target: Value
    given: tuple[Given, ...]
    __hash__: ClassVar[abc.Callable[[Compound], int]] = Compound.__hash__


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: object


@dataclass(frozen=True, slots=True)
class Sequence(Compound):
    """A container whose items are known one by one, and may have names."""

    kind: str
    items: tuple[Values, ...]
    names: tuple[str, ...] = ()
    __hash__: ClassVar[abc.Callable[[Compound], int]] = Compound.__hash__


@dataclass(frozen=True, slots=True)
class Many(Compound):
    """A container of any number of such elements; awaitables and context managers hold one."""

    kind: str
    element: Values
    __hash__: ClassVar[abc.Callable[[Compound], int]] = Compound.__hash__


@dataclass(frozen=True, slots=True)
class Table(Compound):
    """A dict: pairs of what a key and its value may be; of a key that is no constant it is any number of them."""

    pairs: tuple[tuple[Values, Values], ...]
    __hash__: ClassVar[abc.Callable[[Compound], int]] = Compound.__hash__


@dataclass(frozen=True, slots=True)
class TupleClass:
    """What ``namedtuple`` returns."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Callable(Compound):
    """A callable of which only the result is known."""

    result: Values
    __hash__: ClassVar[abc.Callable[[Compound], int]] = Compound.__hash__


@dataclass(frozen=True, slots=True)
class Symbol:
    """Whatever the caller passes for a parameter, or some part of it.

    The scope is a class when the parameter is a field of one that has no ``__init__`` to look into. It is not
    ``plain`` when it was tested on the way, or is one of several alternatives: something else may get there then.
    """

    scope: Scope
    name: str
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Alternatives:
    """What an annotation as a whole stands for, when used as a value: ``X | None``, a type variable."""

    node: Node
    site: Site


Value: TypeAlias = (
    External | Klass | Routine | File | Instance | Super | Bound | Partial | Literal | Sequence | Many | Table
    | TupleClass | Callable | Symbol | Alternatives
)  # fmt: skip
Values: TypeAlias = tuple[Value, ...]
V = TypeVar("V", bound=Value)

NONE = Literal(None)


def as_given(arguments: abc.Iterable[Argument], site: Site) -> tuple[Given, ...]:
    """Return the arguments that are written out at a site."""
    return tuple(Given(one.value, site, one.keyword, one.star, defined(one.defined)) for one in arguments)


def defined(scope: Scope | None) -> Values | None:
    """Return a function or class as a value."""
    if scope is None:
        return None
    return (Klass(scope) if scope.kind == "class" else Routine(scope),)


def placed(values: Values, node: Node, site: Site) -> Values:
    """Return values that an expression puts into a container or gives as an argument; the innermost one counts."""
    place = Place(node, site.block.scope.module)
    return tuple(
        replace(value, at=place) if isinstance(value, External | Klass | Instance) and value.at is None else value
        for value in values
    )


def bare(value: V) -> V:
    """Return a value wherever it was put or given."""
    return replace(value, at=None) if isinstance(value, External | Klass | Instance) and value.at else value


def class_of(value: Value) -> Value:
    """Return the class of an object, and anything else as it is, wherever it was put or given."""
    return bare(value.of if isinstance(value, Instance) else value)


def union(*groups: abc.Iterable[Value]) -> Values:
    """Join possibilities, each once, in the order found."""
    found = dict.fromkeys(value for group in groups for value in group)
    return tuple(found)[:MAX_VALUES]


def unsure(values: Values) -> Values:
    """Return the same, what a caller passes being only what may get there."""
    return tuple(replace(value, plain=False) if isinstance(value, Symbol) else value for value in values)


def known(values: Values) -> bool:
    """Say whether anything is known beyond "None" and "what the caller passes"."""
    return any(not isinstance(value, Symbol) and value != NONE for value in values)
