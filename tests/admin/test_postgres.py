"""The commands on a PostgreSQL database, each in a process of its own. None prints the password of the URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sessionstream import Cursors
from sessionstream.hydration import stores
from tests.hub.support import texts
from tests.servers.postgres import Postgres

from .app import with_store, write
from .test_command import MODULE, ran

APP = ("--app", "tests.admin.app:make")


@pytest.fixture
def url(postgres: Postgres, postgres_schema: str) -> str:
    """A database with session ``s`` (three events), and session ``t``, held by its second of three."""
    url = f"{postgres.dsn.replace('postgres@', 'postgres:secret@')}&schema={postgres_schema}"
    write(url, "a", "b", "c")
    write(url, "x", "bad", "y", session_id="t", broken=["bad"])
    return url


def answered(url: str, command: str, *arguments: str) -> Any:
    done = ran(*MODULE, command, url, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "secret" not in done.stdout
    return json.loads(done.stdout)


def cursors(url: str, session_id: str) -> Cursors:
    return with_store(url, lambda store: store.cursors(session_id))


def test_inspect(url: str) -> None:
    listed = answered(url, "inspect")
    assert listed["store"] == stores.shown(url)
    assert [(each["sessionId"], each["waiting"]) for each in listed["sessions"]] == [("s", 0), ("t", 2)]
    seen = answered(url, "inspect", "--session", "s", "--as-of", "2")
    assert [each["payload"]["text"] for each in seen["timeline"]["entities"]][:1] == ["ab"]


def test_retry(url: str) -> None:
    assert answered(url, "retry", "t", *APP, "--dry-run")["dryRun"] is True
    assert cursors(url, "t").held
    assert answered(url, "retry", "t", *APP)["events"] == 2
    assert texts(with_store(url, lambda store: store.snapshot("t")))["1"] == "xbady"


def test_rebuild(url: str) -> None:
    before = cursors(url, "s").epoch
    answered(url, "rebuild", "s", *APP)
    assert cursors(url, "s").epoch != before
    assert texts(with_store(url, lambda store: store.snapshot("s")))["1"] == "abc"


def test_prune(url: str) -> None:
    answered(url, "prune", "s", "--keep-events", "1")
    assert cursors(url, "s").floor == 3


def test_a_database_without_sessions_is_wrong_usage(postgres: Postgres, tmp_path: Path) -> None:
    url = f"{postgres.dsn.replace('postgres@', 'postgres:secret@')}&schema=nobody"
    for arguments, words in (
        (("retry", url, "s", *APP), "holds no sessions"),
        (("backup", url, tmp_path / "copy.db"), "pg_dump"),
    ):
        done = ran(*MODULE, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert "secret" not in done.stderr
