"""Stores: ``memory`` (the default, and the reference model of the port), ``sqlite``, and what your own can rest on.

``CheckedStore`` is the base class of all of them, ``StoreProxy`` passes every call on to another store. Durable stores
share ``delta`` and ``versions``, which keep the superseded states of entities small, ``shapes``, which says whether
a message can read what was written before, and ``stored``, which is what operators' tools read of them.
``payload_json`` makes payloads readable without the app's code. ``stores`` says which store a location means.
"""

from sessionstream.hydration.checked import CheckedStore
from sessionstream.hydration.memory import MemoryStore
from sessionstream.hydration.proxy import StoreProxy

__all__ = ["CheckedStore", "MemoryStore", "StoreProxy"]
