"""Pairs of messages of one name, as they were and as they are, with values of the former."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import (
    EDITION_2023,
    DescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from hypothesis import strategies as st

if TYPE_CHECKING:
    from google.protobuf.message import Message

_RANGES: Final = {
    "bool": (0, 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "sint32": (-(2**31), 2**31 - 1),
    "sint64": (-(2**63), 2**63 - 1),
    "fixed32": (0, 2**32 - 1),
    "fixed64": (0, 2**64 - 1),
    "sfixed32": (-(2**31), 2**31 - 1),
    "sfixed64": (-(2**63), 2**63 - 1),
    "open": (-(2**31), 2**31 - 1),
}
KEYS: Final = (*[kind for kind in _RANGES if kind != "open"], "string")
KINDS: Final = (*_RANGES, "closed", "float", "double", "string", "bytes", "message", "delimited", "map")
LABELS: Final = ("implicit", "explicit", "required", "oneof", "repeated", "expanded")


@dataclass(frozen=True)
class FieldSpec:
    """A field: its kind and its label; of a map, the kinds of its values and of its keys."""

    kind: str
    label: str = "explicit"
    key: str = "int32"


@dataclass(frozen=True)
class Spec:
    """A message ``t.M`` that may hold ``t.Inner``, both with fields by number, and what ``t.Closed`` names."""

    fields: dict[int, FieldSpec]
    inner: dict[int, FieldSpec]
    closed: tuple[int, ...] = (0, 1)

    def message(self) -> type[Message]:
        """Return its class in a separate pool."""
        file = FileDescriptorProto(name="t.proto", package="t", syntax="editions", edition=EDITION_2023)
        for name, numbers in (("Open", (0, 1)), ("Closed", self.closed)):
            enum = file.enum_type.add(name=name)
            for number in numbers:
                enum.value.add(name=f"{name.upper()}_{number}", number=number)
        file.enum_type[1].options.features.enum_type = FeatureSet.CLOSED
        for name, fields in (("M", self.fields), ("Inner", self.inner)):
            message = file.message_type.add(name=name)
            for number, field in fields.items():
                _add(message, number, field)
            if any(field.label == "oneof" for field in fields.values()):
                message.oneof_decl.add(name="one")
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
        return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.M"))


def _add(message: DescriptorProto, number: int, spec: FieldSpec) -> None:
    field = message.field.add(name=f"f{number}", number=number)
    _set_type(field, spec.kind)
    features = field.options.features
    repeated = spec.label in ("repeated", "expanded") or spec.kind == "map"
    field.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    if spec.kind == "map":
        entry = message.nested_type.add(name=f"F{number}Entry")
        entry.options.map_entry = True
        field.type_name = f".t.{message.name}.F{number}Entry"
        for part, (name, kind) in enumerate((("key", spec.key), ("value", spec.label)), 1):
            _set_type(entry.field.add(name=name, number=part, label=FieldDescriptorProto.LABEL_OPTIONAL), kind)
    elif spec.label == "oneof":
        field.oneof_index = 0
    elif spec.label == "required":
        features.field_presence = FeatureSet.LEGACY_REQUIRED
    elif spec.label == "implicit" and spec.kind not in ("message", "delimited", "closed"):
        features.field_presence = FeatureSet.IMPLICIT
    elif spec.label == "expanded" and spec.kind not in ("message", "delimited", "string", "bytes"):
        features.repeated_field_encoding = FeatureSet.EXPANDED
    if spec.kind == "delimited":
        features.message_encoding = FeatureSet.DELIMITED


def _set_type(field: FieldDescriptorProto, kind: str) -> None:
    names = {"open": "Open", "closed": "Closed", "message": "Inner", "delimited": "Inner", "map": ""}
    if kind in names:
        field.type_name = f".t.{names[kind]}"
    known = {"open": "enum", "closed": "enum", "delimited": "message", "map": "message"}.get(kind, kind)
    field.type = FieldDescriptorProto.Type.Value(f"TYPE_{known.upper()}")


def _field_specs(kinds: tuple[str, ...]) -> st.SearchStrategy[FieldSpec]:
    plain = st.builds(FieldSpec, st.sampled_from([kind for kind in kinds if kind != "map"]), st.sampled_from(LABELS))
    if "map" not in kinds:
        return plain
    values = ("int32", "int64", "uint32", "bool", "open", "closed", "string", "bytes", "message")
    return st.one_of(plain, st.builds(FieldSpec, st.just("map"), st.sampled_from(values), st.sampled_from(KEYS)))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Spec, Spec]:
    """A message as it was and as it is; some of its fields have changed."""

    def fields(kinds: tuple[str, ...]) -> tuple[dict[int, FieldSpec], dict[int, FieldSpec]]:
        some = _field_specs(kinds)
        was = draw(st.dictionaries(st.integers(1, 3), some, min_size=1, max_size=3))
        now = dict(was)
        for number in draw(st.sets(st.integers(1, 3), max_size=2)):
            changed = draw(st.one_of(st.none(), some))
            if changed is None:
                now.pop(number, None)
            else:
                now[number] = changed
        return was, now

    inner = fields(tuple(kind for kind in KINDS if kind not in ("message", "delimited", "map")))
    outer = fields(KINDS)
    closed = st.sampled_from([(0, 1), (0, 1, 2), (0,), (0, 300)])
    return Spec(outer[0], inner[0], draw(closed)), Spec(outer[1], inner[1], draw(closed))


def _value(kind: str, closed: tuple[int, ...]) -> st.SearchStrategy[Any]:
    if kind in _RANGES:
        low, high = _RANGES[kind]
        edges = [number for number in (low, -1, 0, 1, 2, 127, 300, 2**31, 2**32, high) if low <= number <= high]
        values = st.one_of(st.sampled_from(edges), st.integers(low, high))
        return values.map(bool) if kind == "bool" else values
    if kind == "closed":
        return st.sampled_from(closed)
    if kind in ("float", "double"):
        return st.floats(width=32, allow_nan=False)
    return st.text(max_size=3) if kind == "string" else st.binary(max_size=4)


def fill(draw: Callable[[st.SearchStrategy[Any]], Any], message: Any, fields: dict[int, FieldSpec], spec: Spec) -> None:
    """Set some fields of a message, all that are required among them."""
    for number, field in fields.items():
        name = f"f{number}"
        if field.label != "required" and not draw(st.booleans()):
            continue
        if field.kind == "map":
            found = getattr(message, name)
            value = field.label
            for key in draw(st.lists(_value(field.key, spec.closed), max_size=3)):
                if value == "message":
                    fill(draw, found[key], spec.inner, spec)
                else:
                    found[key] = draw(_value(value, spec.closed))
        elif field.kind in ("message", "delimited"):
            if field.label in ("repeated", "expanded"):
                for _ in range(draw(st.integers(0, 3))):
                    fill(draw, getattr(message, name).add(), spec.inner, spec)
            else:
                getattr(message, name).SetInParent()
                fill(draw, getattr(message, name), spec.inner, spec)
        elif field.label in ("repeated", "expanded"):
            getattr(message, name).extend(draw(st.lists(_value(field.kind, spec.closed), max_size=3)))
        else:
            setattr(message, name, draw(_value(field.kind, spec.closed)))


def reads(was: Any, now: Any) -> bool:
    """Whether the fields set in one message are set in another of a changed shape."""
    if not now.IsInitialized():
        return False
    for old in was.DESCRIPTOR.fields:
        new = now.DESCRIPTOR.fields_by_number.get(old.number)
        if new is None:
            continue
        before, after = _values(was, old), _values(now, new)
        zero = not _repeats(new) and not new.has_presence and before and not _truth(before[-1])
        if len(before) != (1 if zero else len(after)):
            return False
        if not zero and not all(map(_equal, before, after)):
            return False
    return True


def _repeats(field: Any) -> bool:
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _truth(value: Any) -> bool:
    return bool(value) or str(value) == "-0.0"


def _values(message: Any, field: Any) -> list[Any]:
    """Return the values that are set; of a map its entries in the order of their keys."""
    value = getattr(message, field.name)
    if not _repeats(field):
        present = message.HasField(field.name) if field.has_presence else _truth(value)
        return [value] if present else []
    if field.message_type is None or not field.message_type.GetOptions().map_entry:
        return list(value)
    return [(key, value[key]) for key in sorted(value)]


def _equal(old: Any, new: Any) -> bool:
    if isinstance(old, tuple) and not isinstance(new, tuple):  # an entry of a map that is a message now
        fields = new.DESCRIPTOR.fields_by_number
        return all(_equal(old[number - 1], getattr(new, fields[number].name)) for number in (1, 2) if number in fields)
    if isinstance(old, tuple):
        return all(map(_equal, old, new))
    if isinstance(new, bytes) and not isinstance(old, bytes):
        return new == (old.encode() if isinstance(old, str) else old.SerializeToString())
    if hasattr(old, "DESCRIPTOR"):
        return hasattr(new, "DESCRIPTOR") and reads(old, new)
    return isinstance(new, type(old) if not isinstance(old, int) else int) and bool(old == new)
