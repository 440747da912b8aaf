"""One run over some paths: read, check, print."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstream_lint.command import sources
from sessionstream_lint.command.output import one_line, write
from sessionstream_lint.command.settings import Settings
from sessionstream_lint.reading import gate

if TYPE_CHECKING:
    from sessionstream_lint.command.report import Located
    from sessionstream_lint.engine import Diagnostic

CLEAN, FINDINGS, ERROR = 0, 1, 2


class Run:
    """Checks files with the options of each, and prints in one format."""

    def __init__(self, settings: Settings, args: argparse.Namespace, kind: str) -> None:
        self._settings = settings
        self._args = args
        self._kind = kind
        self._unread: list[tuple[str, str]] = []

    def run(self, paths: Sequence[str]) -> int:
        """Check the paths, print what was found, and return the exit status.

        Raises:
            UsageError: the configuration of a file, or the baseline, cannot be used.
            OutputError: the findings cannot be written.
        """
        found: list[Located] = []
        read = sources.read(paths, self._settings.excludes, self._args.stdin_filename, self._complain)
        for path, content in read:
            if gate.concerns(content):
                found += self._check(path, sources.decode(content))
        if self._args.baseline is not None:
            from sessionstream_lint.command.report import beyond

            found = beyond(found, Path(self._args.baseline))
        if self._args.add_noqa:
            return self._silence(found)
        self._print(found)
        if self._unread:
            return ERROR
        return FINDINGS if found and not self._args.exit_zero else CLEAN

    def _silence(self, found: list[Located]) -> int:
        """Write a comment for each finding into its file."""
        from sessionstream_lint.command.add_noqa import add, checked

        reason = None if self._args.reason is None else checked(self._args.reason)
        of_file: dict[str, list[Diagnostic]] = {}
        for one in found:
            of_file.setdefault(one.path, []).append(one.diagnostic)
        for path, diagnostics in sorted(of_file.items()):
            number = add(Path(path), diagnostics, reason)
            write(f"{one_line(path)}: {number} comment{'' if number == 1 else 's'}\n")
        return ERROR if self._unread else CLEAN

    def _print(self, found: list[Located]) -> None:
        if found or self._kind != "text":
            from sessionstream_lint.command.report import render

            write(render(found, self._kind, self._unread))
        if self._args.statistics:
            from sessionstream_lint.rules.catalogue import SUMMARIES

            for code, number in sorted(Counter(one.diagnostic.code for one in found).items()):
                print(f"{number:<5} {code} {SUMMARIES[code]}", file=sys.stderr)

    def _check(self, path: str, source: str) -> list[Located]:
        from sessionstream_lint.command.noqa import Suppressions
        from sessionstream_lint.command.report import Located
        from sessionstream_lint.engine import check

        found = check(source, path, options=self._settings.options(path))
        found = [one for one in found if self._settings.wants(path, one.code)]
        suppressions = Suppressions(source) if found else None
        return [Located(path, one) for one in found if suppressions and not suppressions.silence(one.line, one.code)]

    def _complain(self, path: str, error: OSError) -> None:
        self._unread.append((path, error.strerror or str(error)))
        print(f"sessionstream-lint: cannot read {one_line(path)}: {error.strerror}", file=sys.stderr)
