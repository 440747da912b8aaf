"""The snippets of the playbook do what they are for: each is run on a project with a finding, and on one without."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from .pages import HELP, ROOT, blocks
from .run_blocks import SCRIPTS, named, write

PLAYBOOK = HELP / "playbooks" / "sessionstream-schema-vet-playbook.md"
BAD = """from google.protobuf.struct_pb2 import Struct
from sessionstream import SchemaRegistry

SchemaRegistry().register_event("Moved", Struct)
"""
GOOD = BAD.replace("Struct", "StringValue").replace("struct_pb2", "wrappers_pb2")
FINDING = "SST001 event 'Moved'"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with every file of the playbook, its own code, and a file with a finding."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(PLAYBOOK.read_text("utf-8")):
        path = named(block.text)
        if path and not path.endswith(".proto"):
            write(path, block.text)
    for folder in ("app", "tests", "legacy", "src", "generated"):
        write(f"{folder}/schemas.py", GOOD)
    write("app/bad.py", BAD)
    return tmp_path


def beginning(first: str) -> str:
    """Return the block of the page that begins so."""
    (found,) = [block.text for block in blocks(PLAYBOOK.read_text("utf-8")) if block.text.startswith(first)]
    return found


def run(line: str, **environment: str) -> tuple[int, str]:
    """Run a line as CI services do."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TOX", "PYTEST"))}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**clean, "PATH": SCRIPTS + os.pathsep + os.environ["PATH"], **environment},
        check=False,
    )
    return done.returncode, done.stdout


def loaded(path: str) -> Any:
    # YAML 1.1 takes the key "on" for a truth value.
    return yaml.safe_load(Path(path).read_text("utf-8").replace("\non:", '\n"on":'))


@pytest.mark.parametrize("workflow", ["schema-vet.yml", "code-scanning.yml"])
def test_the_github_workflows(project: Path, workflow: str) -> None:
    document = loaded(f".github/workflows/{workflow}")
    assert document["on"] == ["push", "pull_request"]
    steps = document["jobs"]["schema-vet"]["steps"]
    (install, check) = [step["run"] for step in steps if "run" in step]
    assert install == "pip install 'sessionstream[lint]'"
    status, printed = run(check)
    assert status == 1
    if workflow == "schema-vet.yml":
        assert printed.startswith("::error")
        assert "file=app/bad.py,line=4" in printed
    else:
        (upload,) = [step for step in steps if step.get("uses", "").startswith("github/codeql-action/upload-sarif@")]
        assert upload["if"] == "${{ !cancelled() }}"  # also after findings
        assert document["permissions"]["security-events"] == "write"
        (found,) = json.loads(Path(upload["with"]["sarif_file"]).read_text("utf-8"))["runs"][0]["results"]
        assert found["ruleId"] == "SST001"
        assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "app/bad.py"
    write("app/bad.py", GOOD)
    assert run(check)[0] == 0


def test_the_gitlab_job(project: Path) -> None:
    job = loaded(".gitlab-ci.yml")["schema-vet"]
    install, check = job["script"]
    assert install == "pip install 'sessionstream[lint]'"
    status, printed = run(check)
    assert status == 1
    assert FINDING in printed
    (report,) = job["artifacts"]["paths"]
    assert job["artifacts"]["when"] == "always"
    assert "SST001" in Path(report).read_text("utf-8")
    write("app/bad.py", GOOD)
    assert run(check) == (0, "")


@pytest.mark.parametrize("config", ["every-rule.cfg", "nothing-else.cfg", "some-files.cfg", "setup.cfg"])
def test_the_configurations_of_flake8(project: Path, config: str) -> None:
    write("legacy/old.py", BAD)
    if config == "setup.cfg":
        write("setup.cfg", beginning("# setup.cfg, tox.ini or .flake8"))
    status, printed = run(f"flake8 --config {config} app legacy")
    assert status == 1
    assert re.search(r"app/bad\.py:4:\d+: SST001", printed), printed
    assert ("legacy/old.py" in printed) is (config != "some-files.cfg")


def test_the_configuration_of_the_command(project: Path) -> None:
    write("pyproject.toml", beginning("# pyproject.toml, for the command"))
    write("legacy/old.py", BAD)
    assert FINDING in run("sessionstream-lint")[1]
    write("app/bad.py", GOOD)
    assert run("sessionstream-lint") == (0, "")  # pyproject.toml excludes legacy
    assert run("sessionstream-lint legacy --ignore SST001")[0] == 0


def test_the_local_hook_of_pre_commit(project: Path) -> None:
    assert run("git init -q . && git add .")[0] == 0
    cache = {"PRE_COMMIT_HOME": str(project / "cache")}
    status, printed = run("pre-commit run sessionstream-lint --all-files", **cache)
    assert status == 1
    assert FINDING in printed
    write("app/bad.py", GOOD)
    assert run("pre-commit run sessionstream-lint --all-files", **cache)[0] == 0


def test_the_other_hooks_are_ones_that_exist(project: Path) -> None:
    (ours,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    for config, expected in (("remote-hook.yaml", ours["id"]), ("flake8-hook.yaml", "flake8")):
        assert run(f"pre-commit validate-config {config}") == (0, "")
        (repository,) = loaded(config)["repos"]
        assert [hook["id"] for hook in repository["hooks"]] == [expected]


def test_the_environment_of_tox(project: Path) -> None:
    # What it would install is installed already; no registry is asked.
    overrides = "-x testenv:schema-vet.deps= -x testenv:schema-vet.allowlist_externals=sessionstream-lint"
    status, printed = run(f"tox -e schema-vet {overrides}")
    assert status == 1
    assert FINDING in printed
    write("app/bad.py", GOOD)
    assert run(f"tox -e schema-vet {overrides}")[0] == 0


def test_the_settings_of_vs_code(project: Path) -> None:
    settings = json.loads(Path(".vscode/settings.json").read_text("utf-8").partition("\n")[2])
    status, printed = run(f"flake8 {shlex.join(settings['flake8.args'])} --isolated app")
    assert status == 1
    assert "SST001" in printed


def test_a_buffer_that_an_editor_pipes(project: Path) -> None:
    write("app/__init__.py", "")
    write("app/names.py", "from google.protobuf.struct_pb2 import Struct as Payload\n")
    write(
        "app/schemas.py", BAD.replace("google.protobuf.struct_pb2 import Struct", "app.names import Payload as Struct")
    )
    status, printed = run("cat app/schemas.py | sessionstream-lint - --stdin-filename app/schemas.py")
    assert status == 1
    assert "app/schemas.py:4:" in printed


def test_ruff_leaves_our_comments_alone(project: Path) -> None:
    write("app/bad.py", BAD.replace("Struct)\n", "Struct)  # noqa: SST001\n"))
    assert run("ruff check --config ruff.toml --select RUF100,RUF102 app")[0] == 0
    assert "SST001" in run("ruff check --isolated --select RUF100,RUF102 app")[1]
