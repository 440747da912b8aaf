"""From files to entries: what is read, and what is refused with the name of the file."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest

from sessionstream import SessionstreamError, doc
from sessionstream.doc import loader

GOOD = """---
title: A title
slug: an-entry
short: One sentence.
topics: [a, b c]
commands: []
doc_version: 3
last_updated: 2026-01-31
---

Some text.
"""


def put(root: Path, text: str, place: str = "topics/an-entry.md") -> Path:
    file = root / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return root


def test_an_entry_has_everything_its_file_says(tmp_path: Path) -> None:
    (entry,) = loader.load(put(tmp_path, GOOD))
    assert entry == doc.Entry(
        section="topics",
        slug="an-entry",
        title="A title",
        short="One sentence.",
        topics=("a", "b c"),
        commands=(),
        doc_version=3,
        last_updated=date(2026, 1, 31),
        body="Some text.\n",
    )
    with pytest.raises(FrozenInstanceError):
        entry.title = "another"  # type: ignore[misc]


def test_sections_are_in_reading_order_and_other_files_are_left_alone(tmp_path: Path) -> None:
    for section in ("playbooks", "reference", "topics", "howtos", "tutorials", "attic"):
        put(tmp_path, GOOD.replace("an-entry", section), f"{section}/{section}.md")
    put(tmp_path, GOOD.replace("an-entry", "b-entry"), "topics/b-entry.md")
    put(tmp_path, "no entry", "topics/drawing.svg")
    assert [entry.slug for entry in loader.load(tmp_path)] == [
        "tutorials",
        "howtos",
        "b-entry",
        "topics",
        "reference",
        "playbooks",
    ]


def test_entries_are_read_out_of_a_zip_file(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "help.zip", "w") as archive:
        archive.writestr("topics/an-entry.md", GOOD)
    with ZipFile(tmp_path / "help.zip") as archive:
        (entry,) = loader.load(ZipPath(archive))
    assert entry.body == "Some text.\n"


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("---\ntitle", "title", 1, "begins"),
        ("---\n\nSome text.\n", "\nSome text.\n", 1, "no second line"),
        ("title: A title\n", "", 8, "lacks title"),
        ("title: A title\nslug: an-entry\n", "", 7, "lacks title, slug"),
        ("doc_version: 3", "doc_version: 3\ndoc_version: 4", 8, "twice"),
        ("short: One", "shrot: One", 4, "shrot"),
        ("title: A title", "title:A title", 2, "key: value"),
        ("title: A title", "title:", 2, "key: value"),
        ("title: A title", "title:  ", 2, "no value"),
        ("title: A title", "  title: A title", 2, "key: value"),
        ("title: A title", "title: A title: subtitle", 2, "YAML"),
        ("title: A title", 'title: "A title"', 2, "YAML"),
        ("title: A title", "title: A title # draft", 2, "YAML"),
        ("title: A title", "title: [A title]", 2, "list"),
        ("topics: [a, b c]", "topics: a, b c", 5, "topics"),
        ("topics: [a, b c]", "topics: [a, , c]", 5, "empty item"),
        ("doc_version: 3", "doc_version: 0", 7, "doc_version"),
        ("doc_version: 3", "doc_version: three", 7, "doc_version"),
        ("last_updated: 2026-01-31", "last_updated: 2026-02-31", 8, "last_updated"),
        ("last_updated: 2026-01-31", "last_updated: yesterday", 8, "last_updated"),
        ("slug: an-entry", "slug: another-entry", 3, "file's name"),
        ("Some text.", "", 9, "no text"),
    ],
)
def test_what_is_no_entry_is_refused_with_file_and_line(
    tmp_path: Path, old: str, new: str, line: int, word: str
) -> None:
    assert old in GOOD
    with pytest.raises(doc.EntryFormatError, match=word) as caught:
        loader.load(put(tmp_path, GOOD.replace(old, new)))
    assert (caught.value.file, caught.value.line) == ("topics/an-entry.md", line)
    assert str(caught.value).startswith(f"topics/an-entry.md:{line}: ")


def test_a_slug_occurs_once_in_all_sections(tmp_path: Path) -> None:
    put(tmp_path, GOOD)
    with pytest.raises(doc.EntryFormatError, match=r"belongs to topics/an-entry\.md"):
        loader.load(put(tmp_path, GOOD, "playbooks/an-entry.md"))


@pytest.mark.parametrize(
    ("slug", "close"),
    [
        ("sessionstream-refrence", ["sessionstream-reference"]),
        ("user-guide", ["sessionstream-user-guide"]),
        ("Reference", ["sessionstream-reference"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_an_unknown_slug_names_the_ones_that_resemble_it(slug: str, close: list[str]) -> None:
    with pytest.raises(doc.UnknownEntryError) as caught:
        doc.get(slug)
    assert caught.value.slug == slug
    assert list(caught.value.close[: len(close)]) == close
    assert all(other in str(caught.value) for other in close or [entry.slug for entry in doc.entries()])


def test_errors_belong_to_the_tree_and_survive_pickling() -> None:
    assert issubclass(doc.DocError, SessionstreamError)
    with pytest.raises(doc.UnknownEntryError) as caught:
        doc.get("zzz")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.slug, copy.close) == (str(caught.value), "zzz", ())


def test_the_help_is_found_by_slug_and_as_files() -> None:
    assert [doc.get(entry.slug) for entry in doc.entries()] == list(doc.entries())
    for entry in doc.entries():
        text = (doc.files() / entry.section / f"{entry.slug}.md").read_text(encoding="utf-8")
        assert text.endswith(entry.body)


def test_importing_the_library_does_not_load_the_help() -> None:
    program = "import sessionstream, sys; print('sessionstream.doc' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert shown.stdout == "False\n"


def test_the_loader_needs_the_standard_library_only() -> None:
    program = (
        "import sys, sessionstream; before = set(sys.modules); import sessionstream.doc.loader as loader; "
        "loader.entries(); new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - sys.stdlib_module_names - {'sessionstream'}))"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert shown.stdout == "[]\n"
