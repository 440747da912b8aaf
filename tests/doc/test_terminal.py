"""Entries in a terminal and in a pipe: colours, widths, the pager."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sessionstream import doc
from sessionstream.doc.terminal import list_entries, show_entry

from .pages import HELP, blocks

ESCAPE = "\x1b"
SHOW = "from sessionstream.doc.terminal import show_entry; show_entry('sessionstream-getting-started'{})"
LIST = "from sessionstream.doc.terminal import list_entries; list_entries()"


def shown(slug: str) -> str:
    out = io.StringIO()
    show_entry(slug, out)
    return out.getvalue()


def at_a_terminal(program: str, columns: int = 70, **environment: str) -> str:
    """Run a program whose standard streams are a terminal; return what it shows, with plain line ends."""
    mine, theirs = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key not in ("PAGER", "LESS", "NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**clean, "TERM": "xterm-256color", "COLUMNS": str(columns), **environment},
    ) as process:
        os.close(theirs)
        received = b""
        try:
            while piece := os.read(mine, 65_536):
                received += piece
        except OSError:  # how Linux says that nobody has the other end any more
            pass
        finally:
            os.close(mine)
    text = received.decode().replace("\r\n", "\n")
    assert process.returncode == 0, text
    return text


def test_in_a_pipe_the_list_has_a_line_for_each_entry() -> None:
    out = io.StringIO()
    list_entries(out)
    _, _, *lines = out.getvalue().splitlines()
    assert [re.split(r"\s{2,}", line) for line in lines] == [[entry.slug, entry.short] for entry in doc.entries()]


@pytest.mark.parametrize("slug", [entry.slug for entry in doc.entries()])
def test_in_a_pipe_an_entry_is_plain_text_with_its_code_unbroken(slug: str) -> None:
    entry = doc.get(slug)
    text = shown(slug)
    assert ESCAPE not in text
    lines = text.splitlines()
    assert lines[0] == entry.title
    assert not [line for line in lines if line != line.rstrip()]
    flat = {line.lstrip() for line in lines}
    source = (HELP / entry.section / f"{slug}.md").read_text("utf-8")
    for block in blocks(source):
        for line in block.text.splitlines():
            assert not line.strip() or line.strip() in flat, line


def test_code_in_a_list_is_broken_rather_than_cut() -> None:
    text = at_a_terminal(
        SHOW.replace("getting-started", "schema-vet-playbook").format(", pager=False"), 44, NO_COLOR="1"
    )
    plain = re.sub(rf"{ESCAPE}\[[\d;]*m|\s", "", text)
    assert "protoc--proto_path=proto--python_out=.proto/orders/v1/orders.proto" in plain


def test_links_are_what_people_can_type() -> None:
    text = re.sub(r"\s+", " ", shown("sessionstream-reference"))
    assert "The user guide (sessionstream-user-guide) explains the concepts." in text
    assert ".md)" not in text
    assert "(#" not in text


def test_an_unknown_slug_prints_nothing() -> None:
    out = io.StringIO()
    with pytest.raises(doc.UnknownEntryError):
        show_entry("zzz", out)
    assert out.getvalue() == ""


def test_standard_output_is_looked_up_when_it_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    list_entries()
    show_entry("sessionstream-getting-started")
    assert "Getting started with sessionstream" in capsys.readouterr().out


def test_a_terminal_has_colours_and_its_own_width() -> None:
    text = at_a_terminal(SHOW.format(", pager=False"))
    assert f"{ESCAPE}[" in text
    assert re.search(rf"{ESCAPE}\[[\d;]*3[1-7]m", text)
    plain = re.sub(rf"{ESCAPE}\[[\d;]*m", "", text)
    prose = [line for line in plain.splitlines() if not line.startswith("    ")]
    assert 60 < max(map(len, prose)) <= 70
    wide = re.sub(rf"{ESCAPE}\[[\d;]*m", "", at_a_terminal(SHOW.format(", pager=False"), columns=200))
    assert max(len(line) for line in wide.splitlines() if not line.startswith("    ")) == 100
    assert f"{ESCAPE}[1m" in at_a_terminal(LIST)


def test_no_color_is_heeded() -> None:
    text = at_a_terminal(SHOW.format(", pager=False"), NO_COLOR="1")
    assert not re.search(rf"{ESCAPE}\[[\d;]*[34]\d", text)


def test_a_pager_turns_the_pages_of_a_terminal(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text(
        f"#!{sys.executable}\nimport os, sys\ntext = sys.stdin.read()\n"
        "print('paged', sys.argv[1:], os.environ['LESS'], '\\x1b[' in text, 'See also' in text)\n",
        encoding="utf-8",
    )
    pager.chmod(0o755)
    assert at_a_terminal(SHOW.format(""), PAGER=f"{pager} -a 'b c'") == "paged ['-a', 'b c'] FRX True True\n"
    assert at_a_terminal(SHOW.format(""), PAGER=str(pager), LESS="R") == "paged [] R True True\n"


@pytest.mark.parametrize("pager", ["", "cat", "no-such-pager -x"])
def test_without_a_pager_the_page_is_printed(pager: str) -> None:
    text = at_a_terminal(SHOW.format(""), PAGER=pager)
    assert "Install" in text
    assert "See also" in text


def test_a_reader_may_leave_before_the_end() -> None:
    assert at_a_terminal(SHOW.format(""), PAGER="true") == ""


def test_what_goes_elsewhere_is_not_paged(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("paged")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert "See also" in shown("sessionstream-getting-started")
