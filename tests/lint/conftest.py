"""Fixture files and what they expect.

A line of a fixture file that must be reported ends in ``# expect: SST001 col 12`` (several, separated by
commas); a call that must not be reported ends in ``# ok: why``. Columns are counted
from 1, in characters, as flake8 prints them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest
from flake8.main.cli import main as flake8_main  # type: ignore[import-untyped]

from sessionstream_lint.plugin import Plugin

ROOT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures"

_COMMENT = re.compile(r"  # (?:expect: (?P<expected>.*)|ok: .+)$")
_ITEM = re.compile(r"(?:(?P<code>SST\d{3}) )?col (?P<column>\d+)")

Place = tuple[int, int, str]


@dataclass(frozen=True)
class Example:
    path: Path
    source: str
    expected: frozenset[Place]
    clean: frozenset[int]

    @property
    def code(self) -> str:
        """The rule that the file is about; the others are not run on it."""
        return self.path.name[:6].upper()

    def suppressed(self, *comments: str) -> str:
        """The source with another comment in place of each expectation: the first of ``comments``, the second, ..."""
        forms = cycle(comments)
        return re.sub(r"  # expect: .*$", lambda _: "  " + next(forms), self.source, flags=re.MULTILINE)


def read(path: Path) -> Example:
    source = path.read_text(encoding="utf-8")
    expected: set[Place] = set()
    clean: set[int] = set()
    for number, line in enumerate(source.splitlines(), 1):
        found = _COMMENT.search(line)
        if found is None:
            assert "# expect" not in line, f"{path}:{number}: unreadable expectation"
            continue
        if found["expected"] is None:
            clean.add(number)
            continue
        code = None
        for item in found["expected"].split(", "):
            match = _ITEM.fullmatch(item)
            assert match, f"{path}:{number}: unreadable expectation {item!r}"
            code = match["code"] or code
            assert code, f"{path}:{number}: no code"
            expected.add((number, int(match["column"]), code))
    return Example(path, source, frozenset(expected), frozenset(clean))


def examples(version: tuple[int, ...] = sys.version_info[:2]) -> list[Example]:
    """The examples that this version of Python can read: ``_py312`` at the end of a name says that not all can."""
    return [
        read(path)
        for path in sorted(FIXTURES.rglob("*.py"))
        if "# expect" in path.read_text() or "# ok" in path.read_text()
        if version >= _needed(path)
    ]


def _needed(path: Path) -> tuple[int, ...]:
    _, _, version = path.stem.rpartition("_py")
    return (int(version[0]), int(version[1:])) if version.isdecimal() else (3, 11)


EXAMPLES = examples()


IN_PART = {
    "test_each_finding_can_be_suppressed",
    "test_another_code_suppresses_nothing",
    "test_line_ends_do_not_move_findings",
    "test_indenting_everything_moves_columns_and_nothing_else",
    "test_each_message_leads_to_its_page",
    "test_the_plugin_reports_the_same",
}
"""Tests of which `make test` takes every fourth example, as what they show is the same for all rules."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "example" in metafunc.fixturenames:
        ids = [str(example.path.relative_to(FIXTURES)) for example in EXAMPLES]
        few = metafunc.function.__name__ in IN_PART
        marks = [[pytest.mark.torture] if few and number % 4 else [] for number in range(len(EXAMPLES))]
        examples = [
            pytest.param(one, id=name, marks=mark) for one, name, mark in zip(EXAMPLES, ids, marks, strict=True)
        ]
        metafunc.parametrize("example", examples)


@pytest.fixture
def all_examples() -> list[Example]:
    return EXAMPLES


class Done(NamedTuple):
    """What a run of flake8 left."""

    status: int
    out: str
    err: str


Flake8 = Callable[..., Done]


@pytest.fixture
def flake8(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Flake8:
    """Runs flake8 with arguments as its command does, but in this process, which has imported everything already."""
    monkeypatch.setattr(Plugin, "options", Plugin.options)

    def run(*args: str) -> Done:
        capsys.readouterr()
        try:
            status = flake8_main(list(args))
        except SystemExit as end:
            status = end.code
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def python() -> str:
    return sys.executable
