"""The registrations in a file, for the rules: every name and payload that it gives to a SchemaRegistry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
    """The names and payloads of one module, each in no particular order; one expression may be several."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.ev: Evaluator = evaluator

    @cached_property
    def payloads(self) -> tuple[Written, ...]:
        """Every payload."""
        return _written(self.ev, MESSAGE)

    @cached_property
    def names(self) -> tuple[Written, ...]:
        """Every name."""
        return _written(self.ev, NAME)


def _written(ev: Evaluator, role: str) -> tuple[Written, ...]:
    found: dict[object, Written] = {}
    for one in Search(ev, role).run():
        found.setdefault((id(one.node), one.values, one.row), one)
    return tuple(found.values())
