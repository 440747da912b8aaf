"""The parts of a page besides its checks: tables, and documents that can be expanded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from sessionstream.systemlab.checks import Json

Cell: TypeAlias = str | int

EXACT: Final = 2**53 - 1
"""The highest number that a browser reads exactly; ordinals made from stream ids are far above it."""


def exact(cell: Cell) -> Cell:
    """Return a number as text where a browser would round it; anything else as it is."""
    return str(cell) if isinstance(cell, int) and abs(cell) > EXACT else cell


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings.

    Attributes:
        id: unique within its page.
        title: its caption.
        columns: the headings.
        rows: as many cells each; a cell that begins with ``{`` or ``[`` is shown as code.
        empty: what is said when there are no rows: what to do to get some.
        cut: whether the rows are the latest of more.
    """

    id: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    cut: bool = False

    def latest(self, most: int, *, of: int) -> Table:
        """Return it as what shows at most so many, of so many."""
        return replace(self, cut=of > most)

    @property
    def count(self) -> str:
        """How many rows there are, in words where that is not all."""
        return f"the latest {len(self.rows)}" if self.cut else str(len(self.rows))

    def to_json(self) -> dict[str, Json]:
        """Return it as the page gets it."""
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
    """One JSON value, as it is.

    Attributes:
        id: unique within its page.
        title: its caption.
        value: what is shown.
    """

    id: str
    title: str
    value: Json

    def to_json(self) -> dict[str, Json]:
        """Return it as the page gets it."""
        return {"kind": "document", "id": self.id, "title": self.title, "value": self.value}


Panel: TypeAlias = Table | Document
