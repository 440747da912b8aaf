"""The records that a connection observer receives: one for each stage of a connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal[
    "connected",
    "refused",
    "frame_read",
    "decoded",
    "decode_error",
    "protocol_error",
    "rate_limited",
    "subscribe_received",
    "unauthorized",
    "subscription_registered",
    "load_started",
    "loaded",
    "load_failed",
    "buffered",
    "buffer_dropped",
    "snapshot_sent",
    "flushed",
    "subscribed",
    "live",
    "resync",
    "unsubscribed",
    "ping_sent",
    "fanout_started",
    "fanout_no_targets",
    "fanout_completed",
    "frame_queued",
    "queue_full",
    "written",
    "write_error",
    "closing",
    "disconnected",
]
"""The stages of a connection; the reference says what each means and which fields it sets."""


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """One stage of one connection, or of one fan-out. (Reference: Observing connections.)

    Fields that do not apply to a stage are empty.

    Attributes:
        stage: what happened.
        connection_id: empty for the three fan-out stages and for ``refused``.
        session_id: the session, if the stage concerns one.
        ordinal: of the event, or of the snapshot.
        frames: number of frames sent, buffered, flushed or dropped; for a completed fan-out, of connections.
        size: UTF-8 bytes of the frame, or of those frames.
        queue_depth: frames that wait to be sent, including this one.
        code: error code or close code, as a string.
        delta: whether the snapshot is a delta.
        error: a description of the error.
    """

    stage: Stage
    connection_id: str = ""
    session_id: str = ""
    ordinal: int = 0
    frames: int = 0
    size: int = 0
    queue_depth: int = 0
    code: str = ""
    delta: bool = False
    error: str = ""


ConnectionObserver: TypeAlias = Callable[[ConnectionRecord], object]
