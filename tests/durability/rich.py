"""A message with every kind of field there is, as it is today and as an older process knows it, and values of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import any_pb2, descriptor_pool, message_factory, struct_pb2
from google.protobuf.descriptor_pb2 import (
    EDITION_2023,
    DescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from hypothesis import strategies as st

from sessionstream.wire import LENGTH, varint, written

if TYPE_CHECKING:
    from google.protobuf.message import Message

NAME: Final = "rich.Rich"
KEYS: Final = (
    "int32",
    "int64",
    "uint32",
    "uint64",
    "sint32",
    "sint64",
    "fixed32",
    "fixed64",
    "sfixed32",
    "sfixed64",
    "bool",
    "string",
)
_SCALARS: Final = (*KEYS, "bytes", "float", "double")
_MAPS: Final = 40
"""Number of the first map; each kind of key has one."""


def _add(
    message: DescriptorProto, number: int, kind: str, name: str, *, repeated: bool = False
) -> FieldDescriptorProto:
    field = message.field.add(name=name, number=number)
    field.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    if kind.startswith("."):
        field.type_name = kind
        kind = "enum" if kind in (".rich.Open", ".rich.Closed") else "message"
    field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    return field


def _map(message: DescriptorProto, number: int, key: str, value: str) -> None:
    entry = message.nested_type.add(name=f"M{number}Entry")
    entry.options.map_entry = True
    _add(entry, 1, key, "key")
    _add(entry, 2, value, "value")
    _add(message, number, f".rich.Rich.M{number}Entry", f"m{number}", repeated=True)


def _fill(message: DescriptorProto) -> None:
    implicit, delimited = FeatureSet.IMPLICIT, FeatureSet.DELIMITED
    for number, kind in enumerate(_SCALARS, 1):
        field = _add(message, number, kind, f"f{number}")
        if number % 2:
            field.options.features.field_presence = implicit
        repeated = _add(message, 120 + number, kind, f"r{number}", repeated=True)
        if number % 2 and kind not in ("string", "bytes"):
            repeated.options.features.repeated_field_encoding = FeatureSet.EXPANDED
    _add(message, 20, ".rich.Open", "f20")
    _add(message, 21, ".rich.Closed", "f21")
    _add(message, 22, ".rich.Closed", "r22", repeated=True)
    _add(message, 26, ".rich.Rich", "f26")
    _add(message, 27, ".rich.Rich", "f27").options.features.message_encoding = delimited
    _add(message, 28, ".rich.Rich", "r28", repeated=True)
    _add(message, 29, ".rich.Rich", "r29", repeated=True).options.features.message_encoding = delimited
    # An older process knows all members of `choice`: if it knows one of two that are encoded, it loses their order.
    message.oneof_decl.add(name="choice")
    message.oneof_decl.add(name="late")
    for number, kind in ((30, "int32"), (31, "string"), (32, ".rich.Rich"), (33, ".rich.Closed")):
        _add(message, number, kind, f"o{number}").oneof_index = int(number == 30)
    values = ("int32", "string", ".rich.Rich", ".rich.Closed", ".google.protobuf.Struct")
    for index, key in enumerate(KEYS):
        _map(message, _MAPS + index, key, values[index % len(values)])
    _add(message, 60, ".google.protobuf.Struct", "f60")
    _add(message, 61, ".google.protobuf.Any", "f61")


def _file(*, older: bool) -> FileDescriptorProto:
    file = FileDescriptorProto(name="rich.proto", package="rich", syntax="editions", edition=EDITION_2023)
    file.dependency.extend(["google/protobuf/struct.proto", "google/protobuf/any.proto"])
    for name in ("Open", "Closed"):
        enum = file.enum_type.add(name=name)
        for number in range(3):
            enum.value.add(name=f"{name.upper()}_{number}", number=number)
        if name == "Closed":
            enum.options.features.enum_type = FeatureSet.CLOSED
    message = file.message_type.add(name="Rich")
    message.extension_range.add(start=100, end=110)
    _fill(message)
    if older:
        kept = [field for field in message.field if field.number % 2 or field.number == 32]
        del message.field[:]
        message.field.extend(kept)
        del message.oneof_decl[1]
        nested = {f"M{field.number}Entry" for field in kept}
        entries = [entry for entry in message.nested_type if entry.name in nested]
        del message.nested_type[:]
        message.nested_type.extend(entries)
    else:
        holder = DescriptorProto()
        for number, kind, repeated in ((100, "int32", False), (101, ".rich.Rich", False), (103, "sint32", True)):
            _add(holder, number, kind, f"e{number}", repeated=repeated).extendee = ".rich.Rich"
        file.extension.extend(holder.field)
    return file


def files(*, older: bool = False) -> bytes:
    """Return the serialized FileDescriptorSet of the message, its newer or its older form."""
    found = FileDescriptorSet()
    for module in (struct_pb2, any_pb2):
        module.DESCRIPTOR.CopyToProto(found.file.add())
    found.file.append(_file(older=older))
    return found.SerializeToString()


def message_class(descriptors: bytes, name: str = NAME) -> type[Message]:
    """Return the class of a message in a separate pool."""
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptors).file:
        pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


# Values are drawn from a few, so that equal ones are met often.
_VARINTS: Final = st.sampled_from([0, 1, 2, 3, 7, 300, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
_NUMBERS: Final = st.sampled_from([0, 1, 2, 3, 2**64 - 1]).map(varint)
"""Of enums; how a runtime keeps a number that an enum lacks, if it was not written as a number of 32 bits, differs."""
_TEXTS: Final = st.sampled_from([b"", b"a", b"ab", b"b", "é".encode(), b"\x00"])


def _overlong(value: int) -> bytes:
    encoded = varint(value)
    return encoded if len(encoded) > 8 else encoded[:-1] + bytes([encoded[-1] | 0x80, 0])


def _scalar(wire: int) -> st.SearchStrategy[bytes]:
    if wire == LENGTH:
        return _TEXTS.map(lambda text: written(text, LENGTH))
    if wire == 0:
        return st.one_of(_VARINTS.map(varint), _VARINTS.map(_overlong))
    width = 8 if wire == 1 else 4
    return st.sampled_from([0, 1, 2, 2 ** (8 * width - 1)]).map(lambda value: value.to_bytes(width, "little"))


_KINDS: Final = {
    "fixed32": 5,
    "sfixed32": 5,
    "float": 5,
    "fixed64": 1,
    "sfixed64": 1,
    "double": 1,
    "string": 2,
    "bytes": 2,
}


def _tagged(number: int, wire: int, values: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: varint(number << 3 | wire) + value)


def _group(number: int, content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return content.map(lambda data: varint(number << 3 | 3) + data + varint(number << 3 | 4))


def _prefixed(content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return content.map(lambda data: written(data, LENGTH))


def _joined(parts: st.SearchStrategy[bytes], size: int = 3) -> st.SearchStrategy[bytes]:
    return st.lists(parts, max_size=size).map(b"".join)


_ENTRIES: Final = st.builds(
    lambda key, number: b"\n" + written(key, LENGTH) + b"\x12\x02\x20" + bytes([number]), _TEXTS, st.integers(0, 1)
)
_STRUCT: Final = _joined(_tagged(1, 2, _prefixed(_ENTRIES)))
_ANY: Final = st.one_of(
    _joined(_tagged(1, 2, _prefixed(_ENTRIES)), 1).map(lambda data: (b"x/google.protobuf.Struct", data)),
    _STRUCT.map(lambda data: (b"x/not.Known", data)),
).map(lambda packed: b"\n" + written(packed[0], LENGTH) + b"\x12" + written(packed[1], LENGTH))
"""Packed messages whose bytes are canonical, or whose type nobody knows."""


def _records(messages: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return records of a Rich, in which messages of it have these bytes."""
    parts: list[st.SearchStrategy[bytes]] = []
    for number, kind in enumerate(_SCALARS, 1):
        wire = _KINDS.get(kind, 0)
        parts += [_tagged(number, wire, _scalar(wire)), _tagged(120 + number, wire, _scalar(wire))]
        if wire != LENGTH:
            parts.append(_tagged(120 + number, 2, _prefixed(_joined(_scalar(wire)))))
    parts += [_tagged(number, 0, _scalar(0)) for number in (30, 100, 103)]
    parts += [_tagged(number, 0, _NUMBERS) for number in (20, 21, 22, 33)]
    # Not empty: a repeated extension that came as an empty block is set for upb, though it has no value.
    blocks = ((22, _joined(_NUMBERS)), (103, _joined(_scalar(0)).filter(bool)))
    parts += [_tagged(number, 2, _prefixed(block)) for number, block in blocks]
    parts += [_tagged(number, 2, _prefixed(messages)) for number in (26, 28, 32, 101)]
    parts += [_group(number, messages) for number in (27, 29)]
    parts.append(_tagged(31, 2, _scalar(2)))
    # Of a number that a closed enum lacks, in a map, the runtime in pure Python makes another.
    values = (_tagged(2, 0, _scalar(0)), _tagged(2, 2, _scalar(2)), _tagged(2, 2, _prefixed(messages)))
    for index, key in enumerate(KEYS):
        wire = _KINDS.get(key, 0)
        value = (*values, _tagged(2, 0, st.sampled_from([b"\0", b"\1", b"\2"])), _tagged(2, 2, _prefixed(_STRUCT)))[
            index % 5
        ]
        keyed = st.tuples(_tagged(1, wire, _scalar(wire)), value).map(b"".join)
        parts.append(_tagged(_MAPS + index, 2, _prefixed(st.one_of(keyed, _joined(value), st.just(b"")))))
    parts += [_tagged(60, 2, _prefixed(_STRUCT)), _tagged(61, 2, _prefixed(_ANY))]
    for number in (12, 17, 105, 300):  # some are known, as another type
        parts += [_tagged(number, wire, _scalar(wire)) for wire in (0, 1, 2, 5)]
        parts.append(_group(number, _joined(_tagged(1, 0, _scalar(0)))))
    return st.one_of(parts)


def encoded(depth: int = 2) -> st.SearchStrategy[Sequence[bytes]]:
    """Return the records of messages as no runtime would write them, and as every one reads them."""
    inner = _joined(_records(st.just(b"")))
    for _ in range(depth - 1):
        inner = _joined(_records(inner))
    return st.lists(_records(inner), max_size=6)


def parsed(cls: type[Message], data: bytes) -> Any:
    """Return a message of the class."""
    return cls.FromString(data)
