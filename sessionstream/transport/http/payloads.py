"""What is wrong with the JSON of a command, for whoever has sent it: where, and what is right there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format, message_factory, wrappers_pb2
from google.protobuf.descriptor import FieldDescriptor

from sessionstream.schema import load_json

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.errors import PayloadDecodeError

_BODY: Final = "the body"
_WRAPPERS: Final = wrappers_pb2.DESCRIPTOR.name
"""The file of ``StringValue`` and the like, whose JSON is their value."""

_WHOLE: Final = "send a whole number in its range, also as a string"
_NUMBER: Final = "send a number"
_RIGHT: Final[dict[int, str]] = {
    FieldDescriptor.TYPE_STRING: "send a string",
    FieldDescriptor.TYPE_BYTES: "send a string in base64",
    FieldDescriptor.TYPE_BOOL: "send true or false",
    FieldDescriptor.TYPE_DOUBLE: _NUMBER,
    FieldDescriptor.TYPE_FLOAT: _NUMBER,
}
"""What is right for a field, by its type; other types but messages and enums are whole numbers."""

_TEXTS: Final = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_NUMBERS: Final = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)


def flaw_of(error: PayloadDecodeError, body: bytes, wanted: type[Message] | None) -> str:
    """Return what a client is told of a body that is not the message of its command.

    Args:
        error: what the registry raised.
        wanted: the class of the message.
    """
    try:
        value = load_json(body)
    except (ValueError, RecursionError) as flaw:
        return f"the body is not JSON: {flaw}"
    if error.path:
        return f"{error.path}: {error.reason}"
    found = "" if wanted is None else _flaw(value, wanted.DESCRIPTOR, "")
    return found or f"the body is not the JSON of a {error.expected}"


def _flaw(value: object, message: Any, path: str) -> str:
    """Return the first flaw of a message's JSON; empty if none is found."""
    if message.file.name == _WRAPPERS:
        return _flaw_of_one(value, message.fields_by_name["value"], path or _BODY)
    if message.full_name.startswith("google.protobuf."):  # their JSON has forms of its own
        return f"{path} is not the JSON of a {message.full_name}" if path and _is_refused(value, message) else ""
    fields = {name: field for field in message.fields for name in (field.name, field.json_name)}
    names = ", ".join(field.json_name for field in message.fields) or "none"
    if not isinstance(value, dict):
        return f"{path or _BODY} is {_kind(value)}: send a JSON object with the fields {names}"
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            return f"{path or _BODY} has a field {key!r}: it may have {names}"
        flaw = "" if item is None else _flaw_of_field(item, field, f"{path}.{key}" if path else key)
        if flaw:
            return flaw
    return ""


def _flaw_of_field(value: object, field: Any, path: str) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if not isinstance(value, dict):
            return f"{path} is {_kind(value)}: send a JSON object"
        entry = field.message_type.fields_by_name["value"]
        flaws = (_flaw_of_one(item, entry, f"{path}.{key}") for key, item in value.items())
    elif isinstance(field.default_value, list):  # only repeated fields have a list here, in every protobuf runtime
        if not isinstance(value, list):
            return f"{path} is {_kind(value)}: send a list"
        flaws = (_flaw_of_one(item, field, f"{path}[{number}]") for number, item in enumerate(value))
    else:
        return _flaw_of_one(value, field, path)
    return next((flaw for flaw in flaws if flaw), "")


def _flaw_of_one(value: object, field: Any, path: str) -> str:
    """Return the flaw of one value of a field."""
    if field.message_type is not None:
        return _flaw(value, field.message_type, path)
    if field.enum_type is not None:
        names = [each.name for each in field.enum_type.values]
        right = value in names or (isinstance(value, int) and not isinstance(value, bool))
        return "" if right else f"{path} is {_shown(value)}: send one of {', '.join(names)}"
    if field.type in _TEXTS:
        if isinstance(value, str) and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            return f"{path} has a character that is not valid Unicode"
        right = isinstance(value, str)
    elif field.type == FieldDescriptor.TYPE_BOOL:
        right = isinstance(value, bool)
    else:
        right = isinstance(value, int | float | str) and not isinstance(value, bool) and _holds(field, value)
    if right:
        return ""
    numeric = field.type not in (*_TEXTS, FieldDescriptor.TYPE_BOOL)
    return f"{path} is {_shown(value) if numeric else _kind(value)}: {_RIGHT.get(field.type, _WHOLE)}"


def _holds(field: Any, value: float | str) -> bool:
    """Return whether a numeric field can have a value."""
    if field.type in _NUMBERS:
        try:
            float(value)
        except (ValueError, OverflowError):
            return False
        return True
    signed = field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
    bits = 32 if field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32) else 64
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return False
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    return least <= number < most and (isinstance(value, str) or number == value)


def _is_refused(value: Any, message: Any) -> bool:
    try:
        json_format.ParseDict(value, message_factory.GetMessageClass(message)())
    except Exception:  # noqa: BLE001 - json_format may raise anything
        return True
    return False


def _shown(value: object) -> str:
    """Return a number as it is, for a range or an enum that it does not fit; of other values their JSON type."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.20g}" if is_number else _kind(value)


def _kind(value: object) -> str:
    """Return the JSON type of a value."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
