"""Ordinals: derived, assigned, exhausted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.errors import OrdinalExhausted
from sessionstream.ordinals import MAX_ORDINAL, SEQUENCE_LIMIT, assign_ordinal, derive_ordinal

LAST_MILLISECOND, LAST_SEQUENCE = divmod(MAX_ORDINAL, SEQUENCE_LIMIT)

cursors = st.one_of(st.integers(0, 30), st.integers(0, MAX_ORDINAL), st.integers(MAX_ORDINAL - 3, MAX_ORDINAL))
stream_ids = st.one_of(
    st.builds("{}-{}".format, st.integers(0, LAST_MILLISECOND + 1), st.integers(0, SEQUENCE_LIMIT + 1)),
    st.builds("{}-{}".format, st.integers(0, 2**70), st.integers(0, 2**70)),
    st.from_regex(r"[0-9]{1,25}-[0-9]{1,25}", fullmatch=True),
    st.text("0123456789-+_ \n٣a", max_size=12),
    st.text(max_size=8),
)


@pytest.mark.parametrize(
    ("stream_id", "ordinal"),
    [
        ("1700000000000-2", 1700000000000000002),
        ("0-0", 0),
        ("0-1", 1),
        ("1-0", 1_000_000),
        ("0001-0002", 1_000_002),
        ("5-999999", 5_999_999),
        (f"{LAST_MILLISECOND}-{LAST_SEQUENCE}", MAX_ORDINAL),
    ],
)
def test_stream_ids_that_give_an_ordinal(stream_id: str, ordinal: int) -> None:
    assert derive_ordinal(stream_id) == ordinal


@pytest.mark.parametrize(
    "stream_id",
    [
        "",
        "-",
        "1",
        "1-",
        "-1",
        "1-2-3",
        "a-1",
        "1-a",
        " 1-2",
        "1-2 ",
        "1-2\n",
        "+1-2",
        "1--2",
        "1_0-1",
        "0x1-1",
        "1.0-1",
        "1e3-1",
        "²-1",
        "\u0661-\u0662",
        "1-1000000",
        "1-99999999999999999999",
        f"{LAST_MILLISECOND}-{LAST_SEQUENCE + 1}",
        f"{LAST_MILLISECOND + 1}-0",
        "99999999999999999999-0",
        "9" * 5000 + "-0",
        "0-" + "9" * 5000,
        "stream:1-2",
    ],
)
def test_stream_ids_that_give_none(stream_id: str) -> None:
    assert derive_ordinal(stream_id) is None


@given(st.integers(0, LAST_MILLISECOND - 1), st.integers(0, SEQUENCE_LIMIT - 1))
def test_derived_ordinals_are_milliseconds_and_sequence(milliseconds: int, sequence: int) -> None:
    assert derive_ordinal(f"{milliseconds}-{sequence}") == milliseconds * 1_000_000 + sequence


@given(
    st.lists(
        st.tuples(st.integers(0, LAST_MILLISECOND - 1), st.integers(0, SEQUENCE_LIMIT - 1)), min_size=2, max_size=2
    )
)
def test_derived_ordinals_keep_the_stream_s_order(ids: list[tuple[int, int]]) -> None:
    derived = [derive_ordinal(f"{milliseconds}-{sequence}") for milliseconds, sequence in sorted(ids)]
    assert None not in derived
    assert derived == sorted(derived, key=lambda ordinal: ordinal or 0)


@given(stream_ids)
def test_whatever_arrives_is_an_ordinal_of_64_bits_or_none(stream_id: str) -> None:
    ordinal = derive_ordinal(stream_id)
    assert ordinal is None or 0 <= ordinal <= MAX_ORDINAL


@given(cursors, stream_ids)
def test_ordinals_only_ever_rise(cursor: int, stream_id: str) -> None:
    derived = derive_ordinal(stream_id)
    if cursor == MAX_ORDINAL:
        with pytest.raises(OrdinalExhausted):
            assign_ordinal(cursor, stream_id)
        return
    ordinal = assign_ordinal(cursor, stream_id)
    assert cursor < ordinal <= MAX_ORDINAL
    assert ordinal == (derived if derived is not None and derived > cursor else cursor + 1)


@given(st.integers(0, 1000), st.lists(stream_ids, max_size=30))
def test_any_sequence_of_messages_rises_or_ends_exhausted(cursor: int, arriving: list[str]) -> None:
    for stream_id in arriving:
        try:
            ordinal = assign_ordinal(cursor, stream_id, session_id="s")
        except OrdinalExhausted as error:
            assert (cursor, error.cursor, error.session_id) == (MAX_ORDINAL, MAX_ORDINAL, "s")
            return
        assert ordinal > cursor
        cursor = ordinal


def test_without_a_stream_ordinals_are_counted() -> None:
    assert [assign_ordinal(cursor) for cursor in range(3)] == [1, 2, 3]


def test_a_derived_ordinal_not_above_the_cursor_is_not_used() -> None:
    assert assign_ordinal(1_000_005, "1-5") == 1_000_006
    assert assign_ordinal(1_000_004, "1-5") == 1_000_005


def test_the_last_ordinal_is_given_out_once() -> None:
    assert assign_ordinal(MAX_ORDINAL - 1) == MAX_ORDINAL
    with pytest.raises(OrdinalExhausted, match=r"'s-1'.*18446744073709551615.*new session") as caught:
        assign_ordinal(MAX_ORDINAL, session_id="s-1")
    assert (caught.value.session_id, caught.value.cursor) == ("s-1", MAX_ORDINAL)


def test_the_store_s_limit_is_the_last_ordinal() -> None:
    assert assign_ordinal(5, "0-9", limit=8) == 6
    assert assign_ordinal(5, "0-8", limit=8) == 8
    with pytest.raises(OrdinalExhausted):
        assign_ordinal(8, limit=8)


@pytest.mark.parametrize("wrong", [None, 7, b"1-1", ["1-1"]])
def test_what_is_no_stream_id(wrong: object) -> None:
    with pytest.raises(TypeError, match="a stream id is a string"):
        derive_ordinal(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a stream id is a string"):
        assign_ordinal(1, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [None, "7", 1.5, True])
def test_what_is_no_cursor(wrong: object) -> None:
    with pytest.raises(TypeError, match="a cursor is an ordinal"):
        assign_ordinal(wrong)  # type: ignore[arg-type]
