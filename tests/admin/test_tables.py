"""Aligned text of a limited width, without what a terminal would obey."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.admin.tables import Table, rendered, shown


def test_columns_are_aligned_numbers_to_the_right() -> None:
    table = Table(("NAME", "#N", "REST"), [("a", "1", "x"), ("longer", "100", "")])
    assert rendered([table], None) == "NAME      N  REST\na         1  x\nlonger  100\n"


def test_blocks_are_apart_and_an_empty_table_says_so() -> None:
    assert rendered(["one\ntwo", Table(("A",), (), "none", "things")], None) == "one\ntwo\n\nthings\nnone\n"


def test_the_widest_columns_give_first() -> None:
    table = Table(("ID", "PAYLOAD"), [("short", "p" * 100)])
    assert rendered([table], 20).splitlines() == ["ID     PAYLOAD", f"short  {'p' * 12}…"]


def test_wide_characters_count_twice() -> None:
    table = Table(("A", "B"), [("漢字", "x"), ("e\u0301", "y")])
    assert rendered([table], None).splitlines() == ["A     B", "漢字  x", "e\u0301     y"]


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\x00", "\u202e", "\ud800"])
def test_what_a_terminal_would_obey_is_spelled_out(text: str) -> None:
    assert shown(text).isprintable()
    assert "\\" in shown(text)
    rows = rendered([Table(("A",), [(text,)], title="t")], None)
    assert len(rows.splitlines()) == 3
    assert text not in rows


_plain = st.text(st.characters(codec="ascii", exclude_categories=["C"]))


@given(rows=st.lists(st.tuples(_plain, _plain, _plain, _plain), min_size=1), width=st.integers(1, 60))
def test_no_line_is_wider_than_the_terminal(rows: list[tuple[str, ...]], width: int) -> None:
    lines = rendered([Table(("A", "#B", "C", "D"), rows)], width).splitlines()
    assert len(lines) == len(rows) + 1
    assert max(map(len, lines)) <= width
