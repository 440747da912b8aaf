"""ARCHITECTURE.md names files that are there, and a test for each invariant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+)\. .* \| (.*) \| (.*) \|$", TEXT, re.MULTILINE)


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_each_invariant_has_what_keeps_it_and_a_test() -> None:
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 12))
    assert all(names(kept) and names(tested) for _, kept, tested in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_an_invariant_names_is_there(row: tuple[str, str, str]) -> None:
    folder = ROOT
    for name in names(row[1]):
        found = [each for each in (ROOT / "sessionstream", folder) if (each / f"{name.partition('.')[0]}.py").exists()]
        assert found, name
        folder = (found[0] / name).parent
    for name in names(row[2]):
        places = [ROOT / name, folder / name, ROOT / "sessionstream" / name]
        found = [place for place in places if place.exists()]
        assert found, name
        folder = found[0].parent


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_it_is_short() -> None:
    assert len(TEXT.splitlines()) <= 120
