"""PgBouncer, a pooler that lends its server connections for one transaction each."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from .guard import Guarded, folder_for, listens
from .postgres import USER, Postgres

_SETTINGS = """
[databases]
* = host={server} port=5432
[pgbouncer]
listen_addr =
listen_port = 5432
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 10
max_client_conn = 200
"""


class PgBouncer(Postgres):
    """A pooler before a server, with Debian's settings and pooling by transaction.

    Args:
        folder: what it makes and writes to.
        server: where it gets its connections.
        program: ``pgbouncer``.
    """

    def __init__(self, folder: Path, server: Postgres, program: Path) -> None:
        super().__init__(folder)
        folder_for(USER, folder)
        (folder / "users").write_text('"postgres" ""\n')
        (folder / "settings").write_text(_SETTINGS.format(folder=folder, server=server.sockets))
        self._process = Guarded([program, folder / "settings"], log=folder / "log", ends_on=signal.SIGQUIT, user=USER)
        self._process.wait_until(lambda: listens(self.socket))

    def end(self) -> None:
        """End it; its clients lose their connections."""
        self._process.end()


def program() -> Path | None:
    """Return the path of ``pgbouncer``, or None if it is not installed."""
    found = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
    return None if found is None else Path(found)
