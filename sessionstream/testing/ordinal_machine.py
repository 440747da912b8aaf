"""The ordinal state machine: whatever stream ids arrive, the ordinals of a session only ever rise."""

# ruff: noqa: S101 - these are tests
from __future__ import annotations

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from sessionstream.errors import OrdinalExhausted
from sessionstream.ordinals import MAX_ORDINAL, assign_ordinal, derive_ordinal
from sessionstream.testing.strategies import ordinals, stream_ids


class OrdinalMachine(RuleBasedStateMachine):
    """Stream ids in any order, restarts in between.

    Run it with ``TestOrdinals = OrdinalMachine.TestCase``. A subclass that overrides ``assign`` and ``restart``
    puts something larger under the same test, a consumer with its store, say.
    """

    cursor = 0

    def assign(self, cursor: int, stream_id: str) -> int:
        """Return the ordinal for a message, or raise OrdinalExhausted. Override to test your own."""
        return assign_ordinal(cursor, stream_id, session_id="machine")

    def restart(self, cursor: int) -> int:
        """Lose everything but what is durable; return the cursor that comes back. Override to test your own."""
        return cursor

    @initialize(cursor=ordinals())
    def start(self, cursor: int) -> None:
        """Begin with a session that has come some way already."""
        self.cursor = cursor

    @rule(stream_id=stream_ids())
    def consume(self, stream_id: str) -> None:
        """A message arrives with a stream id of whatever kind."""
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
        """A message arrives that was in no stream."""
        self.consume("")

    @rule()
    def start_again(self) -> None:
        """The process ends and another takes over."""
        assert self.restart(self.cursor) == self.cursor
