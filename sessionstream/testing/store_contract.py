"""The HydrationStore port as a test suite."""

from __future__ import annotations

from sessionstream.testing.contract.changes import ChangeContract
from sessionstream.testing.contract.commits import CommitContract
from sessionstream.testing.contract.durability import DurabilityContract
from sessionstream.testing.contract.questions import QuestionContract
from sessionstream.testing.contract.records import RecordContract
from sessionstream.testing.contract.retention import RetentionContract
from sessionstream.testing.contract.timelines import TimelineContract


class StoreContract(
    CommitContract,
    TimelineContract,
    RecordContract,
    ChangeContract,
    RetentionContract,
    QuestionContract,
    DurabilityContract,
):
    """Tests of everything that ``sessionstream.store.HydrationStore`` promises; pytest collects them from a subclass.

    Override ``open``: it returns an async context manager that enters a fresh, empty store for a registry and
    closes it at the end. For a durable store, set ``durable = True`` and override ``reopen`` as well, which enters
    the store that ``open`` opened last. Both are called on the same instance, so ``open`` may keep a path in ``self``,
    and an ``autouse`` fixture may set one. For a store with a clock, set ``clocked = True`` and pass ``self.clock`` to
    it in ``open``. For a store whose ``changes`` may be late, set ``settles_within``. The tests are plain functions:
    they need no plugin.
    """
