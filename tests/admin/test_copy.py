"""``sessionstream copy``: what it prints and how it ends. (What it copies: tests/copying.)"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream.hydration import stores
from tests.servers.postgres import Postgres

from .app import with_store
from .conftest import Run
from .test_command import MODULE, ran

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(postgres: Postgres, postgres_schema: str) -> str:
    """A database that is reached with a password."""
    return f"{postgres.dsn.replace('postgres@', 'postgres:secret@')}&schema={postgres_schema}"


def test_it_says_what_was_copied_and_again_what_is_there(run: Run, file: Path, url: str) -> None:
    first = run("copy", file, url)
    assert (first.status, first.err) == (0, "")
    assert first.out == (
        f"copied {file} to {stores.shown(url)}: 2 sessions there and verified, 2 of them copied with this run, "
        f"0 brought up to date, 0 unchanged; 6 events written\n"
    )
    assert "secret" not in first.out
    second = run("copy", file, url, "--json").document
    assert second == {
        "store": str(file),
        "command": "copy",
        "target": stores.shown(url),
        "copied": 0,
        "updated": 0,
        "unchanged": 2,
        "events": 0,
        "left": [],
        "processes": 0,
    }
    assert with_store(url, lambda store: store.cursors("t")).held


def test_sessions_that_are_left_are_named_and_are_a_failure(run: Run, file: Path, url: str) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE sessions SET session_id = ? WHERE session_id = 's'", ("s" * 2000,))
    done = run("copy", file, url)
    assert (done.status, done.err) == (1, "")
    assert "1 session there and verified" in done.out
    assert "not copied" in done.out
    assert "it has 2000 bytes of UTF-8, and at most 1024 fit" in done.out
    (left,) = run_document(run("copy", file, url, "--json").out)["left"]
    assert left["sessionId"] == "s" * 2000


def run_document(out: str) -> dict[str, list[dict[str, str]]]:

    found: dict[str, list[dict[str, str]]] = json.loads(out)
    return found


def test_a_file_in_use_is_said_to_be(run: Run, file: Path, url: str) -> None:
    async def copied(_store: object) -> None:
        done = await asyncio.to_thread(run, "copy", file, url)
        assert (done.status, done.err) == (0, "")
        assert f"1 process had {file} open and did not close it. If one still runs, what it writes" in done.out

    with_store(file, copied)


def test_a_terminal_sees_how_far_it_is(run: Run, file: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    done = run("copy", file, url)
    assert (done.status, done.err) == (0, "\r1 of 2 sessions\r2 of 2 sessions\n")


def test_what_cannot_be_used_is_wrong_usage(file: Path, url: str, tmp_path: Path) -> None:
    nowhere = url.replace("/.s", "/nowhere").replace("host=", "host=/nowhere")
    for source, target, words in (
        (tmp_path / "missing.db", url, "there is no such file"),
        (url, url, "copy reads SQLite files"),
        (file, tmp_path / "copy.db", "sessionstream backup"),
        (file, "mysql://ada:secret@host/app", "is a URL of no known store"),
        (file, nowhere, "nowhere"),
    ):
        done = ran(*MODULE, "copy", source, target)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert "secret" not in done.stderr


def test_tables_of_something_else_are_wrong_usage(run: Run, file: Path, postgres: Postgres) -> None:
    done = run("copy", file, f"{postgres.dsn}&schema=pg_catalog")
    assert (done.status, done.out) == (2, "")
    assert "holds tables of something else" in done.err


TERMINATED = """
import os, signal, sys
from sessionstream.admin.cli import main
from sessionstream.hydration.postgres.loading import Loading

write = Loading.write
def written(self, session_id, *given):
    write(self, session_id, *given)
    if session_id == "t":
        os.kill(os.getpid(), signal.SIGTERM)
Loading.write = written
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
def test_a_terminated_copy_takes_back_the_session_at_which_it_was(run: Run, file: Path, url: str) -> None:
    words = [sys.executable, "-c", TERMINATED, "copy", str(file), url]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=60, text=True)
    said = "sessionstream: interrupted: the sessions that were copied stay; the same command goes on with the others\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "", said)
    assert stores.look(url, lambda state: state.sessions()) == ["s"]
    assert run("copy", file, url, "--json").document["copied"] == 1
