"""Limits on what one client, and all clients together, may use."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from sessionstream.transport.checks import check_above_zero

BESIDE_SUBSCRIBES: Final = 100
"""Frames that a client may send at once, in addition to one subscribe for each session it may watch."""


class _Default(int):
    """An int that is a default, not given by the user; ``dataclasses.replace`` keeps that apart too."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a WebSocket server; each has a safe default. (Reference: WebSocket transport.)

    Attributes:
        frame_bytes: longest message from a client, in UTF-8 bytes; a longer one closes with 1009. The server library
            reads the whole message first, so set its limit too.
        frames_per_second: messages per second from a client in the long run; others get ``rate_limited``. An
            unsubscribe from a session that is watched is always allowed and does not count.
        frames_burst: messages that a client may send at once. More refused ones in a row than that, and than 8, close
            the connection with 1008. The default is ``subscriptions_per_connection`` + 100, at least 200.
        subscriptions_per_connection: sessions that one connection may watch; others get ``too_many_subscriptions``.
        connections: connections in total; further handshakes are refused.
        connections_per_principal: connections of one principal, if ``authenticate`` returns principals.
        outbox_frames: UI and control frames that may wait for one connection.
        outbox_bytes: their UTF-8 bytes. Up to four times either limit may wait until the event loop had a chance to
            send them. Snapshots do not count against the limits, but are loaded only while half of both is free, them
            included, and at most four at a time.
        buffered_frames: UI frames buffered per subscription while its snapshot loads; above it they are dropped, and
            a snapshot that contains them is loaded.
        buffered_bytes: their UTF-8 bytes.
        concurrent_loads: snapshots that load at the same time, over all sessions.
        load_timeout_seconds: time limit of one load.
        snapshot_cache_bytes: memory for the JSON of the sessions' last snapshots, which later ones are made of: about
            twice their size, and 256 bytes for each entity. Beyond it, the least recently used ones are dropped.
        handshake_timeout_seconds: time limit of ``authenticate``, and of each ``authorize``.
        send_timeout_seconds: time limit of sending one frame.
        heartbeat_seconds: a client that was silent for this long gets a ping; None: no pings.
        pong_timeout_seconds: a client that is silent for this long after a ping is closed with 1013.

    Raises:
        ValueError: a value is not above 0; or ``frames_burst`` and ``subscriptions_per_connection`` are both given,
            and a client that reconnects could not subscribe to all its sessions at once.
        TypeError: a value is not a number, or not an int where one is needed.
    """

    frame_bytes: int = 16_384
    frames_per_second: float = 50.0
    frames_burst: int = _Default(200)
    subscriptions_per_connection: int = _Default(100)
    connections: int = 10_000
    connections_per_principal: int = 100
    outbox_frames: int = 1_000
    outbox_bytes: int = 4_194_304
    buffered_frames: int = 256
    buffered_bytes: int = 1_048_576
    concurrent_loads: int = 8
    load_timeout_seconds: float = 30.0
    snapshot_cache_bytes: int = 67_108_864
    handshake_timeout_seconds: float = 10.0
    send_timeout_seconds: float = 20.0
    heartbeat_seconds: float | None = 20.0
    pong_timeout_seconds: float = 20.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "heartbeat_seconds":
                continue
            whole = not field.name.endswith("_seconds") and field.name != "frames_per_second"
            check_above_zero(field.name, value, whole=whole)
        burst, subscriptions = self.frames_burst, self.subscriptions_per_connection
        if isinstance(burst, _Default):
            follows = _Default(max(200, subscriptions + BESIDE_SUBSCRIBES))
            object.__setattr__(self, "frames_burst", follows)
        elif burst < subscriptions and not isinstance(subscriptions, _Default):
            raise ValueError(
                f"a client with {subscriptions} subscriptions (subscriptions_per_connection) could not come back with "
                f"{burst} frames at once (frames_burst): set at least {subscriptions}, or leave frames_burst out"
            )
