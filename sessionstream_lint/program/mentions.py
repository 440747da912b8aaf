"""How often a file mentions a registration in its code, where that is more than its calls say.

A method that is named otherwise than where it is called (kept in a table, handed on, spelled in a ``getattr``) may be
called anywhere, so every call of the file has to be looked at. Comments and docstrings name methods as well, and mean
nothing by it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache

from sessionstream_lint.reading import gate


def counted(source: str | bytes, tree: ast.Module) -> Callable[[int], bool]:
    """Return the question whether the code of a file mentions registrations more often than so many times.

    The text answers it as long as it can, at no cost; else the tree is walked, once.
    """
    in_text = gate.mentions(source)

    @cache
    def in_code() -> int:
        return sum(gate.mentions(text) for text in _texts(tree))

    return lambda times: in_text > times and in_code() > times


def _texts(tree: ast.AST) -> Iterator[str]:
    """Yield the names and strings of code; of definitions not the name, which mentions nothing."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring, or another text that nothing is done with
        waiting.extend(ast.iter_child_nodes(node))
        defines = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for field, value in ast.iter_fields(node):
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, str) and not (defines and field == "name"):
                    yield each
