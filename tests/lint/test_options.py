"""Options of the plugin and of the command, wherever they are written."""

from __future__ import annotations

import io
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from sessionstream_lint.command.cli import main
from sessionstream_lint.options import Options
from sessionstream_lint.rules.catalogue import SUMMARIES

from ..pairs import pairs
from .conftest import Flake8

FILES = {
    "generated/shared/__init__.py": "",
    "generated/shared/payloads.py": "from google.protobuf.struct_pb2 import Struct as Payload\n",
    "app/use.py": """
        from sessionstream import SchemaRegistry
        from shared.payloads import Payload
        SchemaRegistry().register_event("A", Payload)
    """,
    "app/plain.py": """
        from google.protobuf.struct_pb2 import Struct, Value
        from sessionstream import SchemaRegistry
        SchemaRegistry().register_event("A", Struct)
        SchemaRegistry().register_event("B", Value)
        SchemaRegistry().register_event("", Value)
    """,
}
USE, PLAIN = "app/use.py:4:38: SST001", "app/plain.py:4:38: SST001"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def places(out: str) -> list[str]:
    return sorted(match[0] for match in re.finditer(r"^[^:\n]+:\d+:\d+: \w+", out, re.MULTILINE))


def flake8_command(python: str, *args: str) -> list[str]:
    done = subprocess.run([python, "-m", "flake8", *args], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return places(done.stdout)


# Source roots ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written"),
    pairs(
        ["setup.cfg", "tox.ini", ".flake8"],
        ["generated", "./generated", "generated, app", "app,\n    generated", "{}/generated"],
    ),
)
def test_flake8_resolves_roots_relative_to_its_configuration(
    project: Path, name: str, written: str, flake8: Flake8, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / name).write_text(f"[flake8]\nselect = SST001\nsst-src-roots = {written.format(project)}\n")
    assert places(flake8("-j1", "app/use.py").out) == [USE]
    monkeypatch.chdir(project / "app")
    assert places(flake8("-j1", f"--config={project / name}", "use.py").out) == ["use.py:4:38: SST001"]


@pytest.mark.parametrize(("written", "jobs"), pairs(["generated", "./generated", "app,generated"], ["-j1", "-j2"]))
def test_flake8_takes_roots_on_the_command_line(project: Path, written: str, jobs: str, python: str) -> None:
    found = flake8_command(python, "--isolated", "--select=SST001", jobs, f"--sst-src-roots={written}", "app")
    assert found == [PLAIN, USE]


def test_flake8_finds_no_import_without_a_root(project: Path, flake8: Flake8) -> None:
    assert places(flake8("--isolated", "--select=SST001", "-j1", "app").out) == [PLAIN]


def test_the_configuration_may_use_underscores(project: Path, flake8: Flake8) -> None:
    (project / ".flake8").write_text("[flake8]\nselect = SST001\nsst_src_roots = generated\n")
    assert places(flake8("-j1", "app/use.py").out) == [USE]


def test_flake8_refuses_a_root_that_is_not_there(project: Path, flake8: Flake8) -> None:
    done = flake8("--isolated", "-j1", "--sst-src-roots=missing", "app")
    assert done.status == 2
    assert f"sst-src-roots: {project / 'missing'} is not a directory" in done.err
    assert done.out == ""


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.cfg"])
@pytest.mark.parametrize("directory", [".", "app"])
def test_the_command_resolves_roots_relative_to_its_configuration(
    project: Path, name: str, directory: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = {
        "pyproject.toml": '[tool.sessionstream-lint]\nsst-src-roots = ["generated"]\n',
        "setup.cfg": "[sessionstream-lint]\nsst-src-roots = generated\n",
    }
    (project / name).write_text(text[name])
    monkeypatch.chdir(project / directory)
    assert main([str(project / "app" / "use.py")]) == 1
    assert "use.py:4:38: SST001" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["app/use.py", "app", "."])
def test_the_configuration_is_looked_for_from_the_file_on(
    project: Path, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a run from elsewhere finds the same."""
    (project / "pyproject.toml").write_text('[tool.sessionstream-lint]\nsst-src-roots = ["generated"]\n')
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pyproject.toml").write_text('[tool.sessionstream-lint]\nignore = "SST"\n')
    monkeypatch.chdir(elsewhere)
    assert main([str(project / given)]) == 1
    assert "use.py:4:38: SST001" in capsys.readouterr().out
    source = (project / "app" / "use.py").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(source)))
    assert main(["-", "--stdin-filename", str(project / "app" / "use.py")]) == 1
    assert main([str(elsewhere), str(project / given)]) == 1


@pytest.mark.parametrize(
    ("name", "section", "right"),
    [
        ("pyproject.toml", "tool.sessionstream_lint", "tool.sessionstream-lint"),
        ("pyproject.toml", "sessionstream-lint", "tool.sessionstream-lint"),
        ("setup.cfg", "tool:sessionstream-lint", "sessionstream-lint"),
        ("setup.cfg", "sessionstream_lint", "sessionstream-lint"),
    ],
)
def test_a_section_that_is_named_nearly_so_is_refused(
    project: Path, name: str, section: str, right: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / name).write_text(f"[{section}]\n")
    assert main(["app"]) == 2
    assert f"{name}: the section [{section}] is to be named [{right}]" in capsys.readouterr().err


def test_the_command_takes_roots_and_refuses_missing_ones(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app/use.py"]) == 0
    assert main(["app/use.py", "--sst-src-roots", "generated"]) == 1
    assert main(["app/use.py", "--sst-src-roots", "app,generated"]) == 1
    assert main(["app/use.py", "--sst-src-roots", "app", "--sst-src-roots", "generated"]) == 1
    assert places(capsys.readouterr().out) == [USE] * 3
    assert main(["app/use.py", "--sst-src-roots", "missing"]) == 2
    assert f"sst-src-roots: {project / 'missing'} is not a directory" in capsys.readouterr().err


# Codes -------------------------------------------------------------------------------------------------------


OPT_IN = [
    ((), {"SST001", "SST004"}),
    (("--select=SST",), {"SST001", "SST002", "SST004"}),
    (("--select=SST0",), {"SST001", "SST002", "SST004"}),
    (("--select=SST002",), {"SST002"}),
    (("--select=F,E9",), set()),
    (("--extend-select=SST",), {"SST001", "SST002", "SST004"}),
    (("--extend-select=SST002",), {"SST001", "SST002", "SST004"}),
    (("--ignore=E501",), {"SST001", "SST004"}),
    (("--extend-ignore=SST001",), {"SST004"}),
    (("--select=SST", "--ignore=SST001"), {"SST002", "SST004"}),
    (("--select=SST", "--extend-ignore=SST002"), {"SST001", "SST004"}),
    (("--ignore=SST", "--select=SST002"), {"SST002"}),
]


@pytest.mark.parametrize(
    ("chosen", "place"),
    pairs(OPT_IN, ["command line", "file"], ids=lambda each: each if isinstance(each, str) else " ".join(each[0])),
)
def test_flake8_runs_opt_in_rules_for_those_who_select_them(
    project: Path, chosen: tuple[tuple[str, ...], set[str]], place: str, flake8: Flake8
) -> None:
    options, codes = chosen
    if place == "file":
        lines = (option[2:].replace("=", " = ") for option in options)
        (project / ".flake8").write_text("\n".join(["[flake8]", *lines, ""]))
        done = flake8("-j1", "app/plain.py")
    else:
        done = flake8("--isolated", "-j1", *options, "app/plain.py")
    assert {one[-6:] for one in places(done.out) if "SST" in one} == codes
    assert done.status == int(bool(places(done.out)))


def test_flake8_ignores_per_file(project: Path, flake8: Flake8) -> None:
    (project / ".flake8").write_text("[flake8]\nselect = SST\nper-file-ignores =\n    app/pl*.py: SST001, SST004\n")
    assert places(flake8("-j1", "app").out) == ["app/plain.py:5:38: SST002", "app/plain.py:6:37: SST002"]


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ((), {"SST001", "SST004"}),
        (("--select=SST",), {"SST001", "SST002", "SST004"}),
        (("--select=SST002",), {"SST002"}),
        (("--select=SST", "--ignore=SST001"), {"SST002", "SST004"}),
        (("--ignore=SST001",), {"SST004"}),
        (("--ignore=SST", "--select=SST002"), {"SST002"}),
    ],
)
def test_the_command_does_the_same(
    project: Path, options: tuple[str, ...], codes: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["app/plain.py", *options])
    assert {one[-6:] for one in places(capsys.readouterr().out)} == codes


def test_a_longer_prefix_decides() -> None:
    assert Options(select=("SST002",), ignore=("SST",)).wants("SST002")
    assert not Options(select=("SST",), ignore=("SST002",)).wants("SST002")
    assert not Options(ignore=("SST",)).wants("SST001")
    assert not Options().wants("SST003")


KNOWN = ", ".join(sorted(SUMMARIES))


@pytest.mark.parametrize("option", ["select", "ignore"])
@pytest.mark.parametrize("written", ["SST01", "ZZZ", "SST0011", "E", "S ST1", "sst001x", "SST001,F401", "*"])
def test_what_begins_no_code_is_a_usage_error(
    project: Path, option: str, written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["app/plain.py", f"--{option}", written]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"sessionstream-lint: --{option}: '")
    assert f"is not a code or the beginning of one; the codes are {KNOWN}" in captured.err


@pytest.mark.parametrize("option", ["select", "ignore"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.sessionstream-lint]\n{} = ["SST01"]\n'),
        ("setup.cfg", "[sessionstream-lint]\n{} = SST01\n"),
        ("given.toml", '[tool.sessionstream-lint]\n{} = "SST001 SST01"\n'),
    ],
)
def test_what_begins_no_code_is_refused_in_a_file_too(
    project: Path, option: str, name: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / name).write_text(text.format(option))
    assert main(["app/plain.py", *(["--config", name] if name == "given.toml" else [])]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{name}: {option}: 'SST01' is not a code or the beginning of one; the codes are {KNOWN}" in captured.err


@pytest.mark.parametrize("written", ["S", "SST", "sst", "SST0", "SST00", "SST001", "SST9", "SST900", "SST001, SST9"])
def test_the_beginning_of_a_code_will_do(project: Path, written: str) -> None:
    assert main(["app/plain.py", "--ignore", written]) in (0, 1)
    assert main(["app/plain.py", "--select", written]) in (0, 1)


# The command's configuration ---------------------------------------------------------------------------------


def test_pyproject(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.sessionstream-lint]\nselect = ["SST"]\nignore = "SST001"\nexclude = ["use.py"]\nformat = "github"\n'
    )
    assert main(["app"]) == 1
    out = capsys.readouterr().out
    assert {line[:8] for line in out.splitlines()} == {"::error "}
    assert "SST002" in out
    assert "SST001" not in out
    assert main(["app", "--ignore", "", "--select", "SST001", "--format", "text"]) == 1
    assert places(capsys.readouterr().out) == [PLAIN]


def test_the_nearest_section_counts_and_other_files_do_not_matter(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text('[tool.sessionstream-lint]\nignore = ["SST"]\n')
    (project / "app" / "pyproject.toml").write_text('[tool.ruff]\nselect = ["E"]\n')
    (project / "app" / "setup.cfg").write_text("[flake8]\nignore = E\n")
    monkeypatch.chdir(project / "app")
    assert main(["."]) == 0
    (project / "app" / "setup.cfg").write_text("[sessionstream-lint]\nselect = SST002\n")
    assert main(["."]) == 1
    assert {one[-6:] for one in places(capsys.readouterr().out)} == {"SST002"}


def test_the_configuration_can_be_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pyproject.toml").write_text(
        '[tool.sessionstream-lint]\nselect = ["SST"]\nexclude = ["old"]\nsst-src-roots = ["app"]\n'
    )
    assert main(["app", "--show-config", "--ignore", "SST00", "--format", "json"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"configuration: {project / 'pyproject.toml'}",
        "rules: SST900",
        "exclude: old",
        f"sst-src-roots: {project / 'app'}",
        "format: json",
    ]
    (project / "lint.cfg").write_text("[sessionstream-lint]\nselect = SST001\n")
    assert main(["app", "--show-config", "--config", "lint.cfg"]) == 0
    assert capsys.readouterr().out.startswith("configuration: lint.cfg\nrules: SST001\n")
    assert main(["app", "--show-config", "--config", "missing.toml"]) == 2


def test_that_there_is_no_configuration_can_be_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "setup.cfg").write_text("[flake8]\nmax-line-length = 120\n")
    assert main(["app", "--show-config"]) == 0
    first, rules, exclude, roots, kind = capsys.readouterr().out.splitlines()
    assert first.startswith(
        f"configuration: none; from {project / 'app'} upwards no pyproject.toml has a section [tool."
    )
    assert (rules, exclude) == ("rules: SST001, SST004, SST005, SST900", "exclude: nothing")
    assert (roots, kind) == ("sst-src-roots: where the outermost package of each file lies", "format: text")


def test_a_given_configuration(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "lint.toml").write_text('[tool.sessionstream-lint]\nselect = ["SST002"]\n')
    (project / "pyproject.toml").write_text('[tool.sessionstream-lint]\nignore = ["SST"]\n')
    assert main(["app", "--config", "lint.toml"]) == 1
    assert main(["app", "--config", "missing.toml"]) == 2
    (project / "other.cfg").write_text("[flake8]\n")
    assert main(["app", "--config", "other.cfg"]) == 2
    assert "no section for sessionstream-lint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tool.sessionstream-lint]\nselects = 'SST'\n", "'selects' is not an option of sessionstream-lint"),
        ("[tool.sessionstream-lint]\nselect = 7\n", "7 is neither a string nor an array"),
        ("[tool.sessionstream-lint]\nselect = ['SST0001']\n", "'SST0001' is not a code"),
        ("[tool.sessionstream-lint]\nformat = 'xml'\n", "'xml' is none of text, json, sarif, github"),
        ("[tool.sessionstream-lint]\nsst-src-roots = ['no']\n", "no is not a directory"),
        ("[tool.sessionstream-lint\n", "cannot read"),
        ("[tool]\nsessionstream-lint = 5\n", "pyproject.toml: tool.sessionstream-lint is not a table"),
        *(
            (f"[tool.sessionstream-lint]\n{key} = {value}\n", f"pyproject.toml: {key}: {said} is neither a string nor")
            for key in ("select", "ignore", "exclude", "sst-src-roots")
            for value, said in (("5", "5"), ("0", "0"), ("true", "True"), ("[1]", "[1]"), ("{a = 1}", "{'a': 1}"))
        ),
        *(
            (f"[tool.sessionstream-lint]\nformat = {value}\n", f"pyproject.toml: format: {said} is none of text")
            for value, said in (("5", "5"), ("['json']", "['json']"), ("'xml'", "'xml'"), ("''", "''"))
        ),
        ("[tool.sessionstream-lint]\nsst_src_roots = 'no'\n", "pyproject.toml: sst-src-roots: "),
    ],
)
def test_a_broken_configuration_is_a_usage_error(
    project: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text(text)
    assert main(["app"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_an_option_of_setup_cfg_is_named_with_its_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "setup.cfg").write_text("[sessionstream-lint]\nformat = xml\n")
    assert main(["app"]) == 2
    assert f"{project / 'setup.cfg'}: format: 'xml' is none of text" in capsys.readouterr().err


# Exclusions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ("plain.py", []),
        ("pl*.py", []),
        ("app/plain.py", []),
        ("./app/pl?in.py", []),
        ("app", []),
        ("other,plain.py", []),
        ("lib/plain.py", [PLAIN]),
        ("plain", [PLAIN]),
        ("ap", [PLAIN]),
    ],
)
@pytest.mark.parametrize("path", ["app", "app/plain.py", "."])
def test_what_is_excluded_is_not_checked_in_any_way(
    project: Path, patterns: str, found: list[str], path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([path, "--select=SST001", "--exclude", patterns]) == bool(found)
    assert places(capsys.readouterr().out) == found


def test_exclusions_of_the_configuration_are_relative_to_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text('[tool.sessionstream-lint]\nexclude = ["app/plain.py"]\n')
    monkeypatch.chdir(project / "app")
    assert main(["."]) == 0
    assert main(["plain.py"]) == 0


@pytest.mark.parametrize(
    "content", [b"[sessionstream-lint", b"[sessionstream-lint]\nselect = \xff\n", b"sessionstream-lint\n"]
)
def test_a_configuration_that_cannot_be_read_is_said(
    project: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "setup.cfg").write_bytes(content)
    assert main(["app"]) == 2
    assert f"cannot read {project / 'setup.cfg'}: " in capsys.readouterr().err
