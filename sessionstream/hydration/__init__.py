"""The hydration stores: ``memory`` (the default, and the reference model of the port) and ``sqlite``."""

from sessionstream.hydration.memory import MemoryStore

__all__ = ["MemoryStore"]
