"""The UIFanout port: where live UI events leave the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from sessionstream.types import UIEvent


class UIFanout(Protocol):
    """Receives the UI events of every committed event; a plain function serves as well."""

    def publish_ui(self, session_id: str, ordinal: int, events: Sequence[UIEvent], /) -> None:
        """Take the UI events of one backend event.

        Called once per event that has any, in ordinal order within a session, after the commit. It enqueues and
        returns: it must not block. The events are the receiver's to keep. What it raises is recorded and does
        not reach the publisher, because the event is already true.
        """
        ...


FanoutFunction: TypeAlias = Callable[[str, int, Sequence[UIEvent]], None]
