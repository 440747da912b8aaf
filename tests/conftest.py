"""For the whole suite: Hypothesis profiles, fixtures of real servers, and compiled modules for processes.

`HYPOTHESIS_PROFILE=torture` searches for longer.
"""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

from tests.heap import only_new_objects
from tests.servers import run
from tests.servers.fixtures import (
    own_postgres,
    pgbouncer,
    postgres,
    postgres_programs,
    postgres_schema,
    valkey,
)

__all__ = [
    "only_new_objects",
    "own_postgres",
    "pgbouncer",
    "postgres",
    "postgres_programs",
    "postgres_schema",
    "valkey",
]

settings.register_profile("default", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("torture", deadline=None, max_examples=3000, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# Hundreds of processes import the package. Without bytecode, each of them would compile it first.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    run.begin(config)
