"""Lanes: first come, first served, whatever happens to those who wait."""

from __future__ import annotations

import asyncio

import pytest

from sessionstream.hub.lane import Lane


class Visitor:
    """A task that waits for a lane, and notes when it has it."""

    def __init__(self, lane: Lane, name: str, entered: list[str]) -> None:
        self._lane = lane
        self._name = name
        self._entered = entered
        self.may_leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit())

    async def _visit(self) -> None:
        if not self._lane.take():
            await self._lane.wait()
        self._entered.append(self._name)
        try:
            await self.may_leave.wait()
        finally:
            self._lane.leave()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def queue(names: str) -> tuple[Lane, list[str], dict[str, Visitor]]:
    """Let visitors come to a lane that the first of them takes."""
    lane, entered = Lane(), list[str]()
    visitors = {name: Visitor(lane, name, entered) for name in names}
    await settle()
    assert entered == [names[0]]
    return lane, entered, visitors


async def test_whoever_waits_longest_is_next() -> None:
    lane, entered, visitors = await queue("abc")
    for name, expected in zip("abc", ("ab", "abc", "abc"), strict=True):
        visitors[name].may_leave.set()
        await settle()
        assert "".join(entered) == expected
    assert lane.take()


async def test_nobody_overtakes_one_to_whom_the_lane_was_passed_on() -> None:
    lane, entered, visitors = await queue("ab")
    visitors["a"].may_leave.set()
    await asyncio.sleep(0)  # the lane is passed on, and its task has not run yet
    assert not lane.take()
    await settle()
    assert entered == ["a", "b"]
    visitors["b"].task.cancel()
    await settle()


@pytest.mark.parametrize("after_passing_on", [False, True])
async def test_a_cancelled_visitor_is_skipped(after_passing_on: bool) -> None:
    lane, entered, visitors = await queue("abc")
    if after_passing_on:
        visitors["a"].may_leave.set()
        await asyncio.sleep(0)
    visitors["b"].task.cancel()
    visitors["a"].may_leave.set()
    await settle()
    assert visitors["b"].task.cancelled()
    assert entered == ["a", "c"]
    visitors["c"].may_leave.set()
    await settle()
    assert lane.take()


async def test_of_waiting_visitors_that_are_all_cancelled_nothing_stays() -> None:
    lane, entered, visitors = await queue("abcd")
    for name in "bcd":
        visitors[name].task.cancel()
    visitors["a"].may_leave.set()
    await settle()
    assert entered == ["a"]
    assert lane.take()


async def test_a_waiting_coroutine_that_is_closed_leaves_the_queue() -> None:
    lane = Lane()
    assert lane.take()
    waiting = lane.wait()
    waiting.send(None)
    waiting.close()
    lane.leave()
    assert lane.take()
