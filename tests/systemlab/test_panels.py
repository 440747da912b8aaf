"""Panels as the page gets them: what a browser would round is text."""

from __future__ import annotations

from pathlib import Path

from sessionstream.systemlab.exports import markdown
from sessionstream.systemlab.panels import EXACT, Table
from sessionstream.systemlab.phase import State
from sessionstream.systemlab.phases.pipeline import Pipeline


def test_numbers_that_a_browser_would_round_go_out_as_text() -> None:
    table = Table("t", "T", ("Ordinal",), ((EXACT,), (EXACT + 1,), ("x",)), "none")
    assert table.to_json()["rows"] == [[EXACT], [str(EXACT + 1)], ["x"]]


def test_so_do_the_facts_of_a_page() -> None:
    state = State((), (), facts=(("Cursor", 1_700_000_000_000_000_001), ("Events", 2)))
    assert state.to_json()["facts"] == [["Cursor", "1700000000000000001"], ["Events", 2]]


def test_a_table_that_shows_the_latest_of_more_says_so(tmp_path: Path) -> None:
    rows = ((1,), (2,))
    table = Table("t", "T", ("Ordinal",), rows, "none")
    assert table.latest(2, of=2).to_json()["count"] == "2"
    assert table.latest(2, of=3).to_json()["count"] == "the latest 2"
    state = State((), (table.latest(2, of=3),))
    assert "\n## T (the latest 2)\n" in markdown(Pipeline(tmp_path), state)
