"""``sessionstream upgrade``: what it says and how it ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .conftest import Run
from .test_repair import unchanged

DUMP = Path(__file__).parents[1] / "hydration" / "version_4.sql"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(DUMP.read_text("utf-8"))
    return path


def test_a_dry_run_changes_nothing_and_the_command_does_what_it_said(run: Run, old: Path) -> None:
    said = ["column sessions.changed", "index sessions_by_change"]
    document = {"store": str(old), "command": "upgrade", "dryRun": True, "before": 4, "after": 5, "changes": said}
    assert unchanged(old, lambda: run("upgrade", old, "--dry-run", "--json")).document == document
    table = "".join(f"{each}\n" for each in ["", "ADDED", *said])
    assert run("upgrade", old, "--dry-run").out == f"upgrade {old}, dry run: schema 4 would become 5\n{table}"
    ran = run("upgrade", old, "--progress")
    assert (ran.out, ran.err) == (f"upgraded {old}: schema 4 has become 5\n{table}", f"upgrading {old} …\n")
    assert unchanged(old, lambda: run("upgrade", old)).out == f"{old} has schema 5, the present one: nothing to do\n"


def test_what_cannot_be_upgraded_is_refused(run: Run, tmp_path: Path) -> None:
    for place, words in ((tmp_path / "missing.db", "no such file"), ("postgres://ada:secret@host/app", "is a URL")):
        ran = run("upgrade", place)
        assert (ran.status, ran.out) == (2, "")
        assert words in ran.err
        assert "secret" not in ran.err
