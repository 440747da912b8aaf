"""Prints entries to a terminal: a table of all, or one of them, in a pager if a user can operate it.

It needs rich (extra ``lab``). Colours and the pager are only for terminals: output to a pipe or a file is plain text.
Lines of code are never broken.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from typing import TYPE_CHECKING, ClassVar, Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import CodeBlock, Markdown
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from sessionstream.doc.loader import Entry, entries, get

if TYPE_CHECKING:
    from markdown_it.token import Token

WIDEST: Final = 100
"""The maximum width of text, in columns; longer lines are hard to read."""

_PIPED: Final = 240
"""The width of a table in a pipe, in columns: wide enough that no cell is cut."""

_LOOK: Final = Theme({"markdown.code": "bold cyan"})
"""Inline code has no background colour, which would be dark in a light terminal."""

_OTHER_ENTRY: Final = re.compile(r"(?:\.\./\w+/)?([\w-]+)\.md(?:#.*)?")


def list_entries(out: TextIO | None = None) -> None:
    """Print a table of the entries, with slug and short description.

    Args:
        out: the stream; None is standard output.
    """
    target = out or sys.stdout
    table = Table("entry", "what it is", box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for entry in entries():
        table.add_row(Text(entry.slug, style="bold", no_wrap=True), entry.short)
    target.write(_laid_out(table, _columns(target, _PIPED), target))


def show_entry(slug: str, out: TextIO | None = None, *, pager: bool = True) -> None:
    """Print one entry.

    Args:
        slug: the slug of the entry.
        out: the stream; None is standard output.
        pager: whether to use ``$PAGER``, or else less, in a terminal.

    Raises:
        UnknownEntryError: no entry has this slug. Nothing is printed.
    """
    entry = get(slug)
    target = out or sys.stdout
    text = _laid_out(_page(entry), min(_columns(target, WIDEST), WIDEST), target)
    if pager and target is sys.stdout and target.isatty() and sys.stdin.isatty() and (program := _pager()):
        _turn_pages(program, text)
    else:
        target.write(text)


class _Code(CodeBlock):
    """A block of code whose lines are not broken, so that they can be copied; within a list, long lines are folded."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        highlighter = Syntax("", self.lexer_name, theme="ansi_dark", background_color="default")
        code = highlighter.highlight(str(self.text).rstrip())
        code.rstrip()
        within = options.max_width < console.width  # for example in a list, which cuts longer lines
        for line in code.split("\n", allow_blank=True):
            indented = Text("    " if line.plain else "").append_text(line)
            indented.no_wrap, indented.overflow = not within, "fold" if within else "ignore"
            yield indented


class _Page(Markdown):
    """Markdown in which a link to another entry shows its slug, and a link within the page only its text."""

    elements: ClassVar = {**Markdown.elements, "fence": _Code, "code_block": _Code}

    def __init__(self, markup: str) -> None:
        super().__init__(markup, hyperlinks=False)
        for token in self.parsed:
            if token.children:
                token.children = list(_with_slugs(token.children))


def _with_slugs(tokens: list[Token]) -> Iterator[Token]:
    within = False
    for token in tokens:
        if token.type == "link_open":
            href = str(token.attrs["href"])
            within = href.startswith("#")
            if other := _OTHER_ENTRY.fullmatch(href):
                token.attrs["href"] = other[1]
        if not (within and token.type in ("link_open", "link_close")):
            yield token


def _page(entry: Entry) -> RenderableType:
    return Group(
        Text(entry.title, style="bold underline"),
        Padding(Text(entry.short, style="italic"), (1, 0)),
        _Page(entry.body),
    )


def _laid_out(what: RenderableType, width: int, out: TextIO) -> str:
    """Return it as text for a stream: with colours for a terminal, unless ``NO_COLOR`` is set; otherwise plain."""
    written = StringIO()
    console = Console(
        file=written,
        width=width,
        force_terminal=out.isatty(),
        color_system="auto" if out.isatty() else None,
        highlight=False,
        theme=_LOOK,
        legacy_windows=False,
    )
    console.print(what, crop=False)
    if out.isatty():
        return written.getvalue()
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


def _columns(out: TextIO, otherwise: int) -> int:
    return shutil.get_terminal_size().columns if out.isatty() else otherwise


def _pager() -> list[str]:
    """Return the command of the pager; empty if it is not installed, or switched off (``PAGER=`` or ``PAGER=cat``)."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    return command if command and command != ["cat"] and shutil.which(command[0]) else []


def _turn_pages(program: list[str], text: str) -> None:
    # The options of git: show colours, do not page a text that fits, and leave the text on the screen.
    environment = {"LESS": "FRX", **os.environ}
    # If the user quits before the end, subprocess ignores the broken pipe.
    subprocess.run(program, input=text, text=True, encoding="utf-8", env=environment, check=False)  # noqa: S603 - the user's own
