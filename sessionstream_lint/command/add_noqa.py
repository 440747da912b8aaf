"""``--add-noqa``: a comment for each finding, where it has to stand so that flake8 and the command honour it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable
from pathlib import Path

from sessionstream_lint.command.noqa import INLINE, ranges
from sessionstream_lint.engine import Diagnostic
from sessionstream_lint.options import UsageError
from sessionstream_lint.reading.gate import split_lines


def checked(reason: str) -> str:
    """Return a reason that may stand in a comment.

    Raises:
        UsageError: it is empty or has several lines.
    """
    if not reason.strip() or len(split_lines(reason.strip())) > 1:
        raise UsageError(f"--reason: {reason!r} does not fit into one line of a comment")
    return reason.strip()


def add(path: Path, source: str, found: Iterable[Diagnostic], reason: str | None) -> int:
    """Write comments that silence the findings into a file, change nothing else in it, and return how many there are.

    Raises:
        UsageError: the file does not compile or cannot be written, or a comment would change what it does.
    """
    silenced, number = commented(source, found, reason)
    before = _dumped(source)
    if before is None:
        raise UsageError(f"--add-noqa: {path} does not compile, so nothing is written into it")
    if _dumped(silenced) != before:
        raise UsageError(f"--add-noqa: a comment would change what {path} does; silence its findings by hand")
    try:
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        path.write_bytes(silenced.encode(encoding))
    except (OSError, SyntaxError, UnicodeError) as error:
        raise UsageError(f"--add-noqa: cannot write {path}: {error}") from error
    return number


def commented(source: str, found: Iterable[Diagnostic], reason: str | None) -> tuple[str, int]:
    """Return a source with comments that silence the findings, and how many comments were added or extended."""
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", source)  # as the compiler counts them
    spans = ranges(source)
    codes: dict[tuple[int, int], set[str]] = {}
    for one in found:
        codes.setdefault(spans.get(one.line, (one.line, one.line)), set()).add(one.code)
    for (first, last), wanted in codes.items():
        for number in range(first - 1, last):
            known = INLINE.search(lines[number])
            if known is not None and known["codes"]:
                end = known.start("codes") + len(known["codes"].rstrip(", \t\r\n"))
                lines[number] = f"{lines[number][:end]},{','.join(sorted(wanted))}{lines[number][end:]}"
                break
        else:
            text = lines[last - 1].rstrip("\r\n")
            comment = f"# noqa: {','.join(sorted(wanted))}" + (f" - {reason}" if reason else "")
            lines[last - 1] = f"{text.rstrip()}  {comment}{lines[last - 1][len(text) :]}"
    return "".join(lines), len(codes)


def _dumped(source: str) -> str | None:
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
