"""What the demo prints: widths, tables, colour."""

from __future__ import annotations

import io
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.examples.chatdemo.demo import text
from sessionstream.examples.chatdemo.demo.console import PIECES_SHOWN, Console
from sessionstream.examples.chatdemo.demo.records import LiveUpdate
from sessionstream.examples.chatdemo.v1.chat_pb2 import ChatMessageUpdate


@pytest.mark.parametrize(
    ("words", "width"),
    [("", 0), ("chat", 4), ("チャット", 8), ("e\u0301", 1), ("🙂", 2), ("👋🏽", 2), ("👩‍🚀", 2), ("❤️", 2), ("🇩🇪", 2)],
)
def test_width(words: str, width: int) -> None:
    assert text.cells(words) == width


@given(st.text(), st.integers(min_value=1, max_value=30))
def test_clipped_text_fits(words: str, width: int) -> None:
    clipped = text.clip(text.printable(words), width)
    assert text.cells(clipped) <= width
    assert len(clipped.splitlines()) <= 1


def test_what_could_steer_a_terminal_is_escaped() -> None:
    assert text.printable("a\nb\x1b[31m\u202ec\x00") == "a\\nb\\x1b[31m\\u202ec\\x00"


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=200)), max_size=4))
def test_a_table_is_aligned_and_fits(rows: list[tuple[str, str]]) -> None:
    lines = text.table(("name", "text"), rows, 60)
    first = max(text.cells(text.printable(name)) for name, _ in [("name", ""), *rows])
    assert len(lines) == 2 + len(rows)
    assert lines[1].startswith(f"{'-' * first}  -")
    for line, (name, words) in zip(lines[2:], rows, strict=True):
        assert text.cells(line) <= 60 or first > 48
        expected = text.pad(text.printable(name), first) + "  " + text.clip(text.printable(words), max(58 - first, 10))
        assert line == expected.rstrip()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it() -> None:
    def heading(out: io.StringIO, environ: dict[str, str]) -> str:
        Console(out, environ).heading("words")
        return out.getvalue()

    assert "\x1b[1m" in heading(Terminal(), {})
    assert "\x1b[1m" in heading(Terminal(), {"NO_COLOR": ""})
    assert "\x1b" not in heading(Terminal(), {"NO_COLOR": "1"})
    assert "\x1b" not in heading(Terminal(), {"TERM": "dumb"})
    assert "\x1b" not in heading(io.StringIO(), {})


def test_a_stream_that_knows_few_characters_gets_replacements() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    Console(out, {}).line("grüß 🙂")
    assert raw.getvalue() == b"gr?? ?\n"


def test_many_pieces_are_not_all_printed() -> None:
    out = io.StringIO()
    console = Console(out, {})
    for ordinal in range(1, 100):
        payload = ChatMessageUpdate(message_id="chat-msg-1", chunk="0123456789")
        encoded = b64encode(payload.SerializeToString()).decode()
        console.update(LiveUpdate(ordinal, "ChatMessageAppended", encoded))
    assert out.getvalue().count("0123456789") == PIECES_SHOWN
    assert out.getvalue().count("not shown") == 1
