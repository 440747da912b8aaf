"""The committed protobuf code is what the pinned compiler makes of the committed schemas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_generated_code_is_fresh(root: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(root / "proto" / "generate.py"), str(tmp_path)], check=True)
    generated = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*_pb2.py*"))
    assert generated
    stale = [str(path) for path in generated if (tmp_path / path).read_bytes() != (root / path).read_bytes()]
    assert not stale, f"run `make proto`: {stale}"


def test_no_generated_module_lacks_its_schema(root: Path) -> None:
    committed = sorted((root / "sessionstream").rglob("*_pb2.py"))
    assert committed
    for path in committed:
        schema = root / "proto" / path.relative_to(root).with_name(path.name.removesuffix("_pb2.py") + ".proto")
        assert schema.is_file(), f"{path} is generated from no schema"


def test_frozen_numbers_of_the_browser_contract(root: Path) -> None:
    """Clients in the field speak these; a change here breaks them."""
    from sessionstream.v1 import transport_pb2 as frames

    def numbers(message: object) -> dict[str, int]:
        return {field.json_name: field.number for field in message.DESCRIPTOR.fields}  # type: ignore[attr-defined]

    assert numbers(frames.ClientFrame) == {"subscribe": 1, "unsubscribe": 2, "ping": 3, "pong": 4}
    assert numbers(frames.ServerFrame) == {
        "hello": 1,
        "snapshot": 2,
        "subscribed": 3,
        "unsubscribed": 4,
        "uiEvent": 5,
        "error": 6,
        "ping": 7,
        "pong": 8,
    }
    assert numbers(frames.HelloFrame) == {"connectionId": 1}
    assert numbers(frames.SubscribeRequest) == {
        "sessionId": 1,
        "sinceSnapshotOrdinal": 2,
        "delta": 3,
        "epoch": 4,
    }
    assert numbers(frames.SubscribedFrame) == {"sessionId": 1, "sinceSnapshotOrdinal": 2, "budget": 3}
    assert numbers(frames.Budget) == {"framesBurst": 1, "framesPerSecond": 2, "subscriptions": 3}
    assert numbers(frames.UnreadablePayload) == {"type": 1, "reason": 2}
    assert numbers(frames.SnapshotFrame) == {
        "sessionId": 1,
        "snapshotOrdinal": 2,
        "entities": 3,
        "epoch": 4,
        "since": 5,
    }
    assert numbers(frames.SnapshotEntity) == {
        "kind": 1,
        "id": 2,
        "createdOrdinal": 3,
        "lastEventOrdinal": 4,
        "tombstone": 5,
        "payload": 6,
    }
    assert numbers(frames.UiEventFrame) == {"sessionId": 1, "eventOrdinal": 2, "name": 3, "payload": 4}
    assert numbers(frames.ErrorFrame) == {"code": 1, "message": 2, "sessionId": 3, "detail": 4}
    assert numbers(frames.EntityChanged) == {
        "kind": 1,
        "id": 2,
        "createdOrdinal": 3,
        "lastEventOrdinal": 4,
        "payload": 5,
    }
    assert numbers(frames.EntityDeleted) == {"kind": 1, "id": 2}
