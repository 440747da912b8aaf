"""The canonical encoding of a message: equal messages have equal bytes, whichever protobuf build encoded them.

Protobuf does not guarantee this: the order of map keys, extensions and unknown fields differs between its runtimes. In
the canonical encoding

- fields are in the order of their numbers, including unknown fields and extensions;
- a singular field has its last value, and a singular message that is encoded in parts is merged;
- default values are present, and repeated numbers packed, exactly if a serializer writes them so;
- a map is sorted by key (numbers by value, strings by UTF-8), has each key once, and each entry has key and value;
- unknown fields with the same number and wire type keep their order, and so do the fields within them;
- the message in a ``google.protobuf.Any`` is canonical if its type is among the shapes; else its bytes are unchanged.

A field has therefore the same encoding in a process that knows it and in an older one to which it is unknown, unless it
contains maps, or is one of two members of a oneof that are both encoded, which no serializer writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, TypeAlias, cast

from sessionstream.descriptors import Field, Shape
from sessionstream.wire import (
    END,
    LENGTH,
    START,
    VARINT,
    WIDTHS,
    WIRE_TYPES,
    Malformed,
    Value,
    packed,
    records,
    varint,
    written,
)

MAX_DEPTH: Final = 128
"""The maximum nesting of messages, which is more than protobuf parses. A deeper message in an ``Any`` stays bytes."""

_KNOWN: Final = -1
"""Sorts the known values of a field before its unknown records, which are sorted by wire type."""

_ANY: Final = "google.protobuf.Any"
_SIGNED: Final = frozenset(("int32", "int64", "enum", "sfixed32", "sfixed64"))
_ZIGZAG: Final = frozenset(("sint32", "sint64"))

Shapes: TypeAlias = Mapping[str, Shape]


def canonical(data: bytes, name: str, shapes: Shapes) -> bytes:
    """Return the canonical form of an encoded message.

    Args:
        data: the message, as encoded by any protobuf runtime.
        name: its full name. If it is not among the shapes, all fields are unknown.
        shapes: the known message types, by full name.

    Raises:
        Malformed: the bytes are not a message.
    """
    return _Form(shapes).message(data, name, 1)


class _Form:
    """Encodes messages with given shapes."""

    __slots__ = ("_shapes",)

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes

    def message(self, data: bytes, name: str, depth: int) -> bytes:
        """Return the canonical encoding of a message."""
        shape = self._shapes.get(name)
        known, parts = self._sorted(data, {} if shape is None else shape.fields, depth)
        if name == _ANY:
            self._unpack(known, depth)
        if shape is not None:
            for number, values in known.items():
                parts[number, _KNOWN] = [self._field(shape.fields[number], values, depth)]
        return b"".join([part for _, some in sorted(parts.items()) for part in some])

    def _sorted(
        self, data: bytes, fields: Mapping[int, Field], depth: int
    ) -> tuple[dict[int, list[Value]], dict[tuple[int, int], list[bytes]]]:
        """Return the values of known fields by number, and unknown fields, encoded, by number and wire type."""
        if depth > MAX_DEPTH:
            raise Malformed(f"more than {MAX_DEPTH} messages in messages")
        known: dict[int, list[Value]] = {}
        unknown: dict[tuple[int, int], list[bytes]] = {}
        chosen: dict[str, int] = {}
        for number, wire, value in records(data):
            field = fields.get(number)
            if field is not None and wire == field.wire and field.values is None and not field.message:
                values = [value]
            else:
                values, strange = ([], [(wire, value)]) if field is None else self._split(field, wire, value)
                for other, each in strange:
                    unknown.setdefault((number, other), []).append(self._unknown(number << 3 | other, each, depth))
                if field is None or not values:
                    continue
            if field.oneof:
                before = chosen.get(field.oneof, number)
                if before != number:
                    known.pop(before, None)
                chosen[field.oneof] = number
            if number in known and (field.repeated or field.message):
                known[number] += values
            else:
                known[number] = values if field.repeated else values[-1:]
        return known, unknown

    def _split(self, field: Field, wire: int, value: Value) -> tuple[list[Value], list[tuple[int, Value]]]:
        """Return the values of a field in one record, and the records that a parser keeps as unknown fields."""
        if wire == field.wire:
            values = [value]
        elif wire == LENGTH and field.repeated and field.wire in WIDTHS and isinstance(value, bytes):
            values = packed(value, field.wire)
        else:
            return [], [(wire, value)]
        if field.values is not None:
            numbers = [_raw(field.kind, each) for each in values]
            known = [each for each in numbers if _number(field.kind, each) in field.values]
            return known, [(VARINT, each) for each in numbers if _number(field.kind, each) not in field.values]
        if field.message and isinstance(value, bytes) and self._is_strange_entry(field, value):
            return [], [(wire, value)]
        return values, []

    def _is_strange_entry(self, field: Field, value: bytes) -> bool:
        """Return whether it is a map entry whose value is not a number of its closed enum."""
        shape = self._shapes.get(field.message)
        enum = shape.fields[2] if shape is not None and shape.entry else None
        if enum is None or enum.values is None:
            return False
        found = [each for number, wire, each in records(value) if (number, wire) == (2, VARINT)]
        return bool(found) and _number(enum.kind, found[-1]) not in enum.values

    def _unknown(self, tag: int, value: Value, depth: int) -> bytes:
        """Return an unknown field, encoded."""
        wire = tag & 7
        if wire == START and isinstance(value, bytes):
            return varint(tag) + self.message(value, "", depth + 1) + varint(tag - START + END)
        return varint(tag) + written(value, wire)

    def _field(self, field: Field, values: list[Value], depth: int) -> bytes:
        """Return all values of a field, encoded with their tags."""
        if field.message:
            return self._messages(field, cast("list[bytes]", values), depth)
        encoded = [written(_raw(field.kind, value), field.wire) for value in values]
        if field.packed:
            block = b"".join(encoded)
            return varint(field.number << 3 | LENGTH) + varint(len(block)) + block
        if field.implicit and not any(encoded[0]):  # only zero bytes: false, 0, or an empty string
            return b""
        return b"".join([field.tag + each for each in encoded])

    def _messages(self, field: Field, values: list[bytes], depth: int) -> bytes:
        """Return the messages of a field, encoded with their tags."""
        shape = self._shapes.get(field.message)
        if shape is not None and shape.entry:
            return self._map(field, shape, values, depth)
        if not field.repeated:
            values = [b"".join(values)]
        tag = field.tag
        end = varint(field.number << 3 | END)
        parts = []
        for value in values:
            data = self.message(value, field.message, depth + 1)
            parts += [tag, data, end] if field.kind == "group" else [tag, varint(len(data)), data]
        return b"".join(parts)

    def _map(self, field: Field, shape: Shape, entries: list[bytes], depth: int) -> bytes:
        """Return the entries of a map, sorted and encoded."""
        key, value = shape.fields[1], shape.fields[2]
        found: dict[Value, bytes] = {}
        for entry in entries:
            known, _ = self._sorted(entry, shape.fields, depth + 1)
            keys = known.get(1) or [_zero(key.kind)]
            values = known.get(2) or [_zero(value.kind)]
            data = self._field(key, keys, depth + 1) + self._field(value, values, depth + 1)
            found[_number(key.kind, keys[0])] = varint(len(data)) + data
        return b"".join([field.tag + entry for _, entry in sorted(found.items())])

    def _unpack(self, known: dict[int, list[Value]], depth: int) -> None:
        """Encode the message in an Any canonically, if its type is known and its bytes are such a message."""
        url, value = known.get(1, [b""])[-1], known.get(2, [b""])[-1]
        if isinstance(url, bytes) and isinstance(value, bytes):
            name = url.rpartition(b"/")[2].decode("utf-8", "replace")
            if name in self._shapes:
                with suppress(Malformed):
                    known[2] = [self.message(value, name, depth + 1)]


def _raw(kind: str, value: Value) -> Value:
    """Return a value as a serializer writes it; a number that is too wide is truncated as a parser does it."""
    if isinstance(value, bytes) or kind in ("int64", "uint64", "sint64"):
        return value
    if kind == "bool":
        return int(value != 0)
    value &= 0xFFFFFFFF
    return value | 0xFFFFFFFF_00000000 if kind in _SIGNED and value >> 31 else value


def _number(kind: str, value: Value) -> Value:
    """Return the sort key of a value, which is equal for equal values: a number, or the bytes of a string."""
    if isinstance(value, bytes):
        return value if kind in ("string", "bytes") else int.from_bytes(value, "little", signed=kind in _SIGNED)
    raw = int(_raw(kind, value))
    if kind in _ZIGZAG:
        return raw >> 1 ^ -(raw & 1)
    return raw - (1 << 64) if kind in _SIGNED and raw >> 63 else raw


def _zero(kind: str) -> Value:
    """Return the default of a key or a value that is missing in a map entry."""
    wire = WIRE_TYPES.get(kind, VARINT)
    return 0 if wire == VARINT else bytes(WIDTHS.get(wire, 0))
