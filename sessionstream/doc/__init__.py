"""The embedded help: markdown entries that ship inside the package, and the few functions that read them.

    >>> from sessionstream import doc
    >>> [entry.slug for entry in doc.entries()][0]
    'sessionstream-getting-started'
    >>> doc.get("sessionstream-reference").section
    'reference'

``import sessionstream`` does not load it. (Reference: Embedded docs package.)
"""

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

__all__ = ["DocError", "Entry", "EntryFormatError", "Section", "UnknownEntryError", "entries", "files", "get"]
