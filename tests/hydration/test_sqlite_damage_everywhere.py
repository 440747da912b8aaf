"""A wrong value in any column of any table: only our own errors come out, and they say where it is."""

from __future__ import annotations

import asyncio
import io
import shutil
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, closing, redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from sessionstream import (
    ErrorRecord,
    RetentionPolicy,
    SessionstreamError,
    SQLiteStore,
    StoreDamaged,
    TimelineReplacement,
)
from sessionstream.admin.cli import main
from sessionstream.hub import turn
from sessionstream.hydration.sqlite import SQLiteFile, writes
from sessionstream.hydration.sqlite.columns import COLUMNS
from tests.admin.app import app_on
from tests.hub.support import App, registry, said, say

WRONG: dict[str, Any] = {"a float": 1.5, "a text": "x", "a blob": b"\xff\x00", "nothing": None}
WRONGER: dict[str, Any] = {
    "a huge integer": 2**62,
    "an integer": 7,
    "a negative integer": -5,
    "a text that is not UTF-8": "CAST(x'ff' AS TEXT)",
}
LATER = datetime.max.replace(tzinfo=UTC)
ONLY_COMPARED = {
    "timelines.timeline",
    "timelines.sid",
    "sessions.sid",
    "events.sid",
    "entities.timeline",
    "entity_versions.timeline",
    "entity_versions.kind",
    "entity_versions.id",
    "entity_versions.superseded",
    "command_claims.claimed_at",
    *(f"{table}.{column}" for table in ("nodes", "ui_events") for column in COLUMNS[table]),
    "errors.seq",
    "meta.key",
    "payload_types.type",
}
"""What a row is found by, or not, and never read."""


@cache
def intact() -> Path:
    """A file with something in every table, without the constraints that keep NULL out."""
    path = Path(mkdtemp()) / "x.db"

    async def fill() -> None:
        async with SQLiteStore.open(path, registry()) as store:
            app = app_on(store, "bad")
            app.hub.register_command("Say", lambda command, session, publisher: None)
            for session_id in ("s", "p"):
                for number in range(8):
                    event = said("a long text " * 9, session_id, event_id=f"id-{number}")
                    await app.hub.publish(replace(event, metadata={"a": "b"}))
                await app.hub.publish(said("", session_id, entity="2"))
                await app.hub.publish(said("", session_id, entity="2", status="delete"))
                await app.hub.submit(session_id, "Say", say(), idempotency_key="key")
                await store.record_error(ErrorRecord("decode", session_id, 1, "Said", "wrong", b"raw", {"a": "b"}))
            for _ in range(2):
                with pytest.raises(SessionstreamError):
                    await app.hub.publish(said("bad", "s"))
            await store._write(lambda writing: writes.prune(writing, "p", 5))  # what is discarded is still there

    asyncio.run(fill())
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO nodes VALUES ('node', 1)")
        db.execute("INSERT INTO ui_events VALUES (1, 's', 1, 0, 1, 'node', x'00', 1)")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')")
        db.commit()
    return path


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    intact()  # where no event loop runs yet
    monkeypatch.setattr(turn, "MAX_ATTEMPTS", 20)  # where events are missing, each retry loses the race


def columns() -> list[str]:
    return [f"{table}.{column}" for table, names in COLUMNS.items() for column in names]


def test_every_column_of_the_file_is_here() -> None:
    with closing(sqlite3.connect(intact())) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {f"{table}.{row[1]}" for table in tables for row in db.execute(f"PRAGMA table_info({table})")}
        assert all(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    assert {each for each in found if not each.startswith("sqlite_")} == set(columns())


def damage(path: Path, column: str, value: Any) -> bool:
    """Put a value into all rows; into one, if they must differ. Return whether SQLite takes it, and not as a text."""
    table, name = column.split(".")
    spelled = isinstance(value, str) and value.startswith("CAST")
    key = "rowid" if has_rowid(table) else name
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for where in ("", f"WHERE {key} = (SELECT max({key}) FROM {table})"):
            try:
                wanted = f"UPDATE {table} SET {name} = {value if spelled else '?'} {where}"
                db.execute(wanted, () if spelled else (value,))
            except sqlite3.IntegrityError:
                continue
            kinds = db.execute(f"SELECT DISTINCT typeof({name}) FROM {table}").fetchall()
            return isinstance(value, str) or kinds != [("text",)]
    return False


def likely(column: str) -> dict[str, Any]:
    """Return the wrong values that a column is tried with where time is short: nothing, and such of other types."""
    table, name = column.split(".")
    cls = COLUMNS[table][name].cls
    others = ["a blob"] if cls is str else ["a float"] if cls is bytes else ["a float", "a text"]
    return {kind: WRONG[kind] for kind in ("nothing", *others)}


def has_rowid(table: str) -> bool:
    return table not in ("meta", "entities", "command_claims", "discarded", "nodes")


Ask = Callable[[SQLiteStore, App], Awaitable[object]]


async def rebuilt(store: SQLiteStore, app: App) -> None:
    cursors = await store.cursors("s")
    await store.replace_timeline(TimelineReplacement("s", (), cursors.timeline, cursors))


async def told(store: SQLiteStore, app: App) -> None:
    policy = RetentionPolicy(keep_for=timedelta(days=1), keep_errors=timedelta(days=1), delete_idle=timedelta(days=9))
    async for _ in policy.apply(store):
        pass


ASKED: dict[str, Ask] = {
    "cursors": lambda store, app: store.cursors("s"),
    "snapshot": lambda store, app: store.snapshot("s"),
    "as_of": lambda store, app: store.snapshot("s", as_of=3),
    "as_of pruned": lambda store, app: store.snapshot("p", as_of=6),
    "since": lambda store, app: store.snapshot("s", since=3),
    "events": lambda store, app: store.events("s"),
    "find_event": lambda store, app: store.find_event("s", "id-3"),
    "find_event pruned": lambda store, app: store.find_event("p", "id-3"),
    "timeline": lambda store, app: store.timeline("s"),
    "ordinal_before": lambda store, app: store.ordinal_before("s", LATER),
    "ordinal_from_end": lambda store, app: store.ordinal_from_end("s", 2),
    "error_records": lambda store, app: store.error_records(),
    "error_records of one": lambda store, app: store.error_records("s"),
    "sessions": lambda store, app: store.sessions(),
    "changes": lambda store, app: store.changes(),
    "submit": lambda store, app: app.hub.submit("s", "Say", say(), idempotency_key="key"),
    "claim": lambda store, app: store.claim_command("s", "key", b"digest"),
    "claim another": lambda store, app: store.claim_command("s", "new", b"digest"),
    "end": lambda store, app: store.end_command("s", "new", finished=True),
    "release": lambda store, app: store.release_command("s", "new"),
    "check_writable": lambda store, app: store.check_writable(),
    "record": lambda store, app: store.record_error(ErrorRecord("store", "s", 1, "", "")),
    "hub.snapshot": lambda store, app: app.hub.snapshot("s"),
    "publish": lambda store, app: app.hub.publish(said("more", "p")),
    "publish held": lambda store, app: app.hub.publish(said("more", "s")),
    "publish again": lambda store, app: app.hub.publish(said("a long text " * 9, "s", event_id="id-3")),
    "publish what is pruned again": lambda store, app: app.hub.publish(said("other", "p", event_id="id-3")),
    "retry": lambda store, app: app.hub.retry_timeline("s"),
    "rebuild": lambda store, app: app.hub.rebuild_timeline("s"),
    "replace_timeline": rebuilt,
    "forget_errors": lambda store, app: store.forget_errors("s", LATER),
    "forget_claims": lambda store, app: store.forget_claims("s", LATER),
    "retention": told,
    "prune": lambda store, app: store.prune("s", before=6),
    "delete": lambda store, app: store.delete_session("p"),
    "close": lambda store, app: store.close(),
}
LOOKED: tuple[Callable[[SQLiteFile], object], ...] = (
    lambda file: [file.session(session_id) for session_id in file.sessions()],
    lambda file: file.session("s"),
    lambda file: file.timeline("s"),
    lambda file: file.timeline("s", as_of=3),
    lambda file: file.events("s"),
    lambda file: file.events("p"),
    lambda file: file.count_events("s"),
    lambda file: file.ordinal_from_end("s", 2),
    lambda file: file.error_records(),
)
COMMANDS = (
    "inspect FILE",
    "inspect FILE --json --errors",
    "inspect FILE --session s --events --errors",
    "inspect FILE --session s --json --as-of 3",
    "retry FILE s --app tests.admin.app:make --dry-run",
    "rebuild FILE s --app tests.admin.app:make --dry-run",
    "prune FILE s --keep-events 2 --dry-run",
    "rebuild FILE s --app tests.admin.app:make",
    "prune FILE p --before 7",
)


def run(path: Path, command: str) -> int:
    """Run a command on a copy of the file; return how it ended."""
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return main([str(copy) if word == "FILE" else word for word in command.split()])


async def asked(path: Path) -> AsyncGenerator[tuple[str, Exception], None]:
    """Call everything; yield what was called, and what it raised."""
    try:
        store = await SQLiteStore.open(path, registry())
    except SessionstreamError as error:
        yield "open", error
        return
    app = app_on(store)
    app.hub.register_command("Say", lambda command, session, publisher: None)
    for name, ask in ASKED.items():
        try:
            await ask(store, app)
        except Exception as error:  # noqa: BLE001 - judged by the caller
            yield name, error


def looked(file: SQLiteFile) -> list[sqlite3.Error]:
    """Ask everything; return what was raised, which becomes our own error where it leaves the question."""
    raised = []
    for ask in LOOKED:
        try:
            ask(file)
        except SessionstreamError:
            continue
        except sqlite3.Error as error:
            raised.append(error)
    return raised


def looking(path: Path) -> list[Exception]:
    """Return everything that comes of looking into a file."""
    found: list[Exception] = []
    try:
        raised = SQLiteStore.look(path, looked)
    except SessionstreamError as error:
        return [error]
    for each in raised:
        try:
            SQLiteStore.look(path, partial(throw, each))
        except Exception as outcome:  # noqa: BLE001 - judged by the caller
            found.append(outcome)
    return found


def throw(error: sqlite3.Error, _: SQLiteFile) -> None:
    raise error


async def everything(path: Path) -> AsyncGenerator[tuple[str, Exception], None]:
    for error in await asyncio.to_thread(looking, path):
        yield "look", error
    async for each in asked(path):
        yield each


def damaged(path: Path, column: str, kinds: dict[str, Any]) -> Iterator[str]:
    """Damage a fresh copy of the file in every way that SQLite takes."""
    for wrong, value in kinds.items():
        shutil.copyfile(intact(), path)
        if damage(path, column, value):
            yield wrong


@pytest.mark.parametrize("column", columns())
async def test_a_wrong_value_is_an_error_that_says_where_it_is(
    tmp_path: Path, column: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, found = tmp_path / "x.db", set()
    for wrong in damaged(path, column, likely(column)):
        async with aclosing(everything(path)) as calls:
            async for name, error in calls:
                assert isinstance(error, SessionstreamError), (wrong, name, error)
                if isinstance(error, StoreDamaged):
                    assert error.name == str(path)
                    for each in (error.name, error.table, error.row, error.column):
                        assert each in str(error), (wrong, name)
                    found.add(f"{error.table}.{error.column}")
    if column.startswith("discarded."):  # nobody asked for that: it is logged
        assert found == set()
        assert "in table discarded is " in caplog.text
    else:
        assert (column in found) == (column not in ONLY_COMPARED)


@pytest.mark.parametrize("column", columns())
def test_a_command_says_where_a_wrong_value_is(tmp_path: Path, column: str) -> None:
    commands = cycle(COMMANDS[columns().index(column) % len(COMMANDS) :] + COMMANDS)
    for command, _ in zip(commands, damaged(tmp_path / "x.db", column, likely(column)), strict=False):
        assert run(tmp_path / "x.db", command) in (0, 1, 2)


@pytest.mark.torture
@pytest.mark.parametrize("column", columns())
async def test_every_command_and_call_on_every_wrong_value(tmp_path: Path, column: str) -> None:
    path = tmp_path / "x.db"
    for _ in damaged(path, column, WRONG | WRONGER):
        for command in COMMANDS:
            assert await asyncio.to_thread(run, path, command) in (0, 1, 2)
        async with aclosing(everything(path)) as calls:
            async for name, error in calls:
                assert isinstance(error, SessionstreamError), (name, error)
