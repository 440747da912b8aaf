"""Loads entries from the packaged Markdown files, also from a wheel or a zip file. Uses only the standard library.

An entry begins with front matter: lines ``key: value`` between two lines ``---``. This is a small subset of YAML that
all parsers read alike: plain text, ``[a, b]``, an integer, an ISO date; no quotes, no nesting, no comments. Every
attribute of ``Entry`` that does not follow from the file's path or body occurs once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar, get_args

from sessionstream.errors import SessionstreamError

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.resources.abc import Traversable

Section: TypeAlias = Literal["tutorials", "howtos", "topics", "reference", "playbooks"]
"""The directories of the help, in reading order."""

T = TypeVar("T")

_FENCE: Final = "---"
_KEYS: Final = ("title", "slug", "short", "topics", "commands", "doc_version", "last_updated")


@dataclass(frozen=True, slots=True)
class Entry:
    """One page of the embedded help.

    Attributes:
        section: the directory of the file, whose path is ``f"{section}/{slug}.md"``.
        slug: unique name, as users type it.
        short: one sentence.
        topics: keywords for lists and searches.
        commands: the console commands that it explains.
        doc_version: a number that rises when the entry is reorganised.
        last_updated: the date of the last change.
        body: Markdown without front matter and without a heading for the title.
    """

    section: Section
    slug: str
    title: str
    short: str
    topics: tuple[str, ...]
    commands: tuple[str, ...]
    doc_version: int
    last_updated: date
    body: str


class DocError(SessionstreamError):
    """The base of the errors of the embedded help."""


class UnknownEntryError(DocError):
    """No entry has this slug.

    Attributes:
        slug: the requested slug.
        close: similar slugs, the most similar first; may be empty.
    """

    def __init__(self, slug: str, known: tuple[str, ...]) -> None:
        stems = {_stem(other): other for other in known}  # the common prefix does not make slugs similar
        asked = _stem(slug)
        close = [stems[stem] for stem in get_close_matches(asked, stems, cutoff=0.6)]
        close += [other for stem, other in stems.items() if asked and asked in stem and other not in close]
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
        super().__init__(f"there is no help entry {slug!r}: {hint}")
        self.slug = slug
        self.close: tuple[str, ...] = tuple(close)


def _stem(slug: str) -> str:
    return slug.lower().removeprefix("sessionstream-")


class EntryFormatError(DocError):
    """A file of the help is not an entry.

    Attributes:
        file: its path below ``files()``.
        line: the number of the line, from 1.
    """

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(f"{file}:{line}: {reason}")
        self.file = file
        self.line = line


def files() -> Traversable:
    """Return the directory of the help in the installed package."""
    return resources.files("sessionstream.doc")


@cache
def entries() -> tuple[Entry, ...]:
    """Return every entry, by section in reading order and by slug within a section.

    Raises:
        EntryFormatError: a file is not an entry, which does not happen in a released package.
    """
    return load(files())


def get(slug: str) -> Entry:
    """Return one entry.

    Raises:
        UnknownEntryError: no entry has this slug; the error lists similar ones.
    """
    found = {entry.slug: entry for entry in entries()}
    try:
        return found[slug]
    except KeyError:
        raise UnknownEntryError(slug, tuple(found)) from None


def load(root: Traversable) -> tuple[Entry, ...]:
    """Return the entries below ``root``; see ``entries``."""
    found: list[Entry] = []
    places: dict[str, str] = {}
    for section in get_args(Section):
        directory = root / section
        if not directory.is_dir():
            continue
        for file in sorted(directory.iterdir(), key=lambda file: file.name):
            if not file.name.endswith(".md"):
                continue
            place = f"{section}/{file.name}"
            entry = parse(section, place, file.read_text(encoding="utf-8"))
            earlier = places.setdefault(entry.slug, place)
            if earlier != place:
                raise EntryFormatError(place, 1, f"the slug {entry.slug!r} belongs to {earlier} already")
            found.append(entry)
    return tuple(found)


def parse(section: Section, place: str, text: str) -> Entry:
    """Read one file.

    Raises:
        EntryFormatError: the front matter is malformed, or its slug is not the name of the file.
    """
    matter, body = _split(place, text)
    entry = Entry(
        section=section,
        slug=matter.take("slug", _text),
        title=matter.take("title", _text),
        short=matter.take("short", _text),
        topics=matter.take("topics", _items),
        commands=matter.take("commands", _items),
        doc_version=matter.take("doc_version", _version),
        last_updated=matter.take("last_updated", date.fromisoformat),
        body=body,
    )
    if place != f"{section}/{entry.slug}.md":
        raise EntryFormatError(place, matter.lines["slug"], f"the slug {entry.slug!r} does not fit the file's name")
    return entry


@dataclass(frozen=True, slots=True)
class _Matter:
    """The values of a front matter as text, with their line numbers."""

    place: str
    values: dict[str, str]
    lines: dict[str, int]

    def take(self, key: str, read: Callable[[str], T]) -> T:
        """Read the value of a key."""
        try:
            return read(self.values[key])
        except ValueError as error:
            raise EntryFormatError(self.place, self.lines[key], f"{key}: {error}") from error


def _split(place: str, text: str) -> tuple[_Matter, str]:
    """Return the front matter and the body of a file."""
    lines = text.splitlines()
    if not lines or lines[0] != _FENCE:
        raise EntryFormatError(place, 1, f"an entry begins with a line {_FENCE!r}")
    if _FENCE not in lines[1:]:
        raise EntryFormatError(place, 1, f"the front matter has no second line {_FENCE!r}")
    end = lines.index(_FENCE, 1)
    matter = _Matter(place, {}, {})
    for number, line in enumerate(lines[1:end], start=2):
        key, value = _pair(place, number, line)
        if key in matter.values:
            raise EntryFormatError(place, number, f"{key!r} is given twice")
        matter.values[key], matter.lines[key] = value, number
    missing = [key for key in _KEYS if key not in matter.values]
    if missing:
        raise EntryFormatError(place, end + 1, f"the front matter lacks {', '.join(missing)}")
    body = "\n".join(lines[end + 1 :]).strip("\n") + "\n"
    if not body.strip():
        raise EntryFormatError(place, end + 1, "the entry has no text")
    return matter, body


def _pair(place: str, number: int, line: str) -> tuple[str, str]:
    """Return the key and the value of a line of front matter."""
    key, colon, value = line.partition(": ")
    if not colon or key not in _KEYS:
        raise EntryFormatError(place, number, f"{line!r} is not 'key: value' with a key of {', '.join(_KEYS)}")
    value = value.strip()
    if not value:
        raise EntryFormatError(place, number, f"{key!r} has no value")
    if ": " in value or " #" in value or value[0] in "\"'{}&*!|>%@`#,]-?:":
        raise EntryFormatError(place, number, f"{value!r} would mean something else to a YAML reader: reword it")
    return key, value


def _text(text: str) -> str:
    """Read plain text."""
    if text.startswith("["):
        raise ValueError(f"{text!r} is a list: give plain text")
    return text


def _items(text: str) -> tuple[str, ...]:
    """Read a list."""
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"{text!r} is no list: write [a, b], or [] for none")
    inner = text[1:-1].strip()
    items = tuple(item.strip() for item in inner.split(",")) if inner else ()
    if not all(items):
        raise ValueError(f"{text!r} has an empty item")
    return items


def _version(text: str) -> int:
    """Read a version."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"{text!r} is no version: count 1, 2, 3 …")
    return int(text)
