"""What a page shows besides its checks: tables, and documents that fold open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from sessionstream.systemlab.checks import Json

Cell: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings.

    Attributes:
        id: unique within its page.
        title: its caption.
        columns: the headings.
        rows: as many cells each; a cell that begins with ``{`` or ``[`` is shown as code.
        empty: what is said when there are no rows: what to do to get some.
    """

    id: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str

    def to_json(self) -> dict[str, Json]:
        """Return it as the page gets it."""
        return {
            "kind": "table",
            "id": self.id,
            "title": self.title,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
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
