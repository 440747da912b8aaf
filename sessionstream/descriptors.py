"""Reads from descriptors how messages are encoded: the fields of each message, with its features resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FeatureSet,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from sessionstream.wire import VARINT, WIRE_TYPES, varint

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message, or an extension of it.

    Attributes:
        kind: its type in lower case, such as ``sint32``: ``group`` for a message that is delimited, ``message`` for
            one that has a length prefix.
        wire: its wire type.
        tag: the encoded tag before each of its values, if they are not packed.
        packed: whether its values are written as one block.
        implicit: whether its default value is not written.
        oneof: name of the oneof it is in, or ``""``.
        message: full name of its message, or ``""``.
        enum: full name of its enum, or ``""``.
        values: the numbers of its enum if that is closed, so that any other number is an unknown field; else None.
    """

    number: int
    name: str
    kind: str
    wire: int
    tag: bytes
    repeated: bool
    packed: bool
    implicit: bool
    required: bool
    oneof: str
    message: str
    enum: str
    values: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a message by number, including known extensions.

    Attributes:
        entry: whether it is the entry of a map.
        extendable: whether it may have extensions that this process does not know.
    """

    name: str
    fields: Mapping[int, Field]
    entry: bool
    extendable: bool


def descriptor_set(message: type[Message]) -> bytes:
    """Return the message's file and its imports, dependencies first, as a serialized FileDescriptorSet.

    It includes the files of extensions of this message and of messages in it, as far as the process knew them at the
    first call.
    """
    return _descriptor_set(message.DESCRIPTOR)


@lru_cache(maxsize=1024)
def _descriptor_set(message: Descriptor) -> bytes:
    found: dict[str, bytes] = {}

    def visit(file: Any) -> None:  # Any: the stubs have a type for each of two implementations
        if file.name not in found:
            for dependency in file.dependencies:
                visit(dependency)
            found[file.name] = file.serialized_pb

    visit(message.file)
    for extension in sorted(_extensions(message), key=lambda each: (each.file.name, each.number)):
        visit(extension.file)
    files = [FileDescriptorProto.FromString(data) for data in found.values()]
    return FileDescriptorSet(file=files).SerializeToString(deterministic=True)


def _extensions(descriptor: Any) -> list[Any]:
    """Return the extensions of a message type and of the types in it."""
    found, seen, left = [], set(), [descriptor]
    while left:
        message = left.pop()
        if message.full_name not in seen:
            seen.add(message.full_name)
            fields = list(message.fields)
            if message.is_extendable:
                found += message.file.pool.FindAllExtensions(message)
                fields += found
            left += [field.message_type for field in fields if field.message_type is not None]
    return found


@lru_cache(maxsize=128)
def shapes(*descriptor_sets: bytes) -> Mapping[str, Shape]:
    """Return the shapes of all messages in some FileDescriptorSets, by full name.

    If they differ about a field, the first set that has it is used.

    Raises:
        DecodeError: one is not a FileDescriptorSet.
    """
    fields: dict[str, dict[int, Field]] = {}
    extendable: dict[str, bool] = {}
    entries: set[str] = set()
    for data in descriptor_sets:
        files = FileDescriptorSet.FromString(data).file
        seen = _Declared(files)
        entries |= seen.entries
        for name, message, _ in seen.messages:
            fields.setdefault(name, {})
            extendable[name] = extendable.get(name, False) or bool(message.extension_range)
        for name, field in seen.fields():
            fields.setdefault(name, {}).setdefault(field.number, field)
    return {name: Shape(name, known, name in entries, extendable.get(name, False)) for name, known in fields.items()}


_PROTO2: Final = FeatureSet(
    field_presence=FeatureSet.EXPLICIT,
    enum_type=FeatureSet.CLOSED,
    repeated_field_encoding=FeatureSet.EXPANDED,
    message_encoding=FeatureSet.LENGTH_PREFIXED,
)
_PROTO3: Final = FeatureSet(
    field_presence=FeatureSet.IMPLICIT,
    enum_type=FeatureSet.OPEN,
    repeated_field_encoding=FeatureSet.PACKED,
    message_encoding=FeatureSet.LENGTH_PREFIXED,
)
_EDITIONS: Final = FeatureSet(
    field_presence=FeatureSet.EXPLICIT,
    enum_type=FeatureSet.OPEN,
    repeated_field_encoding=FeatureSet.PACKED,
    message_encoding=FeatureSet.LENGTH_PREFIXED,
)
_DEFAULTS: Final = {"": _PROTO2, "proto2": _PROTO2, "proto3": _PROTO3, "editions": _EDITIONS}
_UNPACKED: Final = frozenset(("string", "bytes", "message", "group"))


def _features(parent: FeatureSet, options: Any) -> FeatureSet:
    """Return the features of an element with these options, within a parent with these features."""
    if not options.HasField("features"):
        return parent
    features = FeatureSet()
    features.CopyFrom(parent)
    features.MergeFrom(options.features)
    return features


class _Declared:
    """The messages, enums and extensions that files declare.

    Attributes:
        messages: each with its full name and its features.
        entries: full names of the entries of maps.
    """

    def __init__(self, files: Iterable[FileDescriptorProto]) -> None:
        self.messages: list[tuple[str, DescriptorProto, FeatureSet]] = []
        self.entries: set[str] = set()
        self._closed: dict[str, frozenset[int]] = {}
        self._extensions: list[tuple[FieldDescriptorProto, FeatureSet]] = []
        for file in files:
            features = _features(_DEFAULTS[file.syntax], file.options)
            self._scope(file.package, features, file.message_type, file.enum_type, file.extension)

    def _scope(
        self,
        scope: str,
        features: FeatureSet,
        messages: Iterable[DescriptorProto],
        enums: Iterable[EnumDescriptorProto],
        extensions: Iterable[FieldDescriptorProto],
    ) -> None:
        """Collect the declarations of a file or of a message."""
        prefix = f"{scope}." if scope else ""
        for enum in enums:
            if _features(features, enum.options).enum_type == FeatureSet.CLOSED:
                self._closed[prefix + enum.name] = frozenset(value.number for value in enum.value)
        self._extensions += [(field, features) for field in extensions]
        for message in messages:
            name, own = prefix + message.name, _features(features, message.options)
            self.messages.append((name, message, own))
            if message.options.map_entry:
                self.entries.add(name)
            self._scope(name, own, message.nested_type, message.enum_type, message.extension)

    def fields(self) -> Iterator[tuple[str, Field]]:
        """Yield every field and extension, with the full name of its message."""
        for name, message, features in self.messages:
            for field in message.field:
                parent, oneof = features, ""
                if field.HasField("oneof_index") and not field.proto3_optional:
                    declared = message.oneof_decl[field.oneof_index]
                    parent, oneof = _features(features, declared.options), declared.name
                yield name, self._field(field, _features(parent, field.options), oneof, within=name)
        for extension, features in self._extensions:
            own = _features(features, extension.options)
            yield extension.extendee.removeprefix("."), self._field(extension, own, "")

    def _field(self, field: FieldDescriptorProto, features: FeatureSet, oneof: str, within: str = "") -> Field:
        """Return one field with its features resolved."""
        kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        name = field.type_name.removeprefix(".")
        repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
        delimited = features.message_encoding == FeatureSet.DELIMITED
        if kind == "message" and delimited and self.entries.isdisjoint((name, within)):
            kind = "group"
        packed = features.repeated_field_encoding == FeatureSet.PACKED
        if field.options.HasField("packed"):
            packed = field.options.packed
        required = (
            field.label == FieldDescriptorProto.LABEL_REQUIRED or features.field_presence == FeatureSet.LEGACY_REQUIRED
        )
        explicit = repeated or oneof or field.proto3_optional or field.extendee or kind in ("message", "group")
        explicit = explicit or within in self.entries  # key and value are always written
        wire = WIRE_TYPES.get(kind, VARINT)
        return Field(
            number=field.number,
            name=field.name,
            kind=kind,
            wire=wire,
            tag=varint(field.number << 3 | wire),
            repeated=repeated,
            packed=repeated and packed and kind not in _UNPACKED,
            implicit=not explicit and features.field_presence == FeatureSet.IMPLICIT,
            required=required and not repeated,
            oneof=oneof,
            message=name if kind in ("message", "group") else "",
            enum=name if kind == "enum" else "",
            values=self._closed.get(name) if kind == "enum" else None,
        )
