"""The rules: one module, one set of fixtures and one page of documentation each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from sessionstream_lint.registering.registrations import Finding, Registrations
from sessionstream_lint.rules import (
    sst001_struct_payload,
    sst002_schemaless_payload,
    sst003_computed_name,
    sst004_unusable_name,
    sst005_foreign_payload,
)


class Rule(Protocol):
    """What the module of a rule offers."""

    __name__: str

    @property
    def CODE(self) -> str:  # noqa: N802 - a constant of the module
        """What it is called on the command line."""
        ...

    @property
    def SUMMARY(self) -> str:  # noqa: N802 - likewise
        """What it finds, in a few words."""
        ...

    def check(self, registrations: Registrations, /) -> Iterator[Finding]:
        """Yield the findings of one file."""
        ...


RULES: tuple[Rule, ...] = (
    sst001_struct_payload,
    sst002_schemaless_payload,
    sst003_computed_name,
    sst004_unusable_name,
    sst005_foreign_payload,
)
UNREADABLE = "SST900"
SUMMARIES = {
    **{rule.CODE: rule.SUMMARY for rule in RULES},
    UNREADABLE: "a file that registers schemas could not be analysed",
}

__all__ = ["RULES", "SUMMARIES", "UNREADABLE", "Finding", "Rule"]
