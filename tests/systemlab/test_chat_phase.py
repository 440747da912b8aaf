"""Phase 4: the chat through all its layers; every promise kept, and every check seen to fail when it is broken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sessionstream.systemlab.actions import BadRequest
from sessionstream.systemlab.panels import Table
from sessionstream.systemlab.phases.chat import BREAKS, PROMPTS, SESSION, ChatPhase

from .watching import Item, Watching, act, check, judged

CHECKS = [
    "one-answer",
    "pieces-add-up",
    "stop-stops",
    "matches",
    "snapshot-first",
    "in-order",
    "none-missing",
    "none-twice",
    "true-first",
]
DELAY = 0.01


def of_entity(message: Mapping[str, Any]) -> Any:
    return [message["messageId"], message["role"], message.get("status", ""), message.get("text", "")]


def of_event(_name: str, message: Mapping[str, Any]) -> Item:
    return message["messageId"], of_entity(message)


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[ChatPhase]:
    phase = ChatPhase(directory, delay=DELAY)
    await phase.start()
    try:
        yield phase
    finally:
        await phase.close()
        assert phase.server is None


@pytest.fixture
async def phase(tmp_path: Path) -> AsyncIterator[ChatPhase]:
    async with running(tmp_path) as started:
        yield started


async def connected(phase: ChatPhase, name: str = "A") -> Watching:
    client = Watching(phase, name, SESSION, of_entity, of_event)
    await client.connect()
    return client


async def heard(client: Watching, number: int, status: str) -> None:
    """Return when the client has heard that an answer is so."""
    while client.held.get(f"chat-msg-{number}", ["", "", ""])[2] != status:
        await client.until(client.ordinal + 1)


async def story(phase: ChatPhase, breach: str = "none") -> Watching:
    """What somebody does with the page: ask twice at once, let it finish, stream, stop."""
    if breach != "none":
        await act(phase, "break", breach=breach)
    client = await connected(phase)
    if breach != "overtake":
        await client.until(0)
    await act(phase, "send", prompt="Explain ordinals to somebody who has none", twice=True)
    if breach in ("none", "stranger"):
        await heard(client, 1, "finished")
    if breach in ("none", "straggler"):
        await act(phase, "stream", sentences=7)
        await client.until(12)
        await act(phase, "stop")
        await heard(client, 2, "stopped")
        await client.report()
    return client


async def test_a_page_that_was_just_opened_has_nothing_to_judge(phase: ChatPhase) -> None:
    state = await phase.state()
    assert [(check.id, check.verdict) for check in state.checks] == [(name, "waiting") for name in CHECKS]


async def test_every_promise_is_kept(phase: ChatPhase) -> None:
    await story(phase)
    for name in CHECKS:
        await judged(phase, name, "passed")
    facts = dict((await phase.state()).facts)
    assert (facts["Messages"], facts["Streaming"], facts["Connections"]) == (4, "no", 1)


@pytest.mark.parametrize(
    ("breach", "promise"),
    [
        ("keyless", "one-answer"),
        ("stranger", "pieces-add-up"),
        ("straggler", "stop-stops"),
        ("overtake", "snapshot-first"),
        ("swap", "in-order"),
        ("drop", "none-missing"),
        ("reorder", "none-missing"),
        ("repeat", "none-twice"),
        ("hasty", "true-first"),
    ],
)
async def test_a_broken_promise_is_seen_and_a_reset_forgets_it(tmp_path: Path, breach: str, promise: str) -> None:
    broken, reset = tmp_path / "broken", tmp_path / "reset"
    broken.mkdir()
    reset.mkdir()
    async with running(broken) as phase:
        await story(phase, breach)
        assert (await judged(phase, promise, "failed")).because
        assert (await phase.state()).broken == BREAKS[breach]
    async with running(reset) as phase:
        await story(phase)
        await judged(phase, promise, "passed")


async def test_a_page_that_vanished_without_a_word_is_not_waited_for(phase: ChatPhase) -> None:
    gone = await connected(phase, "gone")
    await gone.until(0)
    await gone.report()
    await gone.leave()
    await story(phase)
    await judged(phase, "matches", "passed")
    [table] = [panel for panel in (await phase.state()).panels if panel.id == "folds"]
    assert isinstance(table, Table)
    assert [row[:2] for row in table.rows] == [("gone", "away"), ("A", "live")]


async def test_a_page_that_shows_something_else_than_the_store_has_is_seen(phase: ChatPhase) -> None:
    client = await story(phase)
    assert (await check(phase, "matches")).verdict == "passed"
    client.held["chat-msg-1"][3] += "!"
    await client.report()
    found = await check(phase, "matches")
    assert found.verdict == "failed"
    assert "item 2 is" in found.because


async def test_who_has_lost_a_message_does_not_match(phase: ChatPhase) -> None:
    await act(phase, "break", breach="drop")
    client = await connected(phase)
    await client.until(0)
    for number in (1, 2, 3):  # four live events each: the ninth, and so every third, is the third prompt
        await act(phase, "send", prompt="12")
        await heard(client, number, "finished" if number < 3 else "streaming")  # the twelfth is its end
        await client.report()
        assert (await check(phase, "matches")).verdict == ("passed" if number < 3 else "failed")


async def test_an_answer_continues_without_clients_and_is_complete_after_a_reconnect(phase: ChatPhase) -> None:
    client = await connected(phase)
    await act(phase, "stream", sentences=2)
    await client.until(4)
    await act(phase, "drop")
    assert await client.ended() == 1012
    await client.connect()
    await heard(client, 1, "finished")
    await client.report()
    for name in ("matches", "none-missing", "pieces-add-up"):
        await judged(phase, name, "passed")


async def test_closing_the_phase_stops_a_streaming_answer_for_its_watchers(tmp_path: Path) -> None:
    async with running(tmp_path) as phase:
        client = await connected(phase)
        await act(phase, "stream", sentences=7)
        await client.until(4)
    await heard(client, 1, "stopped")
    assert await client.ended() == 1012


async def test_what_cannot_be_done_is_said(phase: ChatPhase) -> None:
    with pytest.raises(BadRequest, match="needs some text"):
        await act(phase, "send", prompt=" ")
    await act(phase, "stop")  # which does nothing
    for _ in range(PROMPTS):
        await act(phase, "send", prompt="again")
    with pytest.raises(BadRequest, match="40 prompts are the maximum"):
        await act(phase, "send")
