"""What a copy carries over from files of every kind, what it leaves and says so, and what interrupts it."""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import sqlite3
import sys
import tracemalloc
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from sessionstream import doc
from sessionstream.descriptors import descriptor_set
from sessionstream.errors import StoreError
from sessionstream.hydration import stores
from sessionstream.hydration.copying import CopyReport, copy
from sessionstream.hydration.postgres import PostgresStore
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.hydration.stored import StoredState
from sessionstream.observe import ErrorRecord
from sessionstream.schema import SchemaRegistry
from sessionstream.store import Commit
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.testing.contract.changes import changes_of
from sessionstream.testing.contract.timelines import eventful
from sessionstream.types import Event, TimelineEntity
from tests.durability import rich
from tests.servers.postgres import Postgres
from tests.servers.proxy import Proxy

from .answers import answers, same_lists

REGISTRY = sample_registry()
DUMPS = sorted((Path(__file__).parents[1] / "hydration").glob("version_*.sql"))


@dataclass
class Target:
    """A schema of the shared server, which does not exist at first."""

    dsn: str
    schema: str

    @property
    def url(self) -> str:
        return f"{self.dsn}&schema={self.schema}"

    def open(self, registry: SchemaRegistry = REGISTRY) -> AbstractAsyncContextManager[PostgresStore]:
        return PostgresStore.connect(self.dsn, registry, schema=self.schema)

    async def execute(self, *statements: str) -> None:
        """Execute statements, in which ``{s}`` stands for the schema."""
        db = await asyncpg.connect(self.dsn)
        try:
            for each in statements:
                await db.execute(each.replace("{s}", self.schema))
        finally:
            await db.close()

    async def changed_by_a_trigger(self, table: str, words: str) -> None:
        """Have every new row of a table changed, or delayed, by a trigger."""
        async with self.open():
            pass  # it makes the tables
        await self.execute(
            f"CREATE FUNCTION {{s}}.meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {words} RETURN NEW; END $$",
            f"CREATE TRIGGER meddle BEFORE INSERT ON {{s}}.{table} FOR EACH ROW EXECUTE FUNCTION {{s}}.meddle()",
        )

    @asynccontextmanager
    async def held_up(self, table: str, which: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Have whoever writes some new row of a table wait, as long as this lasts; yield what waits for that."""
        lock = secrets.randbelow(2**31)
        await self.changed_by_a_trigger(table, f"IF {which} THEN PERFORM pg_advisory_xact_lock({lock}); END IF;")
        db = await asyncpg.connect(self.dsn)
        waiting = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {lock} AND NOT granted"

        async def waits() -> None:
            while not await db.fetchval(waiting):
                pass

        try:
            await db.execute(f"SELECT pg_advisory_lock({lock})")
            yield waits
        finally:
            await db.close()


@pytest.fixture
def target(postgres: Postgres, postgres_schema: str) -> Target:
    return Target(postgres.dsn, postgres_schema)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


async def copied(path: Path, target: Target | str) -> CopyReport:
    return await asyncio.to_thread(copy, path, target if isinstance(target, str) else target.url)


async def fill(path: Path, *session_ids: str) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        for session_id in session_ids:
            await eventful(store, session_id)


def edit(path: Path, *statements: str) -> None:
    """Change a file as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for each in statements:
            db.execute(each)


def restore(dump: Path, path: Path) -> int:
    """Make a file from a dump; return its version."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(dump.read_text())
    return int(dump.stem.removeprefix("version_"))


# What is carried over


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
async def test_a_file_of_every_earlier_version(dump: Path, path: Path, target: Target) -> None:
    version = restore(dump, path)
    before = datetime.now(UTC)
    report = await copied(path, target)
    assert (report.copied, report.left, report.processes) == (4, [], 0)
    assert SQLiteStore.look(path, lambda state: state.version) == version  # the file stays as it is
    again = await copied(path, target)
    assert (again.unchanged, again.copied, again.updated) == (4, 0, 0)
    async with target.open() as store:
        event_times = {each.recorded_at for each in await store.events("session")}
        (claim,) = await asyncio.to_thread(stores.look, target.url, lambda state: state.claims("session"))
        assert claim.claimed_at is not None
        if version < 2:  # the file has not kept it: they count as recorded when they were copied
            (time,) = event_times
            assert time is not None
            assert before - timedelta(minutes=1) < time <= claim.claimed_at
        async with SQLiteStore.open(path, REGISTRY) as file:  # which brings it to the present version
            assert await same_lists(store, file)
            for session_id in ("session", "long", "pruned", "deleted", ""):
                ids = [f"event-{n}" for n in range(1, 12)]
                found, expected = [await answers(each, session_id, ids, timed=version > 1) for each in (store, file)]
                assert found == expected
    report = await copied(path, target)  # the file has times now
    assert (report.unchanged + report.updated, report.left) == (4, [])


async def test_each_payload_keeps_the_schema_that_it_was_written_with(path: Path, target: Target) -> None:
    older, newer = (rich.message_class(rich.files(older=each)) for each in (True, False))
    for number, message in enumerate((older, newer), 1):
        registry = SchemaRegistry()
        registry.register_event("Rich", message)
        registry.register_timeline_entity("Rich", message)
        async with SQLiteStore.open(path, registry) as store:
            payload = message()
            entity = TimelineEntity("Rich", str(number), payload, number, number)
            event = Event("Rich", message(), "s", number, str(number))
            await store.commit(Commit("s", event, (entity,), number - 1, number, number - 1))
    assert (await copied(path, target)).left == []

    def question(state: StoredState) -> list[bytes]:
        found = [each.payload.type.descriptors for each in state.events("s")]
        return found + [each.payload.type.descriptors for each in state.timeline("s").entities]

    described = await asyncio.to_thread(stores.look, target.url, question)
    assert described == [descriptor_set(older), descriptor_set(newer)] * 2


async def test_times_never_fall(path: Path, target: Target) -> None:
    """In a file of an early version they may: the clock was set back."""
    ahead = datetime.now(UTC) + timedelta(days=1)
    async with SQLiteStore.open(path, REGISTRY, clock=lambda: ahead) as store:
        writer = await eventful(store)
        for words in ("a", "b"):
            await store.record_error(ErrorRecord("store", "session", 1, "Delta", words))
    edit(
        path,
        "UPDATE events SET recorded_at = recorded_at - 5000000 WHERE ordinal = 4",
        "UPDATE errors SET recorded_at = recorded_at - 5000000 WHERE error = 'b'",
    )
    assert (await copied(path, target)).left == []
    assert (await copied(path, target)).unchanged == 1
    async with target.open() as store:
        writer.store = store
        await writer.log(put("later"))
        await store.record_error(ErrorRecord("store", "session", 1, "Delta", "c"))
        times = [each.recorded_at for each in await store.events("session")]
        times += [each.recorded_at for each in await store.error_records("session")]
    assert times == [ahead] * 11


async def test_texts_that_a_database_cannot_keep_are_spelled_out(path: Path, target: Target) -> None:
    """Early versions kept NUL in the texts of error records."""
    async with SQLiteStore.open(path, REGISTRY) as store:
        await store.record_error(ErrorRecord("store", "s", 1, "Delta", "what"))
    edit(path, "UPDATE errors SET error = 'a' || char(0) || 'b', event_name = char(0)")
    assert (await copied(path, target)).left == []
    async with target.open() as copy_:
        (record,) = await copy_.error_records()
    assert (record.error, record.event_name) == ("a\\x00b", "\\x00")


async def test_a_rebuild_under_way_has_not_begun_in_the_copy(path: Path, target: Target) -> None:
    await fill(path, "session")
    edit(
        path,
        "INSERT INTO timelines (timeline, sid) VALUES (9, 0)",
        "INSERT INTO entities SELECT 9, kind, id, created, changed, tombstone, type, payload, depth FROM entities",
        "INSERT INTO discarded (what, number, after) VALUES ('building', 9, 1)",
    )
    assert (await copied(path, target)).copied == 1
    async with SQLiteStore.open(path, REGISTRY) as file, target.open() as store:
        assert await answers(store, "session") == await answers(file, "session")


async def test_whoever_follows_the_changes_of_the_database_hears_of_copies(path: Path, target: Target) -> None:
    await fill(path, "b", "a")
    async with target.open() as store:
        await SessionWriter(store, "own").log(put("x"))
        (own,) = await changes_of(store, "", [("own", False)], seconds=30.0)
        assert (await copied(path, target)).copied == 2
        found = await changes_of(store, own.position, [("b", False), ("a", False)], seconds=30.0)
        assert [each.session_id for each in found] == ["b", "a"]
        assert await store.error_records() == []


async def test_error_records_keep_their_order_before_those_of_the_database(path: Path, target: Target) -> None:
    async with target.open() as store:
        await store.record_error(ErrorRecord("store", "own", 1, "Delta", "0"))
    async with SQLiteStore.open(path, REGISTRY) as file:
        for number, session_id in enumerate(("b", "a", "", "b"), 1):
            await file.record_error(ErrorRecord("store", session_id, 1, "Delta", str(number)))
    assert (await copied(path, target)).left == []
    async with target.open() as store:
        assert [each.error for each in await store.error_records()] == ["1", "2", "3", "4", "0"]


async def test_a_large_session_is_never_in_memory_as_a_whole(path: Path, target: Target) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        for number in range(160):
            await writer.log(put(f"entity {number}", secrets.token_hex(50_000)))
    tracemalloc.start()
    try:
        assert (await copied(path, target)).copied == 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000  # it has 16,000,000 bytes


# What is left


async def test_ids_that_are_too_long_are_reported(path: Path, target: Target) -> None:
    async with SQLiteStore.open(path, REGISTRY) as store:
        for session_id in ("fine", "long session", "long event", "long entity", "long key", "NUL"):
            await eventful(store, session_id)
        await store.claim_command("long key", "key", b"digest")
    edit(
        path,
        f"UPDATE sessions SET session_id = '{'s' * 1025}' WHERE session_id = 'long session'",
        f"UPDATE events SET event_id = '{'ä' * 513}' WHERE ordinal = 3 AND sid = (SELECT sid FROM sessions "
        f"WHERE session_id = 'long event')",
        f"UPDATE entities SET id = '{'i' * 1025}' WHERE kind = 'Message' AND id = 'a' AND timeline = "
        f"(SELECT timeline FROM sessions WHERE session_id = 'long entity')",
        f"UPDATE command_claims SET key = '{'k' * 1025}'",
        "UPDATE sessions SET session_id = 'N' || char(0) WHERE session_id = 'NUL'",
    )
    assert (await copied(path, target)).copied == 1
    report = await copied(path, target)
    assert (report.copied, report.unchanged) == (0, 1)
    reasons = {each.session_id: each.reason for each in report.left}
    assert list(reasons) == ["s" * 1025, "long event", "long entity", "long key", "N\0"]
    assert "holds a NUL character" in reasons.pop("N\0")
    words = ("session id", "event id", "entity id", "idempotency key")
    for reason, what in zip(reasons.values(), words, strict=True):
        assert what in reason
        assert "at most 1024 fit" in reason
    async with target.open() as store:
        assert await store.sessions() == ["fine"]


async def test_a_damaged_session_is_left_and_the_others_are_copied(path: Path, target: Target) -> None:
    await fill(path, "a", "b", "c")
    edit(path, "UPDATE events SET payload = 5 WHERE ordinal = 2 AND sid = 2")
    edit(path, "UPDATE events SET type = 77 WHERE ordinal = 2 AND sid = 3")
    report = await copied(path, target)
    assert [each.session_id for each in report.left] == ["b", "c"]
    assert "damaged" in report.left[0].reason
    assert "lacks the message type 77" in report.left[1].reason
    async with target.open() as store:
        assert await store.sessions() == ["a"]


async def test_a_session_that_began_in_the_database_is_left(path: Path, target: Target) -> None:
    await fill(path, "a", "b")
    async with target.open() as store:
        await SessionWriter(store, "a").log(put("own"))
        report = await copied(path, target)
        (left,) = report.left
        assert (report.copied, left.session_id) == (1, "a")
        assert "was not copied to there" in left.reason
        assert "?schema=" in left.reason
        assert (await store.cursors("a")).event == 1


@pytest.mark.parametrize("change", ["event", "key", "error", "prune", "delete"])
async def test_a_session_that_was_changed_in_the_database_is_left(path: Path, target: Target, change: str) -> None:
    async with SQLiteStore.open(path, REGISTRY) as file:
        writer = await eventful(file, "a")
        await file.claim_command("keys only", "key", b"digest")
        assert (await copied(path, target)).left == []
        async with target.open() as store:
            cursors = await store.cursors("a")
            session_id = "a"
            match change:
                case "event":
                    event = replace(writer.new_event(), ordinal=cursors.event + 1)
                    await store.commit(Commit("a", event, (), cursors.event, event.ordinal, cursors.timeline))
                case "key":
                    session_id = "keys only"
                    await store.claim_command(session_id, "other", b"digest")
                case "error":
                    await store.record_error(ErrorRecord("store", "a", 1, "Delta", "what"))
                case "prune":
                    await store.prune("a", before=3)
                case "delete":
                    await store.delete_session("a")
            await writer.log(put("in the file"))
            await file.claim_command("keys only", "third", b"digest")
            report = await copied(path, target)
            (left,) = report.left
            assert left.session_id == session_id
            assert "changed in the database after it had been copied" in left.reason
            assert (report.updated, report.unchanged, report.copied) == (1, 0, 0)


async def test_a_changed_byte_is_noticed(path: Path, target: Target) -> None:
    await fill(path, "a", "b")
    assert (await copied(path, target)).copied == 2
    await target.execute("""UPDATE {s}.entity_versions SET payload = set_byte(payload, 0, get_byte(payload, 0) # 1)
        WHERE timeline = (SELECT timeline FROM {s}.sessions WHERE session_id = 'b') AND changed = 2 AND id = 'a'""")
    report = await copied(path, target)
    assert [each.session_id for each in report.left] == ["b"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("events", "IF NEW.ordinal = 2 THEN NEW.payload = set_byte(NEW.payload, 3, 65); END IF;"),
        ("events", "IF NEW.ordinal = 2 THEN NEW.recorded_at = NEW.recorded_at + interval '1 microsecond'; END IF;"),
        ("entities", "IF NEW.type IS NULL THEN RETURN NULL; END IF;"),
        ("sessions", "NEW.epoch = 5;"),
    ],
)
async def test_what_comes_back_is_compared_before_anybody_sees_it(
    path: Path, target: Target, table: str, words: str
) -> None:
    await fill(path, "a")
    await target.changed_by_a_trigger(table, words)
    report = await copied(path, target)
    (left,) = report.left
    assert (left.session_id, report.sessions) == ("a", 0)
    assert "not what was written" in left.reason
    async with target.open() as store:
        assert await store.sessions() == []
        assert (await store.cursors("a")).event == 0
    await target.execute(f"DROP TRIGGER meddle ON {{s}}.{table}")
    assert (await copied(path, target)).copied == 1


# While it is in use


async def test_a_file_in_use_is_copied_again_and_again(path: Path, target: Target) -> None:
    async with SQLiteStore.open(path, REGISTRY) as file:
        writer, other = await eventful(file, "a"), await eventful(file, "b")
        await file.claim_command("keys only", "k", b"digest")
        edit(path, "UPDATE nodes SET until = 1")  # a process that is alone does not renew its row
        report = await copied(path, target)
        assert (report.copied, report.processes) == (3, 1)
        await writer.log(put("a", "later"), drop("c"))
        await writer.commit(writer.waiting())
        await file.prune("b", before=other.timeline)
        await file.end_command("keys only", "k", finished=True)
        await file.claim_command("new", "k", b"digest")
        report = await copied(path, target)
        assert (report.copied, report.updated, report.unchanged, report.left) == (1, 3, 0, [])
        async with target.open() as store:
            for session_id in ("a", "b", "keys only", "new"):
                assert await answers(store, session_id) == await answers(file, session_id)
            assert await same_lists(store, file)


async def test_a_session_that_begins_in_the_database_meanwhile_is_left(path: Path, target: Target) -> None:
    await fill(path, "a", "b")
    async with target.open() as store, target.held_up("events", "NEW.ordinal = 9") as waits:
        copying = asyncio.create_task(copied(path, target))
        await waits()
        await SessionWriter(store, "a").log(put("faster"))
    report = await copying
    assert [each.session_id for each in report.left] == ["a"]
    assert "something else has written to it" in report.left[0].reason
    report = await copied(path, target)
    assert [each.session_id for each in report.left] == ["a"]
    assert "was not copied to there" in report.left[0].reason


# Interruptions


async def test_a_copy_that_was_killed_goes_on(path: Path, target: Target) -> None:
    await fill(path, "a", "b", "c")
    async with target.held_up("sessions", "NEW.session_id = 'b'") as waits:
        command = ("-m", "sessionstream", "copy", path, target.url)
        process = await asyncio.create_subprocess_exec(sys.executable, *command)
        await waits()
        process.kill()
        await process.wait()
    async with target.open() as store:
        assert await store.sessions() == ["a"]
        assert await store.find_event("b", "event-1") is None
    report = await copied(path, target)
    assert (report.unchanged, report.copied, report.left) == (1, 2, [])
    async with target.open() as store, SQLiteStore.open(path, REGISTRY) as file:
        for session_id in ("a", "b", "c"):
            assert await answers(store, session_id) == await answers(file, session_id)


async def test_a_connection_that_breaks_ends_the_copy_which_goes_on(
    path: Path, target: Target, postgres: Postgres
) -> None:
    await fill(path, "a", "b", "c")
    async with Proxy(postgres.socket) as proxy, target.held_up("sessions", "NEW.session_id = 'b'") as waits:
        url = f"{postgres.dsn_at(proxy.port).replace('postgres@', 'postgres:secret@')}?schema={target.schema}"
        copying = asyncio.create_task(copied(path, url))
        await waits()
        proxy.cut()
        with pytest.raises(StoreError, match="1 of 3 sessions are done: copy again, which goes on from there") as cut:
            await copying
        assert "secret" not in str(cut.value)
    report = await copied(path, target)
    assert (report.unchanged, report.copied, report.left) == (1, 2, [])


# Refusals, and what people are told to type


async def test_a_user_who_may_not_create_tables_is_told_so(path: Path, target: Target) -> None:
    await fill(path, "a")
    await target.execute("CREATE ROLE {s} LOGIN")
    try:
        with pytest.raises(StoreError, match="may not be written by this user: grant it CREATE on the database") as no:
            await copied(path, target.url.replace("postgres@", f"{target.schema}:secret@"))
    finally:
        await target.execute("DROP ROLE {s}")
    assert "secret" not in str(no.value)


async def test_it_does_not_block_an_event_loop(path: Path, target: Target) -> None:
    await fill(path, "a")
    with pytest.raises(RuntimeError, match="copying would block it"):
        copy(path, target.url)


async def test_the_commands_of_the_playbook(path: Path, target: Target) -> None:
    await fill(path.with_name("app.db"), "a", "b")
    page = doc.get("sessionstream-scaling-playbook").body
    lines = [shlex.split(line, comments=True) for line in page.splitlines() if line.startswith("sessionstream copy ")]
    unchanged = []
    for words in lines:
        words[-1] = target.url  # the page has a server that nobody has
        command = (sys.executable, "-m", *words, "--json")
        process = await asyncio.create_subprocess_exec(*command, cwd=path.parent, stdout=PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0
        unchanged.append(json.loads(out)["unchanged"])
    assert unchanged == [0, 2]
