"""Every durable store shows operators' tools the same ``StoredState``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from sessionstream.errors import HistoryPruned, InvalidIdError, StoreError
from sessionstream.hydration import stores
from sessionstream.hydration.payload_json import Payloads
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.hydration.stored import StoredState
from sessionstream.hydration.versions import DELTA, FULL
from sessionstream.observe import ErrorRecord
from sessionstream.redis_hints import RedisHints
from sessionstream.store import HydrationStore
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.types import TimelineEntity
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres
from tests.servers.valkey import ValkeyServer

T = TypeVar("T")

REGISTRY = sample_registry()


class Place(Protocol):
    """A place for a store, which is empty at first."""

    def open(self) -> AbstractAsyncContextManager[HydrationStore]: ...

    def look(self, question: Callable[[StoredState], T]) -> T: ...


class SQLitePlace:
    def __init__(self, directory: Path) -> None:
        self._path = directory / "x.db"

    def open(self) -> AbstractAsyncContextManager[HydrationStore]:
        return SQLiteStore.open(self._path, REGISTRY)

    def look(self, question: Callable[[StoredState], T]) -> T:
        return SQLiteStore.look(self._path, question)


class NamedPlace:
    """A place as a command gets it."""

    def __init__(self, location: str) -> None:
        self._location = location

    def open(self) -> AbstractAsyncContextManager[HydrationStore]:
        return stores.open(self._location, REGISTRY)

    def look(self, question: Callable[[StoredState], T]) -> T:
        with ThreadPoolExecutor(1) as pool:  # where no event loop runs
            return pool.submit(stores.look, self._location, question).result()


def decoded(state: StoredState, session_id: str, as_of: int | None = None) -> tuple[TimelineEntity, ...]:
    return tuple(
        TimelineEntity(
            each.kind,
            each.id,
            REGISTRY.decode("timeline entity", each.kind, each.payload.type.name, each.payload.data),
            each.created_ordinal,
            each.last_event_ordinal,
        )
        for each in state.timeline(session_id, as_of=as_of).entities
    )


class StoredContract:
    """What holds in every place; a subclass has the fixture ``place``."""

    @pytest.fixture
    async def written(self, place: Place) -> SessionWriter:
        """A session of four events, of which the last waits."""
        async with place.open() as store:
            writer = SessionWriter(store)
            await writer.log(put("b", "1"), put("a", "1"))
            await writer.log(put("a", "2"), put("c", "2"))
            await writer.log(drop("b"))
            await writer.commit(writer.waiting())
            await store.claim_command("claimed", "key", b"digest")
            await store.record_error(ErrorRecord("store", "failed", 1, "Delta", "what"))
            await store.record_error(ErrorRecord("store", "", 0, "", "of no session"))
        return writer

    async def test_it_answers_as_the_store_does(self, place: Place, written: SessionWriter) -> None:
        def question(state: StoredState) -> None:
            assert state.version > 0
            assert state.sessions() == ["claimed", "failed", "session"]
            assert state.sessions(after="claimed", limit=1) == ["failed"]
            assert state.held_sessions() == ["session"]
            session = state.session("session")
            assert session is not None
            assert (session.waiting, session.entities, session.last_error) == (1, 2, None)
            assert (session.cursors.event, session.cursors.timeline) == (4, 3)
            for ordinal in range(5):
                assert decoded(state, "session", ordinal) == written.at(min(ordinal, 3))
            assert decoded(state, "session") == written.at(3)
            timeline = state.timeline("session", as_of=9)
            assert (timeline.ordinal, timeline.epoch) == (3, session.cursors.epoch)
            events = state.events("session")
            assert [(each.ordinal, each.event_id, each.name) for each in events] == [
                (each.ordinal, each.event_id, each.name) for each in written.events
            ]
            assert [each.payload.data for each in events] == [
                each.payload.SerializeToString(deterministic=True) for each in written.events
            ]
            assert [each.ordinal for each in state.events("session", after=1, limit=2)] == [2, 3]
            assert [state.count_events("session", after=n, below=4) for n in range(5)] == [3, 2, 1, 0, 0]
            assert state.count_events("session", after=2**64, below=2**64) == 0
            assert [state.ordinal_from_end("session", n) for n in range(6)] == [5, 4, 3, 2, 1, 0]

        place.look(question)

    async def test_an_event_has_its_metadata_and_its_time(self, place: Place) -> None:
        before = datetime.now(UTC)
        async with place.open() as store:
            writer = SessionWriter(store)
            commit = writer.step(put("a"))
            assert commit.event is not None
            await writer.commit(replace(commit, event=replace(commit.event, metadata={"who": "Ada"})))
        (event,) = place.look(lambda state: state.events("session"))
        assert dict(event.metadata) == {"who": "Ada"}
        assert event.recorded_at is not None
        assert before <= event.recorded_at <= datetime.now(UTC)

    async def test_payloads_are_decoded_with_the_schemas_of_the_store(
        self, place: Place, written: SessionWriter
    ) -> None:
        payloads = Payloads()
        events = place.look(lambda state: state.events("session"))
        assert [payloads.message(each.payload).SerializeToString(deterministic=True) for each in events] == [
            each.payload.SerializeToString(deterministic=True) for each in written.events
        ]
        assert [payloads.read(each.payload).unreadable for each in events] == [""] * 4

    async def test_what_nobody_has_used_is_none_or_empty(self, place: Place, written: SessionWriter) -> None:
        def question(state: StoredState) -> None:
            assert state.session("nobody") is None
            for session_id in ("claimed", "failed", "nobody"):
                assert state.timeline(session_id).entities == ()
                assert state.events(session_id) == []
                assert state.count_events(session_id) == 0
            for session_id in ("claimed", "failed"):
                session = state.session(session_id)
                assert session is not None
                assert (session.cursors.event, session.waiting, session.entities) == (0, 0, 0)
            assert [each.session_id for each in state.error_records()] == ["failed", ""]
            assert [each.error for each in state.error_records(limit=1)] == ["of no session"]
            assert [each.error for each in state.error_records("failed")] == ["what"]
            assert state.error_records("session", limit=1) == []

        place.look(question)

    async def test_below_the_floor_there_is_nothing(self, place: Place, written: SessionWriter) -> None:
        async with place.open() as store:
            await store.prune("session", before=3)
        with pytest.raises(HistoryPruned):
            place.look(lambda state: state.timeline("session", as_of=2))
        assert [each.ordinal for each in place.look(lambda state: state.events("session"))] == [3, 4]
        assert place.look(lambda state: state.count_events("session")) == 2
        assert place.look(lambda state: [state.ordinal_from_end("session", n) for n in range(4)]) == [5, 4, 3, 0]

    async def test_a_deleted_session_holds_nothing(self, place: Place, written: SessionWriter) -> None:
        async with place.open() as store:
            await store.delete_session("session")
        assert "session" not in place.look(lambda state: state.sessions())
        session = place.look(lambda state: state.session("session"))
        assert session is not None
        assert (session.cursors.event, session.cursors.timeline, session.waiting, session.entities) == (4, 4, 0, 0)
        assert place.look(lambda state: state.events("session")) == []
        assert place.look(lambda state: state.problems()) == []

    async def test_a_store_in_use_shows_what_was_committed_just_now(self, place: Place) -> None:
        async with place.open() as store:
            await SessionWriter(store).log(put("a"))
            assert place.look(lambda state: state.count_events("session")) == 1

    async def test_everything_of_a_session_is_there_in_pages(self, place: Place) -> None:
        async with place.open() as store:
            writer = SessionWriter(store)
            await writer.log(put("a", "1"), put("b", "1"))
            await writer.log(put("a", "2" * 600), drop("b"))
            await writer.log(put("a", "2" * 600 + "3"))
            await writer.log(put("b", "4"))
            await writer.log(put("a", "5"), drop("b"))
            digests = [await store.find_event("session", each.event_id) for each in writer.events]
            await store.prune("session", before=3)
            for key in ("k", "kö", "l"):
                await store.claim_command("session", key, key.encode())
            await store.end_command("session", "kö", finished=True)
            for words in ("one", "two", "three"):
                await store.record_error(ErrorRecord("store", "session", 1, "Delta", words))
                await store.record_error(ErrorRecord("store", "", 0, "", words))

        def question(state: StoredState) -> None:
            session = state.session("session")
            assert session is not None
            pruned = state.pruned_events("session")
            assert [(each.ordinal, each.event_id) for each in pruned] == [(1, "event-1"), (2, "event-2")]
            assert [each.digest for each in pruned] == [each and each.digest for each in digests[:2]]
            assert {each.type.name for each in pruned} == {writer.events[0].payload.DESCRIPTOR.full_name}
            assert all(each.recorded_at is not None and each.type.descriptors for each in pruned)
            assert state.pruned_events("session", after=1) == pruned[1:]
            assert state.pruned_events("session", limit=1) == pruned[:1]
            versions = state.versions("session")
            assert [
                (each.id, each.last_event_ordinal, each.superseded_ordinal, each.payload is None) for each in versions
            ] == [("a", 3, 5, False), ("a", 5, None, False), ("b", 4, 5, False), ("b", 5, None, True)]
            place = ("", "", 0)
            found = []
            while page := state.versions("session", after=place, limit=1):
                found += page
                place = (page[-1].kind, page[-1].id, page[-1].last_event_ordinal)
            assert found == versions
            claims = state.claims("session")
            assert [(each.key, each.digest, each.finished) for each in claims] == [
                ("k", b"k", False),
                ("kö", "kö".encode(), True),
                ("l", b"l", False),
            ]
            assert state.claims("session", after="k", limit=1) == claims[1:2]
            for session_id in ("session", ""):
                errors = state.numbered_errors(session_id)
                assert [each.record.error for each in errors] == ["one", "two", "three"]
                assert state.numbered_errors(session_id, after=errors[0].number, limit=1) == errors[1:2]

        place.look(question)

    async def test_a_state_is_kept_as_a_delta_against_the_next(self, place: Place) -> None:
        async with place.open() as store:
            writer = SessionWriter(store)
            for words in (100, 101, 102):
                await writer.log(put("a", "a word and " * words))
        encodings = place.look(lambda state: [each.encoding for each in state.versions("session")])
        assert encodings == [DELTA, DELTA, FULL]

    async def test_used_sessions_are_in_the_order_of_their_changes(self, place: Place, written: SessionWriter) -> None:
        async with place.open() as store:
            for session_id in ("z", "a", "deleted"):
                await SessionWriter(store, session_id).log()
            await store.delete_session("deleted")
            written.store = store
            await written.commit(written.waiting())
        assert place.look(lambda state: state.used_sessions()) == ["z", "a", "deleted", "session"]

    async def test_it_says_who_has_the_store_open(self, place: Place, written: SessionWriter) -> None:
        assert place.look(lambda state: state.processes()) == 0
        async with place.open() as store:
            unused = (await store.cursors("nobody")).epoch
            assert place.look(lambda state: state.first_epoch) == unused
            assert place.look(lambda state: state.processes()) == 1

    async def test_what_makes_no_sense_is_refused(self, place: Place, written: SessionWriter) -> None:
        wrong: list[tuple[Callable[[StoredState], object], type[Exception], str]] = [
            (lambda state: state.timeline("session", as_of=-1), ValueError, "as_of is never negative"),
            (lambda state: state.events("session", limit=-1), ValueError, "limit is never negative"),
            (lambda state: state.count_events("session", below=-1), ValueError, "below is never negative"),
            (lambda state: state.ordinal_from_end("session", -1), ValueError, "count is never negative"),
            (lambda state: state.sessions(limit=-1), ValueError, "limit is never negative"),
            (lambda state: state.error_records(limit=-1), ValueError, "limit is never negative"),
            (lambda state: state.pruned_events("session", limit=-1), ValueError, "limit is never negative"),
            (lambda state: state.versions("session", limit=-1), ValueError, "limit is never negative"),
            (lambda state: state.claims("session", limit=-1), ValueError, "limit is never negative"),
            (lambda state: state.numbered_errors("session", limit=-1), ValueError, "limit is never negative"),
            (lambda state: state.session(3), TypeError, "session_id is a str"),  # type: ignore[arg-type]
            (lambda state: state.session("a\0"), InvalidIdError, "session_id"),
        ]
        for question, error, words in wrong:
            with pytest.raises(error, match=words):
                place.look(question)

    async def test_exceptions_of_the_question_are_passed_on(self, place: Place, written: SessionWriter) -> None:
        def raising(state: StoredState) -> None:
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            place.look(raising)
        question: Any = None
        with pytest.raises(TypeError, match="question is a function"):
            place.look(question)


class TestSQLite(StoredContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return SQLitePlace(tmp_path)


class TestPath(StoredContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return NamedPlace(str(tmp_path / "x.db"))


class TestPostgresURL(StoredContract):
    @pytest.fixture
    def place(self, postgres: Postgres, postgres_schema: str) -> Place:
        return NamedPlace(f"{postgres.dsn}&schema={postgres_schema}")


@pytest.mark.parametrize(
    ("location", "printed"),
    [
        ("sessions.db", "sessions.db"),
        (Path("a") / "b:c@d.db", "a/b:c@d.db"),
        ("postgresql://host:5432/app", "postgresql://host:5432/app"),
        ("postgres://ada:secret@host/app", "postgres://ada@host/app"),
        (
            "postgres://ada:s/e@cret@host/app?password=secret&sslmode=require",
            "postgres://ada@host/app?password=…&sslmode=require",
        ),
        ("postgres://host:5432/app?password=s@cret", "postgres://host:5432/app?password=…"),
        ("postgres://host/app?sslmode=require&sslpassword=secret", "postgres://host/app?sslmode=require&sslpassword=…"),
    ],
    ids=str,
)
def test_a_location_is_shown_without_its_password(location: stores.Location, printed: str) -> None:
    assert stores.shown(location) == printed


@pytest.mark.parametrize("location", ["mysql://ada:secret@host/app", "file:///app.db"])
def test_a_url_that_names_no_store_is_refused(location: str) -> None:
    for use in (lambda: stores.look(location, lambda state: state.version), lambda: stores.open(location, REGISTRY)):
        with pytest.raises(StoreError, match="is a URL of no known store") as refused:
            use()
        assert "secret" not in str(refused.value)


async def test_a_store_that_is_opened_by_its_url_may_be_behind_a_pooler(
    postgres: Postgres, postgres_schema: str, pgbouncer: PgBouncer
) -> None:
    url = f"{pgbouncer.dsn}&schema={postgres_schema}"
    async with stores.open(url, REGISTRY, listen_dsn=postgres.dsn) as store:
        for name in ("a", "b"):
            await SessionWriter(store, name).log(put("x"))
        assert await store.sessions() == ["a", "b"]


async def test_a_store_that_is_opened_by_its_url_may_have_hints_over_redis(
    postgres: Postgres, postgres_schema: str, valkey: ValkeyServer
) -> None:
    hints = RedisHints(valkey.url)
    async with stores.open(f"{postgres.dsn}&schema={postgres_schema}", REGISTRY, hints=hints), asyncio.timeout(30):
        while not hints.works:  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)


def test_a_file_has_no_server_to_listen_to(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="listen_dsn is for a PostgreSQL database"):
        stores.open(tmp_path / "x.db", REGISTRY, listen_dsn="postgres://ada:secret@host/app")
    with pytest.raises(ValueError, match="hints is for a PostgreSQL database"):
        stores.open(tmp_path / "x.db", REGISTRY, hints=RedisHints("redis://host"))
