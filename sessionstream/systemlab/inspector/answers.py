"""JSON documents that only the inspector uses; those for the contents of a store are in ``sessionstream.documents``."""

from __future__ import annotations

from typing import Any

from sessionstream import ReplayReport, documents
from sessionstream.systemlab.inspector.diff import Diff
from sessionstream.systemlab.inspector.seen import SeenTimeline
from sessionstream.systemlab.inspector.sources import Source
from sessionstream.transport.ws import ConnectionInfo


def source(found: Source) -> dict[str, Any]:
    """Return a source; ``retry`` says whether its sessions can be retried here."""
    return {"id": found.id, "title": found.title, "kind": found.kind, "retry": found.kind == "hub"}


def timeline(found: SeenTimeline) -> dict[str, Any]:
    """Return a timeline with its entities."""
    return {
        "snapshotOrdinal": str(found.ordinal),
        "timelineEpoch": str(found.epoch),
        "entities": [documents.entity(each, each.payload) for each in found.entities],
    }


def diff(found: Diff) -> dict[str, Any]:
    """Return the differences between two timelines."""
    return {
        "added": [documents.entity(each, each.payload) for each in found.added],
        "changed": [
            {
                "kind": each.after.kind,
                "id": each.after.id,
                "before": documents.entity(each.before, each.before.payload),
                "after": documents.entity(each.after, each.after.payload),
            }
            for each in found.changed
        ],
        "removed": [documents.entity(each, each.payload) for each in found.removed],
    }


def connection(found: ConnectionInfo, where: Source) -> dict[str, Any]:
    """Return a connection of a source."""
    return {
        "source": where.id,
        "connectionId": found.connection_id,
        "subscriptions": list(found.subscriptions),
        "queueDepth": found.queue_depth,
        "queueBytes": found.queue_bytes,
    }


def replay(found: ReplayReport) -> dict[str, Any]:
    """Return the result of a retry."""
    return {
        "sessionId": found.session_id,
        "events": found.events,
        "cursor": str(found.cursor),
        "epoch": str(found.epoch),
    }
