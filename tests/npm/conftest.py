"""The project, made once for all workers of a run."""

from __future__ import annotations

import fcntl
import os
import shutil

import pytest

from ..node import nodes
from ..servers.fixtures import missing
from .project import Project, install


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that has installed the package, and is built."""
    if not nodes():
        missing("there is no Node, so NOTHING of the package was tried")
    node = list(nodes().values())[-1]
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "npm-consumer"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            making = shared.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            install(making, node).folder.rename(shared)
    return Project(shared, node)
