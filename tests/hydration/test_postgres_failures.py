"""PostgresStore while the server restarts, the network breaks, or a commit cannot be stored."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from unittest.mock import patch
from uuid import uuid4

import asyncpg
import pytest

from sessionstream import Hub
from sessionstream.errors import (
    CommitUnknown,
    EventConflict,
    OrdinalConflict,
    StoreClosed,
    StoreError,
    StoreUpgraded,
    Unstorable,
)
from sessionstream.hydration.postgres import PostgresStore, failures, schema
from sessionstream.hydration.postgres.connections import Link
from sessionstream.hydration.postgres.store import READERS
from sessionstream.observe import ErrorRecord
from sessionstream.retention import RetentionPolicy
from sessionstream.store import CommandClaim, TimelineReplacement
from sessionstream.testing import RecordingObserver, SessionWriter, put, sample_registry
from tests.servers.postgres import Postgres, PostgresServer
from tests.servers.proxy import Proxy

from .test_sqlite_locked import delta

HALF_A_MINUTE = 30.0


@asynccontextmanager
async def behind(
    postgres: Postgres, schema: str, patience: float = HALF_A_MINUTE
) -> AsyncIterator[tuple[PostgresStore, Proxy]]:
    """Connect a store through a proxy, and have it read once and commit once."""
    async with Proxy(postgres.socket) as proxy:
        dsn = postgres.dsn_at(proxy.port)
        async with PostgresStore.connect(dsn, sample_registry(), schema=schema, patience=patience) as store:
            yield store, proxy


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds, which others make true."""
    async with asyncio.timeout(HALF_A_MINUTE):
        while not await condition():  # noqa: ASYNC110 - processes of the server make it true
            await asyncio.sleep(0.01)


async def committing(store: PostgresStore, writer: SessionWriter, text: str = "x") -> asyncio.Future[None]:
    """Begin a commit, which is sent in the next turn of the loop, and remember it as if it succeeded."""
    commit = writer.step(put("a", text), epoch=(await store.cursors(writer.session_id)).epoch)
    outcome = store.commit(commit)
    writer.remember(commit)
    return asyncio.ensure_future(outcome)


async def whole(store: PostgresStore, writer: SessionWriter) -> None:
    """Check that a session has what its writer has written, once."""
    assert await store.events(writer.session_id) == writer.events
    assert (await store.snapshot(writer.session_id)).entities == writer.at(writer.timeline)
    for ordinal in range(writer.timeline):
        assert (await store.snapshot(writer.session_id, as_of=ordinal)).entities == writer.at(ordinal)


async def test_a_commit_whose_acknowledgement_is_lost_is_true_once(postgres: Postgres, postgres_schema: str) -> None:
    async with behind(postgres, postgres_schema) as (store, proxy):
        writer = SessionWriter(store)
        await writer.log(put("a"))
        outcome = await committing(store, writer)
        proxy.answers.drop()
        await proxy.answers.caught()
        proxy.cut()
        proxy.go_on()
        await outcome
        await writer.log(put("a", "y"))
        await whole(store, writer)


async def test_a_lost_commit_that_others_have_continued_is_known(postgres: Postgres, postgres_schema: str) -> None:
    async with (
        behind(postgres, postgres_schema) as (store, proxy),
        PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as other,
    ):
        writer = SessionWriter(store)
        await writer.log(put("a"))
        outcome = await committing(store, writer)
        proxy.answers.drop()
        await until(lambda: has_event(other, 2))
        writer.store = other
        await writer.log(put("a", "theirs"))
        proxy.cut()
        proxy.go_on()
        await outcome
        await whole(store, writer)


async def test_a_lost_commit_that_was_overtaken_is_a_conflict(postgres: Postgres, postgres_schema: str) -> None:
    async with (
        behind(postgres, postgres_schema) as (store, proxy),
        PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as other,
    ):
        writer = SessionWriter(store)
        await writer.log(put("a"))
        faster = writer.step(put("a", "theirs"), event_id="faster")
        outcome = await committing(store, writer)
        proxy.requests.drop()
        await proxy.requests.caught()
        await other.commit(faster)
        proxy.cut()
        proxy.go_on()
        with pytest.raises(OrdinalConflict):
            await outcome
        assert [event.event_id for event in await store.events("session")] == ["event-1", "faster"]


async def claim(store: PostgresStore) -> None:
    assert await store.claim_command("session", "key", b"digest") is None


async def rebuild(store: PostgresStore) -> None:
    before = await store.cursors("session")
    after = await store.replace_timeline(TimelineReplacement("session", (), 1, before))
    assert after.epoch != before.epoch


async def delete(store: PostgresStore) -> None:
    await store.delete_session("session")


async def record(store: PostgresStore) -> None:
    await store.record_error(ErrorRecord("store", "session", 1, "", "an error"))


@pytest.mark.parametrize("change", [claim, rebuild, delete, record])
async def test_a_change_whose_answer_is_lost_is_made_once(
    postgres: Postgres, postgres_schema: str, change: Callable[[PostgresStore], Awaitable[None]]
) -> None:
    async with behind(postgres, postgres_schema) as (store, proxy):
        await SessionWriter(store).log(put("a"))
        statement = "epoch = $" if change in (rebuild, delete) else "INSERT INTO"
        with lost_after(statement, proxy) as lost:
            await change(store)
        assert lost.is_set()
        assert len(await store.error_records()) == (change is record)
        assert (await store.cursors("session")).event == 1
        if change is claim:
            assert await store.claim_command("session", "key", b"other") == CommandClaim(b"digest")


@contextmanager
def lost_after(statement: str, proxy: Proxy) -> Iterator[asyncio.Event]:
    """Lose the answer to the first statement that contains a text, and cut its connection."""
    lost, fetch = asyncio.Event(), Link.fetch

    async def fetching(link: Link, sql: str, *values: object) -> list[asyncpg.Record]:
        answer = await fetch(link, sql, *values)
        if statement in sql and not lost.is_set():
            lost.set()
            proxy.cut()
            raise ConnectionResetError("the answer is lost")
        return answer

    with patch.object(Link, "fetch", fetching):
        yield lost


async def has_event(store: PostgresStore, ordinal: int) -> bool:
    return (await store.cursors("session")).event >= ordinal


async def test_a_connection_without_answers_holds_up_nothing_for_longer_than_patience(
    postgres: Postgres, postgres_schema: str
) -> None:
    async with behind(postgres, postgres_schema, patience=1.5) as (store, proxy):
        await SessionWriter(store).log(put("a"))
        await asyncio.gather(*(store.cursors("session") for _ in range(2)))  # over two connections, which stay open
        proxy.stall()
        began = asyncio.get_running_loop().time()
        commits = [store.commit(SessionWriter(store, f"s{number}").step(put("a"))) for number in range(150)]
        changed = store.claim_command("session", "key", b"digest")
        errors = await asyncio.gather(*commits, changed, store.cursors("session"), return_exceptions=True)
        assert {type(error) for error in errors} <= {CommitUnknown, StoreError}
        assert isinstance(errors[0], CommitUnknown)
        assert isinstance(errors[-2], CommitUnknown)
        assert type(errors[-1]) is StoreError
        assert "has not answered within 1.5 seconds: try again" in str(errors[-1])
        assert "password" not in str(errors[0])
        assert asyncio.get_running_loop().time() - began < 5
        async with asyncio.timeout(5):
            await store.close()


async def test_an_error_that_the_server_caused_is_not_waited_for_a_second_time(
    postgres: Postgres, postgres_schema: str
) -> None:
    """The hub keeps the record, and writes it when the server answers again."""
    async with behind(postgres, postgres_schema, patience=HALF_A_MINUTE / 3) as (store, proxy):
        await SessionWriter(store).log(put("a"))
        proxy.stall()
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreError):
            await record(store)
        assert asyncio.get_running_loop().time() - began < HALF_A_MINUTE / 6
        proxy.go_on()
        await record(store)


async def test_a_probe_does_not_wait_for_calls_that_have_all_connections(
    postgres: Postgres, postgres_schema: str
) -> None:
    async with behind(postgres, postgres_schema) as (store, proxy):
        await store.cursors("s")
        proxy.stall()
        calls = [asyncio.create_task(store.cursors(f"s{number}")) for number in range(READERS)]
        await proxy.requests.caught()
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreError, match="has not answered within 4 seconds"):
            await store.check_writable()
        assert asyncio.get_running_loop().time() - began < HALF_A_MINUTE / 3
        proxy.go_on()
        await asyncio.gather(*calls)


async def test_a_publish_during_an_outage_is_one_entry_of_the_log(
    postgres: Postgres, postgres_schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The record of its failure cannot be stored either, which says nothing more."""
    observer = RecordingObserver()
    async with (
        behind(postgres, postgres_schema, patience=2) as (store, proxy),
        Hub(store.registry, store=store, error_observer=observer.error) as hub,
    ):
        await hub.publish(delta())
        proxy.stall()
        with caplog.at_level(logging.ERROR, "sessionstream"), pytest.raises(CommitUnknown) as raised:
            await hub.publish(delta())
        (entry,) = [each for each in caplog.records if each.levelno == logging.ERROR]
        assert entry.exc_info is not None
        assert entry.exc_info[1] is raised.value
        proxy.go_on()
        await hub.publish(delta())
        assert await store.error_records() == observer.errors
        assert [each.kind for each in observer.errors] == ["store"]


async def test_commits_go_on_after_a_connection_has_broken(postgres: Postgres, postgres_schema: str) -> None:
    async with behind(postgres, postgres_schema, patience=6) as (store, proxy):
        writer = SessionWriter(store)
        await writer.log(put("a"))
        outcome = await committing(store, writer)
        proxy.stall()
        await proxy.requests.caught()
        proxy.cut()
        proxy.go_on()
        await outcome
        await whole(store, writer)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, None], ids=["fast", "immediate", "kill -9"])
async def test_commits_and_reads_wait_for_a_server_that_restarts(
    own_postgres: PostgresServer, how: signal.Signals | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sessionstream")
    async with PostgresStore.connect(own_postgres.dsn, sample_registry()) as store:
        writers = [SessionWriter(store, f"s{number}") for number in range(5)]
        stopped = asyncio.Event()

        async def write(writer: SessionWriter) -> None:
            while not stopped.is_set() or writer.event < 20:
                await writer.log(put("a", f"{writer.event} " * 300))
                assert (await store.cursors(writer.session_id)).event == writer.event

        writing = [asyncio.create_task(write(writer)) for writer in writers]
        await until(lambda: written(writers, 3))
        if how is None:
            await asyncio.to_thread(own_postgres.kill)
        else:
            await asyncio.to_thread(own_postgres.stop, how)
        await until(lambda: logged(caplog, "calls are repeated for up to 30 seconds each"))
        assert not await logged(caplog, "answers again")
        await asyncio.to_thread(own_postgres.start)
        stopped.set()
        await asyncio.gather(*writing)
        for writer in writers:
            await whole(store, writer)
    assert [caplog.text.count(words) for words in ("calls are repeated", "answers again, after")] == [1, 1]


async def logged(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


async def test_a_connection_that_was_cut_while_idle_is_no_outage(
    postgres: Postgres, postgres_schema: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with behind(postgres, postgres_schema) as (store, proxy):
        proxy.cut()
        await store.cursors("s")
        await SessionWriter(store).log(put("a"))
    assert not caplog.records


async def written(writers: list[SessionWriter], count: int) -> bool:
    return min(writer.event for writer in writers) >= count


async def test_a_commit_that_cannot_be_stored_leaves_its_group_alone(postgres: Postgres, postgres_schema: str) -> None:
    async with PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store:
        writers = [SessionWriter(store, f"s{number}") for number in range(30)]
        steps = [writer.step(put("a")) for writer in writers]
        long = "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(3_000))  # too long for an index
        steps[7] = writers[7].step(put(long))
        await writers[3].log(event_id="taken")
        steps[3] = writers[3].step(put("b"), event_id="taken")
        outcomes = await asyncio.gather(*map(store.commit, steps), return_exceptions=True)
        assert isinstance(outcomes[7], Unstorable)
        assert isinstance(outcomes[3], EventConflict)
        assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [3, 7]
        assert len(await store.sessions()) == 29


async def test_commits_of_one_session_in_one_group(postgres: Postgres, postgres_schema: str) -> None:
    async with PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store:
        writers = [SessionWriter(store, f"s{number}") for number in range(3)]
        commits = []
        for number in range(30):
            writer = writers[number % 3]
            step = writer.step(put("a", f"{number} " * 400), put(str(number)))
            step = replace(step, commit_id=f"c{number}", expected_commit_id=f"c{number - 3}" if number > 2 else "")
            writer.remember(step)
            commits.append(store.commit(step))
        await asyncio.gather(*commits)
        for writer in writers:
            await whole(store, writer)


async def test_overlapping_groups_of_several_processes(postgres: Postgres, postgres_schema: str) -> None:
    """Four stores commit to the same sessions in different orders, and rebuild, prune and delete meanwhile."""
    ids = [f"s{number}" for number in range(12)]
    async with AsyncExitStack() as stack:
        connect = PostgresStore.connect
        stores = [
            await stack.enter_async_context(connect(postgres.dsn, sample_registry(), schema=postgres_schema))
            for _ in range(4)
        ]
        done = dict.fromkeys(ids, 0)

        async def commit(store: PostgresStore, session_id: str) -> None:
            writer = SessionWriter(store, session_id)
            cursors = await store.cursors(session_id)
            writer.event, writer.timeline = cursors.event, cursors.timeline
            writer.states = {cursors.timeline: {}}
            try:
                await store.commit(writer.step(put("a", "x"), event_id=uuid4().hex, epoch=cursors.epoch))
            except OrdinalConflict:
                return
            done[session_id] += 1

        async def write(store: PostgresStore, order: Callable[[list[str]], list[str]]) -> None:
            for _ in range(8):
                await asyncio.gather(*(commit(store, session_id) for session_id in order(ids)))

        async def disturb(store: PostgresStore) -> None:
            for session_id in ids[:6]:
                cursors = await store.cursors(session_id)
                with suppress(OrdinalConflict):
                    await store.replace_timeline(TimelineReplacement(session_id, (), cursors.event, cursors))
                await store.prune(session_id, before=2)
            await store.delete_session(ids[-1])

        await asyncio.gather(
            write(stores[0], list), write(stores[1], lambda each: each[::-1]), write(stores[2], sorted),
            disturb(stores[3]),
        )  # fmt: skip
        for session_id in ids[:-1]:
            cursors = await stores[0].cursors(session_id)
            assert cursors.event == cursors.timeline == done[session_id] > 0
            assert await stores[0].ordinal_from_end(session_id, 0) == done[session_id] + 1


async def test_eight_processes_begin_at_the_same_time(postgres: Postgres, postgres_schema: str) -> None:
    connecting = [PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) for _ in range(8)]
    stores = await asyncio.gather(*(_opened(each) for each in connecting))
    await SessionWriter(stores[0]).log(put("a"))
    assert {(await store.cursors("session")).epoch for store in stores} == {(await stores[0].cursors("session")).epoch}
    await asyncio.gather(*(store.close() for store in stores))


async def _opened(connecting: object) -> PostgresStore:
    return await connecting  # type: ignore[misc, no-any-return]


async def test_a_process_that_is_too_old_for_the_tables_stops(
    postgres: Postgres, postgres_schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sessionstream.hydration.postgres.upkeep.BEAT_SECONDS", 0.05)
    async with PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store:
        await SessionWriter(store).log(put("a"))
        db = await asyncpg.connect(postgres.dsn)
        await db.execute(f"UPDATE {postgres_schema}.meta SET schema_version = 9, min_version = 9")
        await db.close()
        await until(lambda: is_refused(store))
        with pytest.raises(StoreUpgraded, match="schema 9"):
            await store.commit(SessionWriter(store, "t").step())
        with pytest.raises(StoreUpgraded, match=rf"schema 9, this store knows {schema.VERSION}"):
            await PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema)


async def is_refused(store: PostgresStore) -> bool:
    try:
        await store.cursors("session")
    except StoreUpgraded:
        return True
    return False


async def test_a_schema_with_other_tables_is_refused(postgres: Postgres, postgres_schema: str) -> None:
    db = await asyncpg.connect(postgres.dsn)
    await db.execute(f"CREATE SCHEMA {postgres_schema}; CREATE TABLE {postgres_schema}.mine ()")
    await db.close()
    with pytest.raises(StoreError, match="holds tables of something else, such as 'mine': give the store"):
        await PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema)


OF_OPERATORS = ("08", "25", "26", "28", "3D", "3F", "40", "42501", "42P01", "42703", "53", "55", "57", "58", "F0", "XX")
"""How the codes of failures begin that are of the server or of how it is run, and of no statement."""

CODES = {
    each.sqlstate: each
    for each in vars(asyncpg.exceptions).values()
    if isinstance(each, type) and issubclass(each, asyncpg.PostgresError) and getattr(each, "sqlstate", None)
}


@pytest.mark.parametrize("code", [code for code in CODES if code.startswith(OF_OPERATORS)])
def test_every_failure_of_the_server_has_a_way_out(code: str) -> None:
    error = failures.store_error(CODES[code]("its words"), "the store")
    assert re.fullmatch(r"the store failed: .+: .{9,} \(its words\)", str(error))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("53100", "the server's disk is full: make room there"),
        ("58030", "the server's disk, or its system, has failed: look at its log"),
        ("42501", "the user may not do this: grant it"),
        ("57014", "by a statement_timeout"),
        ("53300", "has no connection left: end some"),
    ],
)
async def test_what_the_server_raises_is_told_and_nothing_of_it_is_there(
    postgres: Postgres, postgres_schema: str, code: str, words: str
) -> None:
    raising = f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE SQLSTATE '{code}'; END$$"
    patience = 1.0 if code.startswith(failures._PASSING) else HALF_A_MINUTE
    async with PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store:
        writer = SessionWriter(store)
        await writer.log(put("a"))
    connection = await asyncpg.connect(postgres.dsn, server_settings={"search_path": postgres_schema})
    await connection.execute(f"{raising}; CREATE TRIGGER fail BEFORE INSERT ON events EXECUTE FUNCTION fail()")
    async with PostgresStore.connect(
        postgres.dsn, sample_registry(), schema=postgres_schema, patience=HALF_A_MINUTE
    ) as store:
        store._committer._database = replace(store._database, patience=patience)
        writer.store = store
        step = writer.step(put("a", "later"))
        with pytest.raises(StoreError, match=words):
            await store.commit(step)
        await connection.execute("DROP TRIGGER fail ON events")
        await writer.commit(step)
        await whole(store, writer)
    await connection.close()


async def test_a_server_that_takes_no_changes_says_where_to_connect(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.dsn)
    async with PostgresStore.connect(own_postgres.dsn, sample_registry()) as store:
        await SessionWriter(store).log(put("a"))
    await connection.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
    await connection.close()
    with pytest.raises(StoreError, match=r"it is a replica, or .* connect to the primary"):
        await PostgresStore.connect(own_postgres.dsn, sample_registry(), patience=2.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("sslmode=bogus", "`sslmode` parameter must be one of"),
        ("sslmode=verify-full&sslrootcert=/no/such%20file.pem", "there is no file /no/such file.pem"),
    ],
)
async def test_an_option_that_cannot_be_used_is_not_tried_again(options: str, words: str) -> None:
    async with asyncio.timeout(HALF_A_MINUTE / 2):
        with pytest.raises(StoreError, match=f"cannot be used: {words}.*: correct its URL"):
            await PostgresStore.connect(f"postgres://ada:secret@127.0.0.1:1/app?{options}", sample_registry())


async def test_a_server_whose_socket_is_not_there_yet_is_waited_for(own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    connecting = asyncio.create_task(PostgresStore.connect(own_postgres.dsn, sample_registry()).__aenter__())
    await asyncio.sleep(0)
    await asyncio.to_thread(own_postgres.start)
    await (await connecting).close()


async def test_what_cannot_be_reached_is_named_without_its_password() -> None:
    dsn = "postgres://app:secret@127.0.0.1:1/name"
    with pytest.raises(StoreError, match=r"^postgres://127\.0\.0\.1:1/name \(schema sessionstream\) cannot") as caught:
        await PostgresStore.connect(dsn, sample_registry(), patience=1.0)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"dsn": "app.db"}, ValueError, "^dsn is an URL such as 'postgres://"),
        ({"dsn": 3}, TypeError, "^dsn is a str"),
        ({"listen_dsn": "x"}, ValueError, "^listen_dsn is an URL"),
        ({"schema": 'a"b'}, ValueError, "^schema is a name of letters"),
        ({"schema": 5}, TypeError, "^schema is a str"),
        ({"patience": 0}, ValueError, "^patience is a number of seconds above 0"),
        ({"patience": "long"}, TypeError, "^patience is a number"),
        ({"registry": None}, TypeError, "^registry is a SchemaRegistry"),
    ],
)
def test_wrong_arguments(wrong: dict[str, object], error: type[Exception], message: str) -> None:
    arguments = {"dsn": "postgres://h/d", "registry": sample_registry()} | wrong
    with pytest.raises(error, match=message):
        PostgresStore.connect(**arguments)  # type: ignore[arg-type]


async def test_a_store_that_is_made_or_used_in_another_loop(postgres: Postgres, postgres_schema: str) -> None:
    with pytest.raises(TypeError, match=r"write await PostgresStore\.connect"):
        PostgresStore(None, sample_registry())  # type: ignore[arg-type]
    async with PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store:
        with pytest.raises(StoreError, match="was connected in another event loop"):
            await asyncio.to_thread(asyncio.run, store.cursors("s"))
    with pytest.raises(StoreClosed):
        await store.cursors("s")


async def test_an_unclosed_store_says_so(postgres: Postgres, postgres_schema: str) -> None:
    store = await PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema)
    with pytest.warns(ResourceWarning, match="unclosed PostgresStore of postgres://"):
        store.__del__()
    await store.close()


async def test_retention_over_several_sessions(postgres: Postgres, postgres_schema: str) -> None:
    async with PostgresStore.connect(postgres.dsn, sample_registry(), schema=postgres_schema) as store:
        for session_id in ("a", "b"):
            writer = SessionWriter(store, session_id)
            for _ in range(5):
                await writer.log(put("a", "x" * 600))
        steps = [step async for step in RetentionPolicy(keep_events=2).apply(store)]
        assert [(step.session_id, step.floor) for step in steps] == [("a", 4), ("b", 4)]
        db = await asyncpg.connect(postgres.dsn)
        kept = await db.fetchval(f"SELECT count(*) FROM {postgres_schema}.entity_versions")
        left = await db.fetchval(f"SELECT count(*) FROM {postgres_schema}.discarded")
        await db.close()
        assert (kept, left) == (2, 0)
