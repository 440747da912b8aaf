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


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("host=localhost password=secret dbname=app", "host=localhost password=…"),
        ("PASSWORD = 'se cret' user=ada", "PASSWORD =…"),
        ("host=h password=se&cret", "host=h password=…"),
        ("password='it\\'s cret'", "password=…"),
        (" postgres://ada:secret@host/app", " postgres://ada@host/app"),
        ("postgres:/ada:secret@host/app", "postgres:/ada@host/app"),
        ("postgresql:ada:secret@host/app", "postgresql:ada@host/app"),
    ],
)
def test_a_dsn_that_is_no_url_is_not_taken_for_a_path(run: Run, location: str, said: str) -> None:
    ran = run("inspect", location)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"sessionstream: {said} is a DSN of another form: give")
    assert "cret" not in ran.err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://ada@host/app?password=se cret", "mysql://ada@host/app?password=…"),
        ("mysql://ada@host/app?PASSWORD=ab'c cret&x=1", "mysql://ada@host/app?PASSWORD=…&x=1"),
    ],
)
def test_all_of_a_password_is_left_out(run: Run, url: str, said: str) -> None:
    assert f"{said} is a URL of no known store" in run("inspect", url).err


@pytest.mark.parametrize("name", ["my password.db", "postgres.db", "a:b@c.db", "a:b:c@d.db"])
def test_a_name_with_such_words_is_a_path(run: Run, tmp_path: Path, name: str) -> None:
    assert f"{tmp_path / name}: there is no such file" in run("inspect", str(tmp_path / name)).err


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
