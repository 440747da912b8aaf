"""One tree from two parsers: libcst reads the statements that mention a registration, ``ast`` has read all others.

libcst takes ten times as long, and what lies in between is only looked at for names and bindings.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionstream_lint import gate
from sessionstream_lint import syntax as s
from sessionstream_lint.gate import split_lines

# Deeper than this a recursive parser should not be asked to go.
MAX_NESTING = 200


def read(source: str, tree: ast.Module) -> s.Node | None:
    """Return the root of the file that ``tree`` is of; None when libcst would see too much nesting.

    Raises whatever libcst raises, which is more than ParserSyntaxError, and ImportError when it is not there.
    """
    nodes: list[s.Node] = []
    for statements, text in parts(source, tree):
        if not gate.registers(text):
            nodes += statements
        elif any(_is_deep(statement) for statement in statements):
            return None
        else:
            from sessionstream_lint import syntax_cst

            nodes += s.view(syntax_cst.parse(text)).parts()
    return s.Other(tuple(nodes))


def parts(source: str, tree: ast.Module) -> Iterator[tuple[list[ast.stmt], str]]:
    """Yield the statements of a module with their text; those that share a line together."""
    lines = split_lines(source)
    start = 0
    together: list[ast.stmt] = []
    for statement, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        together.append(statement)
        end = statement.end_lineno or statement.lineno
        if after is None or after.lineno > end:
            yield together, "\n".join(lines[start:end]) + "\n"
            start, together = end, []


def _is_deep(tree: ast.AST) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_NESTING):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True
