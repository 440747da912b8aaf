"""CheckedStore: what it refuses, in which order, and what reaches a store that derives from it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sessionstream import CheckedStore, Commit, Cursors, ErrorRecord, HydrationStore, StoreClosed, TimelineReplacement
from sessionstream.testing.contract.base import raised_by

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COMMIT = Commit("s", None, (), 1, 1, 0)
REPLACEMENT = TimelineReplacement("s", (), 1, Cursors(1, 0, 7))
RECORD = ErrorRecord("store", "s", 1, "E", "wrong")


def hook(name: str) -> Callable[..., Any]:
    async def called(self: Noting, *arguments: object) -> Any:
        self.called.append((name, *arguments))

    def committed(self: Noting, commit: Commit) -> asyncio.Future[None]:
        return asyncio.ensure_future(called(self, commit))

    return committed if name == "_commit" else called


class Noting(
    type("Hooks", (CheckedStore,), {name: hook(name) for name in CheckedStore.__abstractmethods__ - {"max_ordinal"}})  # type: ignore[misc]
):
    """Notes what reaches it."""

    max_ordinal = 10

    def __init__(self) -> None:
        super().__init__("the noting store")
        self.called: list[tuple[object, ...]] = []


CALLS: dict[str, tuple[Callable[[Any], Awaitable[object]], Callable[[Any], Awaitable[object]], tuple[object, ...]]] = {
    "commit": (lambda s: s.commit(COMMIT), lambda s: s.commit("s"), (COMMIT,)),
    "snapshot": (lambda s: s.snapshot("s", since=3), lambda s: s.snapshot("s", as_of=True), ("s", None, 3)),
    "events": (lambda s: s.events("s", after=2), lambda s: s.events("s", limit="1"), ("s", 2, None)),
    "find_event": (lambda s: s.find_event("s", "e"), lambda s: s.find_event("s", 1), ("s", "e")),
    "timeline": (lambda s: s.timeline("s"), lambda s: s.timeline("s", known=1), ("s", None)),
    "cursors": (lambda s: s.cursors("s"), lambda s: s.cursors(None), ("s",)),
    "replace_timeline": (
        lambda s: s.replace_timeline(REPLACEMENT),
        lambda s: s.replace_timeline(COMMIT),
        (REPLACEMENT,),
    ),
    "claim_command": (
        lambda s: s.claim_command("s", "k", b"d"),
        lambda s: s.claim_command("s", "k", "d"),
        ("s", "k", b"d"),
    ),
    "release_command": (lambda s: s.release_command("s", "k"), lambda s: s.release_command("s", 2), ("s", "k")),
    "record_error": (lambda s: s.record_error(RECORD), lambda s: s.record_error("wrong"), (RECORD,)),
    "error_records": (lambda s: s.error_records(limit=4), lambda s: s.error_records(5), (None, 4)),
    "sessions": (lambda s: s.sessions(after="a"), lambda s: s.sessions(after=1), ("a", None)),
    "changes": (lambda s: s.changes(after="a"), lambda s: s.changes(limit=-1.5), ("a", None)),
    "prune": (lambda s: s.prune("s", before=5), lambda s: s.prune("s", before=None), ("s", 5)),
    "ordinal_before": (lambda s: s.ordinal_before("s", NOW), lambda s: s.ordinal_before("s", 3), ("s", NOW)),
    "ordinal_from_end": (lambda s: s.ordinal_from_end("s", 2), lambda s: s.ordinal_from_end("s", None), ("s", 2)),
    "forget_errors": (lambda s: s.forget_errors("", NOW), lambda s: s.forget_errors("s", ""), ("", NOW)),
    "end_command": (
        lambda s: s.end_command("s", "k", finished=True),
        lambda s: s.end_command("s", "k", finished=1),
        ("s", "k", True),
    ),
    "forget_claims": (lambda s: s.forget_claims("s", NOW), lambda s: s.forget_claims("s", 1.0), ("s", NOW)),
    "delete_session": (lambda s: s.delete_session("s"), lambda s: s.delete_session("s", expected=0), ("s", None)),
}
"""A call that is right, one that is wrong, and what the store gets of the first."""


def test_its_methods_are_those_of_the_port() -> None:
    port = {
        name: inspect.signature(value).parameters.keys()
        for name, value in vars(HydrationStore).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }
    assert {name: inspect.signature(getattr(CheckedStore, name)).parameters.keys() for name in port} == port
    assert {*CALLS, "check_writable", "close"} == port.keys()
    assert {f"_{name}" for name in port} | {"max_ordinal"} == CheckedStore.__abstractmethods__


@pytest.mark.parametrize("name", CALLS)
async def test_a_right_call_reaches_the_store_a_wrong_one_does_not(name: str) -> None:
    store = Noting()
    right, wrong, arguments = CALLS[name]
    assert isinstance(await raised_by(wrong(store)), TypeError)
    assert store.called == []
    await right(store)
    assert store.called == [(f"_{name}", *arguments)]


@pytest.mark.parametrize("name", CALLS)
async def test_a_closed_store_is_refused_after_wrong_arguments(name: str) -> None:
    store = Noting()
    await store.close()
    store.called.clear()
    right, wrong, _ = CALLS[name]
    assert isinstance(await raised_by(wrong(store)), TypeError)
    refused = await raised_by(right(store))
    assert isinstance(refused, StoreClosed)
    assert str(refused) == "the noting store is closed"
    assert store.called == []


async def test_a_check_that_it_can_write_reaches_an_open_store() -> None:
    store = Noting()
    await store.check_writable()
    assert store.called == [("_check_writable",)]
    await store.close()
    assert isinstance(await raised_by(store.check_writable()), StoreClosed)
    assert store.called == [("_check_writable",), ("_close",)]


async def test_what_a_commit_raises_is_raised_where_it_is_awaited() -> None:
    class Failing(Noting):
        def _commit(self, commit: Commit) -> asyncio.Future[None]:
            raise ZeroDivisionError

    outcome = Failing().commit(COMMIT)
    assert outcome.done()
    with pytest.raises(ZeroDivisionError):
        await outcome


async def test_a_subclass_that_does_not_call_init_is_open_until_it_is_closed() -> None:
    class Forgetful(Noting):
        def __init__(self) -> None:
            self.called = []

    store = Forgetful()
    await store.cursors("s")
    assert store.called == [("_cursors", "s")]
    await store.close()
    with pytest.raises(StoreClosed, match="the store is closed"):
        await store.cursors("s")


async def test_closing_again_waits_for_what_the_first_began() -> None:
    store = Noting()
    await store.close()
    await store.close()
    assert store.called == [("_close",), ("_close",)]
