"""The hook, as another repository runs it: in an environment that pre-commit makes of this one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

BAD = """from google.protobuf.struct_pb2 import Struct
from sessionstream import SchemaRegistry
SchemaRegistry().register_event("Moved", Struct)
"""
# What pip says of a requirement that no registry it can reach has in any version.
UNREACHABLE = "(from versions: none)"
GOOD = "print('nothing is registered here')\n"


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True)


def test_the_hook_names_a_command_that_is_installed(root: Path) -> None:
    text = (root / ".pre-commit-hooks.yaml").read_text("utf-8")
    hook = dict(re.findall(r"^(?:- |  )(\w+): (.*)$", text, re.MULTILINE))
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert hook["language"] == "python"
    assert hook["entry"] in project["scripts"]
    libcst = [one for one in project["optional-dependencies"]["lint"] if one.startswith("libcst")]
    assert json.loads(hook["additional_dependencies"]) == libcst


def test_the_hook_works_in_an_environment_of_its_own(root: Path, tmp_path: Path) -> None:
    if not (root / ".git").exists():
        pytest.skip("pre-commit clones repositories, and this is none")
    (tmp_path / "schemas.py").write_text(BAD, "utf-8")
    (tmp_path / "other.py").write_text(GOOD, "utf-8")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    command = [sys.executable, "-m", "pre_commit", "try-repo", str(root), "sessionstream-lint", "--all-files"]
    environment = os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    if UNREACHABLE in done.stdout:
        pytest.skip(
            "no package registry can be reached, so pre-commit could not make an environment: NOTHING WAS TESTED"
        )
    assert done.returncode == 1, done.stdout
    assert "schemas.py:3:42: SST001 event 'Moved'" in done.stdout
    assert "other.py" not in done.stdout
