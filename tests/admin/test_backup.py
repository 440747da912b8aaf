"""``sessionstream backup``: what it prints and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run
from .test_repair import snapshot, unchanged


def test_a_backup_says_what_it_made(run: Run, file: Path) -> None:
    copy = file.with_name("copy.db")
    document = run("backup", file, copy, "--json").document
    size = copy.stat().st_size
    assert document == {"store": str(file), "command": "backup", "copy": str(copy), "sessions": 2, "bytes": size}
    assert snapshot(copy, "s") == snapshot(file, "s")
    second = file.with_name("second.db")
    assert run("backup", file, second).out == f"copied {file} to {second}: 2 sessions, {size:,} bytes, checked\n"


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
        == f"restored {file} from {copy}: 2 sessions, {size:,} bytes, checked\n"
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
