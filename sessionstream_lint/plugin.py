"""The flake8 extension. No exception leaves it: one would abort flake8 for every other check too."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from sessionstream_lint import gate
from sessionstream_lint.version import VERSION


class Plugin:
    """Checks one file for schemas that nobody could read later."""

    name = "sessionstream-lint"
    version = VERSION
    roots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tree: ast.AST, filename: str, lines: Sequence[str]) -> None:
        self._tree = tree
        self._filename = filename
        self._lines = lines

    def run(self) -> Iterator[tuple[int, int, str, type[Any]]]:
        """Yield line, column, message and this class, as flake8 wants them."""
        source = "".join(self._lines)
        if not gate.concerns(source):
            return
        from sessionstream_lint.engine import check

        tree = self._tree if isinstance(self._tree, ast.Module) else None
        for found in check(source, self._filename, tree, self.roots):
            yield found.line, found.column, found.text, type(self)
