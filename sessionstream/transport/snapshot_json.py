"""The JSON of a snapshot's entities: encoded in slices, and kept for the next snapshot of the session."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from sys import getsizeof
from typing import Final

from sessionstream.transport import frame_json
from sessionstream.types import TimelineEntity
from sessionstream.v1.transport_pb2 import UnreadablePayload

_SLICE: Final = 64
"""Entities that are encoded until others get to run: about a millisecond."""

_PIECE: Final = 512
"""Entities that are joined at once, after which others get to run as well."""

_ENTITY_BYTES: Final = 256
"""What a kept entity takes beside its JSON, estimated."""


@dataclass(frozen=True, slots=True)
class SnapshotJson:
    """The entities of a snapshot as JSON.

    Attributes:
        entities: in the order of the frame. They are kept because ``texts`` knows them by their ``id()``.
        texts: the JSON of each entity by its ``id()``, without those whose own payload could not be written.
        pieces: all of the JSON, of several entities each: joined by commas they are what stands in a frame.
        size: UTF-8 bytes of the joined pieces.
        unreadable: the entities that have an UnreadablePayload, as they are shown.
    """

    entities: Sequence[TimelineEntity]
    texts: Mapping[int, str]
    pieces: Sequence[str]
    size: int
    unreadable: Sequence[TimelineEntity]

    @property
    def memory(self) -> int:
        """How many bytes this keeps in memory, estimated: the JSON is in ``pieces`` and in ``texts``."""
        return 2 * sum(map(getsizeof, self.pieces)) + _ENTITY_BYTES * len(self.entities)


_NOTHING: Final = SnapshotJson((), {}, (), 0, ())


class SnapshotJsonCache:
    """The JSON of each session's last full snapshot; the least recently used sessions are dropped.

    An entity is known by its identity, so only entities that never change may be written with it. What is encoded
    once is not encoded again while it is kept, whatever else has changed in its session.

    Args:
        capacity: bytes of memory that may be kept; a larger snapshot is not kept at all. With 0, none is.
    """

    __slots__ = ("_capacity", "_kept", "_memory")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[str, SnapshotJson] = OrderedDict()
        self._memory = 0

    async def write(self, session_id: str, entities: Sequence[TimelineEntity], *, full: bool) -> SnapshotJson:
        """Return the JSON of a snapshot's entities; others run meanwhile, but no other ``write`` of the session.

        Args:
            full: whether they are the whole timeline, which is kept, and not a delta.
        """
        kept = self._kept.get(session_id, _NOTHING)
        if kept.entities is entities and len(kept.texts) == len(entities):
            written = kept
        else:
            written = await _encode(entities, kept.texts)
        if full:
            self._keep(session_id, written)
        return written

    def _keep(self, session_id: str, written: SnapshotJson) -> None:
        before = self._kept.pop(session_id, None)
        if before is not None:
            self._memory -= before.memory
        if written.memory <= self._capacity and written.entities:
            self._kept[session_id] = written
            self._memory += written.memory
        while self._memory > self._capacity:
            self._memory -= self._kept.popitem(last=False)[1].memory


async def _encode(entities: Sequence[TimelineEntity], known: Mapping[int, str]) -> SnapshotJson:
    texts: dict[int, str] = {}
    pieces: list[str] = []
    unreadable: list[TimelineEntity] = []
    size = encoded = 0
    for start in range(0, len(entities), _PIECE):
        piece = []
        for entity in entities[start : start + _PIECE]:
            shown, text = entity, known.get(id(entity))
            if text is None:
                encoded += 1
                if encoded % _SLICE == 0:
                    await asyncio.sleep(0)
                try:
                    text = frame_json.entity(entity)
                except frame_json.Unwritable as failure:
                    shown = replace(entity, payload=failure.shown)
                    text = frame_json.entity(shown)
            if shown is entity:
                texts[id(entity)] = text
            piece.append(text)
            if isinstance(shown.payload, UnreadablePayload):
                unreadable.append(shown)
        joined = ",".join(piece)
        size += len(joined) if joined.isascii() else len(joined.encode())
        pieces.append(joined)
        if len(entities) > _PIECE:
            await asyncio.sleep(0)  # after the last one as well: the frame is one more copy of them all
    return SnapshotJson(entities, texts, pieces, size + max(len(pieces) - 1, 0), unreadable)
