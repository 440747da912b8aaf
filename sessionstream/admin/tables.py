"""Answers as aligned text. Control characters in stored text are escaped, so that they cannot affect the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_GAP: Final = "  "
_LEAST: Final = 8
"""Columns to which a column may be narrowed."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading. Columns whose heading begins with ``#`` hold numbers, and are aligned to the right.

    Attributes:
        empty: text if there are no rows.
        title: a line above the table.
    """

    heading: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    empty: str = ""
    title: str = ""


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with the word for what is counted, in the singular or the plural."""
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def shown(text: str) -> str:
    """Return the text on one line, with characters that are not printable escaped."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode() for each in text
    )


def rendered(blocks: Sequence[str | Table], width: int | None) -> str:
    """Return paragraphs and tables as text; ``width`` is that of the terminal in columns, None for no limit."""
    return "\n".join(_lines(block, width) for block in blocks)


def _lines(block: str | Table, width: int | None) -> str:
    if isinstance(block, str):
        return "".join(f"{shown(line)}\n" for line in block.split("\n"))
    title = f"{block.title}\n" if block.title else ""
    if not block.rows:
        return f"{title}{block.empty}\n"
    cells = [tuple(name.removeprefix("#") for name in block.heading)]
    cells += [tuple(shown(cell) for cell in row) for row in block.rows]
    numeric = [name.startswith("#") for name in block.heading]
    widths = _fitted([max(map(_columns, column)) for column in zip(*cells, strict=True)], width)
    lines = [title]
    for row in cells:
        aligned = [_aligned(*each) for each in zip(row, widths, numeric, strict=True)]
        lines.append(_clipped(_GAP.join(aligned).rstrip(), width) + "\n")
    return "".join(lines)


def _fitted(widths: list[int], width: int | None) -> list[int]:
    """Narrow the widest columns until all fit, or none can be narrowed further."""
    widths = list(widths)
    while width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width and max(widths) > _LEAST:
        excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
        widest = max(widths)
        second = max([each for each in widths if each < widest], default=_LEAST)
        widths[widths.index(widest)] = max(widest - excess, min(second, widest - 1), _LEAST)
    return widths


def _aligned(cell: str, width: int, numeric: bool) -> str:
    cell = _clipped(cell, width)
    room = " " * (width - _columns(cell))
    return room + cell if numeric else cell + room


def _clipped(text: str, width: int | None) -> str:
    if width is None or _columns(text) <= width:
        return text
    kept, used = [], 0
    for each in text:
        used += _columns(each)
        if used > width - 1:
            break
        kept.append(each)
    return "".join(kept) + "…"


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in text)
