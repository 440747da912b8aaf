"""Digests that identify commands and events by their contents, and their comparison.

A digest is a version byte and a SHA-256 of name, message type and canonical encoding (see canonical.py), which does not
depend on the protobuf build. Older digests have no version byte: they are the SHA-256 of the encoding that one protobuf
build made, and another build may encode the same message differently.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from google.protobuf.message import DecodeError

from sessionstream.canonical import canonical
from sessionstream.descriptors import descriptor_set, shapes
from sessionstream.wire import Malformed

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

Verdict: TypeAlias = Literal["same", "other", "undecided"]

_VERSION: Final = b"\x02"
"""The first byte of a digest. Digests of version 1 have no such byte, and the length of a SHA-256."""

_UNVERSIONED: Final = 32

LENGTHS: Final = (_UNVERSIONED, _UNVERSIONED + len(_VERSION))
"""How many bytes a digest may have."""


def payload_digest(name: str, payload: Message, descriptors: bytes = b"") -> bytes:
    """Return the digest of a command or an event: of its name, message type and fields.

    Equal messages have the same digest in every protobuf runtime, and different messages have different digests. The
    message in a ``google.protobuf.Any`` is compared by its fields if its type is in the file of the payload's message
    or in a file that this imports. Otherwise its bytes are compared, so that two encodings of the same map may differ.

    Args:
        descriptors: a serialized FileDescriptorSet, for fields that the payload's own class does not know.
    """
    full_name, own = payload.DESCRIPTOR.full_name, descriptor_set(type(payload))
    plain = _only_encoding(payload) if descriptors in (b"", own) else None
    if plain is not None:
        return _VERSION + _hashed(name, full_name, plain)
    return stored_digest(name, full_name, payload.SerializePartialToString(), descriptors, own)


def stored_digest(name: str, payload_type: str, data: bytes, *descriptors: bytes) -> bytes:
    """Return the ``payload_digest`` of an encoded message.

    Args:
        payload_type: full name of the message.
        data: the message as encoded by any protobuf runtime. Bytes that are not a message are hashed as they are.
        descriptors: serialized FileDescriptorSets with the message and all messages it refers to, as a store keeps
            them. If they differ about a field, the first that has it is used. Fields that none of them has are unknown
            fields; if one of the sets is damaged, all fields are.
    """
    try:
        known = shapes(*descriptors)
    except DecodeError:
        known = {}
    with suppress(Malformed):
        data = canonical(data, payload_type, known)
    return _VERSION + _hashed(name, payload_type, data)


def compare(digest: bytes, name: str, payload: Message, descriptors: bytes = b"") -> Verdict:
    """Return whether a stored digest is that of a payload; the other arguments are those of ``payload_digest``.

    It is ``undecided`` for an older digest that another protobuf build may have made of the same payload.
    """
    if digest[:1] == _VERSION and len(digest) != _UNVERSIONED:
        return "same" if digest == payload_digest(name, payload, descriptors) else "other"
    data = payload.SerializePartialToString(deterministic=True)
    if digest == _hashed(name, payload.DESCRIPTOR.full_name, data):
        return "same"
    return "other" if len(digest) == _UNVERSIONED and _only_encoding(payload) is not None else "undecided"


def _only_encoding(payload: Message) -> bytes | None:
    """Return the encoding of a message that every protobuf runtime encodes alike; None for any other message."""
    cls = type(payload)
    if not _is_plain(cls.DESCRIPTOR, descriptor_set(cls)):
        return None
    data = payload.SerializePartialToString()
    known = cls()
    known.CopyFrom(payload)
    known.DiscardUnknownFields()  # type: ignore[no-untyped-call, unused-ignore]
    return data if known.ByteSize() == len(data) else None


@lru_cache(maxsize=1024)
def _is_plain(message: Descriptor, descriptors: bytes) -> bool:
    """Return whether every runtime encodes messages of this type alike: known fields in the order of their numbers."""
    known, seen = shapes(descriptors), set()
    left = [message.full_name]
    while left:
        shape = known[left.pop()]
        if shape.entry or shape.extendable or shape.name == "google.protobuf.Any":
            return False
        if shape.name not in seen:
            seen.add(shape.name)
            left += [field.message for field in shape.fields.values() if field.message]
    return True


def _hashed(name: str, payload_type: str, data: bytes) -> bytes:
    identity = sha256()
    for part in (name.encode(), payload_type.encode(), data):
        identity.update(len(part).to_bytes(8, "big"))
        identity.update(part)
    return identity.digest()
