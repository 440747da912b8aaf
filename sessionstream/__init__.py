"""Sessions of ordered events with durable timelines and live UI events.

Command handlers publish backend events. Projections derive live UI events and durable timeline entities from them. One
commit stores an event with its entities. Transports send UI events and snapshots to clients.

Everything a program needs is importable from here; ``SQLiteStore`` and
``PostgresStore`` are imported at their first use.
``sessionstream.testing`` has test tools for stores, buses and hubs, ``sessionstream.doc`` the embedded help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionstream.bus import BusMessage, EventBus, MessageHandler, Subscription
from sessionstream.buses.memory import MemoryBus
from sessionstream.changes import entity_changes
from sessionstream.digests import payload_digest, stored_digest
from sessionstream.errors import (
    BusError,
    CommandConflict,
    CommandError,
    CommandUnfinished,
    CommitUnknown,
    DuplicateCommandError,
    DuplicateSchemaError,
    EventConflict,
    EventLoopError,
    HistoryPruned,
    HubClosed,
    HubError,
    InvalidIdError,
    InvalidNameError,
    LaneReentryError,
    OrdinalConflict,
    OrdinalExhausted,
    PayloadDecodeError,
    PayloadTypeError,
    PayloadValueError,
    ProjectionError,
    SchemaError,
    SessionHeld,
    SessionstreamError,
    StoreClosed,
    StoreDamaged,
    StoreError,
    StoreLost,
    StoreUpgraded,
    StructPayloadError,
    TransportError,
    UnknownCommandError,
    UnknownSchemaError,
    Unstorable,
)
from sessionstream.fanout import FanoutFunction, LiveSessions, SnapshotSource, UIFanout
from sessionstream.hub import (
    CommandHandler,
    EventPublisher,
    Hub,
    ReplayReport,
    SessionEvents,
    SessionMetadata,
    Watch,
)
from sessionstream.hydration.checked import CheckedStore
from sessionstream.hydration.memory import MemoryStore
from sessionstream.observe import (
    ConsumerStatus,
    ErrorObserver,
    ErrorRecord,
    FollowerStatus,
    HubStatistics,
    Instrumentation,
    PipelineObserver,
    PipelineRecord,
    Span,
)
from sessionstream.ordinals import MAX_ORDINAL, assign_ordinal, derive_ordinal
from sessionstream.projection import (
    ProjectionPolicies,
    TimelineProjection,
    TimelineProjectionFunction,
    TimelineView,
    UIProjection,
    UIProjectionFunction,
)
from sessionstream.retention import RetentionPolicy, RetentionStep
from sessionstream.schema import SchemaRegistry
from sessionstream.store import (
    Change,
    CommandClaim,
    Commit,
    Cursors,
    HydrationStore,
    LoggedEvent,
    StoredTimeline,
    TimelineReplacement,
    UnreadableEntity,
)
from sessionstream.types import Command, Event, LiveEvents, Session, Snapshot, TimelineEntity, UIEvent

if TYPE_CHECKING:
    from sessionstream.hydration.postgres import PostgresStore as PostgresStore
    from sessionstream.hydration.sqlite import SQLiteStore

__all__ = [
    # values
    "Command",
    "Event",
    "UIEvent",
    "TimelineEntity",
    "Snapshot",
    "LiveEvents",
    "Session",
    # schemas
    "SchemaRegistry",
    # hub
    "Hub",
    "CommandHandler",
    "EventPublisher",
    "ReplayReport",
    "SessionEvents",
    "Watch",
    "SessionMetadata",
    # projections
    "UIProjection",
    "UIProjectionFunction",
    "TimelineProjection",
    "TimelineProjectionFunction",
    "TimelineView",
    "ProjectionPolicies",
    "entity_changes",
    # stores
    "HydrationStore",
    "CheckedStore",
    "MemoryStore",
    "SQLiteStore",
    "Commit",
    "Change",
    "Cursors",
    "LoggedEvent",
    "payload_digest",
    "stored_digest",
    "StoredTimeline",
    "UnreadableEntity",
    "CommandClaim",
    "TimelineReplacement",
    "RetentionPolicy",
    "RetentionStep",
    # buses
    "EventBus",
    "MemoryBus",
    "BusMessage",
    "MessageHandler",
    "Subscription",
    # fan-out
    "UIFanout",
    "FanoutFunction",
    "SnapshotSource",
    "LiveSessions",
    # observers
    "PipelineRecord",
    "PipelineObserver",
    "ErrorRecord",
    "ErrorObserver",
    "ConsumerStatus",
    "FollowerStatus",
    "HubStatistics",
    "Instrumentation",
    "Span",
    # ordinals
    "MAX_ORDINAL",
    "derive_ordinal",
    "assign_ordinal",
    # errors
    "SessionstreamError",
    "SchemaError",
    "InvalidNameError",
    "UnknownSchemaError",
    "DuplicateSchemaError",
    "PayloadTypeError",
    "PayloadValueError",
    "PayloadDecodeError",
    "StructPayloadError",
    "InvalidIdError",
    "CommandError",
    "UnknownCommandError",
    "DuplicateCommandError",
    "CommandConflict",
    "CommandUnfinished",
    "ProjectionError",
    "SessionHeld",
    "HubError",
    "HubClosed",
    "LaneReentryError",
    "StoreError",
    "OrdinalConflict",
    "OrdinalExhausted",
    "EventConflict",
    "EventLoopError",
    "HistoryPruned",
    "Unstorable",
    "CommitUnknown",
    "StoreClosed",
    "StoreDamaged",
    "StoreLost",
    "StoreUpgraded",
    "BusError",
    "TransportError",
]


def __getattr__(name: str) -> object:
    if name == "SQLiteStore":
        from sessionstream.hydration.sqlite import SQLiteStore

        globals()[name] = SQLiteStore
        return SQLiteStore
    if name == "PostgresStore":
        from sessionstream.hydration.postgres import PostgresStore

        globals()[name] = PostgresStore
        return PostgresStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
