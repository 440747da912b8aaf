"""What the pages tell operators to type runs, in the order in which they say it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from sessionstream import doc

from .app import write
from .conftest import Run

PAGES = {
    "sessionstream-user-guide": "\n## Looking into a file\n",
    "sessionstream-reference": "\n### sessionstream\n",
}
COMMANDS = {"inspect", "retry", "rebuild", "prune"}


def typed(slug: str) -> list[list[str]]:
    """The arguments of the commands in the section about this command."""
    text = doc.get(slug).body.split(PAGES[slug])[1].split("\n##")[0]
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith("sessionstream ")]
    return [words[1:] for words in lines if words[1] != "--version"]


@pytest.mark.parametrize("slug", PAGES)
def test_every_command_of_the_page_runs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slug: str) -> None:
    write(tmp_path / "jobs.db", "a", "bad", "c", session_id="job-7", broken=["bad"])
    package = tmp_path / "jobs"
    package.mkdir()
    (package / "app.py").write_text("from tests.admin.app import make as hub_on, make as schemas\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("jobs", "jobs.app"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    commands = typed(slug)
    assert {words[0] for words in commands} >= COMMANDS
    for words in commands:
        ran = run(*words)
        assert (ran.status, ran.err) == (0, ""), words
        assert ran.out or "--out" in words
