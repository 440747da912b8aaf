"""``synchronous="full"``: the disk has an event before anybody is told of it, by the order of the system calls.

A kill takes nothing that was written. A power failure may take what was not flushed; no test here can cut the power.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .killing import ROOT


def calls(trace: str) -> list[str]:
    """Return what was done, in order: ``log`` written, ``flush`` ended, ``told`` of a published event."""
    log = {match[1] for match in re.finditer(r'"[^"]*store\.db-wal", .* = (\d+)$', trace, re.MULTILINE)}
    found = []
    for line in trace.splitlines():
        if (match := re.search(r"pwrite64\((\d+),", line)) and match[1] in log:
            found.append("log")
        elif re.search(r"(fdatasync|fsync)(\(| resumed).*= 0$", line):
            found.append("flush")
        elif re.search(r'write\(1, "\{\\"what\\":\\"(published|told)', line):
            found.append("told")
    return found


def told_unflushed(done: list[str]) -> int:
    """Return how often somebody was told of what was written and not flushed."""
    dirty, wrong = False, 0
    for each in done:
        dirty = each == "log" or (dirty and each == "told")
        wrong += dirty and each == "told"
    return wrong


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("synchronous", ["full", "normal"])
def test_who_is_told_before_the_disk_has_it(tmp_path: Path, synchronous: str) -> None:
    traced = ["strace", "-f", "-qq", "-s", "64", "-o", str(tmp_path / "trace")]
    traced += ["-e", "trace=openat,pwrite64,fdatasync,fsync,write"]
    command = [sys.executable, "-m", "tests.durability.suicide", str(tmp_path / "store.db"), "one-by-one"]
    command += ["--at", "10000", "--synchronous", synchronous]
    process = subprocess.run([*traced, *command], cwd=ROOT, capture_output=True, timeout=60, check=False)
    if b"ptrace" in process.stderr:
        pytest.skip("tracing is not allowed here")
    assert process.returncode == 0, process.stderr
    done = calls((tmp_path / "trace").read_text())
    assert done.count("told") == 12
    assert "log" in done
    assert (told_unflushed(done) > 0) == (synchronous == "normal")
