"""What the standard library's parser says of a file, before libcst reads it: whether it can be read, and its parts."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from itertools import zip_longest

from sessionstream_lint.reading import gate
from sessionstream_lint.reading.gate import split_lines

# Deeper than this libcst is not asked to go: it recurses, and deep enough it takes the interpreter with it.
MAX_NESTING = 200


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


def readable(source: str, tree: ast.Module, can_read: Callable[[str], bool] | None = None) -> str:
    """Return the source with empty lines for the statements that are nested too deeply for libcst.

    So it is for those which it cannot read otherwise, unless they mention a registration.

    Raises:
        TooDeep: one of the former mentions a registration.
    """
    found = []
    for together, text in parts(source, tree):
        deep, registers = any(map(is_deep, together)), gate.registers(text)
        if deep and registers:
            line = together[0].lineno
            raise TooDeep(f"the statement in line {line} is nested more than {MAX_NESTING} levels deep")
        unreadable = deep or not (registers or can_read is None or can_read(text))
        found.append("\n" * text.count("\n") if unreadable else text)
    return "".join(found)


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
        fields = [value for node in level for value in vars(node).values()]
        level = [value for value in fields if isinstance(value, ast.AST)]
        level += [one for value in fields if isinstance(value, list) for one in value if isinstance(one, ast.AST)]
        if not level:
            return False
    return True
