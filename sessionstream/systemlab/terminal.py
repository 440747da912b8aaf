"""The embedded help as the lab's command line shows it."""

from sessionstream.doc.terminal import list_entries, show_entry

__all__ = ["list_entries", "show_entry"]
