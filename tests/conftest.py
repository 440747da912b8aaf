"""Hypothesis profiles for the whole suite: `HYPOTHESIS_PROFILE=torture` looks for longer. Fixtures of real servers."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import run
from tests.servers.fixtures import (
    own_postgres,
    pgbouncer,
    postgres,
    postgres_programs,
    postgres_schema,
    valkey,
)

__all__ = ["own_postgres", "pgbouncer", "postgres", "postgres_programs", "postgres_schema", "valkey"]

settings.register_profile("default", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("torture", deadline=None, max_examples=3000, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config: pytest.Config) -> None:
    run.begin(config)
