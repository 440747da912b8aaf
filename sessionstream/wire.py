"""Reads and writes the protobuf wire format: records, varints and packed values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

VARINT, FIXED64, LENGTH, START, END, FIXED32 = range(6)
"""The wire types."""

WIDTHS: Final = {VARINT: 0, FIXED64: 8, FIXED32: 4}
"""Size of a value in bytes, for the wire types whose values may be packed; 0 for a varint, whose size varies."""

WIRE_TYPES: Final = {
    "fixed64": FIXED64,
    "sfixed64": FIXED64,
    "double": FIXED64,
    "string": LENGTH,
    "bytes": LENGTH,
    "message": LENGTH,
    "group": START,
    "fixed32": FIXED32,
    "sfixed32": FIXED32,
    "float": FIXED32,
}
"""The wire type of each kind of field; all kinds that are not listed have VARINT."""

_64_BITS: Final = (1 << 64) - 1
_SMALL: Final = [bytes([value]) for value in range(0x80)]

Value: TypeAlias = int | bytes
"""An unsigned number for a varint; else the bytes of the value, which for a group are those within it."""


class Malformed(ValueError):
    """Bytes are not a message."""


def records(data: bytes) -> Iterator[tuple[int, int, Value]]:
    """Yield field number, wire type and value of each record, in the order of the bytes.

    Raises:
        Malformed: the bytes are not a message.
    """
    position, end = 0, len(data)
    while position < end:
        start = position
        tag = data[position]
        if tag < 0x80:
            position += 1
        else:
            tag, position = _read_varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, position = _read_varint(data, position)
            yield number, wire, value
            continue
        if wire == LENGTH:
            size, position = _read_varint(data, position)
            stop = after = position + size
        elif wire == START:
            stop, after = _group(data, position, number)
        elif wire in WIDTHS:
            stop = after = position + WIDTHS[wire]
        else:
            raise Malformed(f"wire type {wire} at byte {start}")
        if after > end:
            raise Malformed(f"field {number} at byte {start} is cut short")
        yield number, wire, data[position:stop]
        position = after


def _group(data: bytes, begin: int, number: int) -> tuple[int, int]:
    """Return the end of the content of a group, and the end of its end tag."""
    position, within = begin, [number]
    while True:
        start = position
        tag, position = _read_varint(data, position)
        wire = tag & 7
        if wire == VARINT:
            _, position = _read_varint(data, position)
        elif wire == LENGTH:
            size, position = _read_varint(data, position)
            position += size
        elif wire in WIDTHS:
            position += WIDTHS[wire]
        elif wire == START:
            within.append(tag >> 3)
        elif wire != END or within.pop() != tag >> 3:
            raise Malformed(f"a group at byte {begin} ends at byte {start} as another")
        elif not within:
            return start, position


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    for byte in data[position : position + 10]:
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _64_BITS, position
        shift += 7
    raise Malformed(f"the number before byte {position} has no end")


def packed(data: bytes, wire: int) -> list[Value]:
    """Return the values in a packed field.

    Raises:
        Malformed: the bytes do not consist of such values.
    """
    width = WIDTHS[wire]
    if width:
        if len(data) % width:
            raise Malformed(f"a block of {len(data)} bytes holds values of {width}")
        return [data[start : start + width] for start in range(0, len(data), width)]
    values: list[Value] = []
    position = 0
    while position < len(data):
        value, position = _read_varint(data, position)
        values.append(value)
    return values


def varint(value: int) -> bytes:
    """Return an unsigned number as a varint, in the fewest bytes."""
    if value < 0x80:
        return _SMALL[value]
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def written(value: Value, wire: int) -> bytes:
    """Return a value as it is encoded after its tag; not for a group, which needs an end tag."""
    if isinstance(value, int):
        return varint(value)
    return varint(len(value)) + value if wire == LENGTH else value
