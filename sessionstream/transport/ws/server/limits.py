"""What one client, and all of them together, may cost the server."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from sessionstream.transport.ws.wire.checks import check_above_zero

BESIDE_SUBSCRIBES: Final = 100
"""How many frames a client may send at once beside a subscribe for each session that it may watch."""


class _Default(int):
    """A number that nobody gave. It says so also in a copy that ``dataclasses.replace`` makes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a WebSocket server; every one has a safe default. (Reference: WebSocket transport.)

    Attributes:
        frame_bytes: longest message a client may send, in UTF-8 bytes; beyond it, 1009. The server library reads the
            whole message first, so give that library a limit too.
        frames_per_second: how many messages a client may send in the long run; beyond it, ``rate_limited``.
            Unsubscribing from a session that is watched is always allowed, and does not count.
        frames_burst: how many it may send at once. As many refused ones in a row, at least 8, close the connection,
            1008. The default is ``subscriptions_per_connection`` + 100, at least 200.
        subscriptions_per_connection: sessions that one connection may watch; beyond it, ``too_many_subscriptions``.
        connections: connections in all; beyond it a handshake is refused.
        connections_per_principal: connections of one principal, where ``authenticate`` tells them apart.
        outbox_frames: UI and control frames that may wait for one connection.
        outbox_bytes: their UTF-8 bytes. Four times as many of either may wait while the event loop had no turn to
            send them. Snapshots do not count; another one is loaded only while half of either
            limit is free, snapshots counted, and then at most four at a time.
        buffered_frames: UI frames kept per subscription while its snapshot loads; beyond it they are dropped, and
            a snapshot that holds them is waited for.
        buffered_bytes: their UTF-8 bytes.
        concurrent_loads: snapshots that load at the same time, over all sessions.
        load_timeout_seconds: time for one load.
        snapshot_cache_bytes: memory for the JSON of the sessions' last snapshots, which later ones are made of: about
            twice their size, and 256 bytes for each entity. Beyond it, the least recently used ones are dropped.
        handshake_timeout_seconds: time for ``authenticate``, and for each ``authorize``.
        send_timeout_seconds: time in which a connection has to take one frame.
        heartbeat_seconds: a client silent for so long is sent a ping; None sends none.
        pong_timeout_seconds: a client silent for so long after a ping is closed, 1013.

    Raises:
        ValueError: one of them is not above zero; or ``frames_burst`` and ``subscriptions_per_connection`` are both
            given, and a client that comes back could not subscribe again to all it may watch.
        TypeError: one of them is no number.
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
                f"{burst} frames at once (frames_burst): give at least {subscriptions}, or leave frames_burst out"
            )
