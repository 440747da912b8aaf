"""Reading what clients send: strict protobuf JSON of a ClientFrame. Pure; whatever the text, only FrameError is raised.

``json_format`` is too kind for text of strangers: it takes ``[]`` for an empty message, one field under both of its
names, and ``"1_0"`` for ten. The fields are therefore read here, along the descriptor of ``ClientFrame``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias, cast

from google.protobuf.descriptor import FieldDescriptor

from sessionstream.errors import InvalidIdError, TransportError
from sessionstream.ordinals import MAX_ORDINAL
from sessionstream.schema import load_json
from sessionstream.transport.ws.codes import BAD_CLIENT_FRAME, PROTOCOL_ERROR, ErrorCode
from sessionstream.types import check_id
from sessionstream.v1.transport_pb2 import ClientFrame, PingFrame, PongFrame, SubscribeRequest, UnsubscribeRequest

_SHOWN: Final = 200
"""How many characters of a client's own words an error repeats."""

_DIGITS: Final = re.compile(r"[0-9]{1,20}")


class FrameError(TransportError):
    """What a client sent cannot be acted upon.

    Attributes:
        code: ``bad_client_frame`` or ``protocol_error``.
        message: what is wrong, fit to be sent to the client.
        session_id: the session it was about, where that could be read.
    """

    def __init__(self, code: ErrorCode, message: str, session_id: str = "") -> None:
        self.code = code
        self.message = message[:_SHOWN].encode(errors="replace").decode()
        self.session_id = session_id
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Watch a session. ``since`` and ``epoch`` are what the client holds; only with ``delta`` do they count."""

    session_id: str
    since: int = 0
    delta: bool = False
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Stop watching a session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered with a pong of the same nonce."""

    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping of ours."""

    nonce: str = ""


Request: TypeAlias = Subscribe | Unsubscribe | Ping | Pong


def decode(text: str) -> Request:
    """Read one client frame.

    camelCase and snake_case names are accepted, ordinals as numbers or as strings of digits, null for what is not
    set. Whatever else is not exactly protobuf JSON of a ClientFrame is refused, duplicate keys and NaN included.

    Raises:
        FrameError: the text is not such a frame, or it asks for nothing, or for an impossible session id.
    """
    try:
        members = _message(load_json(text, parse_constant=_refuse_constant), ClientFrame.DESCRIPTOR, "the frame")
        if len(members) > 1:
            raise ValueError(f"a frame has one member, not {' and '.join(members)}")
    except ValueError as error:
        raise FrameError(BAD_CLIENT_FRAME, str(error)) from error
    if not members:
        raise FrameError(PROTOCOL_ERROR, "unknown client frame: set subscribe, unsubscribe, ping or pong")
    ((name, fields),) = members.items()
    return _REQUESTS[name](cast("dict[str, Any]", fields))


def _subscribe(fields: dict[str, Any]) -> Request:
    return Subscribe(
        _session_id("subscribe", fields),
        fields.get("since_snapshot_ordinal", 0),
        fields.get("delta", False),
        fields.get("epoch", 0),
    )


def _unsubscribe(fields: dict[str, Any]) -> Request:
    return Unsubscribe(_session_id("unsubscribe", fields))


_REQUESTS: Final[dict[str, Callable[[dict[str, Any]], Request]]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "ping": lambda fields: Ping(**fields),
    "pong": lambda fields: Pong(**fields),
}


def _session_id(request: str, fields: dict[str, Any]) -> str:
    session_id = fields.get("session_id", "")
    if not session_id:
        raise FrameError(PROTOCOL_ERROR, f"{request} is missing its session id")
    try:
        return check_id("session id", session_id)
    except InvalidIdError as error:
        raise FrameError(PROTOCOL_ERROR, str(error), session_id) from error


def _names(descriptor: Any) -> dict[str, Any]:
    return {name: field for field in descriptor.fields for name in (field.name, field.json_name)}


_FIELDS: Final = {
    message.DESCRIPTOR.full_name: _names(message.DESCRIPTOR)
    for message in (ClientFrame, SubscribeRequest, UnsubscribeRequest, PingFrame, PongFrame)
}
"""The fields of each message by both of their names. (Protobuf's own maps raise SystemError on a lone surrogate.)"""


def _message(value: object, descriptor: Any, where: str) -> dict[str, object]:
    """Return the fields that are set, by their names in the schema."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} has to be a JSON object, not {_kind(value)}")
    found: dict[str, object] = {}
    for key, item in value.items():
        field = _FIELDS[descriptor.full_name].get(key)
        if field is None:
            raise ValueError(f"{where} has no field {key!r}")
        if field.name in found:
            raise ValueError(f"{where} has {key!r} twice, under both of its names")
        if item is not None:
            found[field.name] = _READERS[field.type](item, field, f"{field.json_name!r}")
    return found


def _string(value: object, field: object, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} has to be a string, not {_kind(value)}")
    value.encode()  # UnicodeEncodeError, which is a ValueError, for a lone surrogate
    return value


def _bool(value: object, field: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where} has to be true or false, not {_kind(value)}")
    return value


def _uint64(value: object, field: object, where: str) -> int:
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
    if not 0 <= number <= MAX_ORDINAL:
        raise ValueError(f"{where} has to be a whole number from 0 to {MAX_ORDINAL}, as a number or as a string")
    return number


def _nested(value: object, field: Any, where: str) -> dict[str, object]:
    return _message(value, field.message_type, where)


_READERS: Final[dict[int, Callable[[object, Any, str], object]]] = {
    FieldDescriptor.TYPE_STRING: _string,
    FieldDescriptor.TYPE_BOOL: _bool,
    FieldDescriptor.TYPE_UINT64: _uint64,
    FieldDescriptor.TYPE_MESSAGE: _nested,
}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
