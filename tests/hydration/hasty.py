"""A database whose writer hardly waits for other processes."""

from __future__ import annotations

from sessionstream.hydration.sqlite.database import Database

BUSY = 0.1


class HastyDatabase(Database):
    """Waits ``BUSY`` seconds for another process, and as long as others for the disk."""

    @property
    def busy_seconds(self) -> float:
        return BUSY
