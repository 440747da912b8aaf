"""What the standard library's parser says of a file, before libcst reads it: whether it can be read, and its parts."""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from collections.abc import Iterator
from itertools import zip_longest

from sessionstream_lint.reading import gate
from sessionstream_lint.reading.gate import split_lines

# Deeper than this libcst is not asked to go: it recurses, and deep enough it takes the interpreter with it.
MAX_NESTING = 200
_WORD = re.compile(r"\w+")


class TooDeep(ValueError):
    """A statement that registers something is nested too deeply."""


def parse(source: str | bytes) -> ast.Module:
    """Parse a whole file, without warnings; raises SyntaxError, ValueError, RecursionError or MemoryError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def parsed(source: bytes) -> ast.Module | None:
    """Parse a whole file; None when that is not possible."""
    try:
        return parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements directly inside a module, a statement or one of its clauses, and those clauses."""
    for name in ("body", "orelse", "handlers", "finalbody", "cases"):
        inner = getattr(node, name, ())
        yield from inner if isinstance(inner, list) else ()


def parts(source: str, tree: ast.Module) -> Iterator[tuple[list[ast.stmt], str]]:
    """Yield the statements of a module with their text; those that share a line together."""
    lines = split_lines(source)
    start = 0
    together: list[ast.stmt] = []
    for statement, after in zip_longest(tree.body, tree.body[1:]):
        together.append(statement)
        end = statement.end_lineno or statement.lineno
        if after is None or after.lineno > end:
            yield together, "\n".join(lines[start:end]) + "\n"
            start, together = end, []


def relevant(source: str, tree: ast.Module, whole: bool) -> str:
    """Return the source with empty lines for statements that have nothing to do with what is registered.

    Left are those that mention a registration, what they use, and what uses that. libcst takes as long for one line as
    all other checks of flake8 together. ``whole`` is for files of which more matters: it takes out only what is nested
    too deeply.

    Raises:
        TooDeep: a statement that mentions a registration is nested too deeply for libcst.
    """
    every = [_Part(statements, text) for statements, text in parts(source, tree)]
    kept = [part for part in every if whole or part.registers]
    left = [part for part in every if part not in kept]
    fresh = kept
    words: set[str] = set()
    bound: set[str] = set()
    while fresh:
        words |= {word for part in fresh for word in part.words}
        bound |= {name for part in fresh if not part.imports for name in part.names}
        fresh = [part for part in left if part.always or part.names & words or part.words & bound]
        kept = [*kept, *fresh]
        left = [part for part in left if part not in fresh]
    chosen = {id(part) for part in kept}
    return "".join(part.text if id(part) in chosen and part.is_readable() else part.blank for part in every)


class _Part:
    """Statements that share lines, with their text, the names that they bind and the words in them."""

    def __init__(self, statements: list[ast.stmt], text: str) -> None:
        self.statements = statements
        self.text = text
        self.registers = gate.registers(text)
        self.imports = all(isinstance(one, ast.Import | ast.ImportFrom) for one in statements)
        outer = ast.walk(ast.Module(statements, [])) if "global" in text else ()
        declared = (name for node in outer if isinstance(node, ast.Global) for name in node.names)
        self.always = self.imports or "fixture" in text  # a parameter names a fixture, and it may have another name
        self.names = frozenset([*bound(statements), *declared])
        normal = text if text.isascii() else unicodedata.normalize("NFKC", text)
        self.words = frozenset(_WORD.findall(normal))

    @property
    def blank(self) -> str:
        """As many lines with nothing in them."""
        return "\n" * self.text.count("\n")

    def is_readable(self) -> bool:
        """Say whether libcst can be asked to read this."""
        if not any(map(is_deep, self.statements)):
            return True
        if self.registers:
            line = self.statements[0].lineno
            raise TooDeep(f"the statement in line {line} is nested more than {MAX_NESTING} levels deep")
        return False


def bound(statements: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that are bound by statements, the inner ones too unless they define something."""
    stack: list[ast.AST] = [*statements]
    while stack:
        node = stack.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.alias(name=name, asname=other):
                yield (other or name).partition(".")[0]
            case _:
                stack.extend(ast.iter_child_nodes(node))


def is_deep(tree: ast.AST) -> bool:
    """Say whether something is nested too deeply for libcst."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_NESTING):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True
