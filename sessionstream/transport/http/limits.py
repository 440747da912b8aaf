"""Limits on streams: responses that last as long as their client stays."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sessionstream.transport.checks import check_above_zero


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The limits of an endpoint that streams; each has a safe default. (Reference: HTTP endpoints.)

    Attributes:
        streams: open streams in total; others are asked to come back later.
        streams_per_principal: open streams of one principal, if ``authenticate`` returns principals.
        buffered_events: UI events that may wait for one client; above it, or above 4 MiB, they are dropped, and a
            snapshot that contains them is sent.
        concurrent_loads: first snapshots that are loaded and sent at the same time.
        snapshot_cache_bytes: memory for the JSON of the sessions' last snapshots, which later ones are made of.
        heartbeat_seconds: a client to which nothing was sent for this long gets a comment. Shorter than the time limit
            of proxies.
        retry_seconds: the time after which a client may come back when its stream has ended; it is told a random time
            up to twice as long, so that many clients do not come back at the same moment.
        send_timeout_seconds: a client that takes nothing for this long is cut off.
        timeout_seconds: time limit of ``authenticate``, and of ``authorize``.

    Raises:
        ValueError: a value is not above 0.
        TypeError: a value is not a number, or not an int where one is needed.
    """

    streams: int = 10_000
    streams_per_principal: int = 100
    buffered_events: int = 1_000
    concurrent_loads: int = 8
    snapshot_cache_bytes: int = 67_108_864
    heartbeat_seconds: float = 15.0
    retry_seconds: float = 2.0
    send_timeout_seconds: float = 20.0
    timeout_seconds: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_above_zero(field.name, getattr(self, field.name), whole=not field.name.endswith("_seconds"))
