"""Text on a terminal: its width, truncation, and columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

ELLIPSIS: Final = "…"
_JOINER: Final = "\u200d"
_EMOJI_STYLE: Final = "\ufe0f"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)


def printable(text: str) -> str:
    """Return the text on one line: line ends, and whatever could steer a terminal, as escapes.

    >>> printable("two" + chr(10) + "lines")
    'two\\\\nlines'
    """
    return "".join(char if char.isprintable() or char in (_JOINER, _EMOJI_STYLE) else repr(char)[1:-1] for char in text)


def cells(text: str) -> int:
    """Return how many columns the text takes: two for wide characters, none for combining ones.

    >>> cells("chat"), cells("チャット"), cells("👩‍🚀")
    (4, 8, 2)
    """
    return sum(width for _, width in _widths(text))


def clip(text: str, width: int) -> str:
    """Return the text if it fits, else as much of it as fits with an ellipsis.

    >>> clip("ordinals", 5)
    'ordi…'
    """
    # What is far too long need not be measured to its end.
    text = text[: 20 * width + 1]
    if cells(text) <= width:
        return text
    kept, used = [], 0
    for char, taken in _widths(text):
        if used + taken > width - 1:
            break
        kept.append(char)
        used += taken
    return "".join(kept) + ELLIPSIS


def pad(text: str, width: int) -> str:
    """Return the text filled up with blanks to a width."""
    return text + " " * (width - cells(text))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Return lines of aligned columns, at most ``width`` wide; the last column is clipped to what is left."""
    lines = [header, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(cells(line[column]) for line in lines) for column in range(len(header) - 1)]
    rest = max(width - sum(widths) - 2 * len(widths), 10)
    last = min(max(cells(clip(line[-1], rest)) for line in lines), rest)
    formatted = ["  ".join([*map(pad, line, widths), clip(line[-1], rest)]).rstrip() for line in lines]
    rule = "  ".join("-" * column for column in [*widths, last])
    return [formatted[0], rule, *formatted[1:]]


def _widths(text: str) -> list[tuple[str, int]]:
    widths: list[tuple[str, int]] = []
    previous = ""
    for char in text:
        if char == _EMOJI_STYLE and widths and widths[-1][1] == 1:
            widths.append((char, 1))  # asks for the wide form of the character before
        elif previous == _JOINER or ord(char) in _SKIN_TONES or unicodedata.category(char) in ("Mn", "Me", "Cf"):
            widths.append((char, 0))
        else:
            widths.append((char, 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1))
        previous = char
    return widths
