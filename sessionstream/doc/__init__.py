"""The embedded help: Markdown entries in the package, and functions that read them.

    >>> from sessionstream import doc
    >>> [entry.slug for entry in doc.entries()][0]
    'sessionstream-getting-started'
    >>> doc.get("sessionstream-reference").section
    'reference'

``import sessionstream`` does not load it. (Reference: Embedded docs package.)
"""

from sessionstream.doc.commands import add_to_argparse, add_to_click, add_to_typer
from sessionstream.doc.loader import (
    DocError,
    Entry,
    EntryFormatError,
    Section,
    UnknownEntryError,
    entries,
    files,
    get,
)

__all__ = [
    # the entries
    "entries",
    "get",
    "files",
    "Entry",
    "Section",
    # commands for other programs
    "add_to_click",
    "add_to_typer",
    "add_to_argparse",
    # errors
    "DocError",
    "UnknownEntryError",
    "EntryFormatError",
]
