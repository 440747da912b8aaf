"""Compares two shapes of a message: whether bytes that were written with one are read correctly with the other.

A field may be added, removed, renamed, become repeated, and take more values than before; unknown fields are kept. Any
other change is a clash: some stored bytes would be read as another value, or as none, without an error.

==============================================  =======================================================
was                                             may become
==============================================  =======================================================
int32, int64, uint32, uint64, bool, enum        another of these that has all its values
sint32; fixed32, sfixed32; fixed64, sfixed64    sint64; none but itself
float, double                                   none but itself
string; bytes                                   bytes; none but itself
message with a length                           bytes, or a message whose fields fit as well
message that is delimited (a group)             a delimited message whose fields fit as well
single                                          repeated
map                                             a map, or repeated messages of a key and a value
==============================================  =======================================================

The values of an open enum are those of int32; a closed one has those that it names, and any other is an unknown field.
Packing, presence and default values do not matter: a field that was set is read as it was set, and one that was not set
is read as not set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from sessionstream.descriptors import Field, Shape, shapes

_RANGES: Final = {
    "bool": ("number", 0, 1),
    "int32": ("number", -(2**31), 2**31 - 1),
    "int64": ("number", -(2**63), 2**63 - 1),
    "uint32": ("number", 0, 2**32 - 1),
    "uint64": ("number", 0, 2**64 - 1),
    "enum": ("number", -(2**31), 2**31 - 1),
    "sint32": ("zigzag", -(2**31), 2**31 - 1),
    "sint64": ("zigzag", -(2**63), 2**63 - 1),
}
"""Encoding of each kind of number, and its lowest and highest value."""

_Shapes: TypeAlias = Mapping[str, Shape]


def clash(name: str, stored: bytes, present: bytes) -> str:
    """Return a description of what the present shape would misread in a stored message; empty if nothing.

    Args:
        name: full name of the message.
        stored, present: serialized FileDescriptorSets with the message and all it refers to.

    Raises:
        DecodeError: one of them is not a FileDescriptorSet.
    """
    if stored == present:
        return ""
    then, now = shapes(stored), shapes(present)
    seen: set[tuple[str, str]] = set()
    left = [(name, name)]
    while left:
        pair = left.pop()
        if pair in seen or pair[0] not in then or pair[1] not in now:
            continue
        seen.add(pair)
        was, is_now = then[pair[0]], now[pair[1]]
        for number, old in sorted(was.fields.items()):
            new = is_now.fields.get(number)
            if new is None:
                continue
            reason = _misread(old, new, then, now)
            if reason:
                return f"field {number} of {pair[0]} was {_described(old)} and is {_described(new)}: {reason}"
            left.append((old.message, new.message))
        found = _together(was, is_now) or _required(was, is_now)
        if found:
            return found
    return ""


def _misread(old: Field, new: Field, then: _Shapes, now: _Shapes) -> str:
    """Return why a field would be misread, or ``""``."""
    kinds = {old.kind, new.kind}
    if old.kind in _RANGES and new.kind in _RANGES and _RANGES[old.kind][0] == _RANGES[new.kind][0]:
        reason = _lost(old, new)
    elif kinds == {"fixed32", "sfixed32"} or kinds == {"fixed64", "sfixed64"}:
        reason = f"half of the values of {old.kind} would be read as others"
    elif (old.kind, new.kind) == ("bytes", "string"):
        reason = "not all bytes are a text"
    elif (old.kind, new.kind) == ("bytes", "message"):
        reason = "not all bytes are such a message"
    elif old.kind != new.kind and (old.kind, new.kind) not in (("string", "bytes"), ("message", "bytes")):
        reason = "they are written differently"
    else:
        reason = ""
    if reason:
        return reason
    if old.repeated and not new.repeated:
        return "of several values one would be read"
    if _is_map(new, now) and not _is_map(old, then):
        return "of several messages with one key one would be read"
    return ""


def _lost(old: Field, new: Field) -> str:
    """Return which values of a field its new kind would misread or lose, or ``""``."""
    _, low, high = _RANGES[old.kind]
    _, lowest, highest = _RANGES[new.kind]
    numbers = old.values if old.values is not None else range(low, high + 1) if old.kind == "bool" else None
    if new.values is None:
        if numbers is not None:
            low, high = min(numbers), max(numbers)
        return "" if lowest <= low and high <= highest else f"not every value of {old.kind} is one of {new.kind}"
    if numbers is None:
        return f"{new.enum} is closed, and would read values that it does not name as not set"
    lost = sorted(set(numbers) - new.values)
    return f"{new.enum} does not name {', '.join(map(str, lost))}, and would read that as not set" if lost else ""


def _together(was: Shape, now: Shape) -> str:
    """Return which fields of one oneof could both be set before, or ``""``."""
    members: dict[str, list[Field]] = {}
    for number, field in sorted(now.fields.items()):
        old = was.fields.get(number)
        if field.oneof and old is not None:
            members.setdefault(field.oneof, []).append(old)
    for oneof, fields in members.items():
        for field in fields[1:]:
            if not field.oneof or field.oneof != fields[0].oneof:
                names = _both(fields[0], field)
                return f"fields {names} of {was.name} could both be set and are in oneof {oneof!r}: one would be read"
    return ""


def _required(was: Shape, now: Shape) -> str:
    """Return which required field may be missing, or ``""``."""
    for number, field in sorted(now.fields.items()):
        old = was.fields.get(number)
        if field.required and (old is None or not old.required):
            return f"field {number} of {was.name} is required as {field.name!r} and was not: it may be missing"
    return ""


def _both(one: Field, other: Field) -> str:
    return f"{one.number} {one.name!r} and {other.number} {other.name!r}"


def _is_map(field: Field, known: _Shapes) -> bool:
    return field.message in known and known[field.message].entry


def _described(field: Field) -> str:
    return f"{'repeated ' if field.repeated else ''}{field.kind} {field.name!r}"
