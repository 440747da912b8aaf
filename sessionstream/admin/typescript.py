"""TypeScript of the messages of a registry, as they look in protobuf JSON. Pure.

Absent are the fields that the JSON leaves out: those without presence that have their default value, empty lists and
maps, and optional fields that are not set. So every property is optional, but those of required fields (proto2).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, get_args

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

from sessionstream.descriptors import descriptor_set, shapes
from sessionstream.schema import Family

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from sessionstream.schema import SchemaRegistry

_HEAD: Final = """\
/* eslint-disable */
// The messages of an application as JSON, written by `sessionstream types`: do not edit.
// Absent are fields that are not set, and, of those without presence, all that have their default: 0, "", false, [].
"""

_HELPERS: Final = {
    "Float": 'number | "NaN" | "Infinity" | "-Infinity"',
    "JsonValue": "null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue }",
    "AnyMessage": '{ readonly "@type"?: string; readonly [field: string]: unknown }',
    "NoFields": "{ readonly [none: symbol]: never }",
    "Named<Name extends string, T>": '{ readonly "@type"?: `type.googleapis.com/${Name}` } & T',
    "OneOf<T>": "{ [K in keyof T]: Pick<T, K> & { readonly [Other in Exclude<keyof T, K>]?: never } }[keyof T]"
    " | { readonly [None in keyof T]?: never }",
}
"""Types that others are made of; each is written if it is used."""

_WELL_KNOWN: Final = {
    "Any": "AnyMessage",
    "BoolValue": "boolean",
    "BytesValue": "string",
    "DoubleValue": "Float",
    "Duration": "string",
    "FieldMask": "string",
    "FloatValue": "Float",
    "Int32Value": "number",
    "Int64Value": "string",
    "ListValue": "readonly JsonValue[]",
    "NullValue": "null",
    "StringValue": "string",
    "Struct": "{ readonly [key: string]: JsonValue }",
    "Timestamp": "string",
    "UInt32Value": "number",
    "UInt64Value": "string",
    "Value": "JsonValue",
}
"""The JSON of the messages, and of the enum, of google.protobuf that have a JSON form of their own."""

_NOTES: Final = {
    "Any": "",
    "BytesValue": "Base64.",
    "Duration": 'Seconds, as in "1.5s".',
    "FieldMask": 'Paths, as in "user.displayName,photo".',
    "Int64Value": "int64, in decimal.",
    "Timestamp": 'A time, as in "2026-01-31T12:00:00Z".',
    "UInt64Value": "uint64, in decimal.",
    FieldDescriptor.TYPE_BYTES: "Base64.",
    FieldDescriptor.TYPE_FIXED64: "fixed64, in decimal.",
    FieldDescriptor.TYPE_INT64: "int64, in decimal.",
    FieldDescriptor.TYPE_SFIXED64: "sfixed64, in decimal.",
    FieldDescriptor.TYPE_SINT64: "sint64, in decimal.",
    FieldDescriptor.TYPE_UINT64: "uint64, in decimal.",
}
"""What a string is, by the type of a field."""

_SCALARS: Final = {
    FieldDescriptor.CPPTYPE_BOOL: "boolean",
    FieldDescriptor.CPPTYPE_DOUBLE: "Float",
    FieldDescriptor.CPPTYPE_FLOAT: "Float",
    FieldDescriptor.CPPTYPE_INT32: "number",
    FieldDescriptor.CPPTYPE_INT64: "string",
    FieldDescriptor.CPPTYPE_STRING: "string",
    FieldDescriptor.CPPTYPE_UINT32: "number",
    FieldDescriptor.CPPTYPE_UINT64: "string",
}

_RESERVED: Final = frozenset((
    "Exclude", "Pick", "any", "as", "async", "await", "bigint", "boolean", "break", "case", "catch", "class", "const",
    "continue", "debugger", "default", "delete", "do", "else", "enum", "export", "extends", "false", "finally", "for",
    "function", "if", "implements", "import", "in", "instanceof", "interface", "let", "never", "new", "null", "number",
    "object", "package", "private", "protected", "public", "return", "static", "string", "super", "switch", "symbol",
    "this", "throw", "true", "try", "type", "typeof", "undefined", "unknown", "var", "void", "while", "with", "yield",
))  # fmt: skip
"""Words that cannot name a type here: those of the language, and the types that the helpers use."""

_OF_EVERY_OBJECT: Final = frozenset((
    "constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
))  # fmt: skip
"""What JavaScript finds under these names in an object that has no such member."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_WORD: Final = re.compile(r"\w+")
_GOOGLE: Final = "google.protobuf."


def is_type_name(name: str) -> bool:
    """Whether a name can be that of the type of an application."""
    return bool(_IDENTIFIER.fullmatch(name)) and name not in _RESERVED | _helper_names()


def typescript(schemas: SchemaRegistry, name: str, comments: FileDescriptorSet | None = None) -> str:
    """Return a module with a type for each message of a registry, and ``name``, the type of the application.

    Args:
        schemas: commands, UI events and entities become members of the type of the application; of events only the
            messages are written.
        name: a name for which ``is_type_name`` is true.
        comments: the descriptors of files, with their comments; generated Python code has none.
    """
    return _Module(schemas, name, comments).text()


class _Module:
    """The module of one registry."""

    def __init__(self, schemas: SchemaRegistry, name: str, comments: FileDescriptorSet | None) -> None:
        families: tuple[Family, ...] = get_args(Family)
        self._name = name
        self._registered = {family: dict(_registered(schemas, family)) for family in families}
        classes = [each for names in self._registered.values() for each in names.values()]
        self._types = dict(sorted((each.full_name, each) for each in _declared(each.DESCRIPTOR for each in classes)))
        self._names = _names(self._types, taken={*_RESERVED, *_helper_names(), name})
        self._shapes = shapes(*{descriptor_set(each): None for each in classes})
        self._used: set[str] = set()
        self._comments = dict(_comments(comments.file)) if comments else {}

    def text(self) -> str:
        declarations = [self._declaration(each) for each in self._types.values()]
        application = self._application()
        helpers = "".join(f"type {head} = {value};\n" for head, value in _HELPERS.items() if _bare(head) in self._used)
        return "\n".join([_HEAD, *filter(None, [helpers]), *declarations, application])

    def _declaration(self, descriptor: Any) -> str:
        """Return the type of a message or an enum."""
        name = self._names[descriptor.full_name]
        head = f"{self._comment(descriptor)}export type {name} ="
        if _is_enum(descriptor):
            values = [json.dumps(each.name) for each in descriptor.values]
            return f"{head} {' | '.join(values if descriptor.is_closed else [*values, 'number'])};\n"
        alone, choices = _properties(_fields(descriptor))
        parts = [self._object(alone)] if alone else []
        parts += [self._use("OneOf", f"<{self._object(each, chosen=True)}>") for each in choices]
        return f"{head} {' & '.join(parts) or self._use('NoFields')};\n"

    def _object(self, properties: Mapping[str, Sequence[Any]], *, chosen: bool = False) -> str:
        """Return an object type; ``chosen``: all members are there, because they are the choices of a oneof."""
        lines = ["{"]
        for name, fields in properties.items():
            types = dict.fromkeys(map(self._type, fields))
            there = chosen or all(map(self._is_required, fields))
            if name in _OF_EVERY_OBJECT and not there:
                types[f'{{}}["{name}"]'] = None
            comment = "".join(self._comment(field, indent="  ") for field in fields)
            lines.append(f"{comment}  readonly {_key(name)}{'' if there else '?'}: {' | '.join(types)};")
        return "\n".join([*lines, "}"])

    def _type(self, field: Any) -> str:
        """Return the type of a field's JSON."""
        if not _is_repeated(field):
            return self._value(field)
        entry = field.message_type
        if _is_map_entry(entry):
            return f"{{ readonly [key: string]: {self._value(entry.fields_by_name['value'])} }}"
        value = self._value(field)
        return f"readonly ({value})[]" if " " in value else f"readonly {value}[]"

    def _value(self, field: Any) -> str:
        """Return the type of one value of a field."""
        inner = field.message_type or field.enum_type
        return self._use(_SCALARS[field.cpp_type]) if inner is None else self._message(inner)

    def _message(self, descriptor: Any) -> str:
        """Return the type of a message, or of an enum."""
        return self._use(_well_known(descriptor)) or self._names[descriptor.full_name]

    def _use(self, value: str, arguments: str = "") -> str:
        """Return a type, and note the helper that it is made of."""
        self._used.update(_WORD.findall(value))
        return value + arguments

    def _is_required(self, field: Any) -> bool:
        shape = self._shapes[field.containing_type.full_name]
        return shape.fields[field.number].required

    def _application(self) -> str:
        """Return the type that has the names of all commands, UI events and entities."""
        members: dict[str, Family] = {"commands": "command", "uiEvents": "ui event", "entities": "timeline entity"}
        lines = [f"export interface {self._name} {{"]
        for member, family in members.items():
            lines.append(f"  readonly {member}: {{")
            for name, message in self._registered[family].items():
                descriptor = message.DESCRIPTOR
                value = self._message(descriptor) if family == "command" else self._named(descriptor)
                lines.append(f"    readonly {_key(name)}: {value};")
            lines.append("  };")
        return "\n".join([*lines, "}", ""])

    def _named(self, descriptor: Any) -> str:
        """Return the type of a payload that has its type under "@type"."""
        value = self._message(descriptor)
        body = f"{{ readonly value: {value} }}" if _well_known(descriptor) else value
        return self._use("Named", f"<{json.dumps(descriptor.full_name)}, {body}>")

    def _comment(self, of: Any, indent: str = "") -> str:
        """Return the comment of a message, an enum or a field; empty if there is nothing to say."""
        lines = [line.strip() for line in self._comments.get(of.full_name, "").strip().split("\n")]
        if hasattr(of, "cpp_type"):
            lines.append(_note(of))
        if of.GetOptions().deprecated:
            lines.append("@deprecated")
        said = [line.replace("*/", "*\\/") for line in lines]
        while said and not said[0]:
            del said[0]
        while said and not said[-1]:
            del said[-1]
        if len(said) < 2:
            return f"{indent}/** {said[0]} */\n" if said else ""
        body = "".join(f"{indent} * {line}".rstrip() + "\n" for line in said)
        return f"{indent}/**\n{body}{indent} */\n"


def _registered(schemas: SchemaRegistry, family: Family) -> Iterator[tuple[str, type[Message]]]:
    find = {
        "command": schemas.command_schema,
        "event": schemas.event_schema,
        "ui event": schemas.ui_event_schema,
        "timeline entity": schemas.timeline_entity_schema,
    }[family]
    for name in schemas.names(family):
        if (message := find(name)) is not None:
            yield name, message


def _fields(descriptor: Any) -> list[Any]:
    """Return the fields of a message type in their order, then its known extensions in that of their numbers."""
    extensions = descriptor.file.pool.FindAllExtensions(descriptor) if descriptor.is_extendable else []
    return [*descriptor.fields, *sorted(extensions, key=lambda each: each.number)]


def _declared(descriptors: Iterable[Any]) -> list[Any]:
    """Return the messages and enums that occur in messages, without those that have a JSON form of their own."""
    found: dict[str, Any] = {}
    left = list(descriptors)
    while left:
        each = left.pop()
        if each.full_name in found or _well_known(each):
            continue
        found[each.full_name] = each
        if not _is_enum(each):
            left += [inner for field in _fields(each) if (inner := field.message_type or field.enum_type) is not None]
    return [each for each in found.values() if not _is_map_entry(each)]


def _properties(fields: Iterable[Any]) -> tuple[dict[str, list[Any]], list[dict[str, list[Any]]]]:
    """Return the fields by their names in JSON: those outside oneofs, and those of each oneof that has several.

    Different fields have one name only where protoc lets that pass.
    """
    alone: dict[str, list[Any]] = {}
    choices: dict[str, dict[str, list[Any]]] = {}
    for field in fields:
        oneof = field.containing_oneof
        place = alone if oneof is None or len(oneof.fields) == 1 else choices.setdefault(oneof.name, {})
        name = f"[{field.full_name}]" if field.is_extension else field.json_name
        place.setdefault(name, []).append(field)
    return alone, list(choices.values())


def _names(types: Mapping[str, Any], taken: set[str]) -> dict[str, str]:
    """Return a name for each type, by full names: without its package, unless that is taken or several have it."""
    short = {full_name: _within_file(each) for full_name, each in types.items()}
    counts: dict[str, int] = {}
    for name in short.values():
        counts[name] = counts.get(name, 0) + 1
    names = {full_name: name for full_name, name in short.items() if counts[name] == 1 and name not in taken}
    used = taken | set(names.values())
    for full_name, each in types.items():
        if full_name not in names:
            package = "".join(part[:1].upper() + part[1:] for part in each.file.package.split("."))
            name = base = f"{package}_{short[full_name]}"
            number = 2
            while name in used:
                name, number = f"{base}_{number}", number + 1
            names[full_name] = name
            used.add(name)
    return names


def _within_file(descriptor: Any) -> str:
    """Return the name of a type within its file: ``Outer_Inner``."""
    outer = descriptor.containing_type
    return descriptor.name if outer is None else f"{_within_file(outer)}_{descriptor.name}"


def _well_known(descriptor: Any) -> str:
    """Return the type of the JSON of a message that has a form of its own; empty if it has not."""
    name = descriptor.full_name
    return _WELL_KNOWN.get(name.removeprefix(_GOOGLE), "") if name.startswith(_GOOGLE) else ""


def _note(field: Any) -> str:
    """Return what the strings of a field are."""
    inner = field.message_type
    if _is_map_entry(inner):
        return _note(inner.fields_by_name["value"])
    if inner is not None:
        return _NOTES.get(inner.name, "") if _well_known(inner) else ""
    return _NOTES.get(field.type, "")


def _is_enum(descriptor: Any) -> bool:
    """Whether a descriptor is that of an enum, not of a message."""
    return hasattr(descriptor, "values_by_number")


def _is_map_entry(descriptor: Any) -> bool:
    """Whether a descriptor is that of the entries of a map."""
    return descriptor is not None and not _is_enum(descriptor) and bool(descriptor.GetOptions().map_entry)


def _is_repeated(field: Any) -> bool:
    """Whether a field is repeated, or a map."""
    return isinstance(field.default_value, list)  # in every runtime


def _key(name: str) -> str:
    """Return a name as the key of a property."""
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)


def _bare(head: str) -> str:
    """Return the name of a helper without its parameters."""
    return head.partition("<")[0]


def _helper_names() -> frozenset[str]:
    return frozenset(map(_bare, _HELPERS))


# -- comments ------------------------------------------------------------------------------------------------------

_Scope = FileDescriptorProto | DescriptorProto


def _comments(files: Iterable[FileDescriptorProto]) -> Iterator[tuple[str, str]]:
    """Yield the comment before or behind each declaration that has one, with the full name of what is declared."""
    for file in files:
        said = {
            tuple(each.path): each.leading_comments or each.trailing_comments for each in file.source_code_info.location
        }
        if said:
            yield from ((name, said[path]) for name, path in _paths(file, file.package, ()) if said.get(path))


def _paths(scope: _Scope, prefix: str, path: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield full names and source paths of what a file or a message declares: types, fields, extensions."""
    numbers = type(scope).DESCRIPTOR.fields_by_name
    members = ("field", "nested_type") if isinstance(scope, DescriptorProto) else ("message_type",)
    for member in (*members, "enum_type", "extension"):
        for index, each in enumerate(getattr(scope, member)):
            name = f"{prefix}.{each.name}" if prefix else each.name
            here = (*path, numbers[member].number, index)
            yield name, here
            if isinstance(each, DescriptorProto):
                yield from _paths(each, name, here)
