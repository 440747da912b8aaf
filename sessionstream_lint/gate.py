"""Is this file worth parsing? One regular expression over its text.

A file can only register a schema if it names one of the four methods somewhere other than in a definition.
Everything else costs nothing, and libcst is not even imported.
"""

from __future__ import annotations

import re

METHODS = ("register_command", "register_event", "register_ui_event", "register_timeline_entity")

# The second pattern starts with a literal, which the regular expression engine finds ten times faster.
_EXACT = r"(?<!def )\b(?:register_(?:command|event|ui_event|timeline_entity))\b"
_QUICK = r"register_(?:command|event|ui_event|timeline_entity)\b"
_TEXT, _QUICK_TEXT = re.compile(_EXACT), re.compile(_QUICK)
_BYTES, _QUICK_BYTES = re.compile(_EXACT.encode()), re.compile(_QUICK.encode())


def concerns(source: str | bytes) -> bool:
    """Say whether the source mentions a registration."""
    if isinstance(source, bytes):
        return _QUICK_BYTES.search(source) is not None and _BYTES.search(source) is not None
    return _QUICK_TEXT.search(source) is not None and _TEXT.search(source) is not None


def first_line(source: str) -> int:
    """Return the number of the line with the first mention."""
    found = _TEXT.search(source)
    return source.count("\n", 0, found.start()) + 1 if found else 1


def mentions(source: str) -> int:
    """Return how often a registration is mentioned."""
    return len(_TEXT.findall(source))
