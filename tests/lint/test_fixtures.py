"""Every fixture, through every way in: the engine, the plugin, the command, and flake8 itself."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sessionstream_lint import engine
from sessionstream_lint.command.cli import main
from sessionstream_lint.options import Options
from sessionstream_lint.plugin import Plugin

from .conftest import FIXTURES, examples

LINE = re.compile(r"(?P<path>.*?):(?P<line>\d+):(?P<column>\d+): (?P<code>[A-Z]+\d+) ")


def only(example: Any) -> Options:
    return Options(select=(example.code,))


def places(found: list[engine.Diagnostic]) -> list[tuple[int, int, str]]:
    return [(one.line, one.column + 1, one.code) for one in found]


def test_findings_are_exactly_the_expected_ones(example: Any) -> None:
    found = places(engine.check(example.source, str(example.path), options=only(example)))
    assert sorted(found) == sorted(example.expected)


def test_the_plugin_reports_the_same(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plugin, "options", only(example))
    lines = example.source.splitlines(keepends=True)
    found = [
        (line, col + 1, text[:6])
        for line, col, text, _ in Plugin(ast.parse(example.source), str(example.path), lines).run()
    ]
    assert sorted(found) == sorted(example.expected)


def test_line_ends_do_not_move_findings(example: Any) -> None:
    source = example.source.replace("\n", "\r\n")
    assert sorted(places(engine.check(source, str(example.path), options=only(example)))) == sorted(example.expected)


def test_each_finding_can_be_suppressed(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comments = ["# noqa", f"# noqa: {example.code}", f"# NOQA:E501,{example.code}", "# noqa: SST0"]
    path = tmp_path / "example.py"
    path.write_text(example.suppressed(*comments), encoding="utf-8")
    assert main([str(path), "--select", example.code, "--sst-src-roots", str(example.path.parent)]) == 0
    assert capsys.readouterr().out == ""


def test_another_code_suppresses_nothing(example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "example.py"
    path.write_text(example.suppressed("# noqa: E501"), encoding="utf-8")
    main([str(path), "--select", example.code, "--format", "json", "--sst-src-roots", str(example.path.parent)])
    found = json.loads(capsys.readouterr().out)
    assert {(one["line"], one["column"], one["code"]) for one in found} == example.expected


def run_flake8(python: str, *args: str) -> dict[str, set[tuple[int, int, str]]]:
    """Return the findings by file, of the rule that the file is named after: others are not what it is about."""
    command = [python, "-m", "flake8", "--isolated", "--select=SST", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    found: dict[str, set[tuple[int, int, str]]] = {}
    for line in done.stdout.splitlines():
        match = LINE.match(line)
        assert match, line
        place = (int(match["line"]), int(match["column"]), match["code"])
        name = Path(match["path"]).name
        if name[:6].upper() == match["code"]:
            found.setdefault(name, set()).add(place)
    return found


PARTS = pytest.mark.parametrize("part", [4, pytest.param(1, marks=pytest.mark.torture)])
"""Every fourth example in `make test`: what flake8 adds to the plugin does not depend on them."""


@PARTS
@pytest.mark.parametrize("jobs", ["-j2", pytest.param("-j1", marks=pytest.mark.torture)])
def test_flake8_itself_reports_the_same(all_examples: Any, python: str, jobs: str, part: int) -> None:
    paths = [str(example.path) for example in all_examples[::part]]
    expected = {example.path.name: set(example.expected) for example in all_examples[::part] if example.expected}
    assert run_flake8(python, jobs, *paths, *paths[:1]) == expected


@PARTS
def test_flake8_honours_suppressions(all_examples: Any, python: str, tmp_path: Path, part: int) -> None:
    shutil.copytree(FIXTURES / "shop", tmp_path / "shop")  # what they import says what there is to suppress
    for number, example in enumerate(all_examples[::part]):
        suppressed = example.suppressed(f"# noqa: {example.code}")
        (tmp_path / f"{example.code}_{number}.py").write_text(suppressed, encoding="utf-8")
    assert run_flake8(python, "-j1", *(str(path) for path in tmp_path.glob("SST*"))) == {}


def test_there_is_enough_to_prove_something(all_examples: Any) -> None:
    assert sum(len(example.expected) for example in all_examples) >= 240
    assert sum(len(example.clean) for example in all_examples) >= 160
    for code in {example.code for example in all_examples}:
        assert sum(len(example.expected) for example in all_examples if example.code == code) >= 15
        assert sum(len(example.clean) for example in all_examples if example.code == code) >= 15


ITEMS = {
    "import aliases", "re-exports", "import a.b.c", "wildcard imports", "TYPE_CHECKING", "string annotations",
    "Optional", "unions with |", "Annotated", "type[…]", "containers", "TypeVar bounds", "PEP 695 bounds", "NewType",
    "Self", "cast", "isinstance", "match", "negation", "reassignment", "branches in order", "closures",
    "comprehension shadowing", "parameter shadowing", "class attributes", "dataclass fields",
    "self.x from any method", "self.x from an annotation", "properties", "subclasses of SchemaRegistry",
    "factories with annotations", "factories without annotations", "context managers", "walrus", "unpacking",
    "chained calls", "bound methods", "unbound methods", "functools.partial", "getattr with a constant",
    "keywords in a dict", "conditional expressions", "loops over pairs", "loops over dict items",
    "constants of the same module", "constants of other modules", "wrappers",
}  # fmt: skip


def test_each_kind_of_inference_has_two_violations_and_two_near_misses() -> None:
    """Counted by the headings ``# Item: …`` of the fixtures, whichever Python can read them."""
    counts: dict[str, tuple[int, int]] = {}
    for example in examples(version=(99, 0)):
        for section in example.source.split("\n# Item: ")[1:]:
            heading, _, body = section.partition("\n")
            assert heading not in counts, "two sections of one kind"
            counts[heading] = body.count("  # expect: "), body.count("  # ok: ")
    assert counts.keys() == ITEMS
    assert {item: count for item, count in counts.items() if min(count) < 2} == {}


def test_indenting_everything_moves_columns_and_nothing_else(example: Any) -> None:
    """Everything inside ``if True:``: the same findings, four columns on."""
    assert not any(line.count('"""') % 2 for line in example.source.splitlines()), "a string over several lines"
    source = "if True:\n" + "".join(f"    {line}\n" for line in example.source.splitlines())
    found = places(engine.check(source, str(example.path), options=only(example)))
    assert sorted(found) == sorted((line + 1, column + 4, code) for line, column, code in example.expected)
