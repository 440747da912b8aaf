"""``sessionstream backup``: what it prints and how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run
from .test_repair import snapshot, unchanged

ROOT = Path(__file__).parents[2]
TERMINATED = """
import os, signal, sys
from sessionstream.admin.cli import main
from sessionstream.hydration.sqlite import backup

check = backup._copy
def copy(*given):
    os.kill(os.getpid(), signal.SIGTERM)
    check(*given)
backup._copy = copy
sys.exit(main(sys.argv[1:]))
"""
CHECKING = """
import functools, os, signal, sqlite3, sys, threading
from sessionstream.admin.cli import main

begun = threading.Event()

class Endless(sqlite3.Connection):
    def execute(self, sql, *given):
        if "integrity_check" in sql:
            self.create_function("begun", 0, begun.set)
            sql = "WITH RECURSIVE n(i) AS (SELECT begun() UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n"
        return super().execute(sql, *given)

def terminate():
    begun.wait()
    os.kill(os.getpid(), signal.SIGTERM)

sqlite3.connect = functools.partial(sqlite3.connect, factory=Endless)
threading.Thread(target=terminate, daemon=True).start()
sys.exit(main(sys.argv[1:]))
"""


def test_a_backup_says_what_it_made(run: Run, file: Path) -> None:
    copy = file.with_name("copy.db")
    document = run("backup", file, copy, "--json").document
    size = copy.stat().st_size
    assert document == {"store": str(file), "command": "backup", "copy": str(copy), "sessions": 2, "bytes": size}
    assert snapshot(copy, "s") == snapshot(file, "s")
    second = file.with_name("second.db")
    assert (
        run("backup", file, second).out == f"copied {file} to {second}: 2 sessions, {size:,} bytes, checked by SQLite\n"
    )


def test_a_backup_overwrites_nothing(run: Run, file: Path) -> None:
    ran = unchanged(file, lambda: run("backup", file, file))
    assert (ran.status, ran.out) == (1, "")
    assert f"there is a {file} already: give another name" in ran.err


def test_what_is_no_store_is_refused(run: Run, tmp_path: Path) -> None:
    ran = run("backup", tmp_path / "missing.db", tmp_path / "copy.db")
    assert (ran.status, ran.out) == (2, "")
    assert "there is no such file" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_restore_says_what_it_made(run: Run, file: Path) -> None:
    copy, target = file.with_name("copy.db"), file.with_name("target.db")
    run("backup", file, copy)
    document = run("restore", copy, target, "--json").document
    size = target.stat().st_size
    assert document == {"store": str(target), "command": "restore", "copy": str(copy), "sessions": 2, "bytes": size}
    assert snapshot(target, "s") == snapshot(file, "s")
    ran = unchanged(file, lambda: run("restore", copy, file))
    assert (ran.status, ran.out) == (1, "")
    assert "or replace it (--replace)" in ran.err
    assert (
        run("restore", copy, file, "--replace").out
        == f"restored {file} from {copy}: 2 sessions, {size:,} bytes, checked by SQLite\n"
    )


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_database_is_left_to_its_own_tools(run: Run, file: Path, command: str) -> None:
    for places in ((file, "postgres://ada@host/app"), ("postgres://ada:secret@host/app", file)):
        ran = unchanged(file, lambda places=places: run(command, *places))  # type: ignore[misc]
        assert ran.status == 2
        assert f"{command} copies SQLite files" in ran.err
        assert "secret" not in ran.err


def test_what_is_no_backup_is_refused(run: Run, file: Path) -> None:
    ran = unchanged(file, lambda: run("restore", file.with_name("missing.db"), file, "--replace"))
    assert (ran.status, ran.out) == (2, "")
    assert "there is no such file" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to handle")
@pytest.mark.parametrize("command", ["backup", "restore"])
@pytest.mark.parametrize("program", [TERMINATED, CHECKING], ids=["copying", "checking"])
def test_a_terminated_command_takes_back_what_it_has_not_finished(file: Path, command: str, program: str) -> None:
    words = [sys.executable, "-c", program, command, str(file), str(file.with_name("other.db"))]
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=60)
    where = b"it was done as a whole or not at all; `sessionstream inspect` shows which"
    said = b"" if command == "backup" else b"sessionstream: interrupted: " + where + b"\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (143, b"", said)
    assert [each.name for each in file.parent.iterdir()] == ["app.db"]
