"""What is said on a connection is kept as it is said: by whom, in which order, and what was true at that moment."""

from __future__ import annotations

import json
from typing import Any

from sessionstream import Snapshot, UIEvent
from sessionstream.systemlab.conversations import FRAMES, KEPT, Conversations, ListeningServer
from sessionstream.systemlab.ledger import Ledger, Places
from sessionstream.systemlab.v1.lab_pb2 import NoteUpdate
from tests.transport.asgi import Peer


class Source:
    async def snapshot(self, session_id: str, *, since: int | None = None) -> Snapshot:
        return Snapshot(session_id, 4, (), epoch=9)


def keeping() -> tuple[Conversations, Ledger]:
    places = Places()
    ledger = Ledger(places)
    return Conversations(places, ledger), ledger


async def test_a_conversation_is_kept_frame_by_frame() -> None:
    kept, ledger = keeping()
    stages: list[Any] = []
    server = ListeningServer(Source(), kept, observer=stages.append)
    ledger.pass_on_to(server)
    peer = await Peer(server, query_string=b"client=A").accepted()
    await peer.subscribed("s", delta=True, sinceSnapshotOrdinal="3", epoch="8")
    ledger.publish_ui("s", 5, [UIEvent("NoteUpdated", NoteUpdate(note_id="n"))])
    await peer.hear_until("uiEvent")
    peer.say("no JSON")
    await peer.hear_until("error")
    peer.say_bytes(b"bytes")
    await peer.hear_until("error")
    [conversation] = kept
    assert (conversation.client, conversation.open) == ("A", True)
    assert conversation.connection_id == peer.hello["connectionId"]
    await server.shutdown(retry_after=2)
    assert await peer.ended() == 1012
    assert not conversation.open
    assert [(frame.by, frame.kind, frame.ordinal or frame.since, frame.name) for frame in conversation.frames] == [
        ("server", "hello", 0, ""),
        ("client", "subscribe", 3, ""),
        ("server", "snapshot", 4, ""),
        ("server", "subscribed", 3, ""),
        ("server", "uiEvent", 5, "NoteUpdated"),
        ("client", "unreadable", 0, ""),
        ("server", "error", 0, "bad_client_frame"),
        ("server", "error", 0, "bad_client_frame"),
        ("server", "close", 0, "1012 retry-after=2"),
    ]
    subscribe, snapshot, event = conversation.frames[1], conversation.frames[2], conversation.frames[4]
    assert (subscribe.epoch, snapshot.epoch, snapshot.told, event.told) == (8, 9, 0, 5)
    assert subscribe.place < snapshot.asked < snapshot.place < event.place
    assert {record.stage for record in stages} >= {"connected", "live", "disconnected"}


async def test_a_client_without_a_name_gets_one_and_a_long_name_is_cut() -> None:
    kept, _ = keeping()
    server = ListeningServer(Source(), kept, observer=lambda _: None)
    peers = [await Peer(server).accepted(), await Peer(server, query_string=b"client=" + b"x" * 99).accepted()]
    assert [conversation.client for conversation in kept] == ["somebody", "x" * 32]
    await server.shutdown()
    for peer in peers:
        await peer.ended()


async def test_other_scopes_are_the_servers_own() -> None:
    kept, _ = keeping()
    answers: list[Any] = []

    async def send(message: Any) -> None:
        answers.append(message)

    server = ListeningServer(Source(), kept, observer=lambda _: None)
    await server({"type": "http"}, None, send)
    assert answers[0]["status"] == 426
    assert list(kept) == []


def test_of_conversations_that_have_ended_the_oldest_go_first() -> None:
    kept, _ = keeping()
    lasting = kept.begin("lasting")
    for number in range(KEPT + 5):
        kept.end(kept.begin(str(number)))
    assert len(list(kept)) == KEPT
    assert next(iter(kept)) is lasting


def test_of_a_long_conversation_the_beginning_is_kept() -> None:
    kept, _ = keeping()
    conversation = kept.begin("A")
    for _ in range(FRAMES + 3):
        kept.add(conversation, "client", {"type": "websocket.receive", "text": json.dumps({"ping": {}})})
    assert len(conversation.frames) == FRAMES
