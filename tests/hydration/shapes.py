"""Messages of one name and of any shape, as a ``.proto`` file would have them at different times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

if TYPE_CHECKING:
    from google.protobuf.message import Message


def shaped(*fields: str, inner: tuple[str, ...] = ()) -> type[Message]:
    """Return ``test.Shape`` with fields like ``"2 repeated int64 x"``, in a separate pool.

    A field of type ``message`` holds a ``test.Shape.Inner``, which has the fields of ``inner``; one of type ``enum``
    holds a ``test.Mood``.
    """
    file = descriptor_pb2.FileDescriptorProto(name="shape.proto", package="test", syntax="proto3")
    file.enum_type.add(name="Mood").value.add(name="MOOD_UNKNOWN", number=0)
    message = file.message_type.add(name="Shape")
    for fields_of, target in ((fields, message), (inner, message.nested_type.add(name="Inner"))):
        for text in fields_of:
            number, *label, kind, name = text.split()
            field = target.field.add(name=name, number=int(number))
            field.label = FieldDescriptorProto.LABEL_REPEATED if label else FieldDescriptorProto.LABEL_OPTIONAL
            field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
            if kind in ("message", "enum"):
                field.type_name = {"message": ".test.Shape.Inner", "enum": ".test.Mood"}[kind]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Shape"))
