"""The workflows of the repository's host, which cannot run here: they are valid, and only call what runs here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def commands(path: Path) -> list[str]:
    """Return what the steps of a workflow run in a shell."""
    workflow: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_it_is_valid(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_call_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    called = {command for path in WORKFLOWS for command in commands(path)}
    assert called == {
        "bash .ci/run",
        "make test",
        "make audit",
        "make build",
        "npm publish --provenance --access public",
    }
    assert {command.split()[1] for command in called if command.startswith("make ")} <= targets
