"""The parts of a page besides its checks: tables, and documents that can be expanded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from sessionstream.systemlab.checks import Json

Cell: TypeAlias = str | int

EXACT: Final = 2**53 - 1
"""The highest integer that a browser represents exactly; ordinals derived from stream ids are far above it."""


def exact(cell: Cell) -> Cell:
    """Return an integer that a browser would round as text; return any other value unchanged."""
    return str(cell) if isinstance(cell, int) and abs(cell) > EXACT else cell


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings.

    Attributes:
        id: unique within its page.
        title: its caption.
        columns: the headings.
        rows: one cell for each column; a cell that begins with ``{`` or ``[`` is shown as code.
        empty: the text if there are no rows, such as how to get some.
        cut: whether there are more rows, of which these are the latest.
    """

    id: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    cut: bool = False

    def latest(self, most: int, *, of: int) -> Table:
        """Return the table; it is ``cut`` if there are more than ``most`` rows."""
        return replace(self, cut=of > most)

    @property
    def count(self) -> str:
        """The number of rows as text."""
        return f"the latest {len(self.rows)}" if self.cut else str(len(self.rows))

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON for the page."""
        return {
            "kind": "table",
            "id": self.id,
            "title": self.title,
            "count": self.count,
            "columns": list(self.columns),
            "rows": [[exact(cell) for cell in row] for row in self.rows],
            "empty": self.empty,
        }


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON value.

    Attributes:
        id: unique within its page.
        title: its caption.
        value: the value.
    """

    id: str
    title: str
    value: Json

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON for the page."""
        return {"kind": "document", "id": self.id, "title": self.title, "value": self.value}


Panel: TypeAlias = Table | Document
