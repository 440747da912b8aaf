"""The rules: one module, one set of fixtures and one page of documentation each."""

from __future__ import annotations

from types import ModuleType

from sessionstream_lint.rules import (
    sst001_struct_payload,
    sst002_schemaless_payload,
    sst003_computed_name,
    sst004_unusable_name,
    sst005_foreign_payload,
)

# Modules with a ``CODE``, a ``SUMMARY``, and ``check``, which yields the findings of the `Registrations` of a file.
RULES: tuple[ModuleType, ...] = (
    sst001_struct_payload,
    sst002_schemaless_payload,
    sst003_computed_name,
    sst004_unusable_name,
    sst005_foreign_payload,
)
UNREADABLE = "SST900"
SUMMARIES: dict[str, str] = {
    **{rule.CODE: rule.SUMMARY for rule in RULES},
    UNREADABLE: "a file that registers schemas could not be analysed",
}
