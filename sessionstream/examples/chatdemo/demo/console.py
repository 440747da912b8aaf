"""Prints headings, live events, tables, and one line per check. Uses colour only on a terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import TextIO

from sessionstream.examples.chatdemo.demo import text
from sessionstream.examples.chatdemo.demo.records import LiveUpdate, StoredSnapshot
from sessionstream.examples.chatdemo.schemas import INFERENCE_STARTED, TOKENS_DELTA, UI_EVENTS

PIECES_SHOWN = 12
"""The maximum number of pieces of an answer that are printed."""

NAME_WIDTH = max(map(len, UI_EVENTS.values()))


class Console:
    """Prints to a stream and counts the checks.

    Args:
        out: the stream; characters that it cannot encode are replaced.
        environ: the environment, for NO_COLOR and TERM.
    """

    def __init__(self, out: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._out = out
        self._colour = out.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self.width: int = min(max(shutil.get_terminal_size((100, 24)).columns, 60), 120)
        self.checks: int = 0
        self._headings = 0
        self._pieces = 0

    def line(self, words: str = "") -> None:
        """Print one line."""
        encoding = self._out.encoding or "utf-8"
        self._out.write(f"{words}\n".encode(encoding, "replace").decode(encoding))
        self._out.flush()

    def heading(self, words: str) -> None:
        """Begin a part of the story."""
        self._headings += 1
        self._pieces = 0
        self.line()
        self.line(self._paint("1", f"{self._headings}. {words}"))

    def verified(self, words: str) -> None:
        """Print a check that held."""
        self.checks += 1
        self.line(f"   {self._paint('32', 'ok')}  {words}")

    def failed(self, words: str) -> None:
        """Print a check that did not hold."""
        self.line(f"   {self._paint('31', 'FAILED')}  {words}")

    def success(self, words: str) -> None:
        """Print the final line."""
        self.line()
        self.line(self._paint("1;32", words))

    def update(self, update: LiveUpdate) -> None:
        """Print one live UI event."""
        message = update.message
        if update.name == UI_EVENTS[TOKENS_DELTA]:
            self._pieces += 1
            if self._pieces > PIECES_SHOWN:
                if self._pieces == PIECES_SHOWN + 1:
                    self.line(f"        {text.ELLIPSIS} the pieces that follow are not shown")
                return
            said = f"+ {text.printable(message.chunk)}"
        elif update.name == UI_EVENTS[INFERENCE_STARTED]:
            said = message.status
        else:
            said = text.printable(message.text[: self.width])
        start = f"   {update.ordinal:>4}  {text.pad(update.name, NAME_WIDTH)}  {message.message_id:<15}  "
        self.line(start + text.clip(said, self.width - text.cells(start)))

    def snapshot(self, snapshot: StoredSnapshot) -> None:
        """Print a snapshot as a table."""
        self.line(f"   snapshot at ordinal {snapshot.ordinal}:")
        for line in snapshot_table(snapshot, self.width - 3):
            self.line(f"   {line}")

    def _paint(self, code: str, words: str) -> str:
        return f"\x1b[{code}m{words}\x1b[0m" if self._colour else words


def snapshot_table(snapshot: StoredSnapshot, width: int) -> list[str]:
    """Return a snapshot as the lines of a table."""
    rows = [
        (
            entity.id,
            entity.message.role,
            entity.message.status or "-",
            str(entity.created_ordinal),
            str(entity.last_event_ordinal),
            entity.message.text[: 2 * width],
        )
        for entity in snapshot.entities
    ]
    return text.table(("message", "role", "status", "created", "changed", "text"), rows, width)
