"""Comparison of digests with payloads: same, other, or undecided for old digests."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from hypothesis import example, given

from sessionstream import payload_digest, stored_digest
from sessionstream.canonical import canonical
from sessionstream.descriptors import descriptor_set, shapes
from sessionstream.digests import compare
from sessionstream.examples.chatdemo.v1.chat_pb2 import InferenceTraceEvent, TokensDeltaEvent
from tests.durability.rich import NAME, encoded, files, message_class

if TYPE_CHECKING:
    from google.protobuf.message import Message

RICH, OLDER = message_class(files()), message_class(files(older=True))


def rich(**fields: Any) -> Any:
    return RICH(**fields)


def value(*keys: str) -> Value:
    found = Value()
    found.struct_value.update(dict.fromkeys(keys, True))
    return found


def first_version(name: str, payload_type: str, data: bytes) -> bytes:
    """The digest that was made before digests had a version."""
    identity = sha256()
    for part in (name.encode(), payload_type.encode(), data):
        identity.update(len(part).to_bytes(8, "big") + part)
    return identity.digest()


def test_digests_tell_name_type_and_contents_apart() -> None:
    payload = TokensDeltaEvent(chunk="x")
    full_name, data = payload.DESCRIPTOR.full_name, payload.SerializeToString()
    digest = payload_digest("Said", payload)
    assert digest == payload_digest("Said", TokensDeltaEvent(chunk="x"))
    assert digest == stored_digest("Said", full_name, data, descriptor_set(TokensDeltaEvent))
    others = [
        payload_digest("Told", payload),
        payload_digest("Said", TokensDeltaEvent(chunk="y")),
        payload_digest("Said", InferenceTraceEvent()),
        stored_digest("Said" + full_name, "", data),
    ]
    assert len({digest, *others}) == len(others) + 1


@given(encoded())
@example([b"\xf0\x01\x00", b"\xfa\x01\x00"])  # two members of one oneof
def test_what_a_process_holds_has_the_digest_of_what_it_stores(records: Sequence[bytes]) -> None:
    data = b"".join(records)
    for cls in (RICH, OLDER):
        payload = cls.FromString(data)
        written = payload.SerializeToString()
        assert payload_digest("Said", payload) == stored_digest("Said", NAME, written, descriptor_set(cls))
    newer = RICH.FromString(data)  # which has one member of each oneof: of several, an older class cannot tell the last
    older = OLDER.FromString(newer.SerializeToString())
    assert payload_digest("Said", older, files()) == payload_digest("Said", newer)


@pytest.mark.parametrize(
    "payload",
    [TokensDeltaEvent(chunk="x", message_id="\0"), TokensDeltaEvent(), InferenceTraceEvent()],
    ids=lambda payload: f"{type(payload).__name__} {payload.ByteSize()}",
)
def test_a_message_that_every_runtime_writes_alike_is_its_own_canonical_form(payload: Message) -> None:
    known = shapes(descriptor_set(type(payload)))
    data = payload.SerializeToString()
    assert canonical(data, payload.DESCRIPTOR.full_name, known) == data


def test_bytes_that_are_no_message_are_compared_as_they_are() -> None:
    broken = [
        b"\xff",
        b"\x0a\x05x",
        b"\x0b\x14",
        b"\x0f",
        b"\x02\x00",
        b"\x0b",
        b"\xca\x07\x01\xff",
        b"\xfa\x07\x03abc",
    ]
    found = {stored_digest("Said", NAME, data, files()) for data in broken}
    assert len(found) == len(broken)


def test_a_damaged_schema_knows_nothing() -> None:
    data = TokensDeltaEvent(chunk="x").SerializeToString()
    full_name = TokensDeltaEvent.DESCRIPTOR.full_name
    assert stored_digest("Said", full_name, data, b"\xff") == payload_digest("Said", TokensDeltaEvent(chunk="x"))
    assert payload_digest("Said", TokensDeltaEvent(chunk="x"), b"\xff") == stored_digest("Said", full_name, data)


class TestAny:
    """What is packed in an Any is compared as a message where the payload's own file knows it."""

    def test_of_a_type_that_the_file_imports(self) -> None:
        one, other = rich(), rich()
        for payload, keys in ((one, ("a", "ab")), (other, ("ab", "a"))):
            payload.f61.Pack(Struct())
            payload.f61.value = b"".join(self._struct(key).SerializeToString() for key in keys)
        assert one != other
        assert payload_digest("Said", one) == payload_digest("Said", other)
        other.f61.value = b"\xff"
        assert payload_digest("Said", one) != payload_digest("Said", other)

    def test_of_another_type(self) -> None:
        one, other = rich(), rich()
        for payload, value in ((one, b"\x08\x01\x10\x01"), (other, b"\x10\x01\x08\x01")):
            payload.f61.type_url, payload.f61.value = "x/other.Type", value
        assert payload_digest("Said", one) != payload_digest("Said", other)

    def test_of_one_in_another_without_end(self) -> None:
        payload = rich()
        for _ in range(300):
            outer = rich()
            outer.f61.Pack(payload)
            payload = outer
        assert payload_digest("Said", payload) == payload_digest("Said", payload)

    def _struct(self, key: str) -> Struct:
        struct = Struct()
        struct.update({key: True})
        return struct


class TestComparing:
    def test_a_digest_of_today(self) -> None:
        payload = rich(f1=5)
        digest = payload_digest("Said", payload)
        assert compare(digest, "Said", payload) == "same"
        assert compare(digest, "Told", payload) == "other"
        assert compare(digest, "Said", rich(f1=6)) == "other"

    def test_an_old_one_of_a_message_that_every_runtime_writes_alike(self) -> None:
        payload = TokensDeltaEvent(chunk="x")
        old = first_version("Said", payload.DESCRIPTOR.full_name, payload.SerializeToString(deterministic=True))
        assert compare(old, "Said", payload) == "same"
        assert compare(old, "Told", payload) == "other"
        assert compare(old, "Said", TokensDeltaEvent(chunk="y")) == "other"

    def test_an_old_one_of_the_same_build(self) -> None:
        payload = rich(m40={-1: 1, 1: 1})
        old = first_version("Said", NAME, payload.SerializeToString(deterministic=True))
        assert compare(old, "Said", payload) == "same"

    @pytest.mark.parametrize(
        "payload",
        [
            rich(m40={-1: 1, 1: 1}),
            value("a", "ab"),
            TokensDeltaEvent.FromString(b"\xfa\x07\x01z"),
        ],
        ids=lambda payload: type(payload).__name__,
    )
    def test_an_old_one_that_another_build_may_have_made(self, payload: Message) -> None:
        assert compare(first_version("Said", payload.DESCRIPTOR.full_name, b""), "Said", payload) == "undecided"

    def test_one_of_a_later_version(self) -> None:
        digest = b"\x03" + payload_digest("Said", TokensDeltaEvent())[1:]
        assert compare(digest, "Said", TokensDeltaEvent()) == "undecided"
