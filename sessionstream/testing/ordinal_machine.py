"""A state machine that tests that the ordinals of a session only rise, for any sequence of stream ids."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sessionstream.errors import OrdinalExhausted
from sessionstream.ordinals import MAX_ORDINAL, assign_ordinal, derive_ordinal
from sessionstream.testing.strategies import ordinals, stream_ids


class OrdinalMachine(RuleBasedStateMachine):
    """Assigns ordinals for random stream ids, with restarts in between.

    Run it with ``TestOrdinals = OrdinalMachine.TestCase``. To test something larger, such as a consumer with its
    store, override ``assign`` and ``restart`` in a subclass.
    """

    cursor: int = 0

    def assign(self, cursor: int, stream_id: str) -> int:
        """Return the ordinal for a message, or raise OrdinalExhausted. Override it to test your own code."""
        return assign_ordinal(cursor, stream_id, session_id="machine")

    def restart(self, cursor: int) -> int:
        """Discard everything that is not durable; return the cursor after it. Override it to test your own code."""
        return cursor

    @initialize(cursor=ordinals())
    def start(self, cursor: int) -> None:
        """Begin with a session at any cursor."""
        self.cursor = cursor

    @rule(stream_id=stream_ids())
    def consume(self, stream_id: str) -> None:
        """Assign an ordinal to a message with any stream id."""
        before, derived = self.cursor, derive_ordinal(stream_id)
        try:
            ordinal = self.assign(before, stream_id)
        except OrdinalExhausted as error:
            note(f"exhausted at {before}: {error}")
            assert before == MAX_ORDINAL
            return
        assert before < ordinal <= MAX_ORDINAL
        assert ordinal == (derived if derived is not None and derived > before else before + 1)
        self.cursor = ordinal

    @rule()
    def consume_without_stream_id(self) -> None:
        """Assign an ordinal to a message without a stream id."""
        self.consume("")

    @rule()
    def start_again(self) -> None:
        """End the process and start another."""
        assert self.restart(self.cursor) == self.cursor
