"""Is this file worth parsing? One regular expression over its text.

A file registers a schema itself if it names one of the four methods somewhere other than in a definition. It may have
one registered, by a function that it imports, if it names the library or a module of protobuf messages: then its
imports are looked at before anything else is done. Everything else costs nothing, and libcst is not even imported.
"""

from __future__ import annotations

import re
import unicodedata
from importlib.util import find_spec

METHODS = ("register_command", "register_event", "register_ui_event", "register_timeline_entity")

# Whether a plain text is in there is answered twice as fast as by a regular expression that starts with a literal, and
# twenty times as fast as by one that does not.
_EXACT = r"(?<!def )\b(?:register_(?:command|event|ui_event|timeline_entity))\b"
_QUICK = r"register_(?:command|event|ui_event|timeline_entity)\b"
_COMMON = "register_"
_TOPICS = ("sessionstream", "_pb2")
_TEXT, _QUICK_TEXT = re.compile(_EXACT), re.compile(_QUICK)
_BYTES, _QUICK_BYTES = re.compile(_EXACT.encode()), re.compile(_QUICK.encode())
_COMMON_BYTES, _TOPICS_BYTES = _COMMON.encode(), tuple(one.encode() for one in _TOPICS)


def concerns(source: str | bytes) -> bool:
    """Say whether the source mentions a registration, or what a function that it imports may register."""
    return registers(source) or is_near(source)


def registers(source: str | bytes) -> bool:
    """Say whether the source mentions a registration."""
    if not source.isascii():
        text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
        source = unicodedata.normalize("NFKC", text)  # as Python does with names
    if isinstance(source, bytes):
        return _COMMON_BYTES in source and bool(_QUICK_BYTES.search(source) and _BYTES.search(source))
    return _COMMON in source and bool(_QUICK_TEXT.search(source) and _TEXT.search(source))


def is_near(source: str | bytes) -> bool:
    """Say whether the source names the library or a module of protobuf messages."""
    if isinstance(source, bytes):
        return _TOPICS_BYTES[0] in source or _TOPICS_BYTES[1] in source
    return _TOPICS[0] in source or _TOPICS[1] in source


def first_line(source: str) -> int:
    """Return the number of the line with the first mention."""
    found = _TEXT.search(source)
    return source.count("\n", 0, found.start()) + 1 if found else 1


def mentions(source: str | bytes) -> int:
    """Return how often a registration is mentioned."""
    return len(_BYTES.findall(source) if isinstance(source, bytes) else _TEXT.findall(source))


def split_lines(source: str) -> list[str]:
    """Return the lines as the compiler counts them: a form feed or a Unicode separator ends none."""
    return source.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def has_libcst() -> bool:
    """Say whether libcst is installed, without importing it."""
    try:
        return find_spec("libcst") is not None
    except (ImportError, ValueError):
        return False
