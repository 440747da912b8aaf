"""Payloads for which type checkers warn: checked by mypy and pyright, never run.

A line that has to be reported as deprecated ends in ``# deprecated``; no other line may be.
"""
# flake8: noqa: SST001

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message  # noqa: TC002 - a sample imports plainly
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.wrappers_pb2 import StringValue

from sessionstream import SchemaRegistry


def reported(registry: SchemaRegistry, struct: Struct) -> None:
    registry.register_command("A", Struct)  # deprecated
    registry.register_event("A", Struct())  # deprecated
    registry.register_ui_event("A", message=Struct)  # deprecated
    registry.register_timeline_entity(kind="A", message=struct)  # deprecated
    SchemaRegistry().register_event("A", Struct)  # deprecated


def ordinary(registry: SchemaRegistry, untyped: Any, message: Message, either: type[Message] | Message) -> None:
    registry.register_command("A", StringValue)
    registry.register_event("A", StringValue())
    registry.register_ui_event("A", untyped)
    registry.register_ui_event(untyped, untyped)
    registry.register_ui_event(*untyped)
    registry.register_timeline_entity("A", message)
    registry.register_timeline_entity("B", either)
    registry.register_timeline_entity("C", type(message))
    registry.register_event("B", Value)
    registry.register_event("C", ListValue)
    register: Callable[[str, type[Message]], None] = registry.register_event
    register("D", StringValue)
    for each in (registry.register_command, registry.register_ui_event):
        each("E", StringValue)


class Recorder(SchemaRegistry):
    """A subclass that overrides a method needs no overloads of its own."""

    def register_event(self, name: str, message: type[Message] | Message) -> None:
        super().register_event(name, message)
