"""The schema registry: which protobuf message belongs to which logical name. (Reference: Schema registry.)"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias, TypeVar, cast, get_args, overload

from google.protobuf import json_format
from google.protobuf.message import DecodeError, EncodeError, Message

from sessionstream.codec import Codec
from sessionstream.errors import (
    DuplicateSchemaError,
    InvalidIdError,
    InvalidNameError,
    PayloadDecodeError,
    PayloadTypeError,
    PayloadValueError,
    StructPayloadError,
    UnknownSchemaError,
)
from sessionstream.ids import check_id
from sessionstream.json_form import JsonForms

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct
    from typing_extensions import deprecated  # type checkers know it without the package

    class _Unchecked(Message):
        """A type that only ``Any`` matches: of several matching overloads, type checkers choose the first."""

else:

    def deprecated(message: str) -> Callable[[Any], Any]:
        """Mark an overload as deprecated for type checkers; at run time the registry raises."""
        return lambda function: function


Family: TypeAlias = Literal["command", "event", "ui event", "timeline entity"]
"""The four families of names; a name may occur once in each."""

M = TypeVar("M", bound=Message)

_STRUCT: Final = "google.protobuf.Struct"
_BINARY: Final = (bytes, bytearray, memoryview)


def describe(value: object) -> str:
    """Describe ``value`` for an error: the full name of a message, or the Python type, or ``the class …``."""
    if isinstance(value, type):
        descriptor = getattr(value, "DESCRIPTOR", None) if issubclass(value, Message) else None
        full_name = descriptor.full_name if descriptor is not None else f"{value.__module__}.{value.__qualname__}"
        return f"the class {full_name}"
    if isinstance(value, Message):
        return value.DESCRIPTOR.full_name
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def load_json(text: str | bytes) -> object:
    """Parse a JSON text; as in protobuf JSON, a key may occur only once in an object.

    Raises:
        ValueError: the text is not JSON (NaN and Infinity are not), repeats a key, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_once_each, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the members of a JSON object; raise ValueError if a key occurs twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key occurs twice among {[key for key, _ in pairs]}")
    return found


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and infinities."""
    raise ValueError(f"{name} is no JSON")


def check_name(family: Family, name: object) -> str:
    """Return ``name`` if it is valid as a logical name.

    Raises:
        InvalidNameError: it is empty, blank, not a string, or has characters that not every store can keep.
    """
    try:
        return check_id(f"{family} name", name)
    except InvalidIdError:
        raise InvalidNameError(family, name) from None


class SchemaRegistry:
    """Maps logical names of commands, events, UI events and timeline entities to protobuf messages.

    Register everything at start-up; the registry is only read afterwards. Names are stored with the data, so
    they must not change. Every ``register_…`` takes a generated message class, or an instance of one as a prototype
    (its field values are ignored).

    Every ``register_…`` raises

    - InvalidNameError: the name is empty, blank or not a string.
    - PayloadTypeError: ``message`` is not a concrete protobuf message, or another class with the same full name is
      registered (made by another descriptor pool, for example).
    - StructPayloadError: ``message`` is ``google.protobuf.Struct`` itself. Nested Struct fields are fine.
    - DuplicateSchemaError: the name is already registered in the family.

    >>> from sessionstream.examples.chatdemo.v1 import chat_pb2
    >>> registry = SchemaRegistry()
    >>> registry.register_event("ChatTokensDelta", chat_pb2.TokensDeltaEvent)
    >>> registry.event_schema("ChatTokensDelta").__name__
    'TokensDeltaEvent'
    """

    __slots__ = ("_by_type", "_codecs", "_families", "_forms")

    def __init__(self) -> None:
        self._families: dict[Family, dict[str, Codec]] = {family: {} for family in get_args(Family)}
        self._by_type: dict[str, Codec] = {}
        self._codecs: dict[type[Message], Codec] = {}
        self._forms = JsonForms()

    @overload
    def register_command(self, name: str, message: _Unchecked) -> None: ...

    @overload
    @deprecated("google.protobuf.Struct says nothing about its fields: register a message of its own (SST001)")
    def register_command(self, name: str, message: type[Struct] | Struct) -> None: ...

    @overload
    def register_command(self, name: str, message: type[Message] | Message) -> None: ...

    def register_command(self, name: str, message: type[Message] | Message) -> None:
        """Register the payload of a command."""
        self._register("command", name, message)

    @overload
    def register_event(self, name: str, message: _Unchecked) -> None: ...

    @overload
    @deprecated("google.protobuf.Struct says nothing about its fields: register a message of its own (SST001)")
    def register_event(self, name: str, message: type[Struct] | Struct) -> None: ...

    @overload
    def register_event(self, name: str, message: type[Message] | Message) -> None: ...

    def register_event(self, name: str, message: type[Message] | Message) -> None:
        """Register the payload of a backend event."""
        self._register("event", name, message)

    @overload
    def register_ui_event(self, name: str, message: _Unchecked) -> None: ...

    @overload
    @deprecated("google.protobuf.Struct says nothing about its fields: register a message of its own (SST001)")
    def register_ui_event(self, name: str, message: type[Struct] | Struct) -> None: ...

    @overload
    def register_ui_event(self, name: str, message: type[Message] | Message) -> None: ...

    def register_ui_event(self, name: str, message: type[Message] | Message) -> None:
        """Register the payload of a UI event."""
        self._register("ui event", name, message)

    @overload
    def register_timeline_entity(self, kind: str, message: _Unchecked) -> None: ...

    @overload
    @deprecated("google.protobuf.Struct says nothing about its fields: register a message of its own (SST001)")
    def register_timeline_entity(self, kind: str, message: type[Struct] | Struct) -> None: ...

    @overload
    def register_timeline_entity(self, kind: str, message: type[Message] | Message) -> None: ...

    def register_timeline_entity(self, kind: str, message: type[Message] | Message) -> None:
        """Register the payload of a kind of timeline entity."""
        self._register("timeline entity", kind, message)

    def command_schema(self, name: str) -> type[Message] | None:
        """Return the message class of a command, or None."""
        return self._find("command", name)

    def event_schema(self, name: str) -> type[Message] | None:
        """Return the message class of an event, or None."""
        return self._find("event", name)

    def ui_event_schema(self, name: str) -> type[Message] | None:
        """Return the message class of a UI event, or None."""
        return self._find("ui event", name)

    def timeline_entity_schema(self, kind: str) -> type[Message] | None:
        """Return the message class of a kind of timeline entity, or None."""
        return self._find("timeline entity", kind)

    def names(self, family: Family) -> list[str]:
        """Return the registered names of a family, in the order of their registration.

        Raises:
            ValueError: the family does not exist.
        """
        return list(self._names(family))

    def decode_command_json(self, name: str, data: str | bytes) -> Message:
        """Read protobuf JSON as the payload of a command.

        Raises:
            UnknownSchemaError: no such command is registered.
            PayloadDecodeError: the JSON is malformed, does not fit the message, or holds a value that cannot be written
                as JSON again, such as a number out of range (``1e400``) in a Struct.
            TypeError: ``data`` is not str or bytes; for JSON that is already parsed, use ``parse``.
        """
        codec = self._expect("command", name)
        if not isinstance(data, (str, *_BINARY)):
            raise TypeError(f"command {name!r} is decoded from JSON text, as str or bytes, not {describe(data)}")
        try:
            value = load_json(data if isinstance(data, str) else bytes(data))
        except ValueError as error:
            raise PayloadDecodeError("command", name, expected=codec.full_name, reason=str(error)) from error
        return self.parse("command", name, value)

    def parse(self, family: Family, name: str, value: object) -> Message:
        """Read protobuf JSON that is already parsed, as ``json.loads`` returns it.

        Raises:
            UnknownSchemaError: nothing is registered under ``name``.
            PayloadDecodeError: the value does not fit the message, or cannot be written as JSON again.
            ValueError: the family does not exist.
        """
        codec = self._expect(family, name)
        full_name = codec.full_name
        try:
            if not isinstance(value, dict) and not full_name.startswith("google.protobuf."):
                raise TypeError(f"a JSON object is needed, not {type(value).__name__}")
            payload = json_format.ParseDict(cast("dict[str, Any]", value), codec.message())
        except Exception as error:  # json_format may raise anything, including SystemError and KeyError
            raise PayloadDecodeError(family, name, expected=full_name, reason=str(error)) from error
        flaw = None if codec.find_flaw is None else codec.find_flaw(payload)
        if flaw is not None:
            reason = f"it has no JSON form ({flaw.reason})"
            raise PayloadDecodeError(family, name, expected=full_name, reason=reason, path=flaw.path)
        return payload

    def checked_copy(self, family: Family, name: str, payload: object) -> Message:
        """Return a private copy of ``payload``, an instance of the class registered under ``name``.

        A message of another class with the same full name (made by another descriptor pool, for example) is accepted
        and converted.

        Raises:
            UnknownSchemaError: nothing is registered under ``name``.
            PayloadTypeError: ``payload`` is another message, or not a message, or lacks required fields (proto2), or
                is nested so deeply that protobuf could not parse it again.
            PayloadValueError: ``payload`` holds a value without a JSON form, so it could not be sent to clients: a NaN
                in a ``google.protobuf.Value`` or a ``Timestamp`` out of range. An ``Any`` of an unknown type is
                accepted.
            ValueError: the family does not exist.
        """
        try:
            codec = self._families[family][name]
        except (KeyError, TypeError):
            codec = self._expect(family, name)
        copy: Message
        if type(payload) is codec.message and codec.is_plain:
            return payload.__deepcopy__(None)
        if type(payload) is codec.message and codec.is_shallow:
            copy = payload.__deepcopy__(None)
        elif isinstance(payload, Message) and payload.DESCRIPTOR.full_name == codec.full_name:
            copy = _converted(family, name, payload, codec.message)
        else:
            hint = f"a payload is an instance: write {codec.message.__name__}(…)" if payload is codec.message else ""
            raise PayloadTypeError(family, name, expected=codec.full_name, got=describe(payload), hint=hint)
        if codec.may_lack_fields and not copy.IsInitialized():
            got = f"{describe(payload)} without all of its required fields"
            raise PayloadTypeError(family, name, expected=codec.full_name, got=got)
        flaw = None if codec.find_flaw is None else codec.find_flaw(copy)
        if flaw is not None:
            raise PayloadValueError(family, name, expected=codec.full_name, path=flaw.path, reason=flaw.reason)
        return copy

    def check_known(self, family: Family, name: str) -> None:
        """Check that a message is registered under ``name``.

        Raises:
            UnknownSchemaError: nothing is registered under it.
            ValueError: the family does not exist.
        """
        self._expect(family, name)

    def decode(self, family: Family, name: str, payload_type: str, data: bytes) -> Message:
        """Decode a stored payload by the full name of its message.

        Raises:
            UnknownSchemaError: that message is not registered, or no longer.
            PayloadDecodeError: the bytes are not such a message.
            TypeError: ``data`` is not bytes, or ``payload_type`` is not a string.
        """
        if not isinstance(payload_type, str):
            raise TypeError(f"payload_type is the full name of a message, not {describe(payload_type)}")
        if not isinstance(data, _BINARY):
            raise TypeError(f"{family} {name!r} is decoded from bytes, not {describe(data)}")
        codec = self._by_type.get(payload_type)
        if codec is None:
            raise UnknownSchemaError(family, name, payload_type=payload_type)
        try:
            return codec.message.FromString(data)
        except DecodeError as error:
            raise PayloadDecodeError(family, name, expected=payload_type, reason=str(error)) from error

    def stored_as(self, payload_type: str) -> type[Message] | None:
        """Return the class that decodes stored payloads of this full name, or None."""
        codec = self._by_type.get(payload_type)
        return None if codec is None else codec.message

    def codec_of(self, message: type[Message]) -> Codec:
        """Return the codec of a message class, registered or not."""
        codec = self._codecs.get(message)
        if codec is None:
            codec = self._codecs[message] = Codec(message, self._forms)
        return codec

    def unread(self, other: SchemaRegistry) -> tuple[Family, str] | None:
        """Return an event or entity of another registry whose message this registry decodes as another, or None."""
        stored: tuple[Family, ...] = ("event", "timeline entity")
        for family in stored:
            for name, codec in other._families[family].items():
                if self.stored_as(codec.full_name) is not codec.message:
                    return family, name
        return None

    def _names(self, family: Family) -> dict[str, Codec]:
        """Return the codecs of a family by name; raise ValueError if the family does not exist."""
        if family not in get_args(Family):  # a tuple, so that unhashable values can be compared too
            raise ValueError(f"a family is 'command', 'event', 'ui event' or 'timeline entity', not {family!r}")
        return self._families[family]

    def _find(self, family: Family, name: object) -> type[Message] | None:
        """Return the message class of a name, or None."""
        codec = self._families[family].get(name) if isinstance(name, str) else None
        return None if codec is None else codec.message

    def _expect(self, family: Family, name: str) -> Codec:
        """Return the codec of a name; raise UnknownSchemaError if it is not registered."""
        try:
            return self._families[family][name]
        except (KeyError, TypeError):
            self._names(family)
            raise UnknownSchemaError(family, name) from None

    def _register(self, family: Family, name: object, message: object) -> None:
        """Register a message under a name."""
        name = check_name(family, name)
        cls = message if isinstance(message, type) else type(message)
        if not issubclass(cls, Message) or getattr(cls, "DESCRIPTOR", None) is None:
            raise PayloadTypeError(family, name, expected="", got=describe(message))
        full_name = cls.DESCRIPTOR.full_name
        if full_name == _STRUCT:
            raise StructPayloadError(family, name)
        names = self._families[family]
        if name in names:
            raise DuplicateSchemaError(family, name, existing=names[name].full_name, offender=full_name)
        known = self._by_type.get(full_name)
        if known is None:
            known = self._by_type[full_name] = self.codec_of(cls)
        elif known.message is not cls:  # stored payloads are decoded by full name, so only one class can have it
            raise PayloadTypeError(
                family,
                name,
                expected=full_name,
                got="another class of that name",
                hint="within a registry a message has one class: register that which was registered first",
            )
        names[name] = known


def _converted(family: Family, name: str, payload: Message, expected: type[M]) -> M:
    """Return a copy that was serialized and parsed: protobuf can write messages too deeply nested for it to parse."""
    try:
        return expected.FromString(payload.SerializePartialToString())
    except (DecodeError, EncodeError, ValueError) as error:
        got = f"{describe(payload)} that cannot be read again once it is written ({error})"
        hint = "messages in messages, as in a Struct, may be some 50 to 100 levels deep"
        raise PayloadTypeError(family, name, expected=expected.DESCRIPTOR.full_name, got=got, hint=hint) from error
