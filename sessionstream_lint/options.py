"""What can be configured: which codes are reported, and where the project's modules are."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CODE = re.compile(r"[A-Z]{1,3}[0-9]{0,3}", re.ASCII)

# Directories that hold no source of the project.
EXCLUDED = (
    ".bzr", ".eggs", ".git", ".hg", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".svn", ".tox",
    ".venv", "CVS", "__pycache__", "node_modules",
)  # fmt: skip


class UsageError(ValueError):
    """An option that makes no sense."""


@dataclass(frozen=True, slots=True)
class Options:
    """Codes are given by prefix; with none selected everything is, less what is ignored.

    Of two prefixes that fit, the longer decides, and ``ignore`` when both are the same.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    exclude: tuple[str, ...] = EXCLUDED

    def wants(self, code: str) -> bool:
        """Say whether findings of that code are reported."""
        selected = max((len(prefix) for prefix in self.select if code.startswith(prefix)), default=-1)
        ignored = max((len(prefix) for prefix in self.ignore if code.startswith(prefix)), default=-1)
        if self.select and selected < 0:
            return False
        return ignored < 0 or selected > ignored


def codes(text: str) -> tuple[str, ...]:
    """Read a list of codes or prefixes, separated by commas or blanks."""
    found = tuple(part for part in re.split(r"[,\s]+", text.upper()) if part)
    for part in found:
        if not _CODE.fullmatch(part):
            raise UsageError(f"{part!r} is not a code: up to three letters and up to three digits")
    return found
