"""The commands on a PostgreSQL database, each in a process of its own. None prints the password of the URL."""

from __future__ import annotations

import asyncio
import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sessionstream import Cursors
from sessionstream.hydration import stores
from tests.hub.support import texts
from tests.servers.postgres import Postgres

from .app import BROKEN, with_store, write
from .conftest import Run
from .test_check import BY_HAND, fill, said
from .test_command import MODULE, ran
from .test_tracebacks import WHERE

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


def test_delete(url: str) -> None:
    assert answered(url, "delete", "t", "--dry-run")["events"] == 3
    assert answered(url, "delete", "t")["entities"] == 1
    assert [each["sessionId"] for each in answered(url, "inspect")["sessions"]] == ["s"]


def test_check_a_good_database(url: str) -> None:
    assert answered(url, "check", *APP) | {"store": ""} == {
        "store": "",
        "command": "check",
        "sessions": 2,
        "deleted": 0,
        "events": 6,
        "compared": 1,
        "uncompared": 1,
        "problems": [],
        "readable": None,
    }


def test_check_finds_what_is_wrong_in_a_database(url: str, postgres: Postgres, postgres_schema: str) -> None:
    wrong = {
        "log": ("UPDATE sessions SET event_cursor = 2, timeline_cursor = 2", "event 3 is above the event cursor, 2"),
        "timeline": ("UPDATE sessions SET timeline_cursor = 4", "the timeline cursor, 4, is above the event cursor, 3"),
        "floor": ("UPDATE sessions SET floor = 4", "the floor, 4, is above the timeline cursor, 3"),
        "entity": ("UPDATE sessions SET timeline_cursor = 2", "while the timeline is at 2"),
    }
    for session_id in wrong:
        write(url, "a", "b", "c", session_id=session_id)

    changes = [f"{change} WHERE session_id = '{session_id}'" for session_id, (change, _) in wrong.items()]
    asyncio.run(changed(postgres, postgres_schema, *changes))
    done = ran(*MODULE, "check", url)
    assert (done.returncode, done.stderr) == (1, "")
    found = dict(line.split(maxsplit=1) for line in reversed(done.stdout.splitlines()[3:]))
    assert set(found) == set(wrong)
    for session_id, (_, what) in wrong.items():
        assert what in done.stdout, session_id


@pytest.mark.parametrize("change", BY_HAND)
def test_what_a_change_by_hand_has_broken_between_tables_is_found(
    run: Run, url: str, postgres: Postgres, postgres_schema: str, change: str
) -> None:
    fill(url)
    assert "nothing is wrong" in run("check", url).out
    asyncio.run(changed(postgres, postgres_schema, change))
    assert said(run, url) == BY_HAND[change]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            "DROP INDEX events_by_id",
            "index events_by_id is missing; to create it again: "
            'CREATE UNIQUE INDEX events_by_id ON "SCHEMA".events (sid, event_id)',
        ),
        ("ALTER TABLE events DROP CONSTRAINT events_pkey", "index events_pkey is missing"),
        ("ALTER TABLE sessions DROP CONSTRAINT sessions_session_id_key", "index sessions_session_id_key is missing"),
        ("DROP TABLE discarded", "table discarded is missing"),
        ("ALTER TABLE entities DROP COLUMN depth", "column entities.depth is missing"),
    ],
)
def test_what_is_missing_of_the_tables_is_found(
    run: Run, url: str, postgres: Postgres, postgres_schema: str, change: str, what: str
) -> None:
    asyncio.run(changed(postgres, postgres_schema, change))
    assert said(run, url) == [("-", what.replace("SCHEMA", postgres_schema))]


async def changed(postgres: Postgres, schema: str, *statements: str) -> None:
    """Change tables by hand."""
    db = await asyncpg.connect(postgres.dsn, server_settings={"search_path": schema})
    for statement in statements:
        await db.execute(statement)
    await db.close()


def test_where_the_app_failed_is_shown(run: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(WHERE, run("inspect", url, "--errors").lines[-1][5])
    (error,) = run("inspect", url, "--errors", "--traceback", "--json").document["errors"]
    assert error["traceback"].endswith("tests.hub.support.Broken: timeline bad\n")
    monkeypatch.setenv(BROKEN, "bad")
    for command, dry in product(("retry", "rebuild"), ((), ("--dry-run",))):
        failed = run(command, url, "t", *APP, *dry)
        assert (failed.status, failed.out) == (1, "")
        assert re.search(rf"failed at {WHERE} on event 'Said' \(session 't', ordinal 2\): Broken: timeline", failed.err)
        assert "in project_timeline" in run(command, url, "t", *APP, *dry, "--traceback").err
