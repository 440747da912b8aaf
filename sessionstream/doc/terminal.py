"""The entries in a terminal: a table of them, and one of them laid out, in a pager where there is somebody to page.

It needs rich (extra ``lab``). Colours and a pager are for terminals: what goes into a pipe or a file is plain text,
and lines of code are never broken.
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
"""Columns that a line of text may have; longer ones are hard to read."""

_PIPED: Final = 240
"""Columns for a table that goes into a pipe: wide enough not to be cut."""

_LOOK: Final = Theme({"markdown.code": "bold cyan"})
"""Code within a line without a background, which a light terminal does not have."""

_OTHER_ENTRY: Final = re.compile(r"(?:\.\./\w+/)?([\w-]+)\.md(?:#.*)?")


def list_entries(out: TextIO | None = None) -> None:
    """Print a table of the entries: slug, and what it is about.

    Args:
        out: where to; None is standard output.
    """
    target = out or sys.stdout
    table = Table("entry", "what it is", box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for entry in entries():
        table.add_row(Text(entry.slug, style="bold", no_wrap=True), entry.short)
    target.write(_laid_out(table, _columns(target, _PIPED), target))


def show_entry(slug: str, out: TextIO | None = None, *, pager: bool = True) -> None:
    """Print one entry.

    Args:
        slug: which.
        out: where to; None is standard output.
        pager: whether a reader at a terminal may turn pages: with ``$PAGER``, or else less.

    Raises:
        UnknownEntryError: there is none of that slug. Nothing is printed.
    """
    entry = get(slug)
    target = out or sys.stdout
    text = _laid_out(_page(entry), min(_columns(target, WIDEST), WIDEST), target)
    if pager and target is sys.stdout and target.isatty() and sys.stdin.isatty() and (program := _pager()):
        _turn_pages(program, text)
    else:
        target.write(text)


class _Code(CodeBlock):
    """A block of code whose lines are as long as they are, so that they can be copied; within a list, if they fit."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        highlighter = Syntax("", self.lexer_name, theme="ansi_dark", background_color="default")
        code = highlighter.highlight(str(self.text).rstrip())
        code.rstrip()
        within = options.max_width < console.width  # a list, say, which cuts what is too long for it
        for line in code.split("\n", allow_blank=True):
            indented = Text("    " if line.plain else "").append_text(line)
            indented.no_wrap, indented.overflow = not within, "fold" if within else "ignore"
            yield indented


class _Page(Markdown):
    """Markdown in which a link to another entry is its slug, and one within the page is only its text."""

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
    """Lay it out for where it goes: with colours for a terminal, unless ``NO_COLOR`` is set; else plain."""
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
    """The command that turns pages; none where there is none, or it is asked for none (``PAGER=`` or ``PAGER=cat``)."""
    command = shlex.split(os.environ.get("PAGER", "less"))
    return command if command and command != ["cat"] and shutil.which(command[0]) else []


def _turn_pages(program: list[str], text: str) -> None:
    # As git has it: let colours through, do not page what fits, and leave the page on the screen.
    environment = {"LESS": "FRX", **os.environ}
    # The reader may leave before the end; subprocess takes a broken pipe for that.
    subprocess.run(program, input=text, text=True, encoding="utf-8", env=environment, check=False)  # noqa: S603 - the user's own
