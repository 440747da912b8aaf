"""Phase 3: two clients of a real server; every promise kept, and every check seen to fail when it is broken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.breaks import NOTHING
from sessionstream.systemlab.phases.hydration import NOTES, SESSION, Hydration
from sessionstream.systemlab.sabotage.breaches import BREACHES

from .watching import Item, Watching, act, check, judged

CHECKS = ["snapshot-first", "in-order", "none-missing", "none-twice", "true-first", "one-epoch", "converged"]


def of_entity(note: Mapping[str, Any]) -> Any:
    return [note["noteId"], note.get("text", ""), note.get("finished", False)]


def of_event(name: str, note: Mapping[str, Any]) -> Item:
    return note["noteId"], None if name == "NoteGone" else of_entity(note)


@asynccontextmanager
async def running(directory: Path, patience: float = 5.0) -> AsyncIterator[Hydration]:
    phase = Hydration(directory, patience)
    await phase.start()
    try:
        yield phase
    finally:
        await phase.close()
        assert phase.server is None


def directory(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


@pytest.fixture
async def phase(tmp_path: Path) -> AsyncIterator[Hydration]:
    async with running(tmp_path) as started:
        yield started


def client(phase: Hydration, name: str) -> Watching:
    return Watching(phase, name, SESSION, of_entity, of_event)


async def connected(phase: Hydration, *names: str) -> list[Watching]:
    clients = [client(phase, name) for name in names]
    for each in clients:
        await each.connect()
        await each.until(0)
    return clients


async def cursor(phase: Hydration) -> int:
    return int(dict((await phase.state()).facts)["Timeline at"])


async def story(phase: Hydration, breach: str = NOTHING) -> None:
    """What somebody does with the page: break, watch, write, publish while hydrating, go and come back."""
    if breach != NOTHING:
        await act(phase, "break", breach=breach)
    a = client(phase, "A")
    await a.connect()
    if breach != "overtake":
        await a.until(0)
    await act(phase, "add", notes=2, text="one two")
    if breach in (NOTHING, "epoch"):
        [b] = await connected(phase, "B")
        await a.until(await cursor(phase))
        await b.leave()
        await act(phase, "rebuild")
        await b.connect()
        await b.until(0)
        await act(phase, "add", notes=1)
        await b.until(await cursor(phase))
        await b.leave()
        await b.connect()
        await act(phase, "remove")
        await a.until(await cursor(phase))
        await b.until(await cursor(phase))
        await a.report()
        await b.report()
    if breach == "stale":
        await act(phase, "drop")
        await connected(phase, "B")


async def test_a_page_that_was_just_opened_has_nothing_to_judge(phase: Hydration) -> None:
    state = await phase.state()
    assert [(check.id, check.verdict) for check in state.checks] == [(name, "waiting") for name in CHECKS]
    assert all(panel.to_json()["id"] for panel in state.panels)


async def test_every_promise_is_kept(phase: Hydration) -> None:
    await story(phase)
    for name in CHECKS:
        await judged(phase, name, "passed")


@pytest.mark.parametrize(
    ("breach", "promise"),
    [
        ("overtake", "snapshot-first"),
        ("swap", "in-order"),
        ("drop", "none-missing"),
        ("reorder", "none-missing"),
        ("repeat", "none-twice"),
        ("hasty", "true-first"),
        ("stale", "none-missing"),
        ("epoch", "one-epoch"),
    ],
)
async def test_a_broken_promise_is_seen_and_a_reset_forgets_it(tmp_path: Path, breach: str, promise: str) -> None:
    async with running(directory(tmp_path, "broken")) as phase:
        await story(phase, breach)
        assert (await judged(phase, promise, "failed")).because
        assert (await phase.state()).broken == phase.breaks()[breach]
    async with running(directory(tmp_path, "reset")) as phase:
        await story(phase)
        await judged(phase, promise, "passed")


def test_every_breach_is_tried() -> None:
    assert {"overtake", "swap", "drop", "reorder", "repeat", "hasty", "stale", "epoch", NOTHING} == set(BREACHES)


async def test_a_client_that_holds_something_else_than_the_store_is_seen(phase: Hydration) -> None:
    a, b = await connected(phase, "A", "B")
    await act(phase, "add", text="one")
    for each in (a, b):
        await each.until(await cursor(phase))
        await each.report()
    assert (await check(phase, "converged")).verdict == "passed"
    [(note, held)] = b.held.items()
    b.held[note] = [held[0], "two", held[2]]
    await b.report()
    found = await check(phase, "converged")
    assert found.verdict == "failed"
    assert "B at 3: item 1 is" in found.because


async def test_who_loses_events_does_not_converge(phase: Hydration) -> None:
    await act(phase, "break", breach="drop")
    [a] = await connected(phase, "A")
    await act(phase, "add", text="one two three four", notes=2)  # the end of the first is lost, and of the second
    await a.until(11)
    await a.report()
    assert (await check(phase, "converged")).verdict == "failed"


async def test_events_that_are_published_while_a_snapshot_loads_come_after_it(phase: Hydration) -> None:
    [a] = await connected(phase, "A")
    await act(phase, "hydrate", notes=3)
    await a.until(await cursor(phase))
    assert (await judged(phase, "none-missing", "passed")).evidence
    frames = next(panel for panel in (await phase.state()).panels if panel.id == "frames").to_json()["rows"]
    assert isinstance(frames, list)
    kinds = [row[2] for row in frames if isinstance(row, list)]
    assert kinds.count("snapshot") == 2
    assert kinds.index("uiEvent") > len(kinds) - 1 - kinds[::-1].index("snapshot")  # all that was live came after


async def test_a_snapshot_that_nobody_asks_for_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with running(tmp_path, patience=0) as phase:
        await connected(phase, "A")
        with pytest.raises(BadRequest, match="no snapshot was requested in time"):
            await act(phase, "hydrate")
        assert dict((await phase.state()).facts)["Snapshots held back"] == "no"


async def test_snapshots_can_be_held_back_and_let_go(phase: Hydration) -> None:
    await act(phase, "hold")
    a = client(phase, "A")
    await a.connect()
    await act(phase, "add", notes=2)
    await judged(phase, "none-missing", "waiting")
    await act(phase, "release")
    await a.until(await cursor(phase))
    await a.report()
    assert len(a.held) == 2
    await judged(phase, "none-missing", "passed")


async def test_dropped_connections_are_told_to_come_back_and_lose_nothing(phase: Hydration) -> None:
    a, b = await connected(phase, "A", "B")
    await act(phase, "add")
    await a.until(await cursor(phase))
    await act(phase, "drop")
    assert [await a.ended(), await b.ended()] == [1012, 1012]
    await act(phase, "remove")
    for each in (a, b):
        await each.connect()
        await each.until(await cursor(phase))
        await each.report()
    for name in ("none-missing", "one-epoch", "converged"):
        await judged(phase, name, "passed")


async def test_what_cannot_be_done_is_said(phase: Hydration) -> None:
    with pytest.raises(BadRequest, match="no client is subscribed"):
        await act(phase, "hydrate")
    with pytest.raises(BadRequest, match="no note to remove"):
        await act(phase, "remove")
    for _ in range(NOTES // 20):
        await act(phase, "add", notes=20, text="")
    with pytest.raises(BadRequest, match="60 are the maximum"):
        await act(phase, "add")


@pytest.mark.parametrize("wrong", [{"items": "{}"}, {"items": "[" * 100_000}, {"items": "x"}, {"epoch": "²"}])
async def test_an_invalid_report_is_refused(phase: Hydration, wrong: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        await act(phase, "report", client="A", **wrong)
