"""The worked example of the kit is true: it is run here as a user would run it."""

from __future__ import annotations

import textwrap

import pytest  # noqa: TC002 - read by pytest

import sessionstream.testing

pytest_plugins = ["pytester"]

FEW_EXAMPLES = """
from hypothesis import Phase, settings

settings.register_profile("few", max_examples=5, stateful_step_count=10, phases=[Phase.explicit, Phase.generate])
settings.load_profile("few")
"""


def test_the_worked_example_passes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the kit needs no plugin
    documentation = sessionstream.testing.__doc__ or ""
    example = documentation.split("::\n\n", 1)[1].split("\nA durable store", 1)[0]
    pytester.makeconftest(FEW_EXAMPLES)
    pytester.makepyfile(test_logged_store=textwrap.dedent(example))
    result = pytester.runpytest_subprocess("-q", "-W", "error")
    outcomes = result.parseoutcomes()
    assert outcomes.get("failed", 0) == outcomes.get("errors", 0) == 0, result.stdout.str()
    assert outcomes["passed"] > 60


def test_a_store_that_breaks_a_promise_is_caught(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest(FEW_EXAMPLES)
    pytester.makepyfile(
        test_forgetful_store="""
        from contextlib import asynccontextmanager

        from sessionstream import MemoryStore
        from sessionstream.testing import StoreContract


        class ForgetfulStore(MemoryStore):
            async def events(self, session_id, *, after=0, limit=None):
                return (await super().events(session_id, after=after, limit=limit))[1:]


        class TestForgetfulStore(StoreContract):
            @asynccontextmanager
            async def open(self, registry):
                yield ForgetfulStore(registry)
        """
    )
    outcomes = pytester.runpytest_subprocess("-q", "--tb=no").parseoutcomes()
    assert outcomes["failed"] > 10
