"""The rules: one module, one set of fixtures and one page of documentation each."""

from __future__ import annotations

from sessionstream_lint.rules import sst001_struct_payload

RULES = (sst001_struct_payload,)
UNREADABLE = "SST900"
SUMMARIES = {
    **{rule.CODE: rule.SUMMARY for rule in RULES},
    UNREADABLE: "a file that registers schemas could not be analysed",
}

__all__ = ["RULES", "SUMMARIES", "UNREADABLE"]
