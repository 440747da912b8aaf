"""What the commands say of a file that is damaged as a whole, and that its backup is restored as they say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Run
from .test_check import damaged


@pytest.mark.parametrize("left", [40, 100, 5_000])
def test_a_file_that_was_cut_off_is_named_with_what_is_missing(run: Run, file: Path, left: int) -> None:
    copy, whole = file.with_name("copy.db"), file.stat().st_size
    run("backup", file, copy)
    os.truncate(file, left)
    missing = f"the last {whole - left:,} of its {whole:,} bytes are missing"
    (problem,) = json.loads(run("check", file, "--json").out)["problems"]
    assert missing in problem["what"]
    for command in (["inspect", file], ["backup", file, file.with_name("other.db")], ["restore", file, copy]):
        ran = run(*command)
        assert (ran.status, ran.out) == (2, "")
        assert "the file is damaged: restore its last whole backup (`sessionstream restore COPY FILE" in ran.err
        assert missing in ran.err
    assert run("restore", copy, file, "--replace").status == 0
    assert "nothing is wrong" in run("check", file).out


def test_a_file_that_is_damaged_lacks_nothing_at_its_end(run: Run, file: Path) -> None:
    damaged(file, 2)
    ran = run("inspect", file)
    assert "the file is damaged: restore its last whole backup" in ran.err
    assert "missing" not in ran.err


def test_a_file_whose_first_bytes_are_destroyed_is_restored_as_the_message_says(run: Run, file: Path) -> None:
    copy = file.with_name("copy.db")
    run("backup", file, copy)
    file.write_bytes(bytes(4096) + file.read_bytes()[4096:])
    file.with_name("app.db-wal").write_bytes(b"log")
    said = "move it away, with the files whose names begin with its name, and restore the last"
    assert said in run("inspect", file).err
    ran = run("restore", copy, file, "--replace")
    assert ran.status == 1
    assert "or its first bytes are destroyed: correct the path, or move it away, with the files whose names" in ran.err
    (file.parent / "away").mkdir()
    for each in list(file.parent.glob("app.db*")):
        each.rename(file.parent / "away" / each.name)
    assert run("restore", copy, file).status == 0
    assert "nothing is wrong" in run("check", file).out
