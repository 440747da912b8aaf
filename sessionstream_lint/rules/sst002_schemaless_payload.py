"""SST002: nor must it be another well-known type that can hold anything."""

from __future__ import annotations

from collections.abc import Iterator

from sessionstream_lint.inference.values import External, Value, class_of
from sessionstream_lint.registering.registrations import Finding, Registrations

CODE = "SST002"
SUMMARY = "a payload is registered as google.protobuf.Value, ListValue or Any itself"
SCHEMALESS = {
    "google.protobuf.struct_pb2.Value": "google.protobuf.Value",
    "google.protobuf.struct_pb2.ListValue": "google.protobuf.ListValue",
    "google.protobuf.any_pb2.Any": "google.protobuf.Any",
}


def check(registrations: Registrations) -> Iterator[Finding]:
    """Yield a finding for every payload that may be one of them."""
    for payload in registrations.payloads:
        found = next(filter(None, map(_schemaless, payload.values)), None)
        if found is not None:
            text = (
                f"{payload.subject} registers {found} as its payload, which can hold anything; "
                "define a message of its own (it may be a field of that)"
            )
            yield Finding(CODE, payload.node, text, payload.row)


def _schemaless(value: Value) -> str | None:
    of = class_of(value)
    return SCHEMALESS.get(of.name) if isinstance(of, External) else None
