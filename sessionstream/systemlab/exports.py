"""Exports the state of a phase as a file: JSON for programs, Markdown for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from sessionstream.systemlab.checks import Check, Json
from sessionstream.systemlab.panels import Document, Panel, Table
from sessionstream.systemlab.phase import Phase, State

_SIGNS: Final = {"passed": "passed", "failed": "**FAILED**", "held": "held", "waiting": "waiting"}


def document(phase: Phase, state: State) -> dict[str, Json]:
    """Return the state of a phase as one JSON object."""
    return {"phase": phase.number, "title": phase.title, "live": phase.server is not None, **state.to_json()}


def markdown(phase: Phase, state: State) -> str:
    """Return the state of a phase as a Markdown page."""
    return "\n".join(_lines(phase, state)) + "\n"


def _lines(phase: Phase, state: State) -> Iterator[str]:
    yield f"# Phase {phase.number}: {phase.title}"
    yield from ("", phase.lead, "")
    broken = "nothing" if state.broken is None else state.broken.label
    facts = (("Last event", state.latest or "none"), ("Broken", broken), ("Held", state.held or "no"), *state.facts)
    yield from (f"- {_inline(label)}: {_inline(value)}" for label, value in facts)
    yield from ("", "## Checks")
    for check in state.checks:
        yield from _check(check)
    for panel in state.panels:
        yield from _panel(panel)


def _check(check: Check) -> Iterator[str]:
    yield from ("", f"### {_inline(check.claim)}", "", f"{_SIGNS[check.verdict]}: {_inline(check.because)}")
    yield from _code(check.evidence)


def _panel(panel: Panel) -> Iterator[str]:
    cut = f" ({panel.count})" if isinstance(panel, Table) and panel.cut else ""
    yield from ("", f"## {_inline(panel.title)}{cut}")
    match panel:
        case Document(value=value):
            yield from _code(value)
        case Table(rows=()):
            yield from ("", panel.empty)
        case Table():
            yield ""
            yield from _row(tuple(_inline(column) for column in panel.columns))
            yield from _row(tuple("---" for _ in panel.columns))
            for row in panel.rows:
                yield from _row(tuple(_inline(cell) for cell in row))


def _row(cells: tuple[str, ...]) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


def _code(value: Json) -> Iterator[str]:
    yield from ("", "```json", json.dumps(value, indent=2, ensure_ascii=False), "```")


def _inline(value: object) -> str:
    """Return a value as Markdown text on one line, with special characters escaped."""
    text = " ".join(str(value).split("\n"))
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in text)
