"""Codes in the rules, the documentation and the fixtures are the same set."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from sessionstream_lint.engine import check
from sessionstream_lint.options import OPT_IN, Options
from sessionstream_lint.rules.catalogue import RULES, SUMMARIES, UNREADABLE
from sessionstream_lint.rules.pages import page

HEADINGS = ["What it says", "Why", "Bad", "Good", "How to fix it", "What it cannot see", "How to suppress it", "Since"]


def test_each_code_has_a_page_and_each_page_a_code(root: Path) -> None:
    assert {path.stem for path in (root / "sessionstream_lint" / "rules").glob("SST*.md")} == set(SUMMARIES)


def test_each_page_says_everything() -> None:
    for code in SUMMARIES:
        text = page(code)
        assert text.startswith(f"# {code}: ")
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert [one for one in headings if one != "What it sees"] == HEADINGS


def test_each_rule_has_fixtures_and_each_fixture_a_rule(all_examples: Any) -> None:
    planted = {code for example in all_examples for _, _, code in example.expected}
    assert planted == {rule.CODE for rule in RULES} == {example.code for example in all_examples}
    for example in all_examples:
        assert {code for _, _, code in example.expected} <= {example.code}


def test_each_rule_module_is_named_after_its_code() -> None:
    for rule in RULES:
        assert rule.__name__.rpartition(".")[2].startswith(rule.CODE.lower() + "_")
    assert UNREADABLE not in {rule.CODE for rule in RULES}


def test_flake8_knows_the_prefix(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["flake8.extension"] == {"SST": "sessionstream_lint.plugin:Plugin"}
    assert all(re.fullmatch(r"SST\d{3}", code) for code in SUMMARIES)


@pytest.mark.parametrize("code", sorted(SUMMARIES))
def test_the_bad_example_is_found_and_the_good_one_is_not(code: str) -> None:
    bad, good = (re.search(rf"## {name}\n.*?```python\n(.*?)```", page(code), re.DOTALL) for name in ("Bad", "Good"))
    assert bad
    assert good
    assert {one.code for one in check(bad[1], "bad.py")} == {code}
    assert check(good[1], "good.py") == []


@pytest.mark.parametrize("code", sorted(SUMMARIES))
def test_each_page_says_whether_its_rule_is_on(code: str) -> None:
    assert ("It is off until it is selected" in page(code)) is (code in OPT_IN)


def test_the_documentation_and_the_changelog_name_the_same_codes(root: Path) -> None:
    reference = root / "sessionstream" / "doc" / "reference" / "sessionstream-reference.md"
    playbook = root / "sessionstream" / "doc" / "playbooks" / "sessionstream-schema-vet-playbook.md"
    for path in (reference, playbook):
        assert set(re.findall(r"^\| `(SST\d{3})` \|", path.read_text("utf-8"), re.MULTILINE)) == set(SUMMARIES)
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    assert set(re.findall(r"SST\d{3}", changelog)) == set(SUMMARIES)


def test_each_message_leads_to_its_page(example: Any) -> None:
    for one in check(example.source, str(example.path), options=Options(select=(example.code,))):
        assert one.message.endswith(f"(sessionstream-lint --explain {example.code})")
