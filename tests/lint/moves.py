"""Changes of a source file that change nothing about its findings but their places.

Each takes a source with its expected places and returns the same, moved. What is drawn decides where.
"""

from __future__ import annotations

import ast
import builtins
import io
import itertools
import keyword
import re
import string
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hypothesis import strategies as st

from sessionstream_lint.reading.gate import METHODS

Place = tuple[int, int, str]


@dataclass(frozen=True, repr=False)
class Moved:
    source: str
    expected: frozenset[Place]

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def lines(self) -> list[str]:
        return self.source.split("\n")

    def inserted(self, line: int, text: list[str]) -> Moved:
        """Put lines before the line with that number."""
        lines = self.lines
        lines[line - 1 : line - 1] = text
        return self.rearranged(lines, lambda number: number + len(text) if number >= line else number)

    def rearranged(self, lines: list[str], place: Callable[[int], int], columns: int = 0) -> Moved:
        moved = frozenset((place(line), column + columns, code) for line, column, code in self.expected)
        return Moved("\n".join(lines), moved)


def starts(tree: ast.Module) -> list[int]:
    """The lines on which a statement of the module starts that does not share them with another."""
    ends = {node.end_lineno for node in tree.body}
    first = [node for node in tree.body if not _is_opening(node)]
    return [line for node in first if (line := start(node)) not in ends or node.lineno == node.end_lineno]


def _is_opening(node: ast.stmt) -> bool:
    """The docstring, and what must stand right after it."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def start(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min(node.lineno, *(int(one.lineno) for one in decorators), node.lineno)


# Renaming -------------------------------------------------------------------------------------------------

# Names that mean something outside the file: arguments of registering methods, fields, methods of libraries.
MEANT = {
    *METHODS, *keyword.kwlist, *keyword.softkwlist, *dir(builtins), "name", "message", "self", "value", "fields",
    "registry", "maxsize", "default", "field", "update", "DESCRIPTOR",
}  # fmt: skip


def bound_names(tree: ast.Module) -> list[str]:
    """Names that the file itself introduces and that mean nothing elsewhere, as often as they are bound."""
    found: dict[str, None] = {}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    methods: set[str] = set(MEANT)
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                found[name] = None
            case ast.ClassDef(name=name):
                found[name] = None
            case ast.Attribute(attr=attr):
                methods.add(attr)
            case ast.alias(name=name, asname=other):
                imported.update((name, other or name, name.partition(".")[0]))
            case ast.keyword(arg=str() as arg):
                methods.add(arg)
            case _:
                pass
    if "*" in imported:  # what a wildcard brings is not the file's to name, though it may bind the same names as well
        imported |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id[0].isupper()}
    used = {word for node in ast.walk(tree) if isinstance(node, ast.Constant) for word in _words(node.value)}
    return [name for name in found if name not in imported | methods | used and not name.startswith("__")]


def _words(value: object) -> list[str]:
    return re.findall(r"\w+", value) if isinstance(value, str) else []


@st.composite
def renamed(draw: st.DrawFn, moved: Moved) -> Moved:
    """Names of the file get others of the same length, so that nothing moves."""
    names = bound_names(moved.tree)
    if not names:
        return moved
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=20, unique=True))
    taken = {token.string for token in _tokens(moved.source)}
    fresh: dict[str, str] = {}
    for name in chosen:
        letters = st.sampled_from(string.ascii_letters)
        other = draw(st.lists(letters, min_size=len(name), max_size=len(name)).map("".join))
        if other not in taken and not keyword.iskeyword(other) and other not in MEANT:
            taken.add(other)
            fresh[name] = other
    lines = [list(line) for line in moved.lines]
    for token in _tokens(moved.source):
        if token.type == tokenize.NAME and token.string in fresh:
            row, column = token.start
            lines[row - 1][column : column + len(token.string)] = fresh[token.string]
    return Moved("\n".join("".join(line) for line in lines), moved.expected)


def _tokens(source: str) -> Iterator[tokenize.TokenInfo]:
    yield from tokenize.generate_tokens(io.StringIO(source).readline)


# Imports --------------------------------------------------------------------------------------------------


@st.composite
def aliased(draw: st.DrawFn, moved: Moved) -> Moved:
    """Imports go by way of another name: ``import a as b`` becomes ``import a as c; b = c``."""
    lines = moved.lines
    taken = set(_words(moved.source))
    for number, node in enumerate(moved.tree.body):
        names = _simple_import(node)
        if not names or not draw(st.booleans()):
            continue
        parts = []
        for index, (whole, local) in enumerate(names):
            other = f"other_{number}_{index}"
            assert other not in taken
            parts.append(f"{whole} as {other}; {local} = {other}")
        lines[node.lineno - 1] = "; ".join(parts)
    return Moved("\n".join(lines), moved.expected)


def _simple_import(node: ast.stmt) -> list[tuple[str, str]]:
    """The import statements of single names that a statement on one line stands for."""
    if node.lineno != node.end_lineno or not isinstance(node, ast.Import | ast.ImportFrom) or _is_opening(node):
        return []
    if any(alias.name == "*" or (isinstance(node, ast.Import) and "." in alias.name) for alias in node.names):
        return []
    head = "import " if isinstance(node, ast.Import) else f"from {'.' * node.level}{node.module or ''} import "
    return [(head + alias.name, alias.asname or alias.name) for alias in node.names]


# Wrapping -------------------------------------------------------------------------------------------------

WRAPPERS = [
    ["def wrapped(argument=None):"],
    ["async def wrapped():"],
    ["def outer():", "    def wrapped(argument):"],
    ["with open('file') as opened:"],
    ["if __name__ == '__main__':"],
    ["for _ in range(1):", "    if unheard_of():"],
]


@st.composite
def wrapped(draw: st.DrawFn, moved: Moved) -> Moved:
    """Everything goes into a function or another block."""
    head = draw(st.sampled_from(WRAPPERS))
    tree = moved.tree
    changes_meaning = any(
        isinstance(node, ast.Global) or (isinstance(node, ast.alias) and node.name == "*") for node in ast.walk(tree)
    )
    if changes_meaning:
        head = WRAPPERS[-2]
    first = min(starts(tree))
    indent = " " * 4 * len(head)
    lines = moved.lines
    body = textwrap.indent("\n".join(lines[first - 1 :]), indent).split("\n")
    return moved.rearranged([*lines[: first - 1], *head, *body], lambda line: line + len(head), len(indent))


# Order, and company ---------------------------------------------------------------------------------------


@st.composite
def reordered(draw: st.DrawFn, moved: Moved) -> Moved:
    """Neighbouring functions that run nothing where they are defined change places."""
    body = moved.tree.body
    pairs = [(one, two) for one, two in itertools.pairwise(body) if _is_inert(one) and _is_inert(two)]
    pairs = [(one, two) for one, two in pairs if one.name != two.name]  # type: ignore[attr-defined]
    if not pairs:
        return moved
    for one, two in draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=1)):
        a, b, c, d = one.lineno, one.end_lineno or 0, two.lineno, two.end_lineno or 0
        lines = moved.lines
        first, between, second = lines[a - 1 : b], lines[b : c - 1], lines[c - 1 : d]
        lines[a - 1 : d] = [*second, *between, *first]
        down, up = d - b, c - a
        moved = moved.rearranged(lines, lambda n: n + down if a <= n <= b else n - up if c <= n <= d else n)  # noqa: B023
    return moved


def _is_inert(node: ast.stmt) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.decorator_list:
        return False
    return not node.args.defaults and not any(node.args.kw_defaults)


_UNRELATED = """\
unrelated_1 = [{"a": 1, "b": (2, 3)}, None]
@@
class Unrelated2:
    attribute: int = 3

    def method(self, *args, **kwargs):
        return [arg for arg in args if arg], {**kwargs}
@@
for unrelated_3 in range(10):
    if unrelated_3 % 2:
        continue
    print(unrelated_3)
else:
    print("done")
@@
try:
    import unrelated_4
except ImportError as unrelated_error:
    print(unrelated_error)
finally:
    print("tried")
@@
async def unrelated_5(x, /, y: int = 1, *, z=None):
    async with x as opened:
        async for item in opened:
            yield await item
@@
unrelated_6 = lambda x: (yield) if x else f"{x!r:>{10}}"
@@
while False:
    break
@@
def unrelated_7(registry, message):
    message = registry.register_evento("A", message)
    del message
@@
# a comment, and a form feed:
\x0c
@@
with open("x") as unrelated_8, open("y"):
    unrelated_9 = unrelated_8.read()
"""
UNRELATED = _UNRELATED.split("@@\n")


@st.composite
def accompanied(draw: st.DrawFn, moved: Moved) -> Moved:
    """Code that has nothing to do with it stands in between."""
    for _ in range(draw(st.integers(1, 4))):
        line = draw(st.sampled_from(starts(moved.tree)))
        moved = moved.inserted(line, draw(st.sampled_from(UNRELATED)).rstrip("\n").split("\n"))
    return moved


MOVES = [renamed, aliased, wrapped, reordered, accompanied]
