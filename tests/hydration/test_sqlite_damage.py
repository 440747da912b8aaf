"""Files whose bookkeeping something else has changed: a StoreError that names the file, never another exception."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from sessionstream.errors import StoreDamaged, StoreError
from sessionstream.hydration import encoding
from sessionstream.hydration.sqlite import SQLiteStore
from sessionstream.testing import SessionWriter, put, sample_registry
from sessionstream.testing.contract.records import record

REGISTRY = sample_registry()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.db"
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store)
        for text in ("one", "two", "three"):
            await writer.log(put("a", text))
        await store.record_error(record("session", 1))
    return path


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(sql)


@pytest.mark.parametrize("sql", ["DELETE FROM meta", "UPDATE meta SET value = NULL", "UPDATE meta SET value = 'x'"])
async def test_a_file_without_its_first_epoch_is_refused(path: Path, sql: str) -> None:
    change(path, sql)
    with pytest.raises(StoreError, match=r"x\.db lacks its first epoch.* restore it"):
        await SQLiteStore.open(path, REGISTRY)
    with pytest.raises(StoreError, match=r"x\.db lacks its first epoch"):
        SQLiteStore.look(path, lambda file: file.sessions())


@pytest.mark.parametrize(
    ("sql", "ask"),
    [
        ("UPDATE events SET payload = NULL", lambda store: store.events("session")),
        ("UPDATE events SET payload = 5", lambda store: store.find_event("session", "event-1")),
        ("UPDATE entities SET payload = NULL", lambda store: store.snapshot("session")),
        ("UPDATE entity_versions SET payload = 'x'", lambda store: store.snapshot("session", as_of=1)),
        ("UPDATE sessions SET floor = 'x'", lambda store: store.snapshot("session", as_of=1)),
        ("UPDATE sessions SET event_cursor = 'x'", lambda store: store.commit(SessionWriter(store).step())),
        ("UPDATE errors SET metadata = 'x'", lambda store: store.error_records()),
        ("UPDATE errors SET metadata = '[]'", lambda store: store.error_records()),
        ("UPDATE errors SET ordinal = 'x'", lambda store: store.error_records()),
        ("UPDATE errors SET recorded_at = 'x'", lambda store: store.error_records()),
    ],
)
async def test_what_is_no_value_of_ours_is_a_store_error(
    path: Path, sql: str, ask: Callable[[SQLiteStore], Awaitable[object]]
) -> None:
    change(path, sql)
    async with SQLiteStore.open(path, REGISTRY) as store:
        with pytest.raises(StoreError, match=r"x\.db"):
            await ask(store)


@pytest.mark.parametrize(
    ("column", "ask"),
    [
        ("events.event_id", lambda store: store.events("session")),
        ("entities.kind", lambda store: store.snapshot("session")),
        ("errors.error", lambda store: store.error_records()),
    ],
)
async def test_a_text_that_is_none_is_named_too(
    path: Path, column: str, ask: Callable[[SQLiteStore], Awaitable[object]]
) -> None:
    table, name = column.split(".")
    change(path, f"UPDATE {table} SET {name} = CAST(x'ff' AS TEXT) WHERE {name} = (SELECT max({name}) FROM {table})")
    async with SQLiteStore.open(path, REGISTRY) as store:
        with pytest.raises(StoreDamaged, match=r"is b'\\xff', not a text") as raised:
            await ask(store)
        assert (raised.value.name, raised.value.table, raised.value.column) == (str(path), table, name)


async def test_a_payload_that_sqlite_cannot_hold_is_refused_by_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "MAX_PAYLOAD", 100)
    async with SQLiteStore.open(path, REGISTRY) as store:
        writer = SessionWriter(store, "other")
        with pytest.raises(StoreError, match=r"entity 'Message' has a payload of 10\d bytes, and at most 100 fit"):
            await store.commit(writer.step(put("a", "x" * 100)))
        await writer.log(put("a"))


async def test_a_question_that_is_none(path: Path) -> None:
    with pytest.raises(TypeError, match=r"^question is a function"):
        SQLiteStore.look(path, None)  # type: ignore[arg-type]
