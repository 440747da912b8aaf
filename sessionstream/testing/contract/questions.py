"""Contract tests of wrong arguments: the error names the argument, whatever the store holds."""

# ruff: noqa: S101, D102 - these are tests, and their names describe them
from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final, TypeAlias

import pytest

from sessionstream.errors import InvalidIdError
from sessionstream.store import HydrationStore
from sessionstream.testing.contract.base import ContractBase, on_fresh_store, raised_by
from sessionstream.testing.contract.records import record
from sessionstream.testing.contract.timelines import eventful

Call: TypeAlias = Callable[[HydrationStore, Any], Awaitable[object]]
"""Calls a store with one argument set to a given value."""

NUMBERS: Final[dict[str, Call]] = {
    "as_of": lambda store, value: store.snapshot("session", as_of=value),
    "since": lambda store, value: store.snapshot("session", since=value),
    "events after": lambda store, value: store.events("session", after=value),
    "events limit": lambda store, value: store.events("session", limit=value),
    "error_records limit": lambda store, value: store.error_records(limit=value),
    "sessions limit": lambda store, value: store.sessions(limit=value),
    "changes limit": lambda store, value: store.changes(limit=value),
    "before": lambda store, value: store.prune("session", before=value),
}
TEXTS: Final[dict[str, Call]] = {
    "snapshot of": lambda store, value: store.snapshot(value),
    "events of": lambda store, value: store.events(value),
    "error_records of": lambda store, value: store.error_records(value),
    "sessions after": lambda store, value: store.sessions(after=value),
    "changes after": lambda store, value: store.changes(after=value),
    "prune": lambda store, value: store.prune(value, before=1),
    "delete": lambda store, value: store.delete_session(value),
    "cursors": lambda store, value: store.cursors(value),
    "timeline": lambda store, value: store.timeline(value),
    "find in": lambda store, value: store.find_event(value, "event-1"),
    "find": lambda store, value: store.find_event("session", value),
    "claim in": lambda store, value: store.claim_command(value, "key", b""),
    "release in": lambda store, value: store.release_command(value, "key"),
}
VALUES: Final[dict[str, Call]] = {
    "replacement": lambda store, value: store.replace_timeline(value),
    "known": lambda store, value: store.timeline("session", known=value),
    "expected": lambda store, value: store.delete_session("session", expected=value),
}
CALLS: Final = NUMBERS | TEXTS | VALUES


def _number(argument: str) -> str:
    return argument.split()[-1]


def _text(argument: str) -> str:
    return {"sessions after": "after", "changes after": "after", "find": "event_id"}.get(argument, "session_id")


class QuestionContract(ContractBase):
    """Tests of arguments that a store has to refuse."""

    def _check_refused(
        self, arguments: Iterable[str], values: Sequence[object], error: type[Exception], name: Callable[[str], str]
    ) -> None:
        """Check that each argument refuses each value, also when the store is closed, and that nothing changes.

        Args:
            name: returns the beginning of the error message for an argument.
        """

        async def check(store: HydrationStore) -> None:
            async def check_each() -> None:
                for argument, value in product(arguments, values):
                    refusal = await raised_by(CALLS[argument](store, value))
                    assert type(refusal) is error, (argument, value, refusal)
                    assert str(refusal).startswith(name(argument)), (argument, value, refusal)
                    assert repr(value) in str(refusal), (argument, value, refusal)

            writer = await eventful(store)
            await store.record_error(record("session", 1))
            await check_each()
            assert (await store.snapshot("session")).entities == writer.at(writer.timeline)
            assert await store.events("session") == writer.events
            assert await store.error_records() == [record("session", 1)]
            await store.close()
            await check_each()

        self.with_store(check)

    def test_a_negative_number_is_a_value_error(self) -> None:
        self._check_refused(NUMBERS, [-1, -(2**64)], ValueError, _number)

    def test_what_is_no_number_is_a_type_error(self) -> None:
        self._check_refused(NUMBERS, [1.5, 1.0, True, False, "1", b"1", [1]], TypeError, _number)

    def test_a_number_that_is_due_is_not_none(self) -> None:
        self._check_refused(["events after", "before"], [None], TypeError, _number)

    def test_what_is_no_text_is_a_type_error(self) -> None:
        self._check_refused(TEXTS, [5, True, b"session", ["session"]], TypeError, _text)

    def test_a_text_that_not_every_store_can_ask_for_is_refused(self) -> None:
        self._check_refused(TEXTS, ["\ud800", "a\0b"], InvalidIdError, _text)

    def test_a_value_of_another_type_is_a_type_error(self) -> None:
        self._check_refused(VALUES, [3, "session", b"x", (1, 2)], TypeError, str)

    def test_a_replacement_is_not_none(self) -> None:
        self._check_refused(["replacement"], [None], TypeError, str)

    def test_an_id_that_is_due_is_not_none(self) -> None:
        unlisted = ("error_records of", "claim in", "release in")
        self._check_refused([each for each in TEXTS if each not in unlisted], [None], TypeError, _text)

    @on_fresh_store
    async def test_claims_and_records_of_another_type_leave_no_trace(self, store: HydrationStore) -> None:
        odd: Any
        for odd in (None, 5, b"s", ["s"]):
            for call in (
                store.claim_command(odd, "key", b""),
                store.claim_command("session", odd, b""),
                store.release_command(odd, "key"),
                store.release_command("session", odd),
                store.record_error(odd),
                store.record_error(replace(record("session", 1), session_id=odd)),
                store.record_error(replace(record("session", 1), error=odd)),
            ):
                assert type(await raised_by(call)) is TypeError
        for odd in (None, 5, "text", ["s"]):
            assert type(await raised_by(store.claim_command("session", "key", odd))) is TypeError
        assert await store.sessions() == []
        assert await store.error_records() == []
        assert await store.claim_command("session", "key", b"digest") is None

    @pytest.mark.parametrize("ordinals", [(0, 0), (1, 1), (3, 2)])
    def test_as_of_and_since_exclude_each_other(self, ordinals: tuple[int, int]) -> None:
        async def check(store: HydrationStore) -> None:
            refusal = await raised_by(store.snapshot("session", as_of=ordinals[0], since=ordinals[1]))
            assert type(refusal) is ValueError

        self.with_store(check)
