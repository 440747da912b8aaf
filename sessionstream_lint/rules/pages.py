"""The pages of documentation that lie beside the rules, in the wheel too."""

from __future__ import annotations

from pathlib import Path

from sessionstream_lint.options import UsageError

_DIRECTORY = Path(__file__).parent


def codes() -> tuple[str, ...]:
    """Return the codes that have a page, which are all there are, sorted."""
    return tuple(_pages())


def page(code: str) -> str:
    """Return the page of a rule, in markdown.

    Raises:
        UsageError: there is no such rule; it names those that there are.
    """
    known = _pages()
    if code.upper() not in known:
        raise UsageError(f"there is no rule {code!r}; the rules are {', '.join(known)}")
    return known[code.upper()].read_text("utf-8")


def _pages() -> dict[str, Path]:
    return {path.stem: path for path in sorted(_DIRECTORY.glob("SST*.md"))}
