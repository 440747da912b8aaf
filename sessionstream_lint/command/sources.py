"""The files to check: found below the given paths, read, decoded."""

from __future__ import annotations

import codecs
import errno
import fnmatch
import io
import os
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath

from sessionstream_lint.options import EXCLUDED, GENERATED

STDIN = "-"
SUFFIXES = (".py", ".pyi", ".pyw")

Complain = Callable[[str, OSError], None]


def anchored(patterns: Iterable[str], base: Path) -> tuple[str, ...]:
    """Return patterns to compare with: those with a slash in them are paths, relative to ``base``."""
    return tuple(str(Path(os.path.normpath(base / one))) if "/" in one else one for one in patterns)


def read(
    paths: Iterable[str], excluded: Callable[[str], bool], stdin: str, complain: Complain
) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file that is not excluded, once, in the order given, directories sorted.

    ``-`` is standard input under the name ``stdin``. ``complain`` is told of what cannot be read.
    """
    paths = list(dict.fromkeys(paths))
    seen: set[str] = set()
    for path in paths:
        if path == STDIN:
            if sys.stdin is None:  # closed before the interpreter started
                complain(STDIN, OSError(errno.EBADF, "it is closed"))
            elif not excluded(stdin):
                yield stdin, sys.stdin.buffer.read()
            continue
        for file in _files(path, excluded, complain):
            if len(paths) > 1:
                place = os.path.abspath(file)  # noqa: PTH100 - a string, as everything here
                if place in seen:
                    continue
                seen.add(place)
            try:
                with io.FileIO(file) as stream:  # unbuffered: nearly all files are read for one search in them
                    content = stream.readall()
            except OSError as error:
                complain(file, error)
            else:
                yield file, content


def decode(content: bytes) -> str:
    """Return the text of a source file, line ends untouched but for a byte order mark.

    A file that is not what it declares to be is read as Latin-1, as flake8 does: Python will refuse it, but what it
    registers can be checked.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError):
        return content.removeprefix(codecs.BOM_UTF8).decode("latin-1")


def matcher(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Return the question whether a path, or a directory that it lies in, fits one of these patterns."""
    if not patterns:
        return lambda _: False
    pattern = re.compile("|".join(fnmatch.translate(one) for one in patterns))
    absolute = any(os.sep in one for one in patterns)

    def excluded(path: str) -> bool:
        """Whatever lies in an excluded directory is excluded, however it was named."""
        given = PurePath(os.path.normpath(path))
        if any(pattern.match(part) for part in given.parts):
            return True
        whole = Path(os.path.abspath(path)) if absolute else None  # noqa: PTH100 - it also takes out ".."
        return whole is not None and any(pattern.match(str(one)) for one in (whole, *whole.parents))

    return excluded


def _files(path: str, excluded: Callable[[str], bool], complain: Complain) -> Iterator[str]:
    """Yield a file as it is, and of a directory the Python files in it, sorted; links to nowhere are passed by."""
    if excluded(path):
        return
    if not os.path.isdir(path):  # noqa: PTH112 - os.scandir below wants strings too
        yield path
        return
    todo = [os.path.normpath(path)]
    while todo:
        directory = todo.pop()
        try:
            with os.scandir(directory) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            complain(directory, error)
            continue
        start = os.path.join(directory, "").removeprefix(os.path.join(os.curdir, ""))  # noqa: PTH118
        inner = []
        for entry in entries:
            name, file = entry.name, start + entry.name
            try:
                is_directory, is_file = entry.is_dir(), entry.is_file()
            except OSError as error:
                if not entry.is_symlink():
                    complain(file, error)
                continue
            if is_directory:
                if not (name in EXCLUDED or entry.is_symlink() or _is_generated(name, file) or excluded(file)):
                    inner.append(file)
            elif is_file and name.endswith(SUFFIXES) and not excluded(file):
                yield file
        todo += reversed(inner)


def _is_generated(name: str, path: str) -> bool:
    """Say whether a directory is an environment, or holds what was built; a package of such a name is source."""
    if name in GENERATED:
        return not os.path.exists(os.path.join(path, "__init__.py"))  # noqa: PTH110, PTH118 - a string, likewise
    return os.path.exists(os.path.join(path, "pyvenv.cfg"))  # noqa: PTH110, PTH118
