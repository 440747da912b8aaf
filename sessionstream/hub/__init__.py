"""The hub and the pipeline of its events."""

from sessionstream.hub.commands import CommandHandler, EventPublisher
from sessionstream.hub.hub import Hub
from sessionstream.hub.replay import ReplayReport
from sessionstream.hub.session_events import SessionEvents
from sessionstream.hub.sessions import SessionMetadata
from sessionstream.hub.watching import Watch

__all__ = ["CommandHandler", "EventPublisher", "Hub", "ReplayReport", "SessionEvents", "SessionMetadata", "Watch"]
