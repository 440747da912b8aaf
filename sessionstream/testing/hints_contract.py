"""The Hints port as a test suite."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, ClassVar, TypeVar

from sessionstream.hints import Hints
from sessionstream.testing.contract.base import named_as

Self = TypeVar("Self", bound="HintsContract")


class Heard:
    """What a listener was told.

    Attributes:
        session_ids: all ids that it heard.
        all: how often it was told that every session may have moved.
    """

    def __init__(self) -> None:
        self.session_ids: set[str] = set()
        self.all: int = 0
        self._changed = asyncio.Event()

    def __call__(self, session_ids: Collection[str] | None) -> None:
        """Note a hint."""
        if session_ids is None:
            self.all += 1
        else:
            self.session_ids.update(session_ids)
        self._changed.set()

    def includes(self, session_id: str) -> bool:
        """Return whether an id was heard."""
        return session_id in self.session_ids

    async def until(self, met: Callable[[], bool], again: Callable[[], None] = lambda: None) -> None:
        """Wait until a condition holds; meanwhile call ``again`` ten times a second, because hints may be lost."""
        while not met():
            again()
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._changed.wait()


def in_a_loop(test: Callable[[Self], Coroutine[Any, Any, None]]) -> Callable[[Self], None]:
    """Turn ``async def test_…(self)`` into a plain test that runs the coroutine."""

    def run(self: Self) -> None:
        async def limited() -> None:
            async with asyncio.timeout(self.patience):
                await test(self)

        asyncio.run(limited())

    return named_as(test, run)


class HintsContract:
    """Tests of what ``sessionstream.hints.Hints`` promises; pytest collects them from a subclass.

    Override ``open``: it returns new hints, as one more process has them; the tests start and close them.
    """

    patience: ClassVar[float] = 30.0
    """Timeout of each test, in seconds."""

    def open(self) -> Hints:
        """Return new hints, as one more process has them."""
        raise NotImplementedError(f"{type(self).__name__} does not override open, which returns its hints")

    @asynccontextmanager
    async def _started(self, channel: str = "sessionstream_test") -> AsyncIterator[tuple[Hints, Heard]]:
        """Start the hints of one more process, and close them in the end."""
        hints, heard = self.open(), Heard()
        try:
            await hints.start(channel, heard)
            yield hints, heard
        finally:
            await hints.close()

    @in_a_loop
    async def test_every_process_hears_what_one_sends(self) -> None:
        session_id = "ü\n\U0001f600\"'\\,[]{} " + "x" * 900
        async with self._started() as (one, own), self._started() as (_, second), self._started() as (_, third):
            for heard in (second, third, own):
                await heard.until(partial(heard.includes, session_id), lambda: one.send([session_id]))
            assert own.session_ids == second.session_ids == third.session_ids == {session_id}

    @in_a_loop
    async def test_a_new_connection_tells_of_every_session(self) -> None:
        async with self._started() as (hints, heard):
            await heard.until(lambda: hints.works and heard.all > 0)

    @in_a_loop
    async def test_many_ids_arrive_or_become_every_session(self) -> None:
        many = {f"session-{number}-{'x' * 200}" for number in range(5_000)}
        async with self._started() as (one, _), self._started() as (two, heard):
            await heard.until(lambda: two.works)
            before = heard.all
            await heard.until(lambda: heard.all > before or heard.session_ids >= many, lambda: one.send(many))

    @in_a_loop
    async def test_channels_are_apart(self) -> None:
        async with self._started() as (one, first), self._started("sessionstream_other") as (other, second):
            await first.until(lambda: first.includes("ours"), lambda: one.send({"ours"}))
            await second.until(lambda: second.includes("theirs"), lambda: other.send({"theirs"}))
            await first.until(lambda: first.includes("ours again"), lambda: one.send({"ours again"}))
            assert first.session_ids == {"ours", "ours again"}

    @in_a_loop
    async def test_what_is_sent_before_there_is_a_connection_does_not_fail(self) -> None:
        async with self._started() as (hints, heard):
            assert not hints.works
            hints.send(["early"])
            await heard.until(lambda: heard.includes("later"), lambda: hints.send(["later"]))

    @in_a_loop
    async def test_closing_ends_everything(self) -> None:
        before = asyncio.all_tasks()
        async with self._started() as (hints, heard):
            await heard.until(lambda: hints.works)
            hints.send(["a"])
            await hints.close()
            assert not hints.works
            hints.send(["b"])
            await hints.close()
            assert asyncio.all_tasks() == before
        await self.open().close()
