"""Test tools for stores, buses, projections and hubs that are built on sessionstream.

It needs the extra ``testing`` (Hypothesis and pytest); the library itself never imports it.

- ``StoreContract`` tests that a store implements the HydrationStore port: subclass it, override ``open``, and pytest
  runs its tests. ``StoreMachine`` makes the same random calls to your store and to MemoryStore, and compares their
  results after each step.
- ``BusContract`` tests that a bus implements the EventBus port, ``HintsContract`` that hints implement the Hints port.
- ``StoreProxy`` passes every call on to another store: override the methods that a test counts, delays or changes.
- ``session_ids``, ``stream_ids``, ``ordinals``, ``payloads`` and ``registered_payloads`` are Hypothesis strategies;
  ``OrdinalMachine`` is a state machine that tests how ordinals are assigned.
- ``RecordingFanout`` and ``RecordingObserver`` are a fan-out and observers that keep what they receive.
- ``ManualClock`` is a clock for a WebSocketServer or a client, ``WallClock`` one for a store: a test advances them.
- ``SessionWriter``, ``sample_registry``, ``put`` and ``drop`` write sessions for tests of your own.

A complete test of a store that also records the session of each commit::

    from contextlib import asynccontextmanager

    from sessionstream import MemoryStore
    from sessionstream.testing import StoreContract, StoreMachine


    class LoggedStore(MemoryStore):
        "Notes the session of every commit."

        def __init__(self, registry):
            super().__init__(registry)
            self.written = []

        def commit(self, commit, /):
            self.written.append(commit.session_id)
            return super().commit(commit)


    @asynccontextmanager
    async def opened(registry):
        store = LoggedStore(registry)
        yield store
        await store.close()


    class TestLoggedStore(StoreContract):
        def open(self, registry):
            return opened(registry)


    class LoggedStoreMachine(StoreMachine):
        def open(self, registry):
            return opened(registry)


    TestLoggedStoreInLockstep = LoggedStoreMachine.TestCase

A durable store sets ``durable = True`` in both classes and has a ``reopen`` beside ``open``. One that can be given a
clock sets ``clocked = True`` in the first, and gives it ``self.clock`` in ``open``.
"""

try:
    import hypothesis as _hypothesis  # noqa: F401 - imported here, so that a missing package gives the error below
    import pytest
except ImportError as _error:
    raise ImportError(
        f"the testing kit needs Hypothesis and pytest ({_error}): pip install 'sessionstream[testing]'",
        name=_error.name,
    ) from _error

# Called before the modules are imported, so that a failing assertion in them shows its values.
pytest.register_assert_rewrite(
    "sessionstream.testing.contract", "sessionstream.testing.ordinal_machine", "sessionstream.testing.store_machine"
)

from sessionstream.hydration.proxy import StoreProxy  # noqa: E402
from sessionstream.testing.bus_contract import BusContract  # noqa: E402
from sessionstream.testing.clock import ManualClock, WallClock  # noqa: E402
from sessionstream.testing.hints_contract import HintsContract  # noqa: E402
from sessionstream.testing.ordinal_machine import OrdinalMachine  # noqa: E402
from sessionstream.testing.recorders import RecordingFanout, RecordingObserver  # noqa: E402
from sessionstream.testing.sessions import SessionWriter, drop, put, sample_registry  # noqa: E402
from sessionstream.testing.store_contract import StoreContract  # noqa: E402
from sessionstream.testing.store_machine import StoreMachine  # noqa: E402
from sessionstream.testing.strategies import (  # noqa: E402
    ordinals,
    payloads,
    registered_payloads,
    session_ids,
    stream_ids,
)

__all__ = [
    # stores
    "StoreContract",
    "StoreMachine",
    "StoreProxy",
    "SessionWriter",
    "sample_registry",
    "put",
    "drop",
    # buses
    "BusContract",
    # hints
    "HintsContract",
    # ordinals
    "OrdinalMachine",
    # strategies
    "ordinals",
    "payloads",
    "registered_payloads",
    "session_ids",
    "stream_ids",
    # recorders
    "RecordingFanout",
    "RecordingObserver",
    # time
    "ManualClock",
    "WallClock",
]
