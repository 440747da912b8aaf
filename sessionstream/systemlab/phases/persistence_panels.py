"""Panels of phase 5: what a restart kept and lost, and the latest replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sessionstream import ReplayReport
from sessionstream.systemlab.checks import Check, Json
from sessionstream.systemlab.panels import Cell, Document, Panel, Table
from sessionstream.systemlab.phases.persistence_checks import Found, Standing


def kept_and_lost(found: Found, checks: Sequence[Check]) -> Table:
    """Return the table of what the latest restart kept and lost, and why."""
    restart = found.restart
    rows: tuple[tuple[Cell, ...], ...] = ()
    if restart is not None:
        verdicts = {check.id: check.because for check in checks}
        lines: tuple[tuple[str, str, Callable[[Standing], Cell]], ...] = (
            ("Events", "events-kept", lambda standing: len(standing.events)),
            ("Entities", "entities-kept", lambda standing: len(standing.snapshot.entities)),
            ("Event cursor", "cursors-kept", lambda standing: standing.cursors.event),
            ("Timeline cursor", "cursors-kept", lambda standing: standing.cursors.timeline),
            ("Epoch", "cursors-kept", lambda standing: str(standing.cursors.epoch)),
            ("Error records", "errors-kept", lambda standing: len(standing.errors)),
        )
        rows = tuple(
            (what, count(restart.before), count(restart.after), verdicts[judged_by]) for what, judged_by, count in lines
        )
    columns = ("What", "Before", "After the restart", "Why")
    return Table("kept", "Kept and lost", columns, rows, "Write notes, then restart the backend.")


def replayed(report: ReplayReport | None) -> Panel | None:
    """Return the report of the latest replay, if there was one."""
    if report is None:
        return None
    value: Json = {"events": report.events, "cursor": str(report.cursor), "epoch": str(report.epoch)}
    return Document("replay", "The latest replay", value)
