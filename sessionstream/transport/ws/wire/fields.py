"""Reads the protobuf JSON of frames strictly, by their descriptors, without building messages. Pure.

``json_format`` is too lenient for untrusted text: it accepts ``[]`` as an empty message, a field under both of its
names, and ``"1_0"`` as ten.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import FieldDescriptor

from sessionstream.ordinals import MAX_ORDINAL
from sessionstream.schema import load_json
from sessionstream.v1 import transport_pb2

Fields: TypeAlias = dict[str, Any]
"""The fields that are set, by their names in the schema. Nested messages are Fields; an Any is its JSON."""

_FIELDS: Final[dict[str, dict[str, Any]]] = {
    message.full_name: {name: field for field in message.fields for name in (field.name, field.json_name)}
    for message in transport_pb2.DESCRIPTOR.message_types_by_name.values()
}
"""The fields of each message, by both of their names. (Protobuf's own maps raise SystemError on a lone surrogate.)"""

_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_MAX_UINT32: Final = 2**32 - 1
_ANY: Final = "google.protobuf.Any"


def read_fields(text: str, descriptor: Any, where: str, *, skip_unknown: bool = False) -> Fields:
    """Parse a text as the protobuf JSON of a message.

    Names may be camelCase or snake_case, numbers may be strings of digits, and null means not set.

    Args:
        descriptor: the descriptor of a message of transport.proto.
        where: the name of the text in error messages.
        skip_unknown: whether to ignore fields that the descriptor does not have.

    Raises:
        ValueError: the text is not valid; duplicate keys and NaN are errors too.
    """
    return _message(load_json(text), descriptor, where, skip_unknown)


def _message(value: object, descriptor: Any, where: str, skip_unknown: bool) -> Fields:
    """Return the fields of a JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} has to be a JSON object, not {_kind(value)}")
    if descriptor.full_name == _ANY:
        return value
    found: Fields = {}
    for key, item in value.items():
        field = _FIELDS[descriptor.full_name].get(key)
        if field is None:
            if skip_unknown:
                continue
            raise ValueError(f"{where} has no field {key!r}")
        if field.name in found:
            raise ValueError(f"{where} has {key!r} twice, under both of its names")
        if item is not None:
            found[field.name] = _field(item, field, skip_unknown)
    return found


def _field(value: object, field: Any, skip_unknown: bool) -> object:
    """Return the value of a field, which may be a list."""
    where = f"{field.json_name!r}"
    if not isinstance(field.default_value, list):  # only repeated fields have a list here, in every protobuf runtime
        return _one(value, field, where, skip_unknown)
    if not isinstance(value, list):
        raise ValueError(f"{where} has to be a list, not {_kind(value)}")
    return [_one(item, field, where, skip_unknown) for item in value]


def _one(value: object, field: Any, where: str, skip_unknown: bool) -> object:
    """Return one value of a field."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return _message(value, field.message_type, where, skip_unknown)
    return _SCALARS[field.type](value, where)


def _string(value: object, where: str) -> str:
    """Check a string."""
    if not isinstance(value, str):
        raise ValueError(f"{where} has to be a string, not {_kind(value)}")
    value.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
    return value


def _bool(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where} has to be true or false, not {_kind(value)}")
    return value


def _whole(value: object, where: str, *, largest: int) -> int:
    """Check a whole number; it may be a string of digits."""
    match value:
        case bool():
            number = -1
        case int():
            number = value
        case float() if value.is_integer():
            number = int(value)
        case str() if _DIGITS.fullmatch(value):
            number = int(value)
        case _:
            number = -1
    if not 0 <= number <= largest:
        raise ValueError(f"{where} has to be a whole number from 0 to {largest}, as a number or as a string")
    return number


def _double(value: object, where: str) -> float:
    """Check a finite number; it may be a string."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where} has to be a finite number")
    return number


_SCALARS: Final[dict[int, Callable[[object, str], object]]] = {
    FieldDescriptor.TYPE_STRING: _string,
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_UINT64: partial(_whole, largest=MAX_ORDINAL),
    FieldDescriptor.TYPE_UINT32: partial(_whole, largest=_MAX_UINT32),
    FieldDescriptor.TYPE_DOUBLE: _double,
}


def _kind(value: object) -> str:
    """Return the JSON type of a value, for error messages."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
