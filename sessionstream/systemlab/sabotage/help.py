"""Embedded help with an empty file."""

from __future__ import annotations

from dataclasses import replace

from sessionstream import doc


def torn_entries() -> tuple[doc.Entry, ...]:
    """Return the entries of the help, the first of them without its text."""
    first, *others = doc.entries()
    return (replace(first, body=""), *others)
