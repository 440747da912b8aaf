from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sessionstream.systemlab.lab import Lab
from sessionstream.systemlab.phases.pipeline import Pipeline

from .client import Client, serving


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A lab with phase 1 alone, which starts at once."""
    async with Lab([Pipeline]) as opened:
        yield opened


@pytest.fixture
async def client(lab: Lab) -> AsyncIterator[Client]:
    """The same over HTTP."""
    async with serving(lab) as asking:
        yield asking
