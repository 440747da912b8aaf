"""Ids and pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.examples.chatdemo import messages


@given(st.text())
def test_pieces_are_the_answer_in_tens(answer: str) -> None:
    cut = list(messages.pieces(answer))
    assert "".join(cut) == answer
    assert all(len(piece) == 10 for piece in cut[:-1])
    assert all(1 <= len(piece) <= 10 for piece in cut[-1:])


def test_a_piece_counts_characters_not_bytes() -> None:
    assert list(messages.pieces("🙂" * 11)) == ["🙂" * 10, "🙂"]


@pytest.mark.parametrize(
    ("ids", "number"),
    [
        ([], 1),
        (["chat-msg-1-user", "chat-msg-1"], 2),
        (["chat-msg-1-user", "chat-msg-1", "chat-msg-2-user"], 3),
        (["chat-msg-9", "chat-msg-10"], 11),
        (["chat-msg-x", "note-7", "chat-msg-7-draft", "my-chat-msg-8"], 1),
    ],
)
def test_the_next_number_follows_the_highest(ids: list[str], number: int) -> None:
    assert messages.next_number(ids) == number
