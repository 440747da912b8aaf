"""Whether two commands or two events are one and the same, by what they contain: digests, and how they are compared.

A digest is one byte that says how it was made, and a SHA-256 of name, message type and fields in their canonical form
(see canonical.py), which no protobuf build has a say in. Digests without that byte are older: the SHA-256 of what one
build made of the message, which may be other bytes in another build.
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
"""The first byte of a digest. Digests of version 1 do not have it, and are as long as a SHA-256."""

_UNVERSIONED: Final = 32


def payload_digest(name: str, payload: Message, descriptors: bytes = b"") -> bytes:
    """Return the identity of a command or an event by its contents: name, message type and fields.

    Equal messages have one digest in every protobuf runtime, and different messages have different ones. What is packed
    in a ``google.protobuf.Any`` is compared as a message if its type is in the file of the payload's message or in one
    that this imports, else as the bytes it is: two events that pack the same map in another order are different then.

    Args:
        descriptors: a serialized FileDescriptorSet, for fields that the payload's own class does not know.
    """
    full_name, own = payload.DESCRIPTOR.full_name, descriptor_set(type(payload))
    plain = _only_encoding(payload) if descriptors in (b"", own) else None
    if plain is not None:
        return _VERSION + _hashed(name, full_name, plain)
    return stored_digest(name, full_name, payload.SerializePartialToString(), descriptors, own)


def stored_digest(name: str, payload_type: str, data: bytes, *descriptors: bytes) -> bytes:
    """Return what ``payload_digest`` gives for an encoded message.

    Args:
        payload_type: full name of the message.
        data: the message as any protobuf runtime has written it. Bytes that are no message are compared as they are.
        descriptors: serialized FileDescriptorSets with the message and all it refers to, as a store keeps them; where
            they differ about a field, the first that knows it counts. What none of them knows, and everything if one
            is damaged, is compared as unknown fields.
    """
    try:
        known = shapes(*descriptors)
    except DecodeError:
        known = {}
    with suppress(Malformed):
        data = canonical(data, payload_type, known)
    return _VERSION + _hashed(name, payload_type, data)


def compare(digest: bytes, name: str, payload: Message, descriptors: bytes = b"") -> Verdict:
    """Say whether a digest that was kept is that of a payload; arguments as of ``payload_digest``.

    One that was not made as they are made today is ``undecided`` where another protobuf build may have made it.
    """
    if digest[:1] == _VERSION and len(digest) != _UNVERSIONED:
        return "same" if digest == payload_digest(name, payload, descriptors) else "other"
    data = payload.SerializePartialToString(deterministic=True)
    if digest == _hashed(name, payload.DESCRIPTOR.full_name, data):
        return "same"
    return "other" if len(digest) == _UNVERSIONED and _only_encoding(payload) is not None else "undecided"


def _only_encoding(payload: Message) -> bytes | None:
    """Return the bytes of a message of which every protobuf runtime makes the same; None of any other."""
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
    """Say whether every runtime writes such messages alike: known fields in the order of their numbers."""
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
