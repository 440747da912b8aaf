"""The digest of a payload, compared with the SHA-256 of its protobuf encoding (which differs between builds).

    python -m benchmarks.digests

A digest is computed for every command with an idempotency key, for each event whose id is already known, and for each
event that is pruned.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from google.protobuf.struct_pb2 import Value

from benchmarks.figures import Figure, best, report
from sessionstream import payload_digest
from sessionstream.examples.chatdemo.v1.chat_pb2 import TokensDeltaEvent

if TYPE_CHECKING:
    from google.protobuf.message import Message

ROUNDS, TIMES = 20, 1_000

FLAT = TokensDeltaEvent(message_id="m" * 36, chunk="hello world " * 5)
STRUCT = Value()
STRUCT.struct_value.update({f"key {number}": {"a": number, "b": "text"} for number in range(10)})


async def _ours(payload: Message) -> float:
    start = time.perf_counter()
    for _ in range(TIMES):
        payload_digest("Said", payload)
    return (time.perf_counter() - start) / TIMES * 1e6


async def _bare(payload: Message) -> float:
    start = time.perf_counter()
    for _ in range(TIMES):
        identity = sha256()
        for part in (b"Said", payload.DESCRIPTOR.full_name.encode(), payload.SerializeToString(deterministic=True)):
            identity.update(len(part).to_bytes(8, "big"))
            identity.update(part)
        identity.digest()
    return (time.perf_counter() - start) / TIMES * 1e6


async def main() -> list[Figure]:
    """Measure, and return microseconds per digest."""
    figures = []
    for what, payload in (("flat message", FLAT), ("Struct of 30 values", STRUCT)):
        ours, bare = await best(ROUNDS, partial(_ours, payload), partial(_bare, payload))
        figures.append(Figure(f"digest of a {what}", ours, "SHA-256 of its bytes", bare, "µs"))
    return figures


if __name__ == "__main__":
    report(asyncio.run(main()))
