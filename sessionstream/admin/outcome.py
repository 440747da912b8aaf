"""How a command ends: with an answer, or with a message on standard error and an exit status."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sessionstream.admin.tables import Table

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
TERMINATED: Final = 143


class Refused(Exception):
    """Nothing was done: the arguments are wrong, or the file or the app cannot be used. Status 2."""


class Failed(Exception):
    """What was asked for could not be done. Status 1."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: the command takes back what it has not finished, as after Ctrl-C. Status 143."""


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Raise Terminated in the block when the process gets SIGTERM; in a thread, which gets no signals, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the way out is not interrupted again
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
