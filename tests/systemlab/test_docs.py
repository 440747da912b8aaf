"""The docs in the lab: what a search finds, and how code is shown."""

from __future__ import annotations

import re

import pytest

from sessionstream import doc
from sessionstream.systemlab.prose import Section, render, sections
from sessionstream.systemlab.search import MOST, Found, Hit, search

from .client import Client


def text(hit: Hit) -> str:
    return "".join(piece for piece, _ in hit.excerpt)


def test_a_heading_that_has_the_words_comes_first() -> None:
    first = search("close codes").hits[0]
    assert (first.title, first.heading) == ("Sessionstream reference", "Close codes")
    assert first.address == "/docs/sessionstream-reference#close-codes"


def test_every_word_has_to_be_there_in_any_case_and_as_a_part() -> None:
    words = ("pgbouncer", "listen_ds")
    having = {
        f"/docs/{entry.slug}#{section.anchor}"
        for entry in doc.entries()
        for section in sections(entry.body)[1:]
        if all(word in f"{entry.title} {section.heading} {section.text}".casefold() for word in words)
    }
    assert having
    assert {hit.address for hit in search("PGBOUNCER listen_ds").hits if "#" in hit.address} == having
    assert search("ordinal nosuchword") == search("  ") == Found([], 0)
    everywhere = search("e")
    assert len(everywhere.hits) == MOST < everywhere.total


def test_a_letter_beside_longer_words_is_a_word() -> None:
    shown = [
        "".join(f"[{piece}]" if mark else piece for piece, mark in hit.excerpt)
        for hit in search("delete a session").hits
    ]
    assert any("[a]" in each for each in shown)
    assert [each for each in shown if re.search(r"\w\[a\]|\[a\]\w", each, re.IGNORECASE)] == []


def test_an_excerpt_is_where_the_words_are_near_each_other() -> None:
    texts = {f"/docs/{e.slug}#{s.anchor}": s.text for e in doc.entries() for s in sections(e.body)[1:]}
    near = re.compile("delete.{,100}session|session.{,100}delete", re.IGNORECASE)
    hits = [hit for hit in search("delete a session").hits if near.search(texts.get(hit.address, ""))]
    assert len(hits) > 5
    for hit in hits:
        assert {"delete", "session"} <= {piece.casefold() for piece, mark in hit.excerpt if mark}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("snapshto", "snapshot"),
        ("reconect", "reconnect"),
        ("Reconect browser", "reconnect browser"),
        ("xqzzjk", ""),
        ("snapshot", ""),
    ],
)
def test_a_misspelt_word_is_answered_by_the_one_that_is_meant(words: str, meant: str) -> None:
    assert search(words).meant == meant


def test_an_excerpt_marks_the_words_where_they_stand() -> None:
    for hit in search("write-ahead").hits:
        assert {piece.casefold() for piece, found in hit.excerpt if found} == {"write-ahead"}
        assert len(text(hit)) < 260


@pytest.mark.parametrize("entry", doc.entries(), ids=lambda entry: entry.slug)
def test_every_section_of_the_help_is_found_and_leads_to_its_heading(entry: doc.Entry) -> None:
    html = render(entry.body).html
    assert any(hit.address.startswith(f"/docs/{entry.slug}") for hit in search(entry.title).hits)
    for section in sections(entry.body)[1:]:
        assert f'id="{section.anchor}"' in html


def test_sections_have_text_without_markup() -> None:
    assert sections("a *b*\n`c`\n\n## D `e`\n\n- f\n\n```python\ng = 1\n```\n\n| h |\n|---|\n| i |\n") == [
        Section("", "", "a b c"),
        Section("D e", "d-e", "f g = 1 h i"),
    ]


def test_code_is_highlighted_and_escaped() -> None:
    html = render('```python\nif a < "<b>":\n    pass\n```\n\n```nosuch\n<i>\n```\n').html
    assert '<span class="code-k">if</span>' in html
    assert "&lt;b&gt;" in html
    assert '<code class="language-nosuch">&lt;i&gt;' in html


async def test_the_search_answers_scripts(client: Client) -> None:
    found = (await client.get("/api/docs/search?q=close+codes")).json["hits"]
    assert found[0]["address"] == "/docs/sessionstream-reference#close-codes"
    assert ["close", True] in [[piece.casefold(), marked] for piece, marked in found[0]["excerpt"]]
    assert (await client.get("/api/docs/search")).json == {"hits": [], "total": 0, "meant": ""}
