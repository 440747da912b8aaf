"""Messages with every kind of message that may lack a JSON form, in every kind of field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from hypothesis import strategies as st

if TYPE_CHECKING:
    from google.protobuf.message import Message

_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_KINDS: Final = {
    "args": ".google.protobuf.Struct",
    "value": ".google.protobuf.Value",
    "list": ".google.protobuf.ListValue",
    "at": ".google.protobuf.Timestamp",
    "took": ".google.protobuf.Duration",
    "mask": ".google.protobuf.FieldMask",
    "any": ".google.protobuf.Any",
    "inner": ".test.wild.Wild",
    "number": ".google.protobuf.DoubleValue",
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    """Each kind once as a plain field, once in a oneof, once repeated, once as the values of a map."""
    modules = (any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    file = descriptor_pb2.FileDescriptorProto(
        name="test/wild.proto",
        package="test.wild",
        syntax="proto3",
        dependency=[module.DESCRIPTOR.name for module in modules],
    )
    wild = file.message_type.add(name="Wild")
    wild.oneof_decl.add(name="choice")
    number = 0
    for name, type_name in _KINDS.items():
        wild.field.add(name=name, number=number + 1, label=1, type=11, type_name=type_name)
        wild.field.add(name=f"one_{name}", number=number + 2, label=1, type=11, type_name=type_name, oneof_index=0)
        wild.field.add(name=f"many_{name}", number=number + 3, label=3, type=11, type_name=type_name)
        entry = wild.nested_type.add(name=f"By{name.capitalize()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=1, type=_FIELD.TYPE_STRING)
        entry.field.add(name="value", number=2, label=1, type=11, type_name=type_name)
        of_map = f".test.wild.Wild.{entry.name}"
        wild.field.add(name=f"by_{name}", number=number + 4, label=3, type=11, type_name=of_map)
        number += 4
    wild.field.add(name="double", number=number + 1, label=1, type=_FIELD.TYPE_DOUBLE)
    wild.field.add(name="floats", number=number + 2, label=3, type=_FIELD.TYPE_FLOAT)
    file.message_type.add(name="Tame").field.add(name="x", number=1, label=1, type=_FIELD.TYPE_DOUBLE)
    return file


def _class(name: str) -> type[Message]:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


descriptor_pool.Default().AddSerializedFile(_file().SerializeToString())  # type: ignore[no-untyped-call, unused-ignore]

Wild: Any = _class("test.wild.Wild")
"""May hold all of them."""

Tame: Any = _class("test.wild.Tame")
"""A number, and nothing that may lack a JSON form."""

PLAIN: Final = tuple(_KINDS)
"""The plain fields of Wild; ``one_``, ``many_`` and ``by_`` before the name make the others."""


def packed(message: Message, type_url: str = "") -> any_pb2.Any:
    holder = any_pb2.Any(value=message.SerializeToString())
    holder.type_url = type_url or f"type.googleapis.com/{message.DESCRIPTOR.full_name}"
    return holder


_numbers = st.one_of(st.integers(-9, 9).map(float), st.floats())
_values = st.recursive(
    st.one_of(
        st.builds(struct_pb2.Value),
        st.builds(struct_pb2.Value, null_value=st.just(struct_pb2.NULL_VALUE)),
        st.builds(struct_pb2.Value, number_value=_numbers),
        st.builds(struct_pb2.Value, string_value=st.text(st.characters(exclude_categories=["Cs"]), max_size=3)),
        st.builds(struct_pb2.Value, bool_value=st.booleans()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(
            lambda values: struct_pb2.Value(list_value=struct_pb2.ListValue(values=values))
        ),
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2).map(
            lambda fields: struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
        ),
    ),
    max_leaves=4,
)
_int64 = st.integers(-(2**63), 2**63 - 1)
_int32 = st.integers(-(2**31), 2**31 - 1)
_times = {
    "seconds": st.one_of(st.integers(-3, 3), st.sampled_from([-62135596801, 253402300800, 315576000001]), _int64),
    "nanos": st.one_of(st.integers(-3, 3), st.sampled_from([999_999_999, 10**9, -(10**9)]), _int32),
}
_paths = st.one_of(st.sampled_from(["a", "b.c_d", "", "A", "a_", "a__b", "a_1", "ä"]), st.text("aA_.1", max_size=4))
_type_urls = st.sampled_from(
    [
        "",
        "/",
        "no.Such",
        "type.googleapis.com/no.Such",
        "type.googleapis.com/test.wild.Wild",
        "type.googleapis.com/google.protobuf.Struct",
        "test.wild.Wild",
    ]
)


def wild(depth: int = 2) -> st.SearchStrategy[Any]:
    """Messages of which about half have a JSON form."""
    leaves = {
        "args": st.dictionaries(st.sampled_from("ab"), _values, max_size=2).map(
            lambda fields: struct_pb2.Struct(fields=fields)
        ),
        "value": _values,
        "list": st.lists(_values, max_size=2).map(lambda values: struct_pb2.ListValue(values=values)),
        "at": st.builds(timestamp_pb2.Timestamp, **_times),
        "took": st.builds(duration_pb2.Duration, **_times),
        "mask": st.builds(field_mask_pb2.FieldMask, paths=st.lists(_paths, max_size=2)),
        "number": st.builds(wrappers_pb2.DoubleValue, value=st.floats()),
    }
    leaves["any"] = st.one_of(
        st.sampled_from(list(leaves)).flatmap(lambda name: leaves[name]).map(packed),
        st.builds(any_pb2.Any, type_url=_type_urls, value=st.binary(max_size=4)),
    )
    if depth:
        leaves["inner"] = wild(depth - 1)
        leaves["any"] |= leaves["inner"].map(packed) | leaves["any"].map(packed)
    return st.lists(_parts(leaves), max_size=3).map(_merged)


def _parts(leaves: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    def in_a_field(name: str) -> st.SearchStrategy[Any]:
        return st.one_of(
            st.builds(lambda leaf: Wild(**{name: leaf}), leaves[name]),
            st.builds(lambda leaf: Wild(**{f"one_{name}": leaf}), leaves[name]),
            st.builds(lambda many: Wild(**{f"many_{name}": many}), st.lists(leaves[name], max_size=2)),
            st.builds(
                lambda many: Wild(**{f"by_{name}": many}),
                st.dictionaries(st.sampled_from("xy"), leaves[name], max_size=2),
            ),
        )

    # json_format writes the greatest float, shortened, as a number that it finds too great when it reads it.
    narrow = st.floats(width=32).filter(lambda number: abs(number) != float.fromhex("0x1.fffffep+127"))
    floats = st.builds(Wild, double=st.floats(), floats=st.lists(narrow, max_size=2))
    return st.one_of(floats, st.sampled_from(sorted(leaves)).flatmap(in_a_field))


def _merged(parts: list[Any]) -> Any:
    merged = Wild()
    for part in parts:
        merged.MergeFrom(part)
    return merged
