"""Observers are told of every stage, in order, and can break nothing."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import pytest

from sessionstream.transport.ws import ConnectionRecord, Limits, Stage, WebSocketServer, conflate
from sessionstream.transport.ws.server.observing import Reporter

from ..asgi import ManualClock, Peer, peers
from ..source import Source, Watched


class Observer:
    def __init__(self) -> None:
        self.records: list[ConnectionRecord] = []

    def __call__(self, record: ConnectionRecord) -> None:
        self.records.append(record)

    def take(self, *ignored: Stage) -> list[str]:
        stages: list[str] = [record.stage for record in self.records if record.stage not in ignored]
        self.records.clear()
        return stages

    def of(self, stage: Stage) -> ConnectionRecord:
        (record,) = [record for record in self.records if record.stage == stage]
        return record


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_the_stages_of_a_subscription() -> None:
    source, seen = Source(), Observer()
    server = WebSocketServer(source, observer=seen)
    watched = Watched(source, server.publish_ui)
    source.ordinals["s"], source.entities["s"] = 3, 3
    async with peers(server, 1) as (peer,):
        assert seen.take() == ["connected", "frame_queued", "written"]
        source.stop()
        peer.subscribe("s", sinceSnapshotOrdinal="2")
        await source.calls(1)
        assert seen.of("subscribe_received").ordinal == 2
        assert seen.take() == [
            "frame_read", "decoded", "subscribe_received", "subscription_registered", "load_started",
        ]  # fmt: skip
        watched.publish("s", "a", "b")
        record = seen.of("buffered")
        assert (record.ordinal, record.frames, record.size > 100) == (4, 2, True)
        assert seen.take() == ["fanout_started", "buffered", "fanout_completed"]
        source.go()
        await peer.hear_until("subscribed")
        await settle()
        assert (seen.of("loaded").ordinal, seen.of("loaded").frames) == (3, 3)
        assert (seen.of("flushed").ordinal, seen.of("flushed").frames) == (4, 2)
        assert seen.of("snapshot_sent").size == len(peer.texts[1])
        assert {record.connection_id for record in seen.records} == {peer.hello["connectionId"]}
        assert seen.take("frame_queued", "written") == ["loaded", "snapshot_sent", "flushed", "subscribed", "live"]
        watched.publish("s")
        await peer.hear()
        await settle()
        assert seen.of("fanout_completed").frames == 1
        assert seen.take() == ["fanout_started", "frame_queued", "fanout_completed", "written"]
        peer.say({"unsubscribe": {"sessionId": "s"}})
        await peer.hear()
        assert seen.take("frame_queued", "written") == ["frame_read", "decoded", "unsubscribed"]
        watched.publish("s")
        assert seen.take() == ["fanout_started", "fanout_no_targets"]
    assert seen.take() == ["disconnected"]


async def test_what_goes_wrong() -> None:
    source, seen, clock = Source(), Observer(), ManualClock()
    limits = Limits(frames_burst=4, frames_per_second=0.001, heartbeat_seconds=8.0)
    server = WebSocketServer(
        source, limits=limits, observer=seen, clock=clock, authorize=lambda principal, session_id: session_id != "no"
    )
    source.failure = lambda since: RuntimeError("broken disk")
    async with peers(server, 1) as (peer,):
        seen.take()
        for frame in ("{", '{"subscribe":{}}'):
            peer.say(frame)
            await peer.hear()
        peer.subscribe("no")
        await peer.hear()
        peer.subscribe("s")
        await peer.hear()
        peer.say({"ping": {}})
        await peer.hear()
        assert seen.of("decode_error").code == "bad_client_frame"
        assert seen.of("protocol_error").error
        assert seen.of("unauthorized").session_id == "no"
        assert "broken disk" in seen.of("load_failed").error
        assert seen.of("rate_limited").code == "rate_limited"
        seen.take()
        await clock.advance(10.0)
        assert "ping_sent" in seen.take()
        await clock.advance(40.0)
        await peer.ended()
        assert seen.of("closing").code == "1013"
    refused = Peer(server, headers=[(b"origin", b"https://evil.example"), (b"host", b"app.example")])
    await refused.ended()
    assert (seen.of("refused").code, "evil" in seen.of("refused").error) == ("403", True)


async def test_slow_and_vanished_clients() -> None:
    source, seen = Source(), Observer()
    server = WebSocketServer(
        source, limits=Limits(outbox_frames=3, buffered_frames=2), observer=seen, slow_consumers=conflate
    )
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        peer.stall()
        for _ in range(20):
            watched.publish("s")
        assert {"queue_full", "resync", "load_started"} <= set(seen.take())
        source.stop()
        peer.resume()
        await source.calls(2)
        for _ in range(3):
            watched.publish("s")
        assert {"buffered", "buffer_dropped"} <= set(seen.take())
        source.go()
        await peer.hear_until("snapshot")
        peer.stall()
        watched.publish("s")
        await settle()
        peer.lose()
        await peer.ended()
        assert "write_error" in seen.take()


async def test_an_observer_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(record: ConnectionRecord) -> None:
        raise asyncio.CancelledError if record.stage == "written" else ZeroDivisionError

    source = Source()
    server = WebSocketServer(source, observer=broken)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        watched.publish("s")
        assert "uiEvent" in await peer.hear()
    assert "the connection observer failed on 'connected'" in caplog.text


def test_an_async_observer_is_refused() -> None:
    async def observer(record: ConnectionRecord) -> None: ...

    with pytest.raises(TypeError, match="not async"):
        WebSocketServer(Source(), observer=observer)


def test_records_are_values() -> None:
    record = ConnectionRecord("live", "c", "s", 3)
    assert record == ConnectionRecord("live", "c", "s", 3)
    with pytest.raises(AttributeError):
        record.stage = "written"  # type: ignore[misc]


def test_every_stage_is_told_somewhere(request: pytest.FixtureRequest) -> None:
    """No stage is a dead word: each one occurs in the code that tells it, as a literal."""
    package = request.config.rootpath / "sessionstream" / "transport" / "ws" / "server"
    code = "".join((package / name).read_text("utf-8") for name in ("conversation.py", "connection.py", "app.py"))
    stages: tuple[Any, ...] = get_args(Stage)
    assert [stage for stage in stages if f'"{stage}"' not in code] == []


def test_without_an_observer_nobody_is_told() -> None:
    reporter = Reporter(None)
    reporter.report("live", "c", "s")
    reporter.record(ConnectionRecord("live", "c", "s"))
    assert not reporter.enabled
