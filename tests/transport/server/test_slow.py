"""A client that reads too slowly harms nobody: its queue is bounded, and it is sent away or brought up to date."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from sessionstream.transport.ws import Limits, Overflow, SlowConsumerPolicy, WebSocketServer, conflate, disconnect
from sessionstream.transport.ws.server.frames import Frame
from sessionstream.transport.ws.server.outbox import Outbox

from ..asgi import ManualClock, Peer, peers
from ..source import Source, Watched

LIMITS = Limits(outbox_frames=10)


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


@pytest.mark.parametrize("policy", [disconnect, conflate])
async def test_one_stuck_client_among_fifty(policy: SlowConsumerPolicy) -> None:
    """The others hear everything in order; what the stuck one costs is bounded, whatever is published meanwhile."""
    source = Source()
    limits = Limits(outbox_frames=1_000, outbox_bytes=100_000, heartbeat_seconds=None)
    server = WebSocketServer(source, limits=limits, slow_consumers=policy)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 50) as (stuck, *others):
        for peer in (stuck, *others):
            await peer.subscribed("s")
            peer.texts.clear()
        stuck.stall()
        waiting = []
        tracemalloc.start()
        try:
            for ordinal in range(1, 151):
                watched.publish("s", "x" * 10_000)
                for peer in others:
                    assert (await peer.hear())["uiEvent"]["eventOrdinal"] == str(ordinal)
                assert len({id(peer.texts.pop()) for peer in others}) == 1  # the text is there once
                waiting += [info.queue_bytes for info in server.connections() if info.connection_id == stuck.id]
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert 80_000 < max(waiting) <= limits.outbox_bytes
        assert held < 2 * limits.outbox_bytes  # of 1,500,000 bytes that were published
        assert [peer.heard() for peer in others] == [[]] * 49
        stuck.resume()
        if policy is conflate:
            assert (await stuck.hear_until("snapshot"))[-1]["snapshot"]["snapshotOrdinal"] == "150"
        else:
            assert await stuck.ended() == 1013
            assert "slow" in (stuck.close or {})["reason"]
            assert len(stuck.heard()) == 1 + 1  # the frame that was under way, and the close


async def test_publishing_neither_waits_nor_fails_with_nobody_reading() -> None:
    source = Source()
    server = WebSocketServer(source, limits=LIMITS)
    async with peers(server, 3) as all_peers:
        for peer in all_peers:
            await peer.subscribed("s")
            peer.stall()
        watched = Watched(source, server.publish_ui)
        for _ in range(1_000):
            watched.publish("s")
            await asyncio.sleep(0)
        assert [info.queue_depth for info in server.connections()] == [0, 0, 0]
        for peer in all_peers:
            peer.resume()
            assert await peer.ended() == 1013


@pytest.mark.parametrize("policy", [disconnect, conflate])
@pytest.mark.parametrize("size", [1, 40_000])
async def test_a_burst_that_gives_nobody_a_chance_to_read_sends_nobody_away(
    policy: SlowConsumerPolicy, size: int
) -> None:
    """As far as four times the limits go it is all there; beyond that, a snapshot stands for it."""
    source = Source()
    server = WebSocketServer(source, limits=Limits(outbox_frames=10, outbox_bytes=100_000), slow_consumers=policy)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 3) as all_peers:
        for peer in all_peers:
            await peer.subscribed("s")
        fits = 40 if size == 1 else 9
        for _ in range(fits):
            watched.publish("s", "x" * size)
        for peer in all_peers:
            for ordinal in range(1, fits + 1):
                assert (await peer.hear())["uiEvent"]["eventOrdinal"] == str(ordinal)
        for _ in range(1_000):
            watched.publish("s", "x" * size)
            assert max(info.queue_bytes for info in server.connections()) <= 400_000
            assert max(info.queue_depth for info in server.connections()) <= 40
        for peer in all_peers:
            last = (await peer.hear_until("snapshot"))[-1]
            assert last["snapshot"]["snapshotOrdinal"] == str(fits + 1_000)
        watched.publish("s")
        for peer in all_peers:
            assert (await peer.hear())["uiEvent"]["eventOrdinal"] == str(fits + 1_001)


@pytest.mark.parametrize("texts", [("x", "y" * 300_000), ("y" * 300_000, "x"), ("y" * 300_000,) * 2])
async def test_an_event_larger_than_the_outbox_sends_nobody_away(texts: tuple[str, ...]) -> None:
    source = Source()
    server = WebSocketServer(source, limits=Limits(outbox_bytes=100_000))
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        await peer.subscribed("other")
        for ordinal in range(1, 4):
            watched.publish("other")  # what waits already
            watched.publish("s", *texts)
            heard: set[str] = set()
            while heard != {"s", "other"}:
                frame = await peer.hear()
                assert frame, peer.close
                body = frame.get("uiEvent") or frame["snapshot"]
                if body.get("eventOrdinal", body.get("snapshotOrdinal")) == str(ordinal):
                    heard.add(body["sessionId"])
            await settle()
            peer.heard()


async def test_what_was_kept_while_a_large_snapshot_loaded_sends_nobody_away() -> None:
    source = Source()
    source.entities["s"] = 2_000
    server = WebSocketServer(source, limits=Limits(outbox_frames=10))
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        source.stop()
        peer.subscribe("s")
        await source.calls(1)
        for _ in range(30):
            watched.publish("s")
        source.go()
        assert len(await peer.hear_until("subscribed")) == 32


async def test_a_burst_after_a_turn_counts_from_when_it_began() -> None:
    """What a client was sent long ago, and has taken, gave it no chance to take this."""
    source = Source()
    server = WebSocketServer(source, limits=LIMITS)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        for ordinal in range(3):
            for _ in range(35):
                watched.publish("s")
            for number in range(35):
                assert (await peer.hear())["uiEvent"]["eventOrdinal"] == str(35 * ordinal + number + 1)


async def test_conflating_brings_a_slow_client_up_to_date() -> None:
    source = Source()
    server = WebSocketServer(source, limits=LIMITS, slow_consumers=conflate)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        await peer.subscribed("quiet")
        watched.publish("quiet")
        peer.stall()
        for _ in range(500):
            watched.publish("s")
        await settle()
        assert source.asked == [("s", None), ("quiet", None)]  # while it is stuck it costs nothing more
        (info,) = server.connections()
        assert info.queue_depth <= 10
        peer.resume()
        frames = await peer.hear_until("snapshot")
        assert frames[-1]["snapshot"]["snapshotOrdinal"] == "500"
        events = [frame["uiEvent"] for frame in frames[:-1]]
        assert [event["eventOrdinal"] for event in events if event["sessionId"] == "quiet"] == ["1"]
        watched.publish("s")
        assert (await peer.hear())["uiEvent"]["eventOrdinal"] == "501"
        assert source.asked[2:] == [("s", None)]


async def test_a_conflated_client_that_knows_deltas_gets_one() -> None:
    source = Source()
    source.entities["s"] = 10
    server = WebSocketServer(source, limits=LIMITS, slow_consumers=conflate)
    watched = Watched(source, server.publish_ui)
    source.ordinals["s"] = 5
    async with peers(server, 1) as (peer,):
        snapshot, _ = await peer.subscribed("s", delta=True)
        assert snapshot["snapshot"]["epoch"] == "7"
        peer.stall()
        for _ in range(50):
            watched.publish("s")
        await settle()
        peer.resume()
        body = (await peer.hear_until("snapshot"))[-1]["snapshot"]
        assert (body["since"], body["snapshotOrdinal"]) == ("5", "55")
        assert source.asked == [("s", None), ("s", 5)]


async def test_a_conflated_client_that_holds_nothing_gets_everything() -> None:
    source = Source()
    server = WebSocketServer(source, limits=LIMITS, slow_consumers=conflate)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s", delta=True)
        peer.stall()
        for _ in range(50):
            watched.publish("s")
        peer.resume()
        body = (await peer.hear_until("snapshot"))[-1]["snapshot"]
        assert "since" not in body
        assert source.asked == [("s", None), ("s", None)]


async def test_several_sessions_the_fullest_goes_first() -> None:
    overflow = Overflow(9, 90, {"a": 10, "b": 60, "c": 20})
    assert conflate(overflow) == {"b"}
    assert conflate(Overflow(9, 90, {"a": 30, "b": 30, "c": 30})) == {"a", "b"}
    assert conflate(Overflow(9, 90, {})) == set()
    assert disconnect(overflow) == set()


@pytest.mark.parametrize(
    "policy", [lambda overflow: {"nobody"}, lambda overflow: 1 / 0, lambda overflow: None, lambda overflow: {"s", 1}]
)
async def test_a_policy_that_makes_no_room_or_fails_sends_the_client_away(policy: SlowConsumerPolicy) -> None:
    source = Source()
    server = WebSocketServer(source, limits=LIMITS, slow_consumers=policy)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        peer.stall()
        for _ in range(20):
            watched.publish("s")
            await asyncio.sleep(0)
        peer.resume()
        assert await peer.ended() == 1013


async def test_a_policy_that_drops_what_does_not_help_sends_the_client_away() -> None:
    source = Source()
    server = WebSocketServer(source, limits=LIMITS, slow_consumers=lambda overflow: {"quiet"})
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        await peer.subscribed("s")
        await peer.subscribed("quiet")
        peer.stall()
        for _ in range(20):
            watched.publish("s")
            await asyncio.sleep(0)
        await settle()
        assert source.asked == [("s", None), ("quiet", None)]  # no snapshot for who is on its way out
        peer.resume()
        assert await peer.ended() == 1013


async def test_answers_that_nobody_reads_are_bounded_as_well() -> None:
    server = WebSocketServer(Source(), limits=LIMITS, slow_consumers=conflate)
    async with peers(server, 1) as (peer,):
        peer.stall()
        for _ in range(100):
            peer.say({"ping": {"nonce": "x" * 1_000}})
        await settle()
        peer.resume()
        assert await peer.ended() == 1013


async def test_snapshots_wait_for_the_client_to_read_those_before() -> None:
    """However much it subscribes to at once, only four snapshots are under way or wait unread."""
    source = Source()
    limits = Limits(outbox_bytes=2_000)
    server = WebSocketServer(source, limits=limits)
    for number in range(12):
        source.ordinals[f"s{number}"] = source.entities[f"s{number}"] = 50  # a snapshot of 5,000 bytes
    async with peers(server, 1) as (peer,):
        peer.stall()
        for number in range(12):
            peer.subscribe(f"s{number}")
        await settle()
        assert len(source.asked) <= 5
        peer.resume()
        for _ in range(12):
            await peer.hear_until("subscribed")


@pytest.mark.parametrize("limits", [Limits(buffered_frames=5), Limits(buffered_bytes=1_000)])
async def test_events_of_a_loading_session_beyond_the_buffer(limits: Limits) -> None:
    """They are dropped, and a snapshot that holds them is waited for."""
    source = Source()
    server = WebSocketServer(source, limits=limits)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 1) as (peer,):
        source.stop()
        peer.subscribe("s")
        await source.calls(1)
        for _ in range(8):
            watched.publish("s")
        source.go()
        snapshot, *events, _ = await peer.hear_until("subscribed")
        assert snapshot["snapshot"]["snapshotOrdinal"] == "8"
        assert events == []
        assert len(source.asked) == 2


# -- time ------------------------------------------------------------------------------------------------------


async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    source, clock = Source(), ManualClock()
    limits = Limits(send_timeout_seconds=8.0, heartbeat_seconds=None)
    server = WebSocketServer(source, limits=limits, clock=clock)
    watched = Watched(source, server.publish_ui)
    async with peers(server, 2) as (stuck, slow):
        await stuck.subscribed("s")
        await slow.subscribed("s")
        stuck.stall()
        for _ in range(3):
            watched.publish("s")
        for _ in range(8):
            await clock.advance(2.0)
            slow.stall()
            watched.publish("s")
            await clock.advance(2.0)
            slow.resume()
            await settle()
        assert await stuck.ended() == 0
        assert len(server.connections()) == 1
        assert len(slow.heard()) == 11


async def test_a_silent_client_is_pinged_and_then_closed() -> None:
    clock = ManualClock()
    limits = Limits(heartbeat_seconds=20.0, pong_timeout_seconds=10.0)
    async with peers(WebSocketServer(Source(), limits=limits, clock=clock), 2) as (silent, answering):
        for _ in range(4):
            await clock.advance(11.0)
            for frame in answering.heard():
                answering.say({"pong": frame["ping"]})
            await settle()
        assert next(iter(silent.heard())) == {"ping": {"nonce": "1"}}
        assert await silent.ended() == 1013
        assert not answering.task.done()


async def test_whatever_a_client_says_counts_as_life() -> None:
    clock = ManualClock()
    limits = Limits(heartbeat_seconds=20.0, pong_timeout_seconds=10.0)
    async with peers(WebSocketServer(Source(), limits=limits, clock=clock), 1) as (peer,):
        for _ in range(10):
            await clock.advance(19.0)
            peer.say({"pong": {}})
            await settle()
        assert peer.heard() == []


async def test_no_heartbeat_where_none_is_wanted_and_none_left_behind() -> None:
    clock = ManualClock()
    server = WebSocketServer(Source(), limits=Limits(heartbeat_seconds=None), clock=clock)
    async with peers(server, 1) as (peer,):
        await clock.advance(1_000.0)
        assert peer.heard() == []
        assert server._ticker is not None
    assert server._ticker is None


# -- the outbox by itself --------------------------------------------------------------------------------------


def box(max_frames: int = 3, max_bytes: int = 100) -> Outbox:
    return Outbox(max_frames, max_bytes)


def ui(session_id: str = "s", size: int = 10) -> Frame:
    return Frame("x" * size, size, "ui", session_id)


async def test_the_limits_are_on_frames_and_on_bytes() -> None:
    outbox = box()
    assert [outbox.offer(ui()) for _ in range(4)] == [True, True, True, False]
    outbox = box(max_frames=10)
    assert [outbox.offer(ui(size=40)) for _ in range(3)] == [True, True, False]
    assert outbox.size == 80
    assert box().offer(ui(size=1_000))  # one frame fits, whatever its size


async def test_snapshots_are_always_taken() -> None:
    outbox = box(max_frames=1)
    for _ in range(3):
        assert outbox.offer(Frame("s", 1, "snapshot", "s"))
    assert not outbox.has_room


async def test_dropping_keeps_other_frames_and_other_sessions() -> None:
    outbox = box(max_frames=10)
    for frame in (ui("a"), Frame("c", 1), ui("b"), Frame("s", 1, "snapshot", "a"), ui("a")):
        outbox.offer(frame)
    assert outbox.overflow(ui("b")).ui_sizes == {"a": 20, "b": 20}
    assert outbox.drop_ui({"a"}) == 2
    assert (len(outbox), outbox.size) == (3, 12)


@pytest.mark.parametrize("flush", [True, False])
def test_closing_after_or_instead_of_what_waits(flush: bool) -> None:
    outbox = box()
    outbox.offer(ui(size=1))
    outbox.close(1001, "", flush=flush)
    outbox.close(1013, "the first close counts")
    assert outbox.offer(ui(size=2))
    assert len(outbox) == outbox.size == flush
    assert outbox.close_message == {"type": "websocket.close", "code": 1001, "reason": ""}


async def test_who_vanishes_while_a_goodbye_waits_is_cut_off() -> None:
    clock = ManualClock()
    source = Source()
    server = WebSocketServer(source, limits=Limits(send_timeout_seconds=8.0, outbox_frames=2), clock=clock)
    watched = Watched(source, server.publish_ui)
    peer = await Peer(server).accepted()
    await peer.subscribed("s")
    peer.stall()
    for _ in range(5):
        watched.publish("s")
    await settle()
    await clock.advance(20.0)
    assert await peer.ended() == 0
    assert server.connections() == []
