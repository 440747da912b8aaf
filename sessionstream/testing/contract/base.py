"""The base of the contract tests and of the store machine: it opens the store under test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, ClassVar, TypeVar

import pytest

from sessionstream.hydration.rules import time_of_day
from sessionstream.schema import SchemaRegistry
from sessionstream.store import CommandClaim, HydrationStore
from sessionstream.testing.clock import WallClock
from sessionstream.testing.sessions import sample_registry

Self = TypeVar("Self", bound="ContractBase")
Run = TypeVar("Run", bound=Callable[..., None])


class Opener:
    """Opens the store under test; see ``StoreContract`` and ``StoreMachine``, which are subclasses."""

    durable: ClassVar[bool] = False
    """Whether ``reopen`` works; the tests of durability then apply."""

    settles_within: ClassVar[float] = 0.0
    """Seconds within which ``changes`` finds a change that was acknowledged; 0: at once."""

    def open(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        """Return an async context manager that enters a fresh, empty store and closes it at the end."""
        raise NotImplementedError(f"{type(self).__name__} does not override open, which returns its store")

    def reopen(self, registry: SchemaRegistry) -> AbstractAsyncContextManager[HydrationStore]:
        """Return an async context manager that enters the store that ``open`` opened last, with its contents."""
        raise NotImplementedError(f"{type(self).__name__} is durable, but does not override reopen")


class ContractBase(Opener):
    """Opens stores for tests; see ``StoreContract``."""

    clocked: ClassVar[bool] = False
    """Whether ``open`` passes ``self.clock`` to the store; the tests of time then apply."""

    clock: Callable[[], datetime] = staticmethod(time_of_day)
    """Returns the time of day with a time zone: the machine's, or one that a test sets."""

    def with_store(self, check: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        """Open a store and run a coroutine function with it."""

        async def run() -> None:
            async with self.open(sample_registry()) as store:
                await check(store)

        asyncio.run(run())


def on_fresh_store(
    test: Callable[[Self, Any], Coroutine[Any, Any, None]],
) -> Callable[[Self], None]:
    """Turn ``async def test_…(self, store)`` into a plain test that opens a store and runs the coroutine."""

    def run(self: Self) -> None:
        self.with_store(lambda store: test(self, store))

    return named_as(test, run)


def on_clocked_store(
    test: Callable[[Self, Any, WallClock], Coroutine[Any, Any, None]],
) -> Callable[[Self], None]:
    """Turn ``async def test_…(self, store, clock)`` into a plain test, with a store that uses the clock."""

    def run(self: Self) -> None:
        if not self.clocked:
            pytest.skip("this store takes no clock")
        self.clock = clock = WallClock()
        self.with_store(lambda store: test(self, store, clock))

    return named_as(test, run)


def named_as(test: Callable[..., object], run: Run) -> Run:
    """Give ``run`` the name and the docstring of ``test``.

    Unlike after ``functools.wraps``, pytest does not look for fixtures that are named as the arguments of ``test``.
    """
    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    run.__module__ = test.__module__
    return run


async def claimed(outcome: Awaitable[CommandClaim | None]) -> bytes | None:
    """Return the digest of the earlier claim, or None."""
    claim = await outcome
    return None if claim is None else claim.digest


async def raised_by(outcome: Awaitable[object]) -> BaseException | None:
    """Return the exception that awaiting raises, or None."""
    try:
        await outcome
    except Exception as error:  # noqa: BLE001 - returned to the test
        return error
    return None
