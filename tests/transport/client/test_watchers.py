"""Several watch one session with one client: they share a subscription, and each has everything for itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

from sessionstream import Hub, SchemaRegistry, Snapshot
from sessionstream.transport.ws import LiveEvent, SubscriptionEnded, UnexpectedPayload, Update, WebSocketServer, connect
from sessionstream.transport.ws.client.client import Client
from sessionstream.transport.ws.client.conversation import Conversation
from sessionstream.transport.ws.client.effects import Deliver, Effects, End, Send
from sessionstream.transport.ws.client.subscription import REPLAY_CHARACTERS, REPLAY_EVENTS

from .. import notes
from ..clock import MovedClock
from ..proxy import Proxy, proxied
from ..running import PATIENCE, served


@asynccontextmanager
async def watching(**options: Any) -> AsyncIterator[tuple[Hub, WebSocketServer, Proxy, Client]]:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        server = WebSocketServer(hub)
        hub.set_fanout(server)
        address = await stack.enter_async_context(served(server))
        proxy, through = await stack.enter_async_context(proxied(address))
        made = connect(through, **{"clock": MovedClock(), "heartbeat_seconds": None, **options})
        yield hub, server, proxy, await stack.enter_async_context(made)


async def take(updates: AsyncIterator[Update]) -> Update:
    async with asyncio.timeout(PATIENCE):
        return await anext(updates)


def event(update: Update) -> tuple[int, str]:
    assert isinstance(update, LiveEvent)
    return update.ordinal, update.payload["value"]


async def test_a_later_watcher_begins_with_the_held_snapshot() -> None:
    async with watching() as (hub, server, proxy, client):
        await notes.publish(hub, "s-1", put={"a": "A"})
        one = client.subscribe("s-1")
        assert isinstance(await take(one), Snapshot)
        await notes.publish(hub, "s-1", tell=["two"])
        assert event(await take(one)) == (2, "two")
        two = client.subscribe("s-1")
        late = await take(two)
        assert isinstance(late, Snapshot)
        assert late.snapshot_ordinal == 1  # what is held, and then what happened since
        assert event(await take(two)) == (2, "two")
        await notes.publish(hub, "s-1", put={"b": "B"}, tell=["three"])
        assert event(await take(one)) == event(await take(two)) == (3, "three")
        assert [info.subscriptions for info in server.connections()] == [("s-1",)]
        proxy.reset()
        for updates in (one, two):
            again = await take(updates)
            assert isinstance(again, Snapshot)
            assert [entity.id for entity in again.entities] == ["a", "b"]
        assert proxy.made == 2


async def test_the_subscription_ends_with_the_last_one() -> None:
    async with watching() as (hub, server, _, client):
        one, two = client.subscribe("s-1"), client.subscribe("s-1")
        await take(one)
        await take(two)
        await one.aclose()
        await notes.publish(hub, "s-1", tell=["for two"])
        assert event(await take(two)) == (1, "for two")
        await two.aclose()
        async with asyncio.timeout(PATIENCE), client.subscribe("s-2") as other:
            await anext(other)  # the server takes one frame after the other
        assert [info.subscriptions for info in server.connections()] in ([("s-2",)], [()])


async def test_watchers_share_no_payloads() -> None:
    async with watching() as (hub, _, _, client):
        await notes.publish(hub, "s-1", put={"a": "A"})
        watchers = [client.subscribe("s-1") for _ in range(3)]
        for updates in watchers:
            payload = cast("Any", await take(updates)).entities[0].payload
            assert payload["value"] == "A"
            payload["value"] = "changed"
        await notes.publish(hub, "s-1", tell=["two"])
        for updates in watchers:
            update = cast("Any", await take(updates))
            assert update.payload["value"] == "two"
            update.payload["value"] = "changed"
        late = client.subscribe("s-1")
        assert cast("Any", await take(late)).entities[0].payload["value"] == "A"
        assert event(await take(late)) == (2, "two")


async def test_an_end_is_one_for_all_with_an_error_each() -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(notes.application())
        server = WebSocketServer(hub, authorize=lambda _, session_id: session_id == "mine")
        address = await stack.enter_async_context(served(server))
        client = await stack.enter_async_context(connect(address))
        waiting = [asyncio.create_task(take(client.subscribe("theirs"))) for _ in range(3)]
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in errors] == [SubscriptionEnded] * 3
        assert len(set(map(id, errors))) == 3  # each collects a traceback
        await take(client.subscribe("mine"))


@pytest.mark.parametrize("what", [{"put": {"a": "A"}}, {"tell": ["one"]}])
async def test_what_cannot_be_read_ends_all_who_watch(what: dict[str, Any]) -> None:
    schemas = SchemaRegistry()
    schemas.register_ui_event("Told", Int64Value)
    schemas.register_timeline_entity("Note", Int64Value)
    async with watching(schemas=schemas) as (hub, _, _, client):
        watchers = [client.subscribe("s-1") for _ in range(2)]
        if "tell" in what:
            for updates in watchers:
                await take(updates)
        await notes.publish(hub, "s-1", **what)
        for updates in watchers:
            with pytest.raises(UnexpectedPayload):
                await take(updates)
        assert isinstance(await take(client.subscribe("s-2")), Snapshot)


async def test_a_slow_one_is_waited_for_and_misses_nothing() -> None:
    """Each has a buffer of its own; a connection is read as fast as the slowest of them takes."""
    async with watching(buffered_updates=2) as (hub, _, _, client):
        slow, quick = client.subscribe("s-1"), client.subscribe("s-1")
        await take(slow)
        await take(quick)
        for number in range(50):
            await notes.publish(hub, "s-1", tell=[str(number)])
        told = asyncio.gather(*[_numbers(updates, 50) for updates in (slow, quick)])
        assert await told == [list(range(50))] * 2


async def _numbers(updates: AsyncIterator[Update], count: int) -> list[int]:
    return [int(event(await take(updates))[1]) for _ in range(count)]


async def test_a_watcher_that_leaves_at_an_event_harms_no_other() -> None:
    async with watching(schemas=notes.registry()) as (hub, _, _, client):
        heard: list[str] = []

        async def until_told(name: str, updates: AsyncIterator[Update]) -> None:
            async for update in updates:
                if isinstance(update, LiveEvent):
                    heard.append(f"{name} {update.payload.value}")
                    if name == "rash":
                        raise ZeroDivisionError
                    if update.payload.value == "two":
                        return

        watchers = [client.subscribe("s-1") for _ in range(3)]
        for updates in watchers:
            await take(updates)
        names = ["rash", "calm", "calmer"]
        tasks = [asyncio.create_task(until_told(name, each)) for name, each in zip(names, watchers, strict=True)]
        await notes.publish(hub, "s-1", tell=["one"])
        await notes.publish(hub, "s-1", tell=["two"])
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait(tasks)
        assert isinstance(tasks[0].exception(), ZeroDivisionError)
        assert sorted(heard) == ["calm one", "calm two", "calmer one", "calmer two", "rash one"]


# -- what is kept for those who come later is bounded ----------------------------------------------------------


class Talk:
    """A client's session that is live with one watcher at ordinal 1."""

    def __init__(self, **options: Any) -> None:
        self.client = Conversation(draw=lambda: 0.5, **options)
        self.client.start(0.0)
        self.client.subscribe("s", 1, 0.0)
        self.client.opened(0.0)
        self.ordinal = 1
        self.hear(hello={})
        self.snapshot()

    def hear(self, **frame: Any) -> Effects:
        return self.client.text(json.dumps(frame), 0.0)

    def snapshot(self) -> Effects:
        return self.hear(snapshot={"sessionId": "s", "snapshotOrdinal": str(self.ordinal), "epoch": "7"})

    def event(self, text: str = "") -> Effects:
        self.ordinal += 1
        payload = {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": text}
        event = {"sessionId": "s", "eventOrdinal": str(self.ordinal), "name": "Told", "payload": payload}
        return self.hear(uiEvent=event)


def given(effects: Effects) -> list[tuple[int, int]]:
    """Who was given which ordinal."""
    return [
        (
            effect.watcher,
            effect.update.ordinal if isinstance(effect.update, LiveEvent) else effect.update.snapshot_ordinal,
        )
        for effect in effects
        if isinstance(effect, Deliver)
    ]


def said(effects: Effects) -> list[dict[str, Any]]:
    return [json.loads(effect.text) for effect in effects if isinstance(effect, Send)]


@pytest.mark.parametrize("events", [[""] * (REPLAY_EVENTS + 1), ["x" * REPLAY_CHARACTERS]])
def test_with_too_many_events_since_the_snapshot_the_server_is_asked_again(events: list[str]) -> None:
    talk = Talk()
    for text in events:
        assert given(talk.event(text)) == [(1, talk.ordinal)]
    asked = talk.client.subscribe("s", 2, 0.0)
    assert not given(asked)
    (frame,) = said(asked)
    assert frame["subscribe"]["sinceSnapshotOrdinal"] == "1"
    assert given(talk.event()) == [(1, talk.ordinal)]  # the first one goes on meanwhile
    assert not said(talk.client.subscribe("s", 3, 0.0))  # one question is enough
    assert sorted(given(talk.snapshot())) == [(1, talk.ordinal), (2, talk.ordinal), (3, talk.ordinal)]
    assert given(talk.event()) == [(1, talk.ordinal), (2, talk.ordinal), (3, talk.ordinal)]


def test_a_watcher_that_leaves_before_its_turn_sends_no_request() -> None:
    talk = Talk()
    talk.hear(subscribed={"sessionId": "s", "budget": {"framesBurst": 1, "framesPerSecond": 1, "subscriptions": 9}})
    for _ in range(REPLAY_EVENTS + 1):
        talk.event()
    assert not said(talk.client.subscribe("s", 2, 0.0))
    assert not said(talk.client.unsubscribe("s", 2, 0.0))
    assert not said(talk.client.tick(10.0))
    assert given(talk.event()) == [(1, talk.ordinal)]


def test_as_many_as_are_kept_are_given() -> None:
    talk = Talk()
    for _ in range(REPLAY_EVENTS):
        talk.event()
    effects = talk.client.subscribe("s", 2, 0.0)
    assert not said(effects)
    assert given(effects) == [(2, ordinal) for ordinal in range(1, talk.ordinal + 1)]


def test_leaving_and_returning_before_the_unsubscribe_costs_no_frame() -> None:
    talk = Talk()
    talk.hear(subscribed={"sessionId": "s", "budget": {"framesBurst": 1, "framesPerSecond": 1, "subscriptions": 9}})
    assert not said(talk.client.unsubscribe("s", 1, 0.0))
    assert not given(talk.event())
    effects = talk.client.subscribe("s", 2, 0.0)
    assert given(effects) == [(2, 1), (2, 2)]
    assert not said(effects)
    assert not said(talk.client.tick(5.0))


def test_a_crowded_session_waits_only_while_another_is_being_left() -> None:
    talk = Talk()
    talk.hear(subscribed={"sessionId": "s", "budget": {"framesBurst": 1, "framesPerSecond": 1}})
    talk.client.subscribe("t", 2, 0.0)
    ask = [{"subscribe": {"sessionId": "t", "delta": True}}]
    assert said(talk.client.tick(5.0)) == ask
    assert not said(talk.client.unsubscribe("s", 1, 5.0))  # not its turn yet
    full = {"code": "too_many_subscriptions", "message": "no", "sessionId": "t"}
    assert not talk.client.text(json.dumps({"error": full}), 5.0)
    talk.client.subscribe("s", 3, 5.0)  # so it is not left after all
    assert said(talk.client.tick(10.0)) == ask
    (ended,) = talk.client.text(json.dumps({"error": full}), 10.0)
    assert isinstance(ended, End)


@pytest.mark.parametrize("burst", [5, 200])
def test_what_a_network_holds_up_and_delivers_at_once_is_within_the_budget(burst: int) -> None:
    """However long no answer comes, no more requests are under way than the server takes at once."""
    talk = Talk()
    talk.hear(subscribed={"sessionId": "s", "budget": {"framesBurst": burst, "framesPerSecond": 50}})
    now, frames = 0.0, 0
    for number in range(1_000):
        frames += len(said(talk.client.subscribe(f"row-{number}", 10 + number, now)))
        now += 0.03
        frames += len(said(talk.client.tick(now)))
    assert 0 < frames <= burst  # a ping among them


def test_a_late_watcher_is_given_messages_where_there_is_a_registry() -> None:
    talk = Talk(schemas=notes.registry())
    talk.event("two")
    _, second = talk.client.subscribe("s", 2, 0.0)
    assert isinstance(second, Deliver)
    assert isinstance(second.update, LiveEvent)
    assert second.update.payload == StringValue(value="two")


def test_each_of_those_who_watch_is_told_of_the_end() -> None:
    talk = Talk()
    talk.client.subscribe("s", 2, 0.0)
    ends = [effect for effect in talk.hear(unsubscribed={"sessionId": "s"}) if isinstance(effect, End)]
    assert [end.watcher for end in ends] == [1, 2]
    assert ends[0].error is not ends[1].error
