"""``--add-noqa``: a comment for each finding, where it has to stand so that flake8 and the command honour it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from sessionstream_lint.command.noqa import INLINE
from sessionstream_lint.engine import Diagnostic
from sessionstream_lint.options import UsageError
from sessionstream_lint.reading.gate import split_lines
from sessionstream_lint.reading.outline import is_deep, parsed


def checked(reason: str) -> str:
    """Return a reason that may stand in a comment.

    Raises:
        UsageError: it is empty or has several lines.
    """
    if not reason.strip() or len(split_lines(reason.strip())) > 1:
        raise UsageError(f"--reason: {reason!r} does not fit into one line of a comment")
    return reason.strip()


def add(path: Path, found: Iterable[Diagnostic], reason: str | None) -> int:
    """Write comments that silence the findings into a file, change nothing else in it, and return how many there are.

    Raises:
        UsageError: the file does not compile or cannot be written, or a comment would change what it does.
    """
    try:
        before = path.read_bytes()
        tree = parsed(before)
        if tree is None or is_deep(tree):
            raise UsageError(f"--add-noqa: {path} does not compile, or nests too deeply; nothing is written into it")
        wrapper = MetadataWrapper(cst.parse_module(before), unsafe_skip_copy=True)
        silencer = _Silencer(wrapper.resolve(PositionProvider), found, reason)
        after = wrapper.module.visit(silencer).bytes
        silenced = parsed(after)
        if silenced is None or ast.dump(silenced) != ast.dump(tree):
            raise UsageError(f"--add-noqa: a comment would change what {path} does; silence its findings by hand")
        path.write_bytes(after)
    except (OSError, UnicodeError, cst.ParserSyntaxError, RecursionError) as error:
        raise UsageError(f"--add-noqa: cannot write {path}: {error}") from error
    return silencer.number


class _Silencer(cst.CSTTransformer):
    """Adds comments at the ends of lines: of one with a finding, or of the line on which the token in it ends."""

    def __init__(
        self, places: Mapping[cst.CSTNode, CodeRange], found: Iterable[Diagnostic], reason: str | None
    ) -> None:
        super().__init__()
        self._places = places
        self._waiting = sorted((one.line, one.code) for one in found)
        self._reason = "" if reason is None else f" - {reason}"
        self.number = 0

    def leave_TrailingWhitespace(  # noqa: N802 - the name says what it is called for
        self, original_node: cst.TrailingWhitespace, updated_node: cst.TrailingWhitespace
    ) -> cst.TrailingWhitespace:
        """Add the codes of the findings up to this end of a line, which is the first behind them."""
        line = self._places[original_node].start.line
        codes = sorted({code for number, code in self._waiting if number <= line})
        if not codes:
            return updated_node
        self._waiting = [one for one in self._waiting if one[0] > line]
        self.number += 1
        text = updated_node.comment.value if updated_node.comment else ""
        known = INLINE.search(text)
        if known is not None and known["codes"]:
            end = known.start("codes") + len(known["codes"].rstrip(", \t"))
            comment = f"{text[:end]},{','.join(codes)}{text[end:]}"
        else:
            comment = f"{text}{'  ' if text else ''}# noqa: {','.join(codes)}{self._reason}"
        space = updated_node.whitespace if text else cst.SimpleWhitespace("  ")
        return updated_node.with_changes(whitespace=space, comment=cst.Comment(comment))
