"""Standard output, whatever the locale can write, and whatever becomes of it."""

from __future__ import annotations

import errno
import io
import os
import sys


class OutputError(Exception):
    """Standard output does not take what is written; the message says why, and is empty when its reader has gone."""


def write(text: str) -> None:
    """Write a text, and what the encoding of the locale lacks in it as escapes.

    Raises:
        OutputError: it cannot be written; nothing more is going to be.
    """
    if sys.stdout is None:  # closed before the interpreter started
        raise OutputError("it is closed")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # So that the interpreter's own flush at the end does not fail as well:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError("" if error.errno == errno.EPIPE else error.strerror) from error


def one_line(text: str) -> str:
    """Return a file name without the line ends that it may contain."""
    return text.replace("\r", "\\r").replace("\n", "\\n")
