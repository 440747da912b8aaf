"""The options of each file: those of the command line, and those of the configuration nearest to the file."""

from __future__ import annotations

import argparse
import os
from functools import cache
from pathlib import Path

from sessionstream_lint.command import config, sources
from sessionstream_lint.options import Options, UsageError, codes, existing, patterns, per_file, roots
from sessionstream_lint.rules.pages import codes as known_codes

FORMATS = ("text", "json", "sarif", "github")


class _Of:
    """The options by one file, ready to be asked."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.excludes = sources.matcher(options.exclude)
        self.ignored = [(sources.matcher((pattern,)), given) for pattern, given in options.per_file]


class Settings:
    """Joins the command line and the configuration: the command line wins, but exclusions add up."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._here = Path.cwd()
        self._section_in = cache(config.section_in)
        self._given = None if args.config is None else config.load(Path(args.config))
        self._of_file: dict[Path | None, _Of] = {}

    def section(self, path: str) -> config.Section:
        """Return the configuration of a file, or of a directory: the nearest upwards.

        Raises:
            UsageError: it cannot be read, or has an option that there is not.
        """
        if self._given is not None:
            return self._given
        place = Path(os.path.normpath(self._here / path))
        directory = place if place.is_dir() else place.parent
        found = map(self._section_in, (directory, *directory.parents))
        return next(filter(None, found), config.Section(directory))

    def options(self, path: str) -> Options:
        """Return the options for a file, but for what is ignored in it alone.

        Raises:
            UsageError: an option in the configuration makes no sense.
        """
        return self._of(path).options

    def kind(self, path: str) -> str:
        """Return the format of the findings of a run of which this is the first path."""
        return self.section(path).read("format", _format, self._args.format, default=FORMATS[0])

    def shown(self, path: str) -> str:
        """Return the configuration that counts for a path, and the options as they are with it."""
        section, options = self.section(path), self.options(path)
        roots = ", ".join(map(str, options.src_roots)) or "where the outermost package of each file lies"
        return (
            f"configuration: {_source(section)}\n"
            f"rules: {', '.join(code for code in known_codes() if options.wants(code))}\n"
            f"exclude: {', '.join(options.exclude) or 'nothing'}\n"
            f"sst-src-roots: {roots}\n"
            f"format: {self.kind(path)}\n"
        )

    def excludes(self, path: str) -> bool:
        """Say whether a file or directory is left out, by its own configuration or the command line."""
        return self._of(os.path.dirname(path)).excludes(path)  # noqa: PTH120 - paths are strings, as they were given

    def wants(self, path: str, code: str) -> bool:
        """Say whether findings of a code in a file are reported."""
        of = self._of(path)
        ignored = (given for fits, given in of.ignored if fits(path))
        return of.options.wants(code) and not any(code.startswith(given) for given in ignored)

    def _of(self, path: str) -> _Of:
        section = self.section(path)
        if section.file not in self._of_file:
            self._of_file[section.file] = _Of(self._read(section))
        return self._of_file[section.file]

    def _read(self, section: config.Section) -> Options:
        args = self._args
        roots_base = self._here if args.sst_src_roots else section.base
        ignores_base = section.base if args.per_file_ignores is None else self._here
        ignores = section.read("per-file-ignores", lambda value: per_file(value, known_codes()), args.per_file_ignores)
        return Options(
            select=section.read("select", _selected, args.select, default=None),
            extend_select=section.read("extend-select", _codes, args.extend_select),
            ignore=section.read("ignore", _codes, args.ignore),
            src_roots=section.read(
                "sst-src-roots", lambda value: existing(roots(value, roots_base)), args.sst_src_roots or None
            ),
            exclude=(
                *section.read("exclude", lambda value: sources.anchored(patterns(value), section.base)),
                *sources.anchored(patterns(args.exclude), self._here),
            ),
            per_file=tuple((sources.anchored((pattern,), ignores_base)[0], given) for pattern, given in ignores),
        )


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


def _source(section: config.Section) -> str:
    if section.file is not None:
        return str(section.file)
    return (
        f"none; from {section.base} upwards no pyproject.toml has a section [tool.{config.SECTION}], "
        f"and no setup.cfg a section [{config.SECTION}]"
    )
