"""Rows that something else has changed: a StoreDamaged that says where, and a removal that goes past them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from sessionstream import (
    ErrorRecord,
    Event,
    Hub,
    RetentionPolicy,
    SessionstreamError,
    StoreDamaged,
    UIEvent,
)
from sessionstream.admin.cli import main
from sessionstream.hydration.postgres import PostgresStore, changes, upkeep
from sessionstream.hydration.postgres.inspection import PostgresTables
from sessionstream.store import TimelineReplacement
from sessionstream.testing import SessionWriter, put, sample_registry
from tests.hub.support import App, registry, said, say
from tests.servers.postgres import Postgres

from .sweeping import Time, standing_clock

HOUR = timedelta(hours=1)
RECENT = timedelta(minutes=30)


@asynccontextmanager
async def tables(postgres: Postgres, schema: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(postgres.dsn, server_settings={"search_path": schema})
    try:
        yield connection
    finally:
        await connection.close()


async def fill(dsn: str, schema: str) -> None:
    """Something in every table; in session ``p``, what was pruned is not removed yet."""
    async with PostgresStore.connect(dsn, registry(), schema=schema) as store:
        app = App(store)
        app.hub.register_command("Say", lambda command, session, publisher: None)
        for session_id in ("s", "p"):
            for number in range(4):
                event = said("a long text " * 9, session_id, event_id=f"id-{number}")
                await app.hub.publish(replace(event, metadata={"a": "b"}))
            await app.hub.submit(session_id, "Say", say(), idempotency_key="key")
            await store.record_error(ErrorRecord("decode", session_id, 1, "Said", "wrong", b"raw", {"a": "b"}))
        await store._links.change(lambda link: changes.prune(link, "p", 3))
        await app.hub.shutdown()


@pytest.fixture(scope="module")
def filled(postgres: Postgres) -> str:
    schema = f"test_{secrets.token_hex(8)}"
    asyncio.run(fill(postgres.dsn, schema))
    return schema


Ask = Callable[[PostgresStore], Awaitable[object]]
ASKED: dict[str, Ask] = {
    "cursors": lambda store: store.cursors("s"),
    "snapshot": lambda store: store.snapshot("s"),
    "as_of": lambda store: store.snapshot("s", as_of=2),
    "since": lambda store: store.snapshot("s", since=2),
    "events": lambda store: store.events("s"),
    "find_event": lambda store: store.find_event("s", "id-3"),
    "find_event pruned": lambda store: store.find_event("p", "id-1"),
    "timeline": lambda store: store.timeline("s"),
    "error_records": lambda store: store.error_records(),
    "sessions": lambda store: store.sessions(),
    "changes": lambda store: store.changes(),
    "claim": lambda store: store.claim_command("s", "key", b"digest"),
}
LOOKED: tuple[Callable[[PostgresTables], object], ...] = (
    lambda state: [state.session(session_id) for session_id in state.sessions()],
    lambda state: state.timeline("s"),
    lambda state: state.timeline("s", as_of=2),
    lambda state: state.events("s"),
    lambda state: state.pruned_events("p"),
    lambda state: state.versions("s"),
    lambda state: state.claims("s"),
    lambda state: state.error_records(),
    lambda state: state.numbered_errors("s"),
)
COMMANDS = ("inspect URL --errors", "inspect URL --session s --events --json", "inspect URL --session s --as-of 2")
WRONG = {
    "events.name": ("NULL",),
    "events.payload": ("NULL",),
    "events.metadata": ("'x'", "'[]'"),
    "entities.payload": ("NULL",),
    "entity_versions.payload": ("NULL",),
    "errors.ordinal": ("'x'",),
    "errors.metadata": ("'x'", "'[]'"),
    "payload_types.descriptors": (r"'\xff'", "''"),
    "sessions.event_cursor": ("-5",),
    "sessions.timeline_cursor": ("-5",),
    "sessions.epoch": ("-5",),
    "sessions.floor": ("-5",),
}
ONLY_SHOWN = {"entity_versions.encoding", "events.recorded_at", "command_claims.digest", "payload_types.name"}
"""Every value of their types is one that the store may read, or a payload that cannot be read."""


def looked(state: PostgresTables) -> list[Exception]:
    """Ask everything; return what was raised."""
    raised: list[Exception] = []
    for ask in LOOKED:
        try:
            ask(state)
        except Exception as error:  # noqa: BLE001 - judged by the caller
            raised.append(error)
    return raised


async def everything(postgres: Postgres, schema: str) -> list[tuple[str, Exception]]:
    """Ask everything; return what was asked and what it raised."""
    found = [
        ("look", each) for each in await asyncio.to_thread(PostgresStore.look, postgres.dsn, looked, schema=schema)
    ]
    async with PostgresStore.connect(postgres.dsn, registry(), schema=schema) as store:
        for name, ask in ASKED.items():
            try:
                await ask(store)
            except Exception as error:  # noqa: BLE001 - judged by the caller
                found.append((name, error))
    return found


@asynccontextmanager
async def damaged(postgres: Postgres, schema: str, column: str, wrong: str) -> AsyncIterator[None]:
    """Have all rows of a table hold a wrong value in a column."""
    table, name = column.split(".")
    async with tables(postgres, schema) as connection:
        await connection.execute(f"CREATE TABLE kept AS TABLE {table}; UPDATE {table} SET {name} = {wrong}")
        try:
            yield
        finally:
            await connection.execute(
                f"TRUNCATE {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE kept; DROP TABLE kept"
            )


@pytest.mark.parametrize(("column", "wrong"), [(column, wrong) for column, values in WRONG.items() for wrong in values])
async def test_a_wrong_value_is_an_error_that_says_where_it_is(
    postgres: Postgres, filled: str, column: str, wrong: str
) -> None:
    async with damaged(postgres, filled, column, wrong):
        raised = await everything(postgres, filled)
        url = f"{postgres.dsn}&schema={filled}"
        words = COMMANDS[len(column + wrong) % len(COMMANDS)].replace("URL", url).split()
        assert await asyncio.to_thread(main, words) in (0, 1, 2)
    places = set()
    for name, error in raised:
        assert isinstance(error, SessionstreamError), (name, error)
        if isinstance(error, StoreDamaged):
            places.add(f"{error.table}.{error.column}")
            for part in (error.name, error.table, error.row, error.column, "restore it from a backup"):
                assert part in str(error), name
    assert places == {column}


@pytest.mark.parametrize("column", sorted(ONLY_SHOWN))
async def test_a_value_that_may_be_is_no_damage(postgres: Postgres, filled: str, column: str) -> None:
    value = {"events.recorded_at": "'infinity'", "command_claims.digest": "''", "payload_types.name": "'no.' || type"}
    async with damaged(postgres, filled, column, value.get(column, "7")):
        for name, error in await everything(postgres, filled):
            assert isinstance(error, SessionstreamError), (name, error)


# -- removal ---------------------------------------------------------------------------------------------------


REMOVING: dict[str, Callable[[PostgresStore], Awaitable[object]]] = {
    "prune": lambda store: store.prune("session", before=3),
    "delete": lambda store: store.delete_session("session"),
    "rebuild": lambda store: rebuilt(store),
}
UNREMOVABLE = {
    "what is nobody's": "INSERT INTO discarded (what, number, at) VALUES ('a rag', 1, '-infinity')",
    "an event without payload": """WITH wrong AS (UPDATE events SET payload = NULL WHERE sid =
        (SELECT sid FROM sessions WHERE session_id = 'damaged'))
        INSERT INTO discarded (what, number, below, at)
        SELECT 'events', sid, 3, '-infinity' FROM sessions WHERE session_id = 'damaged'""",
    "an event of a type that is missing": """WITH wrong AS (UPDATE events SET type = 99 WHERE sid =
        (SELECT sid FROM sessions WHERE session_id = 'damaged'))
        INSERT INTO discarded (what, number, below, at)
        SELECT 'events', sid, 3, '-infinity' FROM sessions WHERE session_id = 'damaged'""",
}


async def rebuilt(store: PostgresStore) -> object:
    cursors = await store.cursors("session")
    return await store.replace_timeline(TimelineReplacement("session", (), cursors.timeline, cursors))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    return standing_clock(monkeypatch)


@pytest.mark.parametrize("wrong", UNREMOVABLE)
@pytest.mark.parametrize("removing", REMOVING)
async def test_what_cannot_be_removed_hinders_nobody_and_is_recorded_once(
    postgres: Postgres, postgres_schema: str, clock: Time, caplog: pytest.LogCaptureFixture, removing: str, wrong: str
) -> None:
    def warnings() -> int:
        return sum("will be tried again" in each.getMessage() for each in caplog.records)

    async with (
        PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store,
        tables(postgres, postgres_schema) as connection,
    ):
        for session_id in ("session", "damaged"):
            writer = SessionWriter(store, session_id)
            for text in ("one", "two", "three"):
                await writer.log(put("a", text))
        await connection.execute(UNREMOVABLE[wrong])
        job = await connection.fetch("SELECT what, number FROM discarded")
        before = await store.cursors("session")
        await REMOVING[removing](store)
        after = await store.cursors("session")
        assert (after.epoch, after.floor) != (before.epoch, before.floor)
        assert await connection.fetch("SELECT what, number FROM discarded") == job  # all the rest was removed
        (failure,) = await store.error_records("")
        assert (failure.kind, list(failure.metadata), warnings()) == ("store", ["discarded"], 1)
        await store.prune("nobody", before=1)
        assert warnings() == 1  # it is not tried again at once
        clock.now += 1.1
        await store.prune("nobody", before=1)
        assert warnings() == 2
        assert await store.error_records("") == [failure]


async def test_clients_are_told_of_a_rebuild_whose_removal_fails(postgres: Postgres, postgres_schema: str) -> None:
    told: list[tuple[str, int, int]] = []

    class Fanout:
        def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent]) -> None: ...

        def resync(self, session_id: str, ordinal: int, epoch: int) -> None:
            told.append((session_id, ordinal, epoch))

    async with (
        PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store,
        tables(postgres, postgres_schema) as connection,
        Hub(sample_registry(), store=store, fanout=Fanout()) as hub,
    ):
        event = SessionWriter(store).step(put("a")).event
        assert event is not None
        await hub.publish(Event(event.name, event.payload, "session"))
        await connection.execute("DROP TABLE entity_versions")
        told.clear()
        report = await hub.rebuild_timeline("session")
        assert told == [("session", 1, report.epoch)]


async def test_a_long_removal_does_not_keep_a_process_from_saying_that_it_is_there(
    postgres: Postgres, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BEAT_SECONDS", 0.01)
    removing, beats = asyncio.Event(), asyncio.Queue[None]()

    async def remove_for_ever(self: upkeep.Upkeep) -> None:
        removing.set()
        await asyncio.Event().wait()

    async def beat(self: upkeep.Upkeep, link: object) -> bool:
        beats.put_nowait(None)
        return True

    monkeypatch.setattr(upkeep.Upkeep, "remove", remove_for_ever)
    monkeypatch.setattr(upkeep.Upkeep, "_beat", beat)
    async with PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema), asyncio.timeout(30):
        await removing.wait()
        for _ in range(beats.qsize() + 3):
            await beats.get()


# -- time ------------------------------------------------------------------------------------------------------


async def test_a_clock_of_the_server_that_goes_back_takes_nothing_with_it(
    postgres: Postgres, postgres_schema: str
) -> None:
    """The server's clock cannot be set, so its past is put into the future."""
    async with (
        PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store,
        tables(postgres, postgres_schema) as connection,
    ):
        writer = SessionWriter(store)
        for text in ("one", "two"):
            await writer.log(put("a", text))
        await store.claim_command("session", "1", b"")
        await store.record_error(ErrorRecord("store", "session", 1, "", ""))
        for sql in (
            "UPDATE sessions SET last_time = last_time + interval '9 years'",
            "UPDATE events SET recorded_at = recorded_at + interval '9 years'",
            "UPDATE command_claims SET claimed_at = claimed_at + interval '9 years'",
            "UPDATE errors SET recorded_at = recorded_at + interval '9 years'",
        ):
            await connection.execute(sql)
        await writer.log(put("a", "three"))
        await store.claim_command("session", "2", b"")
        await store.record_error(ErrorRecord("store", "session", 2, "", ""))
        for column in ("recorded_at FROM events", "recorded_at FROM errors", "claimed_at FROM command_claims"):
            times = [row[0] for row in await connection.fetch(f"SELECT {column} ORDER BY 1")]
            assert times[-1] - times[0] < RECENT
        policy = RetentionPolicy(keep_for=HOUR, keep_errors=HOUR, keep_keys=HOUR, delete_idle=HOUR)
        async for _ in policy.apply(store):
            pass
        assert len(await store.events("session")) == 3
        assert len(await store.error_records("session")) == 2
