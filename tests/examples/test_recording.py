"""The chat's UI events and snapshot, compared as JSON with a recorded conversation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from sessionstream import TimelineEntity
from sessionstream.examples.chatdemo import Chat

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tests.examples.conftest import OpenStore, Recorder

RECORDING: dict[str, Any] = json.loads((Path(__file__).parent / "recording.json").read_text("utf-8"))


def as_any(payload: Message) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/{payload.DESCRIPTOR.full_name}", **json_format.MessageToDict(payload)}


def as_frame_entity(entity: TimelineEntity) -> dict[str, Any]:
    assert entity.payload is not None
    return {
        "kind": entity.kind,
        "id": entity.id,
        "createdOrdinal": str(entity.created_ordinal),
        "lastEventOrdinal": str(entity.last_event_ordinal),
        "payload": as_any(entity.payload),
    }


async def test_ui_events_and_snapshot_equal_the_recording(reopen: OpenStore, recorder: Recorder) -> None:
    async with reopen() as store, Chat(store=store, fanout=recorder, delay=0) as chat:
        await chat.start("s-1", RECORDING["prompt"])
        await chat.wait("s-1")
        snapshot = await chat.hub.snapshot("s-1")

    assert RECORDING["uiEvents"] == [
        {"sessionId": session, "eventOrdinal": str(ordinal), "name": name, "payload": as_any(update)}
        for session, ordinal, name, update in recorder.updates
    ]
    assert RECORDING["snapshot"] == {
        "sessionId": snapshot.session_id,
        "snapshotOrdinal": str(snapshot.snapshot_ordinal),
        "entities": [as_frame_entity(entity) for entity in snapshot.entities],
    }
