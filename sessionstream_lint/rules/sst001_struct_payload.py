"""SST001: the payload of a registration must not be ``google.protobuf.Struct`` itself."""

from __future__ import annotations

from collections.abc import Iterator

from sessionstream_lint.inference.values import External, class_of
from sessionstream_lint.registering.registrations import Finding, Registrations

CODE = "SST001"
SUMMARY = "a payload is registered as top-level google.protobuf.Struct"
STRUCT = External("google.protobuf.struct_pb2.Struct")


def check(registrations: Registrations) -> Iterator[Finding]:
    """Yield a finding for every payload that may be Struct."""
    for payload in registrations.payloads:
        if any(class_of(value) == STRUCT for value in payload.values):
            text = (
                f"{payload.subject} registers google.protobuf.Struct as its payload; "
                "define a message of its own (nested Struct fields are fine)"
            )
            yield Finding(CODE, payload.node, text, payload.row)
