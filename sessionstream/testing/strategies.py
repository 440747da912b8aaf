"""Hypothesis strategies for session ids, stream ids, ordinals and payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from sessionstream.hydration.rules import check_instance
from sessionstream.ordinals import MAX_ORDINAL, SEQUENCE_LIMIT
from sessionstream.schema import SchemaRegistry

if TYPE_CHECKING:
    from sessionstream.schema import Family

M = TypeVar("M", bound=Message)

_MAX_MILLISECONDS: Final = MAX_ORDINAL // SEQUENCE_LIMIT
_MALFORMED: Final = (
    "", "-", "1", "1-", "-1", "1-2-3", "a-b", " 1-2", "1-2\n", "+1-2", "1--2", "1_0-1", "²-1", "\u0661-\u0662",
)  # fmt: skip


def session_ids(*, max_size: int = 40) -> st.SearchStrategy[str]:
    """Ids that every store has to accept: any Unicode except NUL and lone surrogates, never blank."""
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    return st.text(letters, min_size=1, max_size=max_size).filter(lambda text: not text.isspace())


def ordinals(*, min_value: int = 0, max_value: int = MAX_ORDINAL) -> st.SearchStrategy[int]:
    """Ordinals; small ones and those near 2**31, 2**32, 2**53, 2**63 and 2**64 occur more often than others."""
    corners = [
        value
        for middle in (2**31, 2**32, 2**53, 2**63, 2**64)
        for value in range(middle - 2, middle + 2)
        if min_value <= value <= max_value
    ]
    spread = st.one_of(st.integers(min_value, min(max_value, min_value + 20)), st.integers(min_value, max_value))
    return st.one_of(spread, st.sampled_from(corners)) if corners else spread


def stream_ids() -> st.SearchStrategy[str]:
    """Stream ids ``<milliseconds>-<sequence>``: valid ones, extreme ones, and malformed ones."""
    return st.one_of(
        # valid
        _stream_ids(st.integers(0, 30), st.integers(0, 3)),
        _stream_ids(st.integers(0, _MAX_MILLISECONDS - 1), st.integers(0, SEQUENCE_LIMIT - 1)),
        # near the limits, and above them
        _stream_ids(st.integers(0, 30), _near(SEQUENCE_LIMIT, 1)),
        _stream_ids(_near(_MAX_MILLISECONDS, 1), _near(MAX_ORDINAL % SEQUENCE_LIMIT, 2)),
        _stream_ids(st.integers(2**63, 2**65), st.integers(0, 2**65)),
        # malformed
        st.sampled_from(_MALFORMED),
        st.text(max_size=12),
    )


def _stream_ids(milliseconds: st.SearchStrategy[int], sequence: st.SearchStrategy[int]) -> st.SearchStrategy[str]:
    return st.builds("{}-{}".format, milliseconds, sequence)


def _near(number: int, distance: int) -> st.SearchStrategy[int]:
    return st.integers(number - distance, number + distance)


def registered_payloads(registry: SchemaRegistry, family: Family) -> st.SearchStrategy[tuple[str, Message]]:
    """Pairs of a name registered in the family and a random payload for it.

    Raises:
        ValueError: the family does not exist; or, when drawn, nothing is registered in it.
        TypeError: ``registry`` is not a SchemaRegistry.
    """
    check_instance("registry", SchemaRegistry, registry)
    names = registry.names(family)
    schemas = {
        "command": registry.command_schema,
        "event": registry.event_schema,
        "ui event": registry.ui_event_schema,
        "timeline entity": registry.timeline_entity_schema,
    }[family]
    if not names:
        return st.deferred(lambda: _nothing_registered(family))
    return st.sampled_from(names).flatmap(lambda name: st.tuples(st.just(name), payloads(_known(schemas(name)))))


def _nothing_registered(family: str) -> st.SearchStrategy[Any]:
    raise ValueError(f"no {family} is registered: there is no payload to draw")


def _known(message: type[Message] | None) -> type[Message]:
    if message is None:
        raise LookupError("the registry changed while payloads were drawn")
    return message


def payloads(message: type[M], *, max_depth: int = 3) -> st.SearchStrategy[M]:
    """Random messages of a class: every field type, repeated and map fields, oneofs, nesting and recursion.

    Numbers are finite, so that equal messages compare equal. ``Any`` holds one of protobuf's well-known
    messages; ``Timestamp`` and ``Duration`` are in their valid ranges. Messages nested deeper than ``max_depth``
    have only their required fields.

    Raises:
        TypeError: ``message`` is not a generated message class.
    """
    known: object = message
    if not isinstance(known, type) or not issubclass(known, Message) or getattr(known, "DESCRIPTOR", None) is None:
        raise TypeError(f"message has to be a generated message class, not {known!r}")
    return _messages(message, max_depth)


@st.composite
def _messages(draw: st.DrawFn, message: type[M], depth: int) -> M:
    result = message()
    _fill(draw, result, depth)
    return result


def _fill(draw: st.DrawFn, message: Message, depth: int) -> None:
    special = _SPECIAL.get(message.DESCRIPTOR.full_name)
    if special is not None:
        message.MergeFromString(draw(special).SerializeToString())  # its class may be of another descriptor pool
        return
    for field in _required_fields(message.DESCRIPTOR) if depth < 0 else _chosen_fields(draw, message.DESCRIPTOR):
        if _is_repeated(field):
            _fill_repeated(draw, message, field, depth)
        elif field.message_type is None:
            setattr(message, field.name, draw(_scalars(field)))
        else:
            inner = getattr(message, field.name)
            inner.SetInParent()
            _fill(draw, inner, depth - 1)


def _required_fields(descriptor: Any) -> list[FieldDescriptor]:
    return [field for field in descriptor.fields if _is_required(field)]


def _chosen_fields(draw: st.DrawFn, descriptor: Any) -> list[FieldDescriptor]:
    """Choose which fields to set: at most one of each oneof, every required one, few that nest further."""
    alone = [field for field in descriptor.fields if field.containing_oneof is None]
    nesting = [field for field in alone if field.message_type is not None and not _is_required(field)]
    chosen = [field for field in alone if field not in nesting and (_is_required(field) or draw(st.booleans()))]
    if nesting:
        chosen += draw(st.lists(st.sampled_from(nesting), max_size=2, unique_by=lambda field: field.number))
    members = [draw(st.sampled_from([None, *oneof.fields])) for oneof in descriptor.oneofs]
    return chosen + [field for field in members if field is not None]


def _is_repeated(field: Any) -> bool:
    known = getattr(field, "is_repeated", None)  # where it exists, `label` warns or is gone
    return bool(field.label == FieldDescriptor.LABEL_REPEATED if known is None else known)


def _is_required(field: Any) -> bool:
    known = getattr(field, "is_required", None)
    return bool(field.label == FieldDescriptor.LABEL_REQUIRED if known is None else known)


def _fill_repeated(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    container, size = getattr(message, field.name), draw(st.integers(0, 3))
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        key, value = inner.fields_by_name["key"], inner.fields_by_name["value"]
        for _ in range(size):
            chosen = draw(_scalars(key))
            if value.message_type is None:
                container[chosen] = draw(_scalars(value))
            else:
                container[chosen].Clear()  # in case the key was drawn before
                _fill(draw, container[chosen], depth - 1)
    elif inner is None:
        container.extend(draw(st.lists(_scalars(field), max_size=3)))
    else:
        for _ in range(size):
            _fill(draw, container.add(), depth - 1)


def _integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


def _floats(width: int) -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False, width=32 if width == 32 else 64)


_SCALARS: Final[dict[int, st.SearchStrategy[Any]]] = {
    FieldDescriptor.CPPTYPE_INT32: _integers(32, signed=True),
    FieldDescriptor.CPPTYPE_INT64: _integers(64, signed=True),
    FieldDescriptor.CPPTYPE_UINT32: _integers(32, signed=False),
    FieldDescriptor.CPPTYPE_UINT64: _integers(64, signed=False),
    FieldDescriptor.CPPTYPE_FLOAT: _floats(32),
    FieldDescriptor.CPPTYPE_DOUBLE: _floats(64),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}


def _scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=12)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    return _SCALARS[field.cpp_type]


def _duration(sign: int, seconds: int, nanos: int) -> Message:
    return duration_pb2.Duration(seconds=sign * seconds, nanos=sign * nanos)


def _packed(message: Message) -> Message:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


_NANOS: Final = st.integers(0, 999_999_999)
_PATHS: Final = st.lists(st.from_regex(r"[a-z]{1,6}(\.[a-z]{1,6})?", fullmatch=True), max_size=3)
_JSON: Final = st.one_of(
    st.none(),
    _floats(64),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.booleans(),
    st.lists(st.booleans(), max_size=2),
    st.dictionaries(st.text("abc", max_size=3), st.booleans(), max_size=2),
)
_SPECIAL: Final[dict[str, st.SearchStrategy[Message]]] = {
    "google.protobuf.Timestamp": st.builds(
        timestamp_pb2.Timestamp, seconds=st.integers(-62_135_596_800, 253_402_300_799), nanos=_NANOS
    ),
    "google.protobuf.Duration": st.builds(_duration, st.sampled_from([1, -1]), st.integers(0, 315_576_000_000), _NANOS),
    "google.protobuf.FieldMask": st.builds(field_mask_pb2.FieldMask, paths=_PATHS),
    "google.protobuf.Any": st.sampled_from([empty_pb2.Empty, wrappers_pb2.StringValue, timestamp_pb2.Timestamp])
    .flatmap(lambda message: _messages(message, 0))
    .map(_packed),
    "google.protobuf.Value": _JSON.map(lambda value: json_format.ParseDict(value, struct_pb2.Value())),
}
"""Messages whose fields cannot have arbitrary values. A Value always has a kind, as one without has no JSON form."""
