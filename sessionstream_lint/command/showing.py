"""``--show-config``: what the command goes by, and which file says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sessionstream_lint.command.config import SECTION, Section
from sessionstream_lint.options import Options

_OF_PLUGIN = re.compile(rb"^[ \t]*(?:sst[-_]|[\w-]*(?:select|ignore)s?\b.*\bSST)", re.MULTILINE | re.IGNORECASE)


def shown(section: Section, options: Options, kind: str, known: Iterable[str]) -> str:
    """Return the configuration that counts, the options as they are with it, and what may be missed."""
    lines = [
        f"configuration: {_source(section)}",
        f"rules: {', '.join(code for code in known if options.wants(code))}",
        f"exclude: {', '.join(options.exclude) or 'nothing'}",
        f"sst-src-roots: {', '.join(map(str, options.src_roots)) or 'where the outermost package of each file lies'}",
        f"format: {kind}",
    ]
    if section.file is None:
        lines += [f"note: {path} has options of this linter for flake8, which only that reads" for path in _of(section)]
    return "\n".join(lines) + "\n"


def _source(section: Section) -> str:
    if section.file is not None:
        return str(section.file)
    return (
        f"none; from {section.base} upwards no pyproject.toml has a section [tool.{SECTION}], "
        f"and no setup.cfg a section [{SECTION}]"
    )


def _of(section: Section) -> Iterator[Path]:
    """Yield files in which flake8 finds options of the plugin."""
    for directory in (section.base, *section.base.parents):
        for name in ("setup.cfg", "tox.ini", ".flake8"):
            path = directory / name
            try:
                if path.is_file() and _OF_PLUGIN.search(path.read_bytes()):
                    yield path
            except OSError:
                continue  # what cannot be read is nothing to point to
