"""The flake8 extension. No exception leaves it: one would abort flake8 for every other check too."""

from __future__ import annotations

import ast
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sessionstream_lint.options import OPT_IN, Options, UsageError, existing, roots
from sessionstream_lint.reading import gate
from sessionstream_lint.version import VERSION

MISSING = (
    "SST900 libcst is not installed, so nothing was checked: pip install 'sessionstream[lint]' "
    "(sessionstream-lint --explain SST900)"
)


class Plugin:
    """Checks one file for schemas that nobody could read later."""

    name = "sessionstream-lint"
    version = VERSION
    options: ClassVar[Options] = Options()

    def __init__(self, tree: ast.AST, filename: str, lines: Sequence[str]) -> None:
        self._tree = tree
        self._filename = filename
        self._lines = lines

    @classmethod
    def add_options(cls, manager: Any) -> None:
        """Tell flake8 about ``--sst-src-roots``."""
        manager.add_option(
            "--sst-src-roots",
            metavar="DIRECTORIES",
            type=_given,
            default=(),
            parse_from_config=True,
            help="Where the project's own imports are resolved, comma-separated; in a file relative to it."
            " (Default: where the outermost package of each checked file lies.)",
        )
        # flake8 leaves a path without a slash in it as it is, and tells nobody else where its configuration lies.
        manager.options[-1].normalize = _given

    @classmethod
    def parse_options(cls, manager: Any, options: Namespace, args: object) -> None:
        """Take over what concerns this plugin.

        Which of its codes are reported is for flake8 to decide. But it would run opt-in rules for everybody who sets
        ``ignore``, which replaces what extensions ignore by default; so they run for those who select them. The
        same holds for SST900 where libcst is not installed: flake8 finds this plugin wherever the library is.
        """
        explicit = (*(options.select or ()), *(options.extend_select or ()))
        off = tuple(code for code in sorted(OPT_IN) if not code.startswith(explicit))
        try:
            cls.options = Options(
                select=("SST",),
                ignore=off,
                src_roots=existing(options.sst_src_roots),
                says_missing="SST900".startswith(explicit),
            )
        except UsageError as error:
            manager.parser.error(f"sst-src-roots: {error}")

    def run(self) -> Iterator[tuple[int, int, str, type[Any]]]:
        """Yield line, column, message and this class, as flake8 wants them."""
        source = "".join(self._lines)
        if not gate.concerns(source):
            return
        if not gate.has_libcst():
            if self.options.says_missing and gate.registers(source):
                yield gate.first_line(source), 0, MISSING, type(self)
            return
        from sessionstream_lint.engine import check

        tree = self._tree if isinstance(self._tree, ast.Module) else None
        for found in check(source, self._filename, tree, self.options):
            yield found.line, found.column, found.text, type(self)


def _given(value: Any, *directory: str) -> tuple[Path, ...]:
    """Resolve roots as given on the command line, or in the file in ``directory``."""
    return roots(value, Path(*directory).absolute())
