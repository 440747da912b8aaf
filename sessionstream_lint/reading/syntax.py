"""libcst: parsing with it, and what its nodes mean. Importing this module imports libcst."""

from __future__ import annotations

import ast
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TypeAlias

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from sessionstream_lint.reading.outline import MAX_NESTING, TooDeep, is_deep

Node: TypeAlias = cst.CSTNode
Nodes: TypeAlias = tuple[Node, ...]
Comprehension: TypeAlias = cst.ListComp | cst.SetComp | cst.GeneratorExp | cst.DictComp

MAX_QUOTED = 1000
MAX_ATTRIBUTES = 20
MAX_PARTS = 200
# Attributes a test of which is a test of what has them.
ABOUT_CLASS = (".DESCRIPTOR", ".__class__", ".full_name")
_SINGLETONS = {"None": None, "True": True, "False": False}


def read(source: str, tree: ast.Module) -> cst.Module:
    """Parse a file of which ``tree`` is what ``ast`` says.

    Raises:
        Exception: libcst cannot read it; it raises more than ParserSyntaxError.
        TooDeep: it nests too deeply: libcst would take the interpreter with it.
    """
    if is_deep(tree):
        raise TooDeep(f"a statement is nested more than {MAX_NESTING} levels deep")
    return cst.parse_module(source)


@lru_cache(maxsize=4096)
def quoted(text: str) -> cst.BaseExpression | None:
    """Parse an annotation written as a string; None when it is none."""
    try:
        deep = len(text) > MAX_QUOTED or is_deep(ast.parse(text.strip(), mode="eval"))
        return None if deep else cst.parse_expression(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError, cst.ParserSyntaxError):
        return None


def positions(root: cst.Module) -> Callable[[Node], tuple[int, int]]:
    """Return the question where a node of a file stands: line from 1, column from 0 in characters.

    It takes four times as long as parsing the file.
    """
    found = MetadataWrapper(root, unsafe_skip_copy=True).resolve(PositionProvider)

    def position(node: Node) -> tuple[int, int]:
        if isinstance(node, cst.Tuple | cst.GeneratorExp) and node.lpar:
            node = node.lpar[0]
        start = found[node].start
        return start.line, start.column

    return position


# Parts -------------------------------------------------------------------------------------------------------

# The fields of expressions that hold other expressions, or what is around those, in the order of their evaluation.
_PARTS = (
    "func", "args", "left", "comparisons", "comparator", "right", "test", "body", "orelse", "expression", "format_spec",
    "item", "parts", "elements", "elt", "key", "value", "slice", "lower", "upper", "step", "for_in", "iter", "ifs",
    "inner_for_in",
)  # fmt: skip


@cache
def _fields(kind: type[Node]) -> tuple[str, ...]:
    return tuple(name for name in _PARTS if name in kind.__dataclass_fields__)


def parts(node: Node) -> Iterator[Node]:
    """Yield the nodes directly inside an expression: other expressions, or what is around those."""
    for name in _fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, cst.CSTNode):
            yield value
        elif isinstance(value, tuple | list):
            yield from value


def walk(node: Node) -> Iterator[Node]:
    """Yield an expression and all its parts, in no particular order."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(parts(node))


def statements(body: cst.BaseSuite | Iterable[Node] | None) -> Iterator[Node]:
    """Yield the statements of a block, those that share a line one by one."""
    for node in () if body is None else body.body if isinstance(body, cst.BaseSuite) else body:
        if isinstance(node, cst.SimpleStatementLine):
            yield from node.body
        else:
            yield node


def orelse(node: cst.If | cst.Else | None) -> Iterator[Node]:
    """Yield the statements of an ``else``, of which an ``elif`` is the only one."""
    return iter((node,)) if isinstance(node, cst.If) else statements(node.body if node else None)


# Names and constants -----------------------------------------------------------------------------------------


def identifier(node: cst.Name) -> str:
    """Return a name as Python understands it: normalised."""
    return node.value if node.value.isascii() else unicodedata.normalize("NFKC", node.value)


def dotted(node: Node | None) -> str | None:
    """Return ``a.b.c`` for a chain of names, else None."""
    attrs: list[str] = []
    while isinstance(node, cst.Attribute) and len(attrs) < MAX_ATTRIBUTES:
        attrs.append(identifier(node.attr))
        node = node.value
    if not isinstance(node, cst.Name) or node.value in _SINGLETONS:
        return None
    return ".".join([identifier(node), *reversed(attrs)])


def keys_in(node: Node) -> Iterator[str]:
    """Yield the names, and chains of names, that an expression looks at."""
    stack = [node]
    for _ in range(MAX_PARTS):
        if not stack:
            return
        node = stack.pop()
        key = dotted(node)
        if key is None:
            stack.extend(parts(node))
            stack.extend([node.target] if isinstance(node, cst.NamedExpr) else [])
        else:
            yield key
            yield from (key.partition(part)[0] for part in ABOUT_CLASS if part in key)


def last_name(node: Node) -> str:
    """Return the last identifier of a chain of names; of anything else nothing."""
    name = node.attr if isinstance(node, cst.Attribute) else node
    return identifier(name) if isinstance(name, cst.Name) else ""


def called(node: Node) -> Node:
    """Return what a call calls, and anything else as it is."""
    return node.func if isinstance(node, cst.Call) else node


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, number, ``None``, ``True`` or ``...`` that is written out."""

    value: object


def constant(node: Node | None) -> Constant | None:
    """Return the constant that an expression is; also a negative number, and strings beside each other."""
    match node:
        case cst.Name() if node.value in _SINGLETONS:
            return Constant(_SINGLETONS[node.value])
        case cst.Ellipsis():
            return Constant(...)
        case cst.SimpleString() | cst.ConcatenatedString() | cst.Integer() | cst.Float() | cst.Imaginary():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value: object = node.evaluated_value
            return None if value is None else Constant(value)
        case cst.UnaryOperation(operator=cst.Minus(), expression=cst.Integer() as number):
            return Constant(-number.evaluated_value)
        case _:
            return None


def strings(node: Node) -> Iterator[Node]:
    """Yield the strings that stand beside each other, as one expression."""
    while isinstance(node, cst.ConcatenatedString):
        yield node.left
        node = node.right
    yield node


def is_formatted(node: Node) -> bool:
    """Say whether an expression is an f-string that puts something together."""
    formatted = (part for one in strings(node) if isinstance(one, cst.FormattedString) for part in one.parts)
    return any(isinstance(part, cst.FormattedStringExpression) for part in formatted)


# Expressions -------------------------------------------------------------------------------------------------


def items(node: cst.Tuple | cst.List | cst.Set) -> Nodes:
    """Return the items of a display; one that is unpacked is a StarredElement."""
    return tuple(one if isinstance(one, cst.StarredElement) else one.value for one in node.elements)


def index(node: cst.Subscript) -> Nodes:
    """Return what stands in brackets; several indices are several items."""
    found = tuple(one.slice.value if isinstance(one.slice, cst.Index) else one.slice for one in node.slice)
    return items(found[0]) if len(found) == 1 and isinstance(found[0], cst.Tuple) else found


def operands(node: cst.BooleanOperation) -> Nodes:
    """Return the operands of a whole chain of ``and`` or ``or``, which libcst nests to the left."""
    kind = type(node.operator)
    found: list[Node] = [node.right]
    left: cst.BaseExpression = node.left
    while isinstance(left, cst.BooleanOperation) and type(left.operator) is kind and not left.lpar:
        found.append(left.right)
        left = left.left
    return (left, *reversed(found))


def clauses(node: Comprehension) -> Iterator[cst.CompFor]:
    """Yield the ``for`` clauses of a comprehension, the outermost first."""
    clause: cst.CompFor | None = node.for_in
    while clause is not None:
        yield clause
        clause = clause.inner_for_in


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; ``star`` is ``""``, ``"*"`` or ``"**"``; ``kind`` is ``positional``, ``any`` or ``keyword``."""

    name: str
    annotation: Node | None = None
    default: Node | None = None
    kind: str = "any"
    star: str = ""


def parameters(node: cst.Parameters) -> tuple[Parameter, ...]:
    """Return the parameters, in the order of the source."""
    star = [node.star_arg] if isinstance(node.star_arg, cst.Param) else []
    double = [node.star_kwarg] if node.star_kwarg else []
    return (
        *_parameters(node.posonly_params, kind="positional"),
        *_parameters(node.params),
        *_parameters(star, star="*"),
        *_parameters(node.kwonly_params, kind="keyword"),
        *_parameters(double, star="**"),
    )


def _parameters(params: Iterable[cst.Param], kind: str = "any", star: str = "") -> Iterator[Parameter]:
    for one in params:
        annotation = one.annotation.annotation if one.annotation else None
        yield Parameter(identifier(one.name), annotation, one.default, kind, star)
