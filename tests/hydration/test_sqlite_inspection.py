"""``SQLiteStore.look``: a file asked without schemas, by tools of operators."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sessionstream.errors import HistoryPruned, StoreError
from sessionstream.hydration.sqlite import SQLiteFile, SQLiteStore
from sessionstream.observe import ErrorRecord
from sessionstream.testing import SessionWriter, drop, put, sample_registry
from sessionstream.types import TimelineEntity

REGISTRY = sample_registry()


@pytest.fixture
async def written(tmp_path: Path) -> SessionWriter:
    """A session of four events, of which the last waits."""
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        writer = SessionWriter(store)
        await writer.log(put("b", "1"), put("a", "1"))
        await writer.log(put("a", "2"), put("c", "2"))
        await writer.log(drop("b"))
        await writer.commit(writer.waiting())
        await store.claim_command("claimed", "key", b"digest")
        await store.record_error(ErrorRecord("store", "failed", 1, "Delta", "what"))
    return writer


def decoded(file: SQLiteFile, session_id: str, as_of: int | None = None) -> tuple[TimelineEntity, ...]:
    return tuple(
        TimelineEntity(
            each.kind,
            each.id,
            REGISTRY.decode("timeline entity", each.kind, each.payload.type.name, each.payload.data),
            each.created_ordinal,
            each.last_event_ordinal,
        )
        for each in file.timeline(session_id, as_of=as_of).entities
    )


async def test_it_answers_as_the_store_does(tmp_path: Path, written: SessionWriter) -> None:
    def question(file: SQLiteFile) -> None:
        assert file.sessions() == ["claimed", "failed", "session"]
        session = file.session("session")
        assert session is not None
        assert (session.waiting, session.entities, session.last_error) == (1, 2, None)
        assert (session.cursors.event, session.cursors.timeline) == (4, 3)
        for ordinal in range(5):
            assert decoded(file, "session", ordinal) == written.at(min(ordinal, 3))
        assert decoded(file, "session") == written.at(3)
        events = file.events("session")
        assert [(each.ordinal, each.event_id, each.name) for each in events] == [
            (each.ordinal, each.event_id, each.name) for each in written.events
        ]
        assert [each.payload.data for each in events] == [
            each.payload.SerializeToString(deterministic=True) for each in written.events
        ]
        assert events[0].payload.type.descriptors
        assert [each.ordinal for each in file.events("session", after=1, limit=2)] == [2, 3]
        assert [file.count_events("session", after=n, below=4) for n in range(5)] == [3, 2, 1, 0, 0]
        assert [file.ordinal_from_end("session", n) for n in range(6)] == [5, 4, 3, 2, 1, 0]

    SQLiteStore.look(tmp_path / "x.db", question)


async def test_what_nobody_has_used_is_none_or_empty(tmp_path: Path, written: SessionWriter) -> None:
    def question(file: SQLiteFile) -> None:
        assert file.session("nobody") is None
        for session_id in ("claimed", "failed", "nobody"):
            assert file.timeline(session_id).entities == ()
            assert file.events(session_id) == []
            assert file.count_events(session_id) == 0
        for session_id in ("claimed", "failed"):
            session = file.session(session_id)
            assert session is not None
            assert (session.cursors.event, session.waiting, session.entities) == (0, 0, 0)
        assert [each.session_id for each in file.error_records()] == ["failed"]
        assert file.error_records("session", limit=1) == []

    SQLiteStore.look(str(tmp_path / "x.db"), question)


async def test_below_the_floor_there_is_nothing(tmp_path: Path, written: SessionWriter) -> None:
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        await store.prune("session", before=3)
    with pytest.raises(HistoryPruned):
        SQLiteStore.look(tmp_path / "x.db", lambda file: file.timeline("session", as_of=2))
    events = SQLiteStore.look(tmp_path / "x.db", lambda file: file.events("session"))
    assert [each.ordinal for each in events] == [3, 4]
    assert SQLiteStore.look(tmp_path / "x.db", lambda file: file.count_events("session")) == 2


async def test_a_link_to_a_file_in_use_shows_what_was_committed_just_now(tmp_path: Path) -> None:
    (link := tmp_path / "link.db").symlink_to(tmp_path / "x.db")
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as store:
        await SessionWriter(store).log(put("a"))
        assert SQLiteStore.look(link, lambda file: file.count_events("session")) == 1


async def test_what_makes_no_sense_is_refused(tmp_path: Path, written: SessionWriter) -> None:
    def question(file: SQLiteFile) -> None:
        with pytest.raises(ValueError, match="never negative"):
            file.timeline("session", as_of=-1)
        with pytest.raises(ValueError, match="never negative"):
            file.events("session", limit=-1)
        with pytest.raises(ValueError, match="never negative"):
            file.count_events("session", below=-1)
        with pytest.raises(TypeError, match="session_id is a str"):
            file.session(3)  # type: ignore[arg-type]

    SQLiteStore.look(tmp_path / "x.db", question)
    with pytest.raises(StoreError, match="there is no such file"):
        SQLiteStore.look(tmp_path / "no.db", lambda file: file.sessions())
    with pytest.raises(LookupError, match="mine"):
        SQLiteStore.look(tmp_path / "x.db", raising)


async def test_a_file_that_changes_all_the_time_is_given_up(tmp_path: Path, written: SessionWriter) -> None:
    asked: list[int] = []

    def question(file: SQLiteFile) -> None:
        asked.append(file.version)
        os.utime(tmp_path / "x.db", ns=(len(asked), len(asked)))

    with pytest.raises(StoreError, match="opened and closed all the time"):
        SQLiteStore.look(tmp_path / "x.db", question)
    assert len(asked) == 10


async def test_an_error_out_of_a_file_that_changed_is_not_believed(tmp_path: Path, written: SessionWriter) -> None:
    asked: list[int] = []

    def question(file: SQLiteFile) -> str:
        asked.append(file.version)
        if len(asked) == 1:
            os.utime(tmp_path / "x.db", ns=(1, 1))
            raise StoreError("pages of several states")
        return "well"

    assert SQLiteStore.look(tmp_path / "x.db", question) == "well"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="not a regular file"):
        SQLiteStore.look(tmp_path / "pipe", raising)


def raising(file: SQLiteFile) -> None:
    raise LookupError("mine")
