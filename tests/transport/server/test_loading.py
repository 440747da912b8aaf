"""Loads are shared by those who waited before they began, bounded, and full or delta as is cheaper and right."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sessionstream import HistoryPruned, Snapshot
from sessionstream.subscription import Basis
from sessionstream.transport.ws.server.effects import Hydration
from sessionstream.transport.ws.server.loading import SnapshotLoader, SnapshotRequest

from ..source import Source


class Waiting:
    """A request and its result."""

    def __init__(self, loader: SnapshotLoader, session_id: str = "s", basis: Basis | None = None) -> None:
        self.results: list[Hydration | Exception] = []
        self.done = asyncio.Event()
        self.request = SnapshotRequest(session_id, basis, basis is not None, self._deliver)
        loader.request(self.request)

    def _deliver(self, result: Hydration | Exception) -> None:
        self.results.append(result)
        self.done.set()

    async def result(self) -> Hydration:
        async with asyncio.timeout(10):
            await self.done.wait()
        (result,) = self.results
        assert isinstance(result, Hydration)
        return result

    async def body(self) -> dict[str, Any]:
        body = json.loads((await self.result()).frame.text)["snapshot"]
        assert isinstance(body, dict)
        return body


def loader_on(source: Source, *, concurrency: int = 8, timeout_seconds: float = 30.0) -> SnapshotLoader:
    return SnapshotLoader(source, concurrency=concurrency, timeout_seconds=timeout_seconds, cache_bytes=1_000_000)


async def test_waiting_requests_share_the_next_load_and_not_the_running_one() -> None:
    source = Source()
    loader = loader_on(source)
    source.stop()
    first = Waiting(loader)
    await source.calls(1)
    others = [Waiting(loader) for _ in range(5)]
    source.ordinals["s"] = 9  # what happened since the first load began
    for _ in range(5):
        await asyncio.sleep(0)
    assert source.running == 1
    source.go()
    assert (await first.result()).ordinal == 0
    results = [await other.result() for other in others]
    assert {result.ordinal for result in results} == {9}
    assert source.asked == [("s", None)] * 2
    assert len({id(result.frame) for result in results}) == 1  # written once
    await loader.close()


async def test_concurrency_is_bounded_and_everybody_is_served() -> None:
    source = Source()
    loader = loader_on(source, concurrency=3)
    source.stop()
    waiting = [Waiting(loader, f"s{number}") for number in range(10)]
    await source.calls(3)
    assert source.running == 3
    source.go()
    for each in waiting:
        await each.result()
    assert source.most == 3
    assert [session for session, _ in source.asked] == [f"s{number}" for number in range(10)]
    await loader.close()


async def test_a_failure_reaches_those_who_waited_for_it_and_no_others() -> None:
    source = Source()
    loader = loader_on(source)
    source.failure = lambda since: RuntimeError("no")
    failed = [Waiting(loader), Waiting(loader)]
    for each in failed:
        async with asyncio.timeout(10):
            await each.done.wait()
        assert isinstance(each.results[0], RuntimeError)
    source.failure = lambda since: None
    assert (await Waiting(loader).result()).ordinal == 0
    await loader.close()


async def test_a_load_that_hangs_is_given_up() -> None:
    source = Source()
    source.stop()
    loader = loader_on(source, timeout_seconds=0.01)
    waiting = Waiting(loader)
    async with asyncio.timeout(10):
        await waiting.done.wait()
    assert isinstance(waiting.results[0], TimeoutError)
    await loader.close()


async def test_a_cancelled_request_is_not_answered_and_loads_nothing() -> None:
    source = Source()
    loader = loader_on(source, concurrency=1)
    source.stop()
    running = Waiting(loader, "a")
    await source.calls(1)
    void, wanted = Waiting(loader, "b"), Waiting(loader, "c")
    void.request.done = True
    source.go()
    await running.result()
    await wanted.result()
    assert void.results == []
    assert source.asked == [("a", None), ("c", None)]
    await loader.close()


async def test_closing_ends_what_runs() -> None:
    source = Source()
    source.stop()
    loader = loader_on(source)
    waiting = [Waiting(loader), Waiting(loader, "other")]
    await source.calls(2)
    await loader.close()
    assert source.running == 0
    assert [each.results for each in waiting] == [[], []]


async def test_a_client_that_holds_a_snapshot_gets_a_delta() -> None:
    source = Source()
    source.ordinals["s"], source.entities["s"] = 5, 5
    loader = loader_on(source)
    body = await Waiting(loader, basis=Basis(3, 7)).body()
    assert source.asked == [("s", 3)]
    assert (body["snapshotOrdinal"], body["since"], body["epoch"]) == ("5", "3", "7")
    assert [entity["id"] for entity in body["entities"]] == ["4", "5"]
    await loader.close()


async def test_several_holders_share_the_delta_of_the_oldest() -> None:
    source = Source()
    source.ordinals["s"], source.entities["s"] = 5, 5
    source.stop()
    loader = loader_on(source)
    first = Waiting(loader)
    await source.calls(1)
    waiting = [Waiting(loader, basis=Basis(ordinal, 7)) for ordinal in (4, 2, 5)]
    source.go()
    await first.result()
    assert [(await each.body())["since"] for each in waiting] == ["2", "2", "2"]
    assert source.asked == [("s", None), ("s", 2)]
    await loader.close()


async def test_a_position_that_no_delta_continues_gets_a_full_snapshot() -> None:
    source = Source()
    source.ordinals["s"], source.entities["s"] = 5, 5
    for basis in (Basis(3, 8), Basis(6, 7)):  # another epoch; an ordinal from the future
        loader = loader_on(source)
        body = await Waiting(loader, basis=basis).body()
        assert "since" not in body
        assert len(body["entities"]) == 5
        await loader.close()


async def test_pruned_history_and_any_other_failure_of_a_delta_make_it_full() -> None:
    for error in (HistoryPruned("s", 3, 4), RuntimeError("no deltas here")):
        source = Source()
        source.ordinals["s"], source.entities["s"] = 5, 5

        def failing(since: int | None, error: Exception = error) -> Exception | None:
            return error if since else None

        source.failure = failing
        loader = loader_on(source)
        body = await Waiting(loader, basis=Basis(3, 7)).body()
        assert "since" not in body
        assert body["epoch"] == "7"
        await loader.close()


async def test_the_smaller_of_two_frames_where_both_are_at_hand() -> None:
    source = Source()
    source.ordinals["s"], source.entities["s"] = 5, 5
    source.stop()
    loader = loader_on(source)
    first = Waiting(loader)
    await source.calls(1)
    holder, beginner, foreigner = (
        Waiting(loader, basis=Basis(4, 7)),
        Waiting(loader),
        Waiting(loader, basis=Basis(4, 8)),
    )
    source.go()
    await first.result()
    assert (await holder.result()).delta
    full, other = await beginner.body(), await foreigner.body()
    assert "epoch" not in full
    assert other["epoch"] == "7"
    assert full["entities"] == other["entities"]
    assert len(full["entities"]) == 5
    await loader.close()


async def test_others_run_while_a_large_snapshot_is_written() -> None:
    source = Source()
    source.ordinals["s"] = source.entities["s"] = 1_000
    loader = loader_on(source)
    waiting, turns = Waiting(loader), 0
    while not waiting.done.is_set():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 10
    await loader.close()


def test_there_is_no_delta_from_nothing() -> None:
    with pytest.raises(ValueError, match="full snapshot"):
        Basis(0, 7)


async def test_a_request_is_settled_once() -> None:
    source = Source()
    waiting = Waiting(loader_on(source))
    await waiting.result()
    waiting.request.settle(RuntimeError("too late"))
    assert len(waiting.results) == 1


@pytest.mark.parametrize("basis", [None, Basis(1, 7)])
async def test_a_cancellation_nobody_asked_for_fails_the_load(basis: Basis | None) -> None:
    class Cancelled(Source):
        async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
            raise asyncio.CancelledError

    loader = loader_on(Cancelled())
    waiting = Waiting(loader, basis=basis)
    async with asyncio.timeout(10):
        await waiting.done.wait()
    (result,) = waiting.results
    assert isinstance(result, RuntimeError)
    await loader.close()
