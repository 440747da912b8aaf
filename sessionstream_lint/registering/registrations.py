"""The registrations in a file, for the rules: every name and payload that it gives to a SchemaRegistry."""

from __future__ import annotations

from dataclasses import dataclass

from sessionstream_lint.inference.evaluate import Evaluator
from sessionstream_lint.reading.syntax import Node
from sessionstream_lint.registering.search import Search
from sessionstream_lint.registering.written import MESSAGE, NAME, Written


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with an argument of a registration, to be reported at its expression; ``row`` as of `Written`."""

    code: str
    node: Node
    message: str
    row: str = ""


class Registrations:
    """Finds the names and payloads of one module."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.ev = evaluator
        self.module = evaluator.module
        self._written: dict[str, tuple[Written, ...]] = {}

    def payloads(self) -> tuple[Written, ...]:
        """Return every payload, in no particular order; one expression may be several."""
        return self._find(MESSAGE)

    def names(self) -> tuple[Written, ...]:
        """Return every name, in no particular order; one expression may be several."""
        return self._find(NAME)

    def _find(self, role: str) -> tuple[Written, ...]:
        if role not in self._written:
            found: dict[object, Written] = {}
            for one in Search(self.ev, role).run():
                found.setdefault((id(one.node), one.values, one.row), one)
            self._written[role] = tuple(found.values())
        return self._written[role]
