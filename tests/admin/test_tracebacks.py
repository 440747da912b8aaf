"""Where the app failed, as ``inspect``, ``retry``, ``rebuild`` and their dry runs show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .app import BROKEN
from .conftest import Run
from .test_repair import APP, unchanged

WHERE = r"tests/hub/support\.py:\d+ in project_timeline"


def test_errors_are_listed_with_the_frame_they_were_raised_in(run: Run, file: Path) -> None:
    heading, row = run("inspect", file, "--errors").lines[-2:]
    assert heading == ["RECORDED", "SESSION", "ORDINAL", "KIND", "EVENT", "WHERE", "ERROR"]
    assert row[1:5] == ["t", "2", "timeline-projection", "Said"]
    assert re.fullmatch(WHERE, row[5])
    (error,) = run("inspect", file, "--errors", "--json").document["errors"]
    assert re.fullmatch(WHERE, error["where"])
    assert "traceback" not in error


def test_the_whole_traceback_is_shown_where_it_is_asked_for(run: Run, file: Path) -> None:
    shown = run("inspect", file, "--session", "t", "--errors", "--traceback").out
    assert "timeline-projection of event Said, session t at 2:\nTraceback (most recent call last):\n" in shown
    assert re.search(r'File ".*support\.py", line \d+, in project_timeline\n +raise Broken', shown)
    assert shown.endswith("tests.hub.support.Broken: timeline bad\n")
    (error,) = run("inspect", file, "--errors", "--traceback", "--json").document["errors"]
    assert error["traceback"].startswith("Traceback (most recent call last):\n")


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
@pytest.mark.parametrize("command", ["retry", "rebuild"])
def test_a_replay_that_fails_says_where(
    run: Run, file: Path, monkeypatch: pytest.MonkeyPatch, command: str, dry: list[str]
) -> None:
    monkeypatch.setenv(BROKEN, "bad")
    ran = run(command, file, "t", *APP, *dry)
    assert (ran.status, ran.out) == (1, "")
    assert re.search(rf"failed at {WHERE} on event 'Said' \(session 't', ordinal 2\): Broken: timeline bad", ran.err)
    assert len(ran.err.splitlines()) == 1
    told = run(command, file, "t", *APP, *dry, "--traceback").err
    assert told.splitlines()[0] == ran.err.rstrip()
    assert "in project_timeline" in told.splitlines()[-3]
    assert told.endswith("tests.hub.support.Broken: timeline bad\n")


@pytest.mark.parametrize(
    ("app", "where"),
    [
        ("make_failing", r"the function of --app failed at tests/admin/app\.py:\d+ in make_failing: LookupError"),
        ("make_without_metadata", r"the app failed at tests/admin/app\.py:\d+ in missing: LookupError: no metadata"),
    ],
)
def test_an_app_that_fails_says_where(run: Run, file: Path, app: str, where: str) -> None:
    arguments = ("retry", file, "t", "--app", f"tests.admin.app:{app}")
    assert re.search(where, unchanged(file, lambda: run(*arguments, "--dry-run")).err)
    assert "Traceback" in run(*arguments, "--traceback").err


def test_a_module_that_cannot_be_imported_says_where(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(file.parent))
    (file.parent / "half_written.py").write_text("import json\n\njson.loads('{')\n", encoding="utf-8")
    ran = run("retry", file, "t", "--app", "half_written:make")
    assert ran.status == 2
    assert "cannot load --app half_written:make at half_written.py:3 in <module>: JSONDecodeError" in ran.err
    (file.parent / "half_written_too.py").write_text("def make(:\n", encoding="utf-8")
    ran = run("retry", file, "t", "--app", "half_written_too:make")
    assert (
        "cannot load --app half_written_too:make: SyntaxError: invalid syntax (half_written_too.py, line 1)" in ran.err
    )


def test_without_a_cause_there_is_nothing_more_to_show(run: Run, file: Path) -> None:
    ran = run("retry", file, "nobody", *APP, "--traceback")
    assert ran.err == "sessionstream: the store has no session 'nobody'\n"
