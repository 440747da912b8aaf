"""``sessionstream-lint``: the rules without flake8 around them.

Exit status: 0 clean, 1 findings, 2 usage error or a file that could not be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sessionstream_lint.command.output import OutputError, write
from sessionstream_lint.command.run import CLEAN, ERROR, Run
from sessionstream_lint.command.settings import FORMATS, Settings
from sessionstream_lint.command.sources import STDIN
from sessionstream_lint.options import UsageError
from sessionstream_lint.reading.gate import has_libcst
from sessionstream_lint.rules.pages import page

# How shells complete paths: shtab reads it.
_FILES = {"bash": "_shtab_compgen_files", "zsh": "_files", "fish": "(__fish_complete_path (commandline -ct))"}


def main(argv: Sequence[str] | None = None) -> int:
    """Check the given paths, print the findings, and return the exit status."""
    args = parser().parse_args(argv)
    try:
        if args.version:
            from sessionstream_lint.version import VERSION  # looking it up costs as much as all other imports

            write(f"sessionstream-lint {VERSION}\n")
            return CLEAN
        if args.explain is not None:
            write(page(args.explain))
            return CLEAN
        if not has_libcst():
            raise UsageError("the extra 'lint' is not installed: pip install 'sessionstream[lint]'")
        settings = Settings(args)
        paths = args.paths or ["."]
        if args.add_noqa and STDIN in paths:
            raise UsageError("--add-noqa: standard input cannot be written to; name the file")
        if args.reason is not None and not args.add_noqa:
            raise UsageError("--reason: it is for --add-noqa only")
        first = args.stdin_filename if paths[0] == STDIN else paths[0]
        if args.show_config:
            write(settings.shown(first))
            return CLEAN
        return Run(settings, args, settings.kind(first)).run(paths)
    except UsageError as error:
        print(f"sessionstream-lint: {error}", file=sys.stderr)
        return ERROR
    except OutputError as error:
        if str(error):
            print(f"sessionstream-lint: cannot write the findings: {error}", file=sys.stderr)
        return ERROR


def parser() -> argparse.ArgumentParser:
    """Return what parses the arguments; shtab makes completions for shells from it."""
    made = argparse.ArgumentParser(prog="sessionstream-lint", description="Find schemas that nobody could read later.")
    add = made.add_argument
    paths = add("paths", nargs="*", metavar="PATH", help="files, directories, or - for standard input (default: .)")
    paths.complete = _FILES  # type: ignore[attr-defined]
    add("--format", choices=FORMATS, help="default: text")
    add("--select", metavar="CODES", help="report only these codes or prefixes; SST is every rule")
    add("--ignore", metavar="CODES", help="do not report these codes or prefixes")
    add("--extend-select", metavar="CODES", help="report these too, beside what is reported anyway")
    ignored = "do not report these codes in files that fit the pattern, such as 'tests/*: SST002'"
    add("--per-file-ignores", metavar="PATTERN:CODES", action="append", help=ignored)
    excluded = "leave out files and directories of these names or paths, comma-separated, with * and ?"
    add("--exclude", action="append", default=[], metavar="PATTERNS", help=excluded)
    roots = (
        "where the project's own imports are resolved, comma-separated; in a file relative to it"
        " (default: where the outermost package of each checked file lies)"
    )
    add("--sst-src-roots", action="append", default=[], metavar="DIRECTORIES", help=roots)
    named = "what - is to be taken for"
    add("--stdin-filename", "--stdin-display-name", default="stdin", metavar="PATH", help=named)
    add("--baseline", metavar="FILE", help="leave out the findings in this file, which --format json has printed")
    add("--add-noqa", action="store_true", help="write a comment into the files that silences each finding")
    add("--reason", metavar="TEXT", help="write this behind the code in each such comment")
    add("--statistics", action="store_true", help="count the findings of each code, on standard error")
    add("--exit-zero", action="store_true", help="exit with 0 also when there are findings")
    add("--config", metavar="FILE", help="read this configuration, not the nearest to each file")
    add("--show-config", action="store_true", help="print the options of the first path and where from")
    add("--explain", metavar="CODE", help="print the page of a rule, and check nothing")
    add("--version", action="store_true", help="print the version, and check nothing")
    return made
