"""Finds values in messages that have no protobuf JSON form, with the path of the field.

Snapshots, live events and commands are sent as protobuf JSON, and some messages have no such form: a
``google.protobuf.Value`` with NaN or an infinity, a ``Timestamp`` in the year 10000, an ``Any`` whose bytes are not its
message. ``json_format`` raises when it writes such a message; this module finds it before the message is stored.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from sessionstream.errors import error_text

if TYPE_CHECKING:
    from google.protobuf.message import Message

MAX_LEVELS: Final = 100
"""The maximum nesting of messages, including those in an ``Any``: parsers of protobuf JSON accept no more."""

_ANY: Final = "google.protobuf.Any"
_VALUE: Final = "google.protobuf.Value"
_TIMESTAMP: Final = "google.protobuf.Timestamp"
_TEXTS: Final = (_TIMESTAMP, "google.protobuf.Duration", "google.protobuf.FieldMask")
"""Messages whose JSON form is a string. Their ``ToJsonString`` makes it, or raises ValueError."""

_SURE_SECONDS: Final = 253_402_300_800
"""A Timestamp from 1970 up to so many seconds later, exclusive, has a JSON form; this spares ``ToJsonString``."""

_NOT_FINITE: Final = re.compile(rb"\x11.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL)
"""Matches an encoded ``number_value`` of a Value that is NaN or an infinity. Other bytes may match as well."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A field, or a message, that has no JSON form.

    Attributes:
        path: of the field, as in ``args.fields["x"].number_value``; empty if it is the message itself.
        reason: why it has no JSON form.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason

    def within(self, part: str) -> Flaw:
        """Return the same flaw with a path from the enclosing message."""
        return Flaw(f"{part}.{self.path}" if self.path else part, self.reason)


_Check: TypeAlias = Callable[["Message", int], Flaw | None]
"""Returns the first flaw in a message at a nesting level of the payload, or None."""


@dataclass(frozen=True, slots=True)
class _Field:
    """How to check a field; ``check`` is None if its type cannot have a flaw."""

    name: str
    shape: Literal["one", "many", "map"]
    check: _Check | None


class JsonForms:
    """Finds values in messages that have no JSON form. It caches for each type whether a flaw is possible.

    Args:
        unknown_types: whether an ``Any`` of an unknown type is a flaw. This process cannot write it as JSON, but a
            process that knows the type can.
    """

    __slots__ = ("_checks", "_doubts", "_fields", "_unknown_types")

    def __init__(self, *, unknown_types: bool = False) -> None:
        self._unknown_types = unknown_types
        self._doubts: dict[Any, frozenset[str]] = {}
        self._fields: dict[Any, _Field] = {}
        self._checks: dict[str, _Check] = dict.fromkeys(_TEXTS, _text_flaw)
        self._checks |= {_TIMESTAMP: _timestamp_flaw, _ANY: self._any_flaw, _VALUE: self._value_flaw}

    def finder(self, descriptor: Any) -> Callable[[Message], Flaw | None] | None:
        """Return a function that returns the first flaw in a message of this type; None if no flaw is possible."""
        doubts, check = self._doubts_of(descriptor), self._check(descriptor)
        if not doubts:
            return None
        if doubts != {_VALUE}:
            return lambda message: check(message, 1)

        def find_number(message: Message) -> Flaw | None:
            """Search the encoded message first: for a Struct, that takes a tenth of the time of checking each value."""
            return check(message, 1) if _NOT_FINITE.search(message.SerializePartialToString()) else None

        return find_number

    def flaw(self, message: Message) -> Flaw | None:
        """Return the first flaw in a message, or None."""
        find = self.finder(message.DESCRIPTOR)
        return None if find is None else find(message)

    def _doubts_of(self, descriptor: Any) -> frozenset[str]:
        """Return the types that may have a flaw among those that a type contains."""
        known = self._doubts.get(descriptor)
        if known is None:
            doubtful = filter(_is_doubtful, reachable(descriptor))
            known = self._doubts[descriptor] = frozenset(each.full_name for each in doubtful)
        return known

    def _check(self, descriptor: Any) -> _Check:
        """Return the check of a message type."""
        return self._checks.get(descriptor.full_name, self._fields_flaw)

    def _fields_flaw(self, message: Message, level: int) -> Flaw | None:
        """Return the first flaw in the fields of a message."""
        for descriptor, value in message.ListFields():
            field = self._fields.get(descriptor) or self._add(descriptor)
            if field.check is None:
                continue
            if level == MAX_LEVELS:
                return Flaw(field.name, f"messages in messages may be {MAX_LEVELS} levels deep")
            if field.shape == "one":
                flaw = field.check(value, level + 1)
                if flaw is not None:
                    return flaw.within(field.name)
                continue
            for key, inner in value.items() if field.shape == "map" else enumerate(value):
                flaw = field.check(inner, level + 1)
                if flaw is not None:
                    return flaw.within(f"{field.name}[{json.dumps(key, ensure_ascii=False)}]")
        return None

    def _add(self, descriptor: Any) -> _Field:
        """Return how to check a field, and cache it."""
        name = f"[{descriptor.full_name}]" if descriptor.is_extension else descriptor.name
        inner, shape, check = descriptor.message_type, _shape(descriptor), None
        if inner is not None and shape == "map":
            inner = inner.fields_by_name["value"].message_type
        if inner is not None and self._doubts_of(inner):
            check = self._check(inner)
        field = self._fields[descriptor] = _Field(name, shape, check)
        return field

    def _value_flaw(self, message: Any, level: int) -> Flaw | None:
        """Return the flaw of a google.protobuf.Value."""
        kind = message.WhichOneof("kind")
        if kind == "number_value" and not math.isfinite(message.number_value):
            return Flaw(kind, f"{message.number_value} is no JSON number")
        return self._fields_flaw(message, level) if kind in ("struct_value", "list_value") else None

    def _any_flaw(self, message: Any, level: int) -> Flaw | None:
        """Return the flaw of a google.protobuf.Any."""
        type_url, value = message.type_url, message.value
        if not type_url and not value:
            return None
        name = type_url.rpartition("/")[2]
        try:  # json_format uses the default pool as well
            descriptor = descriptor_pool.Default().FindMessageTypeByName(name)
        except KeyError:
            return Flaw("", f"no message is known of the type {type_url!r}") if self._unknown_types else None
        if level == MAX_LEVELS:
            return Flaw("value", f"messages in messages may be {MAX_LEVELS} levels deep")
        inner = message_factory.GetMessageClass(descriptor)()
        try:
            inner.ParseFromString(value)
        except DecodeError as error:
            return Flaw("value", f"it is no {name}: {error_text(error)}")
        if not inner.IsInitialized():
            return Flaw("value", f"it is a {name} without all of its required fields")
        flaw = self._check(descriptor)(inner, level + 1)
        return None if flaw is None else flaw.within(f"[{name}]")


def why_unwritable(message: Message, failure: Exception) -> Flaw:
    """Return the flaw of a message for which ``json_format`` raised ``failure``."""
    return JsonForms(unknown_types=True).flaw(message) or Flaw("", error_text(failure))


def _text_flaw(message: Any, _: int) -> Flaw | None:
    """Return the flaw of a message whose JSON form is a string."""
    try:
        message.ToJsonString()
    except ValueError as error:
        return Flaw("", str(error))
    return None


def _timestamp_flaw(message: Any, level: int) -> Flaw | None:
    """Return the flaw of a Timestamp."""
    sure = 0 <= message.seconds < _SURE_SECONDS and 0 <= message.nanos < 1_000_000_000
    return None if sure else _text_flaw(message, level)


def _shape(descriptor: Any) -> Literal["one", "many", "map"]:
    """Return whether a field is singular, repeated or a map."""
    if not isinstance(descriptor.default_value, list):  # in every runtime it is a list for repeated fields only
        return "one"
    inner = descriptor.message_type
    return "map" if inner is not None and inner.GetOptions().map_entry else "many"


def _is_doubtful(descriptor: Any) -> bool:
    """Whether a message of the type may itself have no JSON form, or have fields that its descriptor does not list."""
    name = descriptor.full_name
    return name in _TEXTS or name in (_ANY, _VALUE) or bool(descriptor.is_extendable)


def reachable(descriptor: Any) -> Iterator[Any]:
    """Yield a message type and all types of messages that may be nested in it."""
    seen, left = {descriptor}, [descriptor]
    while left:
        found = left.pop()
        yield found
        inner = {field.message_type for field in found.fields if field.message_type is not None} - seen
        seen |= inner
        left.extend(inner)
