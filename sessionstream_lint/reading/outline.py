"""What the standard library's parser says of a file, before libcst reads it: whether it can be read, and its parts."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

from sessionstream_lint.reading.gate import split_lines

# Deeper than this libcst is not asked to go: it recurses, and deep enough it takes the interpreter with it.
MAX_NESTING = 200


class TooDeep(ValueError):
    """A statement is nested too deeply for libcst."""


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


def parts(source: str, tree: ast.Module) -> Iterator[tuple[ast.stmt, str]]:
    """Yield the statements of a module with the lines on which they stand."""
    lines = split_lines(source)
    start = 0
    for statement in tree.body:
        end = statement.end_lineno or statement.lineno
        yield statement, "\n".join(lines[min(start, statement.lineno - 1) : end])
        start = end  # decorators stand before the line of what they decorate


def bound(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that are bound by a statement, by those inside too unless it defines something."""
    stack: list[ast.AST] = [statement]
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
