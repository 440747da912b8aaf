"""What can be configured: which codes are reported, where the project's modules are, what is left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# Rules that are off until a code or prefix of theirs is selected; docs/decisions/0011 says why these.
OPT_IN = frozenset({"SST002", "SST003"})

# Directories that hold no source of the project.
EXCLUDED = (
    ".bzr", ".eggs", ".git", ".hg", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".svn", ".tox",
    ".venv", "CVS", "__pycache__", "node_modules",
)  # fmt: skip
# The same, unless they are packages: environments, and what is built.
GENERATED = ("build", "dist", "env", "venv")


class UsageError(ValueError):
    """An option that makes no sense."""


class Options(NamedTuple):  # importing dataclasses would be a good part of the time of a run that finds nothing
    """Codes are given by prefix; with none selected every rule that is not opt-in is, less what is ignored.

    Of two prefixes that fit, the longer decides, and ``ignore`` when both are the same. ``src_roots`` are absolute
    directories; with none, imports are looked for where the outermost package of a file lies. ``exclude`` are
    patterns of names and paths, ``per_file`` such patterns with what is ignored in the files that they fit.
    Without libcst each file that registers schemas has an SST900, unless ``says_missing`` is false.
    """

    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    src_roots: tuple[Path, ...] = ()
    exclude: tuple[str, ...] = ()
    per_file: tuple[tuple[str, tuple[str, ...]], ...] = ()
    says_missing: bool = True

    def wants(self, code: str) -> bool:
        """Say whether findings of that code are reported."""
        chosen = (*self.select, *self.extend_select)
        selected = max((len(prefix) for prefix in chosen if code.startswith(prefix)), default=-1)
        ignored = max((len(prefix) for prefix in self.ignore if code.startswith(prefix)), default=-1)
        if selected < 0 and (self.select or code in OPT_IN):
            return False
        return ignored < 0 or selected > ignored


def codes(value: object, known: Iterable[str]) -> tuple[str, ...]:
    """Read codes or prefixes: an array of strings, or a string with commas or blanks between them.

    Raises:
        UsageError: one of them begins none of the ``known`` codes, so that nothing would ever match it.
    """
    known = tuple(known)
    found = tuple(part for text in _strings(value) for part in re.split(r"[,\s]+", text.upper()) if part)
    for part in found:
        if not any(code.startswith(part) for code in known):
            raise UsageError(f"{part!r} is not a code or the beginning of one; the codes are {', '.join(known)}")
    return found


def patterns(value: object) -> tuple[str, ...]:
    """Read patterns or paths: an array of strings, or a string with commas or line ends between them."""
    return tuple(part.strip() for text in _strings(value) for part in re.split(r"[,\n]", text) if part.strip())


def per_file(value: object, known: Iterable[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Read what is ignored where: a table of patterns and codes, or lines like ``tests/*: SST002, SST003``.

    Raises:
        UsageError: it is neither, or a code begins none of those that are ``known``.
    """
    known = tuple(known)
    if isinstance(value, dict):
        return tuple((str(pattern), codes(given, known)) for pattern, given in value.items())
    found: list[tuple[str, tuple[str, ...]]] = []
    for line in (part.strip() for text in _strings(value) for part in text.split("\n")):
        if line:
            where, colon, given = line.partition(":")
            if not colon or not given.strip():
                raise UsageError(f"{line!r} is not a pattern, a colon and codes, such as 'tests/*: {known[0]}'")
            found += ((pattern, codes(given, known)) for pattern in patterns(where))
    return tuple(found)


def roots(value: object, base: Path) -> tuple[Path, ...]:
    """Read source roots, relative to ``base``; whether they are there is for `existing` to say."""
    return tuple(dict.fromkeys((base / part).absolute() for part in patterns(value)))


def existing(directories: Iterable[Path]) -> tuple[Path, ...]:
    """Return the directories.

    Raises:
        UsageError: one of them is none.
    """
    found = tuple(directories)
    for directory in found:
        if not directory.is_dir():
            raise UsageError(f"{directory} is not a directory")
    return found


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return list(value)
    raise UsageError(f"{value!r} is neither a string nor an array of strings")
