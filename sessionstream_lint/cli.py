"""``sessionstream-lint``: the rules without flake8 around them.

Exit status: 0 clean, 1 findings, 2 usage error or a file that could not be read.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tokenize
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstream_lint import gate
from sessionstream_lint.options import Options, UsageError, codes
from sessionstream_lint.pages import page
from sessionstream_lint.version import VERSION

if TYPE_CHECKING:
    from sessionstream_lint.report import Located

CLEAN, FINDINGS, ERROR = 0, 1, 2
FORMATS = ("text", "json", "sarif", "github")
STDIN = "-"
SUFFIXES = (".py", ".pyi", ".pyw")


def main(argv: Sequence[str] | None = None) -> int:
    """Check the given paths, print the findings, and return the exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        if args.explain is not None:
            print(page(args.explain), end="")
            return CLEAN
        if not _installed("libcst"):
            raise UsageError("the extra 'lint' is not installed: pip install 'sessionstream[lint]'")
        options = Options(select=codes(args.select), ignore=codes(args.ignore), roots=tuple(args.src_root))
    except UsageError as error:
        print(f"sessionstream-lint: {error}", file=sys.stderr)
        return ERROR
    return Command(options, args.format, args.stdin_display_name).run(args.paths or ["."])


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ImportError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sessionstream-lint", description="Find schemas that nobody could read later."
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files, directories, or - for standard input (default: .)"
    )
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--select", default="", metavar="CODES", help="report only these codes or prefixes")
    parser.add_argument("--ignore", default="", metavar="CODES", help="do not report these codes or prefixes")
    parser.add_argument(
        "--src-root",
        action="append",
        default=[],
        metavar="DIR",
        help="resolve the project's imports here too (repeatable)",
    )
    parser.add_argument("--stdin-display-name", default="stdin", metavar="NAME", help="the path to report for -")
    parser.add_argument("--explain", metavar="CODE", help="print the page of a rule, and check nothing")
    parser.add_argument("--version", action="version", version=f"sessionstream-lint {VERSION}")
    return parser


class Command:
    """One run over some paths."""

    def __init__(self, options: Options, kind: str, stdin_name: str) -> None:
        self.options = options
        self.kind = kind
        self.stdin_name = stdin_name
        self.failed = False

    def run(self, paths: Sequence[str]) -> int:
        """Check the paths, print what was found, and return the exit status."""
        found: list[Located] = []
        for path, content in self._contents(paths):
            if gate.concerns(content):
                found += self._check(path, content)
        if found or self.kind != "text":
            from sessionstream_lint.report import render

            sys.stdout.write(render(found, self.kind))
        if self.failed:
            return ERROR
        return FINDINGS if found else CLEAN

    def _check(self, path: str, content: bytes) -> list[Located]:
        from sessionstream_lint.engine import check
        from sessionstream_lint.noqa import Suppressions
        from sessionstream_lint.report import Located

        try:
            source = decode(content)
        except (SyntaxError, UnicodeDecodeError, LookupError) as error:
            self._complain(path, error)
            return []
        found = [one for one in check(source, path, roots=self.options.roots) if self.options.wants(one.code)]
        suppressions = Suppressions(source) if found else None
        return [Located(path, one) for one in found if suppressions and not suppressions.silence(one.line, one.code)]

    def _contents(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for path in paths:
            if path == STDIN:
                yield self.stdin_name, sys.stdin.buffer.read()
                continue
            for file in self._files(path):
                try:
                    content = Path(file).read_bytes()
                except OSError as error:
                    self._complain(file, error)
                else:
                    yield file, content

    def _files(self, path: str) -> Iterator[str]:
        """Yield a file as it is, and of a directory the Python files in it, sorted."""
        if not os.path.isdir(path):  # noqa: PTH112 - os.walk below wants strings too
            yield path
            return
        for directory, inner, files in os.walk(path, onerror=lambda error: self._complain(path, error)):
            inner[:] = sorted(name for name in inner if name not in self.options.exclude)
            for name in sorted(files):
                if name.endswith(SUFFIXES):
                    yield os.path.normpath(os.path.join(directory, name))  # noqa: PTH118

    def _complain(self, path: str, error: Exception) -> None:
        self.failed = True
        reason = error.strerror if isinstance(error, OSError) else str(error)
        print(f"sessionstream-lint: cannot read {path}: {reason}", file=sys.stderr)


def decode(content: bytes) -> str:
    """Return the text of a source file, as its encoding declaration says, line ends untouched but for a BOM."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding)


if __name__ == "__main__":
    sys.exit(main())
