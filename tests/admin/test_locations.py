"""What the command says of a location that is a URL: never the password in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstream.admin.cli import main

from .conftest import Run

URL = "mysql://ada:secret@host/app"


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", URL),
        ("inspect", URL, "--session", "s", "--events"),
        ("retry", URL, "s", "--app", "tests.admin.app:make"),
        ("rebuild", URL, "s", "--app", "tests.admin.app:make", "--dry-run"),
        ("prune", URL, "s", "--before", "2"),
    ],
    ids=" ".join,
)
def test_a_url_that_names_no_store_is_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert "mysql://ada@host/app is a URL of no known store" in ran.err


def test_only_files_are_backed_up(run: Run, file: Path, tmp_path: Path) -> None:
    for arguments in ((URL, tmp_path / "copy.db"), (file, URL)):
        ran = run("backup", *arguments)
        assert (ran.status, ran.out) == (2, "")
        assert "mysql://ada@host/app is a URL" in ran.err
        assert "pg_dump" in ran.err


def test_a_url_that_is_one_argument_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "a.db", URL])
    assert "unrecognized arguments: mysql://ada@host/app" in capsys.readouterr().err
