"""Snapshot frames, joined at once."""

from __future__ import annotations

from collections.abc import Sequence

from sessionstream.transport.frame_json import around_entities
from sessionstream.transport.ws.server.frames import Frame


def snapshot_frame(
    session_id: str, ordinal: int, entities: Sequence[str] = (), *, epoch: int = 0, since: int = 0
) -> Frame:
    """Return the frame of a snapshot whose entities are given as JSON."""
    before, after = around_entities(session_id, ordinal, has_entities=bool(entities), epoch=epoch, since=since)
    text = before + ",".join(entities) + after
    return Frame(text, len(text.encode()), "snapshot", session_id)
