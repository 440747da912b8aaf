"""The canonical encoding: equal bytes for messages that protobuf compares as equal, different bytes for others."""

from __future__ import annotations

from collections.abc import Sequence

import google.protobuf
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from sessionstream.canonical import canonical
from sessionstream.descriptors import shapes
from sessionstream.wire import LENGTH, Malformed, written
from tests.durability.rich import NAME, encoded, files, message_class

FILES = files()
RICH = message_class(FILES)


def form(data: bytes) -> bytes:
    return canonical(data, NAME, shapes(FILES))


def equal(one: bytes, other: bytes) -> bool:
    return RICH.FromString(one) == RICH.FromString(other)


def two_ways(records: Sequence[bytes]) -> st.SearchStrategy[tuple[bytes, bytes]]:
    """Two messages of much the same records."""
    once_more = st.lists(st.sampled_from(records), max_size=1) if records else st.just([])
    return st.builds(
        lambda other, more: (b"".join(records), b"".join([*other, *more])), st.permutations(records), once_more
    )


compares = pytest.mark.skipif(
    int(google.protobuf.__version__.partition(".")[0]) < 7, reason="it compares unknown fields by how they came"
)
"""For what protobuf itself has to tell equal messages from others."""


@compares
@given(encoded().flatmap(two_ways))
def test_equal_messages_have_one_form_and_different_ones_have_two(pair: tuple[bytes, bytes]) -> None:
    one, other = pair
    assert (form(one) == form(other)) == equal(one, other)


@compares
@given(encoded())
def test_it_is_the_message_and_its_own_form(records: Sequence[bytes]) -> None:
    data = b"".join(records)
    assert equal(form(data), data)
    assert form(form(data)) == form(data)
    assert form(RICH.FromString(data).SerializeToString()) == form(data)


@compares
def test_a_number_that_a_closed_enum_lacks_is_unknown_also_in_a_map() -> None:
    known, strange = b"\xda\x02\x04\x08\x01\x10\x01", b"\xda\x02\x04\x08\x01\x10\x07"
    for one, other in ((known, strange), (known + strange, strange + known), (strange, strange + known)):
        assert (form(one) == form(other)) == equal(one, other)


@pytest.mark.parametrize(
    "data", [b"\xff", b"\x0a\x05x", b"\x0b\x14", b"\x0f", b"\x0b", b"\xca\x07\x01\xff", b"\xfa\x07\x03abc"]
)
def test_what_is_no_message_has_no_form(data: bytes) -> None:
    with pytest.raises(Malformed):
        form(data)
    with pytest.raises(DecodeError):
        RICH.FromString(data)


def test_messages_in_messages_without_end_have_no_form() -> None:
    data = b""
    for _ in range(200):
        data = b"\xd2\x01" + written(data, LENGTH)
    with pytest.raises(Malformed, match="more than 128"):
        form(data)
