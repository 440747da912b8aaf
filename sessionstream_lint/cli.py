"""``sessionstream-lint``: the rules without flake8 around them.

Exit status: 0 clean, 1 findings, 2 usage error or a file that could not be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sessionstream_lint import config, gate, sources
from sessionstream_lint.options import Options, UsageError, codes, existing, patterns, roots
from sessionstream_lint.output import OutputError, one_line, write
from sessionstream_lint.pages import codes as known_codes
from sessionstream_lint.pages import page

if TYPE_CHECKING:
    from sessionstream_lint.report import Located

CLEAN, FINDINGS, ERROR = 0, 1, 2
FORMATS = ("text", "json", "sarif", "github")


def main(argv: Sequence[str] | None = None) -> int:
    """Check the given paths, print the findings, and return the exit status."""
    args = _parser().parse_args(argv)
    try:
        if args.version:
            from sessionstream_lint.version import VERSION  # looking it up costs as much as all other imports

            write(f"sessionstream-lint {VERSION}\n")
            return CLEAN
        if args.explain is not None:
            write(page(args.explain))
            return CLEAN
        if not _installed("libcst"):
            raise UsageError("the extra 'lint' is not installed: pip install 'sessionstream[lint]'")
        options, kind, section = _configure(args)
        if args.show_config:
            from sessionstream_lint.showing import shown

            write(shown(section, options, kind, known_codes()))
            return CLEAN
        return Command(options, kind, args.stdin_filename).run(args.paths or ["."])
    except UsageError as error:
        print(f"sessionstream-lint: {error}", file=sys.stderr)
        return ERROR
    except OutputError as error:
        if str(error):
            print(f"sessionstream-lint: cannot write the findings: {error}", file=sys.stderr)
        return ERROR


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ImportError:
        return False


def _configure(args: argparse.Namespace) -> tuple[Options, str, config.Section]:
    """Join the command line and the configuration, which comes too: the command line wins, but exclusions add up."""
    here = Path.cwd()
    section = config.find(_start(args)) if args.config is None else config.load(Path(args.config))
    roots_base = here if args.sst_src_roots else section.base
    options = Options(
        select=section.read("select", _selected, args.select, default=None),
        ignore=section.read("ignore", _codes, args.ignore),
        src_roots=section.read(
            "sst-src-roots", lambda value: existing(roots(value, roots_base)), args.sst_src_roots or None
        ),
        exclude=(
            *section.read("exclude", lambda value: sources.anchored(patterns(value), section.base)),
            *sources.anchored(patterns(args.exclude), here),
        ),
    )
    return options, section.read("format", _format, args.format, default=FORMATS[0]), section


def _start(args: argparse.Namespace) -> Path:
    """Return where the configuration is looked for, upwards: where the first path is, whatever the directory is."""
    first = args.paths[0] if args.paths else "."
    path = Path(args.stdin_filename if first == sources.STDIN else first).absolute()
    return path if path.is_dir() else path.parent


def _codes(value: object) -> tuple[str, ...]:
    return codes(value, known_codes()) if value != "" else ()


def _selected(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    found = _codes(value)
    if not found:
        raise UsageError(f"nothing would be reported; the codes are {', '.join(known_codes())}")
    return found


def _format(value: object) -> str:
    if not isinstance(value, str) or value not in FORMATS:
        raise UsageError(f"{value!r} is none of {', '.join(FORMATS)}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sessionstream-lint", description="Find schemas that nobody could read later."
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files, directories, or - for standard input (default: .)"
    )
    parser.add_argument("--format", choices=FORMATS, help="default: text")
    parser.add_argument("--select", metavar="CODES", help="report only these codes or prefixes; SST is every rule")
    parser.add_argument("--ignore", metavar="CODES", help="do not report these codes or prefixes")
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERNS",
        help="leave out files and directories of these names or paths, comma-separated, with * and ?",
    )
    parser.add_argument(
        "--sst-src-roots",
        action="append",
        default=[],
        metavar="DIRECTORIES",
        help="where the project's own imports are resolved, comma-separated; in a file relative to it"
        " (default: where the outermost package of each checked file lies)",
    )
    parser.add_argument(
        "--stdin-filename",
        "--stdin-display-name",
        default="stdin",
        metavar="PATH",
        help="what - is to be taken for",
    )
    parser.add_argument("--config", metavar="FILE", help="read this configuration instead of the nearest")
    parser.add_argument(
        "--show-config", action="store_true", help="print the options that count and where from, and check nothing"
    )
    parser.add_argument("--explain", metavar="CODE", help="print the page of a rule, and check nothing")
    parser.add_argument("--version", action="store_true", help="print the version, and check nothing")
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
        for path, content in sources.read(paths, self.options.exclude, self.stdin_name, self._complain):
            if gate.concerns(content):
                found += self._check(path, sources.decode(content))
        if found or self.kind != "text":
            from sessionstream_lint.report import render

            write(render(found, self.kind))
        if self.failed:
            return ERROR
        return FINDINGS if found else CLEAN

    def _check(self, path: str, source: str) -> list[Located]:
        from sessionstream_lint.engine import check
        from sessionstream_lint.noqa import Suppressions
        from sessionstream_lint.report import Located

        found = [one for one in check(source, path, options=self.options) if self.options.wants(one.code)]
        suppressions = Suppressions(source) if found else None
        return [Located(path, one) for one in found if suppressions and not suppressions.silence(one.line, one.code)]

    def _complain(self, path: str, error: OSError) -> None:
        self.failed = True
        print(f"sessionstream-lint: cannot read {one_line(path)}: {error.strerror}", file=sys.stderr)
