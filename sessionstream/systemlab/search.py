"""Searches the embedded help, section by section. The index is made when it is first needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from sessionstream import doc
from sessionstream.systemlab.prose import sections

MOST: Final = 20
"""The most hits of one search."""

_AROUND: Final = 70
"""The characters before the first word that is found, in an excerpt; behind it are twice as many."""

_OF_HEADING: Final = 8
_OF_TITLE: Final = 4
_TIMES: Final = 4
"""What a word counts in a heading, in the title of the page, and how often at most in the text."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A section in which every word is.

    Attributes:
        title: of the page.
        heading: of the section; empty for the beginning of the page.
        address: of the section, in the lab.
        excerpt: pieces of its text, and whether each is one of the words.
    """

    title: str
    heading: str
    address: str
    excerpt: Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class _Indexed:
    title: str
    heading: str
    address: str
    text: str
    folded: tuple[str, str, str]  # title, heading and text


def search(words: str) -> list[Hit]:
    """Return the sections that have all words in their text, their heading or their page's title, the best first.

    Words are parts of words, in upper or lower case. Without words there are no hits.
    """
    wanted = list(dict.fromkeys(words.casefold().split()))
    if not wanted:
        return []
    scored = [(score, each) for each in _index() if (score := _score(each, wanted))]
    best = sorted(scored, key=lambda pair: -pair[0])[:MOST]  # stable: as the help is read, where the score is the same
    return [Hit(each.title, each.heading, each.address, _excerpt(each.text, wanted)) for _, each in best]


def _score(each: _Indexed, wanted: Sequence[str]) -> int:
    title, heading, text = each.folded
    total = 0
    for word in wanted:
        score = _OF_HEADING * (word in heading) + _OF_TITLE * (word in title) + min(text.count(word), _TIMES)
        if not score:
            return 0
        total += score
    return total


def _excerpt(text: str, wanted: Sequence[str]) -> list[tuple[str, bool]]:
    found = re.compile("|".join(re.escape(word) for word in sorted(wanted, key=len, reverse=True)), re.IGNORECASE)
    first = found.search(text)
    begin = max(0, first.start() - _AROUND) if first else 0
    end = begin + 3 * _AROUND
    begin = text.find(" ", begin) + 1 if begin else 0
    if end < len(text) and (space := text.rfind(" ", begin, end)) > begin:
        end = space
    shown = ("… " if begin else "") + text[begin:end].strip() + (" …" if end < len(text) else "")
    pieces, last = [], 0
    for match in found.finditer(shown):
        pieces += [(shown[last : match.start()], False), (match[0], True)]
        last = match.end()
    return [(piece, marked) for piece, marked in [*pieces, (shown[last:], False)] if piece]


@cache
def _index() -> Sequence[_Indexed]:
    return [
        _Indexed(entry.title, heading, address, text, (entry.title.casefold(), heading.casefold(), text.casefold()))
        for entry in doc.entries()
        for heading, address, text in _sections(entry)
    ]


def _sections(entry: doc.Entry) -> list[tuple[str, str, str]]:
    """Return heading, address and text of each section of a page; what stands before its headings comes first."""
    place = f"/docs/{entry.slug}"
    first, *others = sections(entry.body)
    beginning = ("", place, " ".join([entry.short, *entry.topics, first.text]))
    return [beginning, *((each.heading, f"{place}#{each.anchor}", each.text) for each in others)]
