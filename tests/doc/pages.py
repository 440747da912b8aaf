"""Reading markdown: fenced blocks with their places, headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HELP = ROOT / "sessionstream" / "doc"
ENTRIES = sorted(HELP.glob("*/*.md"))
PAGES = [*ENTRIES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))

_OPEN = re.compile(r"(?P<indent> *)```(?P<info>.*)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is the number of its first line of text."""

    info: str
    line: int
    text: str


def blocks(text: str) -> Iterator[Block]:
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opened = _OPEN.fullmatch(lines[number])
        number += 1
        if opened is None:
            continue
        start, closing = number, opened["indent"] + "```"
        while lines[number] != closing:  # IndexError: the block is never closed
            number += 1
        body = "".join(line.removeprefix(opened["indent"]) + "\n" for line in lines[start:number])
        yield Block(opened["info"].strip(), start + 1, body)
        number += 1


def without_blocks(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """The text without its fenced blocks and without inline code."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(text))


def links(text: str) -> list[str]:
    return [found["target"] for found in _LINK.finditer(prose(text))]


def anchors(text: str) -> set[str]:
    """The ids that GitHub gives to the headings."""
    titles = re.findall(r"^#{1,6} (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
