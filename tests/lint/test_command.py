"""``sessionstream-lint``: paths, formats, exit codes, suppressions."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionstream_lint.command.cli import main
from sessionstream_lint.options import OPT_IN
from sessionstream_lint.rules.catalogue import SUMMARIES
from sessionstream_lint.version import VERSION

from ..pairs import pairs
from .conftest import Flake8

HEAD = "from google.protobuf.struct_pb2 import Struct\nfrom sessionstream import SchemaRegistry\n"
BAD = HEAD + 'SchemaRegistry().register_event("A", Struct)\n'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pkg" / ".venv").mkdir(parents=True)
    (tmp_path / "pkg" / "bad.py").write_text(BAD)
    (tmp_path / "pkg" / "good.py").write_text(HEAD)
    (tmp_path / "pkg" / "notes.txt").write_text(BAD)
    (tmp_path / "pkg" / ".venv" / "ignored.py").write_text(BAD)
    return tmp_path


def test_text_and_exit_codes(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("pkg/bad.py:3:38: SST001 event 'A' registers google.protobuf.Struct")
    assert out.count("\n") == 1
    assert main(["pkg/good.py"]) == 0
    assert main([]) == 1
    assert main(["pkg/notes.txt"]) == 1


def test_json(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", "--format", "json"]) == 1
    [found] = json.loads(capsys.readouterr().out)
    assert {key: found[key] for key in ("path", "line", "column", "code")} == {
        "path": "pkg/bad.py",
        "line": 3,
        "column": 38,
        "code": "SST001",
    }
    assert main(["pkg/good.py", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_sarif(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", "--format", "sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == sorted(SUMMARIES)
    [result] = run["results"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "SST001"
    [location] = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "pkg/bad.py"},
        "region": {"startLine": 3, "startColumn": 38},
    }
    assert main(["pkg/good.py", "--format", "sarif"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"] == []


def test_sarif_is_what_code_scanning_wants(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a b%c.py", "d e%f.py"):
        (tree / name).write_text(BAD.replace('"A"', '"\U0001d518"'))
    assert main(["a b%c.py", str(tree / "d e%f.py"), "--format", "sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    assert set(log) == {"$schema", "version", "runs"}
    [run] = log["runs"]
    for rule in run["tool"]["driver"]["rules"]:
        assert rule["help"]["markdown"].startswith(f"# {rule['id']}: ")
        assert rule["defaultConfiguration"] == {"level": "error", "enabled": rule["id"] not in OPT_IN}
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    uris = [place["artifactLocation"]["uri"] for place in places]
    assert sorted(uris) == ["a%20b%25c.py", (tree / "d e%f.py").as_uri()]
    for result, place in zip(run["results"], places, strict=True):
        assert set(result) == {"ruleId", "ruleIndex", "level", "message", "locations"}
        assert place["region"] == {"startLine": 3, "startColumn": 38}


@pytest.mark.torture
def test_sarif_is_what_the_public_validator_wants(tree: Path, python: str) -> None:
    """Microsoft's, from npm; it also says what only a part of those who read such files understand."""
    command = [python, "-m", "sessionstream_lint", "pkg", "missing.py", "--format", "sarif"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (tree / "found.sarif").write_text(done.stdout)
    validator = ["npx", "--yes", "@microsoft/sarif-multitool@5", "validate", "found.sarif", "--output", "report.sarif"]
    environment = os.environ | {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
    subprocess.run(validator, env=environment, capture_output=True, text=True, check=True)
    report = json.loads((tree / "report.sarif").read_text("utf-8-sig"))
    assert [one["ruleId"] for one in report["runs"][0]["results"] if one.get("level") == "error"] == []


def test_github(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", "--format", "github"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("::error file=pkg/bad.py,line=3,col=38,title=SST001::SST001 event 'A' registers")


def test_github_escapes(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "a,b:c%.py").write_text(BAD)
    assert main(["a,b:c%.py", "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error file=a%2Cb%3Ac%25.py,line=3")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--select", "SST001"], 1),
        (["--select", "SST"], 1),
        (["--select", "SST900"], 0),
        (["--ignore", "SST001"], 0),
        (["--ignore", "SST"], 0),
        (["--ignore", "SST9"], 1),
        (["--select", "SST001", "--ignore", "SST"], 1),
        (["--select", "SST", "--ignore", "SST001"], 0),
        (["--select", "SST9,SST"], 1),
    ],
)
def test_select_and_ignore(tree: Path, options: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", *options]) == status


def test_a_code_that_is_none_is_a_usage_error(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", "--select", "SST0012"]) == 2
    assert "SST0012" in capsys.readouterr().err


def test_usage_errors_exit_with_two(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--format", "xml"])
    assert stop.value.code == 2


def test_a_reader_that_goes_away_is_no_traceback(tree: Path, python: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [python, "-m", "sessionstream_lint", "pkg"]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (2, "")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sessionstream-lint {VERSION}\n"


def test_standard_input(tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    assert main(["-", "--stdin-filename", "pkg/edited.py"]) == 1
    assert capsys.readouterr().out.startswith("pkg/edited.py:3:38: SST001")


def test_standard_input_stands_for_a_file_of_the_project(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an editor pipes has the imports of the file that it stands for."""
    (tree / "pkg" / "__init__.py").write_text("")
    (tree / "pkg" / "names.py").write_text("from google.protobuf.struct_pb2 import Struct as Payload\n")
    (tree / "pkg" / "edited.py").write_text("")
    source = "from sessionstream import SchemaRegistry\nfrom .names import Payload\n"
    source += 'SchemaRegistry().register_event("A", Payload)\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(source.encode())))
    assert main(["-", "--stdin-filename", "pkg/edited.py"]) == 1
    assert capsys.readouterr().out.startswith("pkg/edited.py:3:38: SST001")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(source.encode())))
    assert main(["-"]) == 0


def test_what_cannot_be_read_is_said_and_the_rest_is_checked(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["missing.py", "pkg"]) == 2
    captured = capsys.readouterr()
    assert "cannot read missing.py" in captured.err
    assert "pkg/bad.py:3:38" in captured.out


@pytest.fixture
def special(tree: Path) -> Iterator[Path]:
    """Things named as files that are none: reading them waits for a writer, or never ends."""
    os.mkfifo(tree / "pkg" / "pipe.py")
    (tree / "pkg" / "zero.py").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("pkg/socket.py")
        yield tree


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_what_is_no_file_is_passed_by_in_a_directory(special: Path, python: str) -> None:
    done = run(python, "pkg")
    assert done.returncode == 1
    assert done.stdout.startswith("pkg/bad.py:3:38: SST001")
    assert done.stderr == ""


def run(python: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "sessionstream_lint", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.parametrize("head", [b"", b"# coding: utf-8\n", b"# coding: no-such-encoding\n", b"\xef\xbb\xbf"])
def test_a_broken_encoding_hides_nothing(
    tree: Path, head: bytes, flake8: Flake8, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "latin.py").write_bytes(head + BAD.encode() + b"# \xe9\n")
    assert main(["latin.py"]) == 1
    out = capsys.readouterr().out
    assert flake8("--isolated", "-j1", "--select=SST", "latin.py").out == out


def test_a_syntax_error_in_a_file_that_registers_is_a_finding(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "broken.py").write_text(BAD + "def\n")
    assert main(["broken.py"]) == 1
    assert "broken.py:3:1: SST900 this file could not be analysed (SyntaxError" in capsys.readouterr().out


def test_encodings_and_byte_order_marks(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "latin.py").write_bytes(b"# coding: latin-1\n" + BAD.replace('"A"', '"\xe9"').encode("latin-1"))
    (tree / "mark.py").write_bytes(b"\xef\xbb\xbf" + BAD.encode())
    assert main(["latin.py", "mark.py"]) == 1
    out = capsys.readouterr().out
    assert "latin.py:4:38: SST001 event '\xe9'" in out
    assert "mark.py:3:38: SST001" in out


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("# flake8: noqa\n" + BAD, 0),
        ("# flake8: noqa: SST001\n" + BAD, 0),
        ("# flake8: noqa: E501\n" + BAD, 0),
        ("# FLAKE8=NOQA because\n" + BAD, 0),
        ("x = 1  # flake8: noqa\n" + BAD, 1),
        (BAD.rstrip() + "  # noqa:sst001\n", 1),
        (BAD.rstrip() + "  # NoQA:E501,,SST0\n", 0),
        (BAD.rstrip() + "  # noqa: E501, SST001\n", 0),
        (BAD.rstrip() + "  # noqa:SST001 because\n", 0),
        (BAD.rstrip() + "  # noqa: F401\n", 1),
        (BAD.rstrip() + "  # no qa\n", 1),
        (BAD.rstrip() + "  # noqa: SST001SST002\n", 1),
        (BAD.rstrip() + "  # noqa: SST002SST001\n", 1),
        (HEAD + 'SchemaRegistry().register_event("""\n""", Struct)  # noqa\n', 0),
        (HEAD + 'SchemaRegistry().register_event(  # noqa\n"A", Struct)\n', 1),
    ],
)
def test_suppressions_are_those_of_flake8(tree: Path, source: str, status: int, flake8: Flake8) -> None:
    (tree / "case.py").write_text(source)
    assert main(["case.py"]) == status
    assert flake8("--isolated", "-j1", "--select=SST", "case.py").status == status


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_forbidden_file_is_said(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "secret.py").write_text(BAD)
    (tree / "secret.py").chmod(0)
    assert main(["secret.py"]) == 2


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", "sst001"]) == 0
    assert capsys.readouterr().out.startswith("# SST001: ")
    assert main(["--explain", "SST777"]) == 2
    assert "SST777" in (said := capsys.readouterr()).err
    assert ", ".join(sorted(SUMMARIES)) in said.err
    assert said.out == ""


def test_a_suppression_in_a_file_that_does_not_compile(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its statements have no ends, so each comment stands for its line."""
    broken = tree / "broken.py"
    broken.write_text(HEAD + "x.register_event('A', (\n")
    assert main([str(broken)]) == 1
    assert ":3:1: SST900" in capsys.readouterr().out
    broken.write_text(HEAD + "x.register_event('A', (  # noqa: SST900\n")
    assert main([str(broken)]) == 0


class Absent:
    """An import system that has no libcst, or fails when it is asked for it."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "libcst":
            raise ImportError("blocked")


def test_libcst_missing_is_a_usage_error(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "libcst", None)
    assert main(["pkg"]) == 2
    monkeypatch.delitem(sys.modules, "libcst")
    monkeypatch.setattr(sys, "meta_path", [Absent(), *sys.meta_path])
    assert main(["pkg"]) == 2
    assert capsys.readouterr().err.count("pip install 'sessionstream[lint]'") == 2


def test_standard_input_may_be_excluded(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    (tree / "pyproject.toml").write_text("[tool.sessionstream-lint]\nexclude = ['old']\n")
    assert main(["-", "--stdin-filename", "old/bad.py"]) == 0


def in_locale(python: str, encoding: str, *args: str | bytes) -> subprocess.CompletedProcess[bytes]:
    command = [python, "-m", "sessionstream_lint", *args]
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(command, capture_output=True, check=False, timeout=20, env=env)


@pytest.mark.parametrize(("encoding", "kind"), pairs(["ascii", "utf-8", "cp1252"], ["json", "sarif"]))
def test_json_and_sarif_do_not_depend_on_the_locale(tree: Path, encoding: str, kind: str, python: str) -> None:
    (tree / "bad.py").write_text(BAD.replace('"A"', '"\U0001d518"'), encoding="utf-8")
    done = in_locale(python, encoding, "bad.py", "--format", kind)
    assert (done.returncode, done.stderr) == (1, b"")
    assert "\U0001d518" in json.dumps(json.loads(done.stdout.decode("ascii")), ensure_ascii=False)


@pytest.mark.parametrize("kind", ["text", "github"])
def test_what_the_locale_cannot_write_is_escaped(tree: Path, kind: str, python: str) -> None:
    (tree / "bad.py").write_text(BAD.replace('"A"', '"\U0001d518"'), encoding="utf-8")
    done = in_locale(python, "ascii", "bad.py", "--format", kind)
    assert (done.returncode, done.stderr) == (1, b"")
    assert rb"event '\U0001d518'" in done.stdout
    assert in_locale(python, "ascii", "--explain", "SST001").returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are text")
def test_a_name_that_is_no_text_is_escaped(tree: Path, python: str, capsys: pytest.CaptureFixture[str]) -> None:
    raw = b"inv\xff.py"
    name = os.fsdecode(raw)
    (tree / name).write_text(BAD)
    main([name, "--format", "sarif"])
    [result] = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "inv%FF.py"}
    main([str(tree / name), "--format", "sarif"])
    assert "/inv%FF.py" in capsys.readouterr().out
    done = in_locale(python, "utf-8", raw, "--format", "json")
    assert json.loads(done.stdout.decode("ascii"))[0]["path"] == "inv\udcff.py"
    assert main([name, "--format", "github"]) == 1
    assert r"inv\udcff.py" in capsys.readouterr().out
    done = in_locale(python, "utf-8", raw, b"gone\xff.py")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert rb"inv\udcff.py" in done.stdout


def test_a_line_end_in_a_name_does_not_break_the_line(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "a\nb.py").write_text(BAD)
    assert main(["a\nb.py"]) == 1
    assert capsys.readouterr().out.startswith("a\\nb.py:3:38: SST001")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("args", [["pkg"], ["pkg", "--format", "json"], ["--explain", "SST001"], ["--version"]])
def test_output_that_cannot_be_written_is_said(tree: Path, args: list[str], python: str) -> None:
    with Path("/dev/full").open("wb") as full:
        command = [python, "-m", "sessionstream_lint", *args]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=20)
    assert done.returncode == 2
    assert done.stderr == "sessionstream-lint: cannot write the findings: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize(
    ("closed", "said"),
    [("pkg >&-", "cannot write the findings: it is closed"), ("- <&-", "cannot read -: it is closed")],
)
def test_closed_streams_are_said(tree: Path, closed: str, said: str, python: str) -> None:
    command = f"'{python}' -m sessionstream_lint {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr) == (2, f"sessionstream-lint: {said}\n")


def test_links_that_lead_nowhere_do_not_stop_the_walk(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "pkg" / "self").symlink_to("self")
    assert main(["pkg"]) == 1
    assert capsys.readouterr().err == ""
    (tree / "pkg" / "self.py").symlink_to("self.py")
    (tree / "pkg" / "gone.py").symlink_to("nowhere.py")
    assert main(["pkg"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("pkg/bad.py:3:38: SST001")
    assert captured.err == ""
    assert main(["pkg/gone.py"]) == 2
    assert capsys.readouterr().err.startswith("sessionstream-lint: cannot read pkg/gone.py: ")


def test_the_lock_of_an_editor_is_passed_by(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Emacs: a link to who is editing the file, at a place that does not exist."""
    (tree / "pkg" / ".#bad.py").symlink_to("me@here.1234:5678")
    assert main(["pkg"]) == 1
    assert capsys.readouterr().err == ""
    assert main(["pkg/.#bad.py"]) == 2


def test_a_file_that_is_given_twice_is_checked_once(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg/bad.py", "./pkg/bad.py", "pkg", "."]) == 1
    assert capsys.readouterr().out.count("\n") == 1


def test_to_select_nothing_is_a_usage_error(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pkg", "--select", ""]) == 2
    assert main(["pkg", "--select", " , "]) == 2
    assert capsys.readouterr().err.startswith("sessionstream-lint: --select: ")
