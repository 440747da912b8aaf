"""How a command ends: with an answer, or with a message on standard error and an exit status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sessionstream.admin.tables import Table

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


class Refused(Exception):
    """Nothing was done: the arguments are wrong, or the file or the app cannot be used. Status 2."""


class Failed(Exception):
    """What was asked for could not be done. Status 1."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found or did, in both forms.

    Attributes:
        document: for ``--json``.
        blocks: for people: paragraphs and tables, separated by an empty line.
        status: the exit status.
        verbatim: for programs: printed as it is, in place of ``blocks``.
    """

    document: dict[str, Any]
    blocks: tuple[str | Table, ...]
    status: int = OK
    verbatim: str = ""
