"""The HydrationStore port as a test suite."""

from __future__ import annotations

from sessionstream.testing.contract.commits import CommitContract
from sessionstream.testing.contract.durability import DurabilityContract
from sessionstream.testing.contract.questions import QuestionContract
from sessionstream.testing.contract.records import RecordContract
from sessionstream.testing.contract.retention import RetentionContract
from sessionstream.testing.contract.timelines import TimelineContract


class StoreContract(
    CommitContract, TimelineContract, RecordContract, RetentionContract, QuestionContract, DurabilityContract
):
    """Every sentence of ``sessionstream.store.HydrationStore``, as tests that pytest collects from a subclass.

    Override ``open``: it returns an async context manager that enters a fresh, empty store for a registry and
    closes it at the end. A durable store sets ``durable = True`` and overrides ``reopen`` as well, which enters
    the store that ``open`` opened last; the instance is the same, so ``open`` may keep a path in ``self``, and
    an ``autouse`` fixture may put one there. One that can be given a clock sets ``clocked = True`` and gives it
    ``self.clock`` in ``open``. The tests are plain functions: no plugin is needed to run them.
    """
