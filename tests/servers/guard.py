"""Runs a server until the test run ends, even if the run is killed.

    python guard.py [--remove FOLDER] [--user NAME] --patience SECONDS SIGNAL COMMAND…

The guard starts the command, prints its process id, and waits until the command ends or its own standard input, a pipe
of the test run, is closed. The kernel closes that pipe however the run ends. Then the guard sends the signal, and kills
what has not ended after some seconds. It ends itself when no child of the server is left, and removes the folder.

This file is run as a script and imports only the standard library, so that it starts at once.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class Guarded:
    """A server that a guard runs.

    Args:
        command: what to run.
        log: receives what the server prints.
        ends_on: the signal by which the server ends in good order.
        user: who runs the server, if the tests run as root.
        remove: a folder that the guard removes at the end.
        until: the guard ends the server when the other end of this pipe is closed; by default with this process, or by
            ``end``.
        patience: seconds that the server has to end after the signal, before it is killed.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        ends_on: signal.Signals = signal.SIGTERM,
        user: str | None = None,
        remove: Path | None = None,
        until: int = subprocess.PIPE,
        patience: float = 5.0,
    ) -> None:
        options: list[str | Path] = ["--patience", str(patience)]
        if remove is not None:
            options += ["--remove", remove]
        if user is not None and os.geteuid() == 0:
            options += ["--user", user]
        self._log = log
        with log.open("ab") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, *options, ends_on.name, *command],
                stdin=until,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,  # Ctrl-C in a terminal ends the run, and the run ends the server
            )
        assert self._guard.stdout is not None
        self._said = self._guard.stdout
        self.pid = int(self._said.readline() or 0)
        """The server's process id."""
        if not self.pid:
            self.wait()
            raise self._failed(command[0])
        self._name = command[0]

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Ask again and again whether the server is ready, until it is.

        Raises:
            RuntimeError: it has ended instead; with its log.
        """
        while not ready():
            if not self.running:
                self.wait()
                raise self._failed(self._name)
            time.sleep(0.005)

    def _failed(self, name: str | Path) -> RuntimeError:
        return RuntimeError(f"{name} has not started:\n{self._log.read_text()}")

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._guard.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait until the server and its children have ended; return its exit status."""
        status = self._guard.wait()
        self._said.close()
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        return status

    def leave(self) -> None:
        """Look after the server no more: it ends when the pipe is closed."""
        self._guard.returncode = 0  # or Popen warns of a process that nobody has waited for
        self._said.close()

    def end(self) -> None:
        """End the server in good order, if it runs."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self.wait()


def listens(path: Path) -> bool:
    """Return whether a server listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def folder_for(user: str, folder: Path) -> None:
    """Make a folder of the user who runs the server, if the tests run as root."""
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, user, "nogroup")


def main() -> int:
    """Run a command as the module's docstring says; return its exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--remove", type=Path)
    parser.add_argument("--user")
    parser.add_argument("--patience", type=float, required=True)
    parser.add_argument("signal", type=lambda name: signal.Signals[name])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    control = ctypes.CDLL(None).prctl if sys.platform == "linux" else lambda *_: None
    control(_PR_SET_CHILD_SUBREAPER, 1)  # the children of a server that ends are left to the guard
    server = subprocess.Popen(
        args.command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
        user=args.user,
        group="nogroup" if args.user == "nobody" else None,
        extra_groups=None if args.user is None else [],
        cwd="/",
        preexec_fn=lambda: control(_PR_SET_PDEATHSIG, args.signal),  # it ends also when the guard is killed
    )
    print(server.pid, flush=True)
    threading.Thread(target=_end_with_the_pipe, args=(server, args.signal, args.patience), daemon=True).start()
    status = server.wait()
    with contextlib.suppress(ChildProcessError):
        while True:  # until none of its children is left
            os.wait()
    if args.remove is not None:
        shutil.rmtree(args.remove, ignore_errors=True)
    return status


def _end_with_the_pipe(server: subprocess.Popen[bytes], number: signal.Signals, patience: float) -> None:
    while os.read(0, 1):
        pass
    server.send_signal(number)
    try:
        server.wait(patience)
    except subprocess.TimeoutExpired:
        server.kill()


if __name__ == "__main__":
    sys.exit(main())
