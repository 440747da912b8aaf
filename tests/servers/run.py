"""What the processes of one test run share: a folder, and a pipe that closes when the run has ended.

pytest's own process, which is the controller of pytest-xdist's workers if there are some, makes both and holds the
pipe's writing end. Workers find them by an environment variable. A server that all workers share reads the pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

VARIABLE = "SESSIONSTREAM_TEST_RUN"

USED = "used"
"""A file in the folder: a server runs there, and its guard removes the folder."""


class Run:
    """The folder and the pipe. As a plugin it is registered in pytest's own process only."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sessionstream-", dir="/tmp"))
        self.folder.chmod(0o755)  # servers that refuse to run as root run as somebody else
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self._held = os.open(pipe, os.O_RDWR)  # opening it only to write waits for a reader
        os.environ[VARIABLE] = str(self.folder)

    def end(self) -> None:
        """Close the pipe, and remove the folder unless a guard does it."""
        os.close(self._held)
        if not (self.folder / USED).exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def pytest_unconfigure(self) -> None:
        self.end()


def begin(config: pytest.Config) -> None:
    """Begin a run, unless this is a worker of one."""
    if os.name == "posix" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Run())


def folder() -> Path:
    """Return the folder of this run."""
    return Path(os.environ[VARIABLE])


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder with a short path, as that of a Unix socket has to be, which others than root can enter."""
    folder = Path(tempfile.mkdtemp(prefix="server-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def alone(name: str) -> Iterator[Path]:
    """Keep other workers of this run out of the block; yield a path in the run's folder for what the block makes."""
    with (folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder() / name


def leave_to_guard() -> None:
    """Note that a server has started whose guard removes the folder in the end."""
    (folder() / USED).touch()


def until_the_end() -> int:
    """Return the pipe's reading end, as a file descriptor that the caller closes."""
    pipe = os.open(folder() / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # does not wait if the run has ended meanwhile
    os.set_blocking(pipe, True)
    return pipe
