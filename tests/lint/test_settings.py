"""Options of a file, whatever else is on the command line; what is counted, and what was there before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionstream_lint.command.cli import main

HEAD = "from google.protobuf.struct_pb2 import Struct, Value\nfrom sessionstream import SchemaRegistry\n"
BAD = HEAD + 'SchemaRegistry().register_event("A", Struct)\n'
OPEN = BAD + 'SchemaRegistry().register_event("B", Value)\n'


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two projects beside each other: one ignores SST001, the other selects SST002 as well."""
    for name, options in (("a", 'ignore = ["SST001"]'), ("b", 'extend-select = ["SST002"]')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(f"[tool.sessionstream-lint]\n{options}\n")
        (tmp_path / name / "x.py").write_text(OPEN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def places(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, int, str]]:
    return [(one["path"], one["line"], one["code"]) for one in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize("paths", [["a", "b"], ["b", "a"], ["."], ["a/x.py", "b/x.py"], ["b/x.py", "a/x.py"]])
def test_the_configuration_is_that_of_each_file(
    two: Path, paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*paths, "--format", "json"]) == 1
    assert places(capsys) == [("b/x.py", 3, "SST001"), ("b/x.py", 4, "SST002")]


def test_exclusions_are_those_of_each_file(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (two / "a" / "pyproject.toml").write_text('[tool.sessionstream-lint]\nexclude = ["x.py"]\n')
    assert main(["b", "a", "--format", "json"]) == 1
    assert {path for path, _, _ in places(capsys)} == {"b/x.py"}


def test_a_given_configuration_is_for_all_files(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "b", "--config", "a/pyproject.toml"]) == 0


@pytest.mark.parametrize(
    "options",
    [
        '[tool.sessionstream-lint.per-file-ignores]\n"old/*" = ["SST001"]\n',
        '[tool.sessionstream-lint]\nper-file-ignores = "old/*: SST001"\n',
        '[tool.sessionstream-lint]\nper-file-ignores = ["other.py: SST9", "old/*: SST001"]\n',
    ],
)
def test_codes_are_ignored_in_files_that_fit_a_pattern(
    tmp_path: Path, options: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("old", "new"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "x.py").write_text(BAD)
    (tmp_path / "pyproject.toml").write_text(options)
    monkeypatch.chdir(tmp_path / "new")
    assert main(["..", "--format", "json"]) == 1
    assert [Path(path).parts[-2:] for path, _, _ in places(capsys)] == [("new", "x.py")]
    assert main([".", "--per-file-ignores", "x.py: SST001"]) == 0


def test_a_pattern_without_codes_is_refused(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "--per-file-ignores", "tests/*"]) == 2
    assert "--per-file-ignores: 'tests/*' is not a pattern, a colon and codes" in capsys.readouterr().err


def test_exit_zero_is_for_findings_only(two: Path) -> None:
    assert main(["b", "--exit-zero"]) == 0
    assert main(["b", "missing", "--exit-zero"]) == 2


def test_statistics(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["b", "--statistics"]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 2
    assert captured.err.splitlines() == [
        "1     SST001 a payload is registered as top-level google.protobuf.Struct",
        "1     SST002 a payload is registered as google.protobuf.Value, ListValue or Any itself",
    ]


def test_a_baseline_leaves_out_what_was_there(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["b", "--format", "json"]) == 1
    (two / "before.json").write_text(capsys.readouterr().out)
    assert main(["b", "--baseline", "before.json"]) == 0
    (two / "b" / "x.py").write_text("# moved\n" + OPEN + 'SchemaRegistry().register_event("A", Struct)\n')
    assert main([str(two / "b"), "--baseline", "before.json", "--format", "json"]) == 1
    assert [(line, code) for _, line, code in places(capsys)] == [(6, "SST001")]


@pytest.mark.parametrize("content", ["", "{}x", '{"a": 1}', "[1]", '[{"path": "x"}]'])
def test_a_baseline_that_is_none_is_refused(two: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (two / "before.json").write_text(content)
    assert main(["b", "--baseline", "before.json"]) == 2
    assert "before.json is not a list of findings in JSON" in capsys.readouterr().err
    assert main(["b", "--baseline", "missing.json"]) == 2
    assert "cannot read missing.json" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["venv", "env", "build", "dist"])
def test_environments_and_what_is_built_are_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "x.py").write_text(BAD)
    assert main([str(tmp_path)]) == 0
    (tmp_path / name / "__init__.py").write_text("")
    assert main([str(tmp_path)]) == 1


def test_an_environment_of_any_name_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "py311").mkdir()
    (tmp_path / "py311" / "x.py").write_text(BAD)
    (tmp_path / "py311" / "pyvenv.cfg").write_text("")
    assert main([str(tmp_path)]) == 0


def test_sarif_says_what_could_not_be_read(two: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "missing.py", "--format", "sarif"]) == 2
    [run] = json.loads(capsys.readouterr().out)["runs"]
    [invocation] = run["invocations"]
    assert invocation["executionSuccessful"] is False
    [note] = invocation["toolExecutionNotifications"]
    assert note["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "missing.py"}
    assert note["message"]["text"].startswith("cannot read the file: ")
    assert main(["a", "--format", "sarif"]) == 0
    [run] = json.loads(capsys.readouterr().out)["runs"]
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]
    driver = run["tool"]["driver"]
    assert driver["informationUri"].startswith("https://")
    assert all(rule["fullDescription"]["text"] and rule["helpUri"] for rule in driver["rules"])
