"""RetentionPolicy: which data it keeps and deletes; a session in use is not deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sessionstream import (
    CommandClaim,
    Hub,
    HydrationStore,
    MemoryStore,
    RetentionPolicy,
    RetentionStep,
    SchemaRegistry,
    SQLiteStore,
    StoreClosed,
)
from sessionstream.examples.chatdemo.v1.chat_pb2 import StartInferenceCommand
from sessionstream.testing import SessionWriter, put, sample_registry
from sessionstream.testing.contract.records import record
from sessionstream.testing.contract.retention import a_moment, check_above_floor

REGISTRY = sample_registry()
DAY = timedelta(days=1)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HydrationStore]:
    if request.param == "memory":
        yield MemoryStore(REGISTRY)
        return
    async with SQLiteStore.open(tmp_path / "x.db", REGISTRY) as opened:
        yield opened


async def written(store: HydrationStore, session_id: str = "session", events: int = 10) -> SessionWriter:
    writer = SessionWriter(store, session_id)
    for number in range(events):
        await writer.log(put("a", str(number)))
    return writer


async def applied(
    policy: RetentionPolicy, store: HydrationStore, sessions: Iterable[str] | None = None, **options: Any
) -> list[RetentionStep]:
    return [step async for step in policy.apply(store, sessions, **options)]


async def test_records_and_keys_without_events_are_forgotten(store: HydrationStore) -> None:
    await (await written(store, "deleted")).store.delete_session("deleted")
    for session_id in ("", "a", "deleted"):
        await store.record_error(record(session_id, 1))
    await store.claim_command("a", "key", b"digest")
    await store.claim_command("only a key", "key", b"digest")
    policy, moment = RetentionPolicy(delete_idle=DAY), await a_moment()
    assert await applied(policy, store, now=moment) == []
    assert len(await store.error_records()) == 3
    steps = await applied(policy, store, now=moment + 2 * DAY)
    assert steps == [RetentionStep(session_id, None) for session_id in ("", "a", "deleted")]
    assert await store.error_records() == []
    assert await store.sessions() == ["only a key"]
    assert await store.claim_command("a", "key", b"new") is None


async def test_old_records_and_keys_of_sessions_in_use_are_forgotten(store: HydrationStore) -> None:
    writer = await written(store)
    for session_id in ("", "session", "session", "only errors"):
        await store.record_error(record(session_id, 1))
    for session_id in ("session", "only keys"):
        await store.claim_command(session_id, "key", b"old")
    moment = await a_moment()
    await store.record_error(record("session", 2))
    await store.claim_command("session", "young", b"young")
    policy = RetentionPolicy(keep_errors=DAY, keep_keys=2 * DAY)
    assert await applied(policy, store, now=moment) == []
    assert await applied(policy, store, now=moment + DAY) == [
        RetentionStep("", 0, errors=1),
        RetentionStep("only errors", 0, errors=1),
        RetentionStep("session", 0, errors=2),
    ]
    assert await store.error_records() == [record("session", 2)]
    steps = await applied(policy, store, now=moment + 2 * DAY)
    assert steps == [RetentionStep("only keys", 0, keys=1), RetentionStep("session", 0, errors=1, keys=1)]
    assert not any(step.deleted for step in steps)
    assert await store.claim_command("session", "young", b"again") == CommandClaim(b"young")
    assert await store.sessions() == ["session"]
    await check_above_floor(writer, 0)
    both = RetentionPolicy(keep_events=3, keep_keys=timedelta(0))
    later = await a_moment()
    assert await applied(both, store, now=later) == [RetentionStep("session", 8, keys=1)]
    await store.claim_command("session", "key", b"new")
    assert await applied(both, store, now=await a_moment()) == [RetentionStep("session", 8, keys=1)]
    await check_above_floor(writer, 8)


async def test_a_command_whose_key_is_forgotten_runs_again() -> None:
    schemas = SchemaRegistry()
    schemas.register_command("Say", StartInferenceCommand)
    store = MemoryStore(schemas)
    ran = []
    async with Hub(schemas, store=store) as hub:
        hub.register_command("Say", lambda command, session, publisher: ran.append(command.name))

        async def say(runs: int) -> None:
            await hub.submit("session", "Say", StartInferenceCommand(), idempotency_key="key")
            assert len(ran) == runs

        await say(1)
        await say(1)
        await applied(RetentionPolicy(keep_keys=timedelta(0)), store, now=await a_moment())
        await say(2)


async def test_what_it_cannot_be_applied_with(store: HydrationStore) -> None:
    policy = RetentionPolicy(keep_events=1)
    with pytest.raises(TypeError, match=r"^now is a datetime"):
        await applied(policy, store, now="x")
    with pytest.raises(TypeError, match=r"^store is an open store"):
        await applied(policy, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("keep", "floor"), [(3, 8), (1, 10), (0, 10), (9, 2), (10, 0), (11, 0), (2**70, 0)])
async def test_the_last_events_are_kept(store: HydrationStore, keep: int, floor: int) -> None:
    writer = await written(store)
    steps = await applied(RetentionPolicy(keep_events=keep), store)
    assert steps == ([RetentionStep("session", floor)] if floor else [])
    await check_above_floor(writer, floor)
    assert await applied(RetentionPolicy(keep_events=keep), store) == []


async def test_a_floor_rises_only_if_an_event_is_forgotten(store: HydrationStore) -> None:
    writer = SessionWriter(store)
    for ordinal in (1000, 2000, 3000):
        await writer.log(put("a"), ordinal=ordinal)
    assert await applied(RetentionPolicy(keep_events=3), store) == []
    assert (await store.cursors("session")).floor == 0  # so that it can be rebuilt
    assert await applied(RetentionPolicy(keep_events=2), store) == [RetentionStep("session", 1001)]
    await check_above_floor(writer, 1001)


async def test_what_is_young_is_kept(store: HydrationStore) -> None:
    writer = await written(store, events=4)
    then = await a_moment()
    for _ in range(3):
        await writer.log(put("a"))
    policy = RetentionPolicy(keep_for=DAY)
    assert await applied(policy, store) == []
    assert await applied(policy, store, now=then + DAY) == [RetentionStep("session", 5)]
    await check_above_floor(writer, 5)
    assert await applied(policy, store, now=then + DAY) == []
    assert await applied(policy, store, now=datetime.now(UTC) + 2 * DAY) == [RetentionStep("session", 7)]
    await check_above_floor(writer, 7)
    assert await applied(RetentionPolicy(keep_for=timedelta.max), store) == []


@pytest.mark.parametrize(("keep", "floor"), [(1, 5), (3, 5), (4, 4), (7, 0)])
async def test_what_either_rule_keeps_is_kept(store: HydrationStore, keep: int, floor: int) -> None:
    writer = await written(store, events=4)
    then = await a_moment()
    for _ in range(3):
        await writer.log(put("a"))
    policy = RetentionPolicy(keep_events=keep, keep_for=DAY)
    assert await applied(policy, store, now=then + DAY) == ([RetentionStep("session", floor)] if floor else [])
    await check_above_floor(writer, floor)


async def test_events_that_wait_are_kept(store: HydrationStore) -> None:
    writer = await written(store)
    for _ in range(3):
        await writer.commit(writer.waiting())
    assert await applied(RetentionPolicy(keep_events=1), store) == [RetentionStep("session", 10)]
    await check_above_floor(writer, 10)


async def test_idle_sessions_are_deleted_only_if_asked_for(store: HydrationStore) -> None:
    await written(store, "old")
    await written(store, "both", 2)
    then = await a_moment()
    young = await written(store, "young", 3)
    later = then + DAY
    assert await applied(RetentionPolicy(keep_for=DAY), store, now=later) == [
        RetentionStep("both", 2),
        RetentionStep("old", 10),
    ]
    policy = RetentionPolicy(delete_idle=DAY, keep_events=2)
    steps = await applied(policy, store, now=later)
    assert steps == [RetentionStep("both", None), RetentionStep("old", None), RetentionStep("young", 2)]
    assert [step.deleted for step in steps] == [True, True, False]
    assert await store.sessions() == ["young"]
    await check_above_floor(young, 2)
    assert await applied(policy, store, now=later) == []


async def test_a_session_that_is_used_just_then_stays(store: HydrationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = await written(store)
    moment = await a_moment()
    delete = store.delete_session

    async def late(session_id: str, **options: Any) -> None:
        await writer.log(put("a", "still here"))
        await delete(session_id, **options)

    monkeypatch.setattr(store, "delete_session", late)
    assert await applied(RetentionPolicy(delete_idle=DAY), store, now=moment + DAY) == []
    await check_above_floor(writer, 0)
    assert writer.event == 11


async def test_only_the_given_sessions_in_their_order(store: HydrationStore) -> None:
    for name in "abc":
        await written(store, name)
    policy = RetentionPolicy(keep_events=4)
    assert await applied(policy, store, ["c", "nobody", "a"]) == [RetentionStep("c", 7), RetentionStep("a", 7)]
    assert await store.sessions() == ["a", "b", "c"]
    with pytest.raises(TypeError, match=r"\['abc'\]"):
        await applied(policy, store, "abc")
    with pytest.raises(TypeError, match="session_id is a str"):
        await applied(policy, store, [5])  # type: ignore[list-item]


async def test_all_sessions_however_many(store: HydrationStore) -> None:
    names = [f"s{number:03}" for number in range(205)]
    for name in names:
        await written(store, name, 2)
    moment = await a_moment()
    steps = await applied(RetentionPolicy(delete_idle=DAY), store, now=moment + DAY)
    assert [step.session_id for step in steps] == names
    assert await store.sessions() == []


async def test_the_caller_sets_the_pace(store: HydrationStore) -> None:
    for name in "abc":
        await written(store, name)
    steps = RetentionPolicy(keep_events=4).apply(store)
    assert await anext(steps) == RetentionStep("a", 7)
    assert [(await store.cursors(name)).floor for name in "abc"] == [7, 0, 0]
    await steps.aclose()  # type: ignore[attr-defined]
    assert [(await store.cursors(name)).floor for name in "abc"] == [7, 0, 0]


async def test_a_store_that_fails_is_told(store: HydrationStore) -> None:
    await written(store)
    await store.close()
    with pytest.raises(StoreClosed):
        await applied(RetentionPolicy(keep_events=1), store)


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ({}, ValueError),
        ({"keep_events": -1}, ValueError),
        ({"keep_events": 1.5}, TypeError),
        ({"keep_events": True}, TypeError),
        ({"keep_for": -DAY}, ValueError),
        ({"keep_for": 5}, TypeError),
        ({"delete_idle": -DAY}, ValueError),
        ({"delete_idle": "1 day"}, TypeError),
        ({"keep_errors": -DAY}, ValueError),
        ({"keep_errors": 10}, TypeError),
        ({"keep_keys": -DAY}, ValueError),
        ({"keep_keys": 5}, TypeError),
    ],
    ids=repr,
)
def test_rules_that_make_no_sense(rules: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        RetentionPolicy(**rules)


async def test_a_time_without_a_zone_is_refused(store: HydrationStore) -> None:
    with pytest.raises(ValueError, match="time zone"):
        await applied(RetentionPolicy(keep_for=DAY), store, now=datetime(2026, 1, 1))
