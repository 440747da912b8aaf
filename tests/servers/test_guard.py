"""A guarded server ends with the process that started it, however that ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .guard import Guarded

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes by Linux's pidfd_open")

HOLDS = """
import sys, time
from pathlib import Path
from tests.servers.guard import Guarded
folder = Path(sys.argv[1])
print(Guarded(["sleep", "1000"], log=folder / "log", remove=folder).pid, flush=True)
time.sleep(1000)
"""


def guard_of(server: int) -> int:
    """Return the process id of a server's parent."""
    return int(Path(f"/proc/{server}/stat").read_text().split()[3])


def test_a_killed_run_leaves_no_server_and_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    run = subprocess.Popen([sys.executable, "-c", HOLDS, folder], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    server = int(run.stdout.readline())
    end = os.pidfd_open(server)
    guard = os.pidfd_open(guard_of(server))
    run.kill()
    run.communicate()
    for each in (end, guard):
        assert select.select([each], [], [], 10)[0]
        os.close(each)
    assert not folder.exists()


def test_a_server_ends_when_its_guard_is_killed(tmp_path: Path) -> None:
    server = Guarded(["sleep", "1000"], log=tmp_path / "log", user="nobody")
    end = os.pidfd_open(server.pid)
    os.kill(guard_of(server.pid), signal.SIGKILL)
    assert select.select([end], [], [], 10)[0]
    os.close(end)
    assert server.wait() == -signal.SIGKILL


def test_a_server_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    server = Guarded(["sleep", "1000"], log=tmp_path / "log", ends_on=signal.SIGCONT, patience=0.1)
    assert server.running
    server.end()
    assert not server.running


def test_a_command_that_cannot_be_started_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no-such-program"):
        Guarded(["no-such-program"], log=tmp_path / "log")
