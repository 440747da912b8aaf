"""Whether what was written with one shape of a message can be read with another, by what protobuf puts on the wire.

Messages change: a field is added, removed, renamed, widened. All that is fine, and unknown fields are kept. But where a
number was used for a text and is used for an integer now, a reader takes what it finds for another, unknown field, and
shows nothing where there was something.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorSet

_LIKE: Final = (
    ("int32", "int64", "uint32", "uint64", "bool", "enum"),
    ("sint32", "sint64"),
    ("fixed32", "sfixed32"),
    ("fixed64", "sfixed64"),
    ("float",),
    ("double",),
    ("string", "bytes"),
    ("bytes", "message"),
    ("group",),
)
"""Types of fields that read each other's values."""

_WHOLE: Final = frozenset(("string", "bytes", "message", "group"))
"""Types of which a reader that knows one value takes the last of many; of packed numbers it takes none."""


def clash(name: str, stored: bytes, present: bytes) -> str:
    """Return what of a stored message its present shape would misread, in words; empty if nothing.

    Args:
        name: full name of the message.
        stored, present: serialized FileDescriptorSets with the message and all it refers to.
    """
    if stored == present:
        return ""
    then, now = _messages(stored), _messages(present)
    seen: set[tuple[str, str]] = set()
    left = [(name, name)]
    while left:
        pair = left.pop()
        if pair in seen or pair[0] not in then or pair[1] not in now:
            continue
        seen.add(pair)
        fields = {field.number: field for field in now[pair[1]].field}
        for was in then[pair[0]].field:
            field = fields.get(was.number)
            if field is None:
                continue
            if not _reads(field, was):
                return f"field {was.number} of {pair[0]} was {_words(was)} and is {_words(field)}"
            left.append((was.type_name.removeprefix("."), field.type_name.removeprefix(".")))
    return ""


def _reads(field: FieldDescriptorProto, was: FieldDescriptorProto) -> bool:
    kinds = {_kind(field), _kind(was)}
    if not any(kinds.issubset(like) for like in _LIKE):
        return False
    return _repeated(field) or not _repeated(was) or kinds <= _WHOLE


def _words(field: FieldDescriptorProto) -> str:
    return f"{'repeated ' if _repeated(field) else ''}{_kind(field)} {field.name!r}"


def _kind(field: FieldDescriptorProto) -> str:
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _repeated(field: FieldDescriptorProto) -> bool:
    return field.label == FieldDescriptorProto.LABEL_REPEATED


def _messages(descriptors: bytes) -> dict[str, DescriptorProto]:
    found: dict[str, DescriptorProto] = {}
    for file in FileDescriptorSet.FromString(descriptors).file:
        found.update(_named(file.package, file.message_type))
    return found


def _named(scope: str, messages: Iterable[DescriptorProto]) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        name = f"{scope}.{message.name}" if scope else message.name
        yield name, message
        yield from _named(name, message.nested_type)
