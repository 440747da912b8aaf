"""The kit for testing what you build on sessionstream: stores, projections, whole hubs.

It needs the extra ``testing`` (Hypothesis and pytest); the library itself never imports it.

- ``StoreContract`` is the HydrationStore port as tests: subclass it, say how your store is opened, and pytest
  runs every sentence of the port against it. ``StoreMachine`` does whatever Hypothesis thinks of to your store
  and to MemoryStore, and compares their answers after each step.
- ``StoreProxy`` passes every call on to another store: override what a test is to count, delay, alter or break.
- ``session_ids``, ``stream_ids``, ``ordinals``, ``payloads`` and ``registered_payloads`` are strategies for
  what goes through a hub; ``OrdinalMachine`` is the state machine of ordinals.
- ``RecordingFanout`` and ``RecordingObserver`` are the other ends of a hub, and keep what they are told.
- ``ManualClock`` is the time of a WebSocketServer or a client, ``WallClock`` the time of day of a store: a test moves
  them.
- ``SessionWriter``, ``sample_registry``, ``put`` and ``drop`` write sessions for tests of your own.

A store of your own under test, complete. It wraps another and keeps a log of who was written::

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
    import hypothesis as _hypothesis  # noqa: F401 - looked for here, so that whoever lacks it is told what to install
    import pytest
except ImportError as error:
    raise ImportError(
        f"the testing kit needs Hypothesis and pytest ({error}): pip install 'sessionstream[testing]'", name=error.name
    ) from error

# Before they are imported, so that a failing assertion in them shows its values.
pytest.register_assert_rewrite(
    "sessionstream.testing.contract", "sessionstream.testing.ordinal_machine", "sessionstream.testing.store_machine"
)

from sessionstream.hydration.proxy import StoreProxy  # noqa: E402
from sessionstream.testing.bus_contract import BusContract  # noqa: E402
from sessionstream.testing.clock import ManualClock, WallClock  # noqa: E402
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
