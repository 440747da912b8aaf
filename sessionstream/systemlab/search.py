"""Searches the embedded help, section by section. The index is made when it is first needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import takewhile
from typing import Final

from sessionstream import doc
from sessionstream.systemlab.prose import sections

MOST: Final = 20
"""The most hits of one search."""

_AROUND: Final = 70
"""The characters before the words in an excerpt; behind the first are twice as many."""

_SHORT: Final = 2
"""The letters of a word that is a part of too many others."""

_SIMILAR: Final = 0.75
"""How much alike a word of the help has to be to a misspelt one, from 0 to 1."""

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
class Found:
    """What a search finds.

    Attributes:
        hits: at most ``MOST``, the best first.
        total: number of sections in which every word is.
        meant: without hits, the words with those of the help in place of misspelt ones; empty if none is like them.
    """

    hits: Sequence[Hit]
    total: int
    meant: str = ""


@dataclass(frozen=True, slots=True)
class _Indexed:
    title: str
    heading: str
    address: str
    text: str


def search(words: str) -> Found:
    """Return the sections that have all words in their text, their heading or their page's title, the best first.

    Words are parts of words, in upper or lower case; but one or two letters beside longer words are words of their own.
    Without words there are no hits.
    """
    wanted = list(dict.fromkeys(words.casefold().split()))
    found = _search(wanted)
    return found if found.hits or not wanted else Found([], 0, _meant(wanted))


def _search(wanted: Sequence[str]) -> Found:
    patterns = _patterns(wanted)
    scored = [(score, each) for each in _index() if (score := _score(each, patterns))]
    best = sorted(scored, key=lambda pair: -pair[0])[:MOST]  # stable: as the help is read, where the score is the same
    hits = [Hit(each.title, each.heading, each.address, _excerpt(each.text, patterns)) for _, each in best]
    return Found(hits, len(scored))


def _patterns(wanted: Sequence[str]) -> list[re.Pattern[str]]:
    """Return what finds each word, the longest first."""
    longest_first = sorted(wanted, key=len, reverse=True)
    long = any(len(word) > _SHORT for word in wanted)
    texts = [
        rf"(?<!\w){re.escape(word)}(?!\w)" if long and len(word) <= _SHORT else re.escape(word)
        for word in longest_first
    ]
    return [re.compile(text, re.IGNORECASE) for text in texts]


def _score(each: _Indexed, patterns: Sequence[re.Pattern[str]]) -> int:
    total = 0
    for pattern in patterns:
        score = min(len(pattern.findall(each.text)), _TIMES)
        score += _OF_HEADING if pattern.search(each.heading) else 0
        score += _OF_TITLE if pattern.search(each.title) else 0
        if not score:
            return 0
        total += score
    return total


def _excerpt(text: str, patterns: Sequence[re.Pattern[str]]) -> list[tuple[str, bool]]:
    found = re.compile("|".join(pattern.pattern for pattern in patterns), re.IGNORECASE)
    begin = max(0, _densest(list(found.finditer(text))) - _AROUND)
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


def _densest(matches: Sequence[re.Match[str]]) -> int:
    """Return where most of the different words are near each other, the longer ones above all; 0 if none is there."""

    def near(place: int) -> int:
        end = matches[place].start() + 2 * _AROUND
        return sum(
            map(len, {each[0].casefold() for each in takewhile(lambda each: each.end() <= end, matches[place:])})
        )

    return matches[max(range(len(matches)), key=near)].start() if matches else 0


def _meant(wanted: Sequence[str]) -> str:
    """Return the words with those that are nowhere in the help replaced by the most similar ones, if that finds any."""
    likely = list[str]()
    for word in wanted:
        likely += [word] if _search([word]).hits else get_close_matches(word, _vocabulary(), 1, _SIMILAR)
    return " ".join(likely) if len(likely) == len(wanted) and likely != wanted and _search(likely).hits else ""


@cache
def _vocabulary() -> Sequence[str]:
    texts = (f"{each.title} {each.heading} {each.text}" for each in _index())
    return sorted({word for text in texts for word in re.findall(r"[a-z][\w-]{2,}", text.casefold())})


@cache
def _index() -> Sequence[_Indexed]:
    return [
        _Indexed(entry.title, heading, address, text)
        for entry in doc.entries()
        for heading, address, text in _sections(entry)
    ]


def _sections(entry: doc.Entry) -> list[tuple[str, str, str]]:
    """Return heading, address and text of each section of a page; what stands before its headings comes first."""
    place = f"/docs/{entry.slug}"
    first, *others = sections(entry.body)
    beginning = ("", place, " ".join([entry.short, *entry.topics, first.text]))
    return [beginning, *((each.heading, f"{place}#{each.anchor}", each.text) for each in others)]
