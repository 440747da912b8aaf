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
