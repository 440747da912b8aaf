"""Deltas between encoded payloads: exact for any two, small where a text grew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.examples.chatdemo.v1 import chat_pb2
from sessionstream.hydration.delta import MIN_SIZE, delta, patched


def message(text: str, content: str = "", status: str = "streaming") -> bytes:
    return chat_pb2.ChatMessageEntity(message_id="m-1", text=text, content=content, status=status).SerializeToString()


_pieces = st.lists(st.sampled_from([b"", b"a", b"b" * 90, b"xyz" * 50, bytes(range(256)), b"q" * 1100]), max_size=8)


@given(_pieces.map(b"".join), _pieces.map(b"".join))
def test_a_delta_restores_what_it_was_made_of(target: bytes, base: bytes) -> None:
    steps = delta(target, base)
    if steps is not None:
        assert patched(base, steps) == target
        assert len(steps) * 2 <= len(target)


@given(st.data(), st.binary(min_size=MIN_SIZE, max_size=3000), st.binary(max_size=1500))
def test_any_single_edit_costs_little_more_than_the_edit(data: st.DataObject, base: bytes, put: bytes) -> None:
    start = data.draw(st.integers(0, len(base)))
    end = data.draw(st.integers(start, len(base)))
    target = base[:start] + put + base[end:]
    steps = delta(target, base)
    if steps is None:
        assert min(len(target), len(base)) < MIN_SIZE or 2 * (len(put) + 16) > len(target)
    else:
        assert patched(base, steps) == target
        assert len(steps) <= len(put) + 16


WORDS = "".join(f"{number} green bottles, " for number in range(400))


@pytest.mark.parametrize("size", [600, 16_384, 100_000])
def test_a_growing_text_costs_a_few_bytes(size: int) -> None:
    text = (WORDS * (size // len(WORDS) + 1))[:size]
    for shorter, longer in (
        (message(text), message(text + " and more")),
        (message(text, text), message(text + " and more", text + " and more")),
        (message(text), message(text, status="finished")),
        (message(text + " and more"), message(text)),
        (message(text), message(text[: size // 2] + "!" * 900 + text[size // 2 :])),
    ):
        steps = delta(shorter, longer)
        assert steps is not None
        assert patched(longer, steps) == shorter
        assert len(steps) < 60


def test_what_resumes_only_in_the_common_end() -> None:
    middle, end = b"0123456789abcdef", b"-" * 20 + b"0123456789abcdef" + b"b" * 300
    target, base = b"a" * 300 + middle + end, b"a" * 300 + end
    steps = delta(target, base)
    assert steps is not None
    assert patched(base, steps) == target
    assert len(steps) < 30


def test_what_is_small_or_has_nothing_in_common_has_no_delta() -> None:
    assert delta(b"a" * (MIN_SIZE - 1), b"a" * MIN_SIZE) is None
    assert delta(b"a" * MIN_SIZE, b"a" * (MIN_SIZE - 1)) is None
    assert delta(b"a" * MIN_SIZE, b"a" * MIN_SIZE) is not None
    assert delta(bytes(range(250)) * 2, b"\xff" * 5000) is None
    assert delta(b"", b"") is None


def test_a_damaged_delta_is_a_value_error() -> None:
    target, base = message(WORDS), message(WORDS + "more")
    steps = delta(target, base)
    assert steps is not None
    with pytest.raises(ValueError, match="beyond its base"):
        patched(base[:-100], steps)
    for end in range(1, len(steps)):
        try:
            assert patched(base, steps[:end]) != target
        except ValueError as error:
            assert "a delta ends in the middle" in str(error)
