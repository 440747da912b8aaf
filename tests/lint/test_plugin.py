"""The plugin in flake8's hands: it costs nothing, breaks nothing and raises nothing."""

from __future__ import annotations

import ast
import subprocess
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionstream_lint import engine
from sessionstream_lint.options import Options
from sessionstream_lint.plugin import Plugin
from sessionstream_lint.reading import gate

from .steps import Steps

VIOLATION = """\
from google.protobuf.struct_pb2 import Struct
from sessionstream import SchemaRegistry

SchemaRegistry().register_event("A", Struct)
"""


def run(python: str, code: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-c", textwrap.dedent(code), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_libcst_is_imported_only_for_a_file_that_passes_the_gate(python: str) -> None:
    done = run(
        python,
        """
        import ast, sys
        from sessionstream_lint.plugin import Plugin
        source = "def register_event(a): pass\\nregister_evento(1)\\n"
        assert list(Plugin(ast.parse(source), "x.py", source.splitlines(True)).run()) == []
        assert not [name for name in sys.modules if name.startswith("libcst")]
        assert "sessionstream_lint.engine" not in sys.modules
        source = "a.register_event(1, 2)\\n"
        list(Plugin(ast.parse(source), "x.py", source.splitlines(True)).run())
        assert "libcst" in sys.modules and "sessionstream" not in sys.modules
        """,
    )
    assert done.returncode == 0, done.stderr


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "libcst":
            raise ImportError("blocked")
sys.meta_path.insert(0, Block())
"""


def test_without_libcst_flake8_still_runs_and_says_what_to_install(python: str, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("import os\n")
    (tmp_path / "schemas.py").write_text(VIOLATION)
    code = BLOCK + "from flake8.main.cli import main\nsys.exit(main(sys.argv[1:]))"
    done = run(python, code, "--isolated", "-j1", "--select=F,SST001", str(tmp_path))
    assert "SST900" not in done.stdout, "who did not ask for it is not told"
    done = run(python, code, "--isolated", "-j1", "--select=SST,F", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == ""
    other, missing = sorted(done.stdout.splitlines())
    assert "other.py:1:1: F401" in other
    assert "schemas.py:4:1: SST900" in missing
    assert "pip install 'sessionstream[lint]'" in missing


def test_without_libcst_a_correct_project_stays_green(python: str, tmp_path: Path) -> None:
    (tmp_path / "schemas.py").write_text(VIOLATION.replace("Struct)", "other.Message)"))
    code = BLOCK + "from flake8.main.cli import main\nsys.exit(main(sys.argv[1:]))"
    done = run(python, code, "--isolated", "-j1", "--ignore=F", str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run(python, code, "--isolated", "-j1", "--ignore=F", "--extend-select=SST900", str(tmp_path))
    assert "SST900" in done.stdout


def test_without_libcst_the_command_says_what_to_install(python: str, tmp_path: Path) -> None:
    (tmp_path / "schemas.py").write_text(VIOLATION)
    code = BLOCK + "from sessionstream_lint.command.cli import main\nsys.exit(main(sys.argv[1:]))"
    done = run(python, code, str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'sessionstream[lint]'" in done.stderr


def check_through_plugin(source: str) -> list[object]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.parse("")
    return list(Plugin(tree, "x.py", source.splitlines(keepends=True)).run())


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    for source in (text, VIOLATION + text, text + VIOLATION, f"registry.register_event({text})"):
        check_through_plugin(source)


FRAGMENTS = [
    "registry", "Struct", ".register_event", "(", ")", "[", "]", "{", "}", ",", ":", "=", ":=", "*", "**", "lambda ",
    "if ", " else ", " for ", " in ", "\n", "\n    ", "def f", "class C", "return ", "yield ", "await ", "async ",
    "match x:", "case ", " as ", "with ", "try:", "except:", "finally:", "import ", "from . import *", "global x",
    "nonlocal y", "del ", "assert ", "f'{", "}'", "'", '"', "\\", "#", "\t", "\x0c", "\0", "é", "0", "1.", "...",
    "@", "->", "type X = ", "|", " and ", " or ", " not ", " is ", "isinstance(x, Struct)",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
@settings(max_examples=300)
def test_no_mixture_of_syntax_makes_it_raise(text: str) -> None:
    check_through_plugin(VIOLATION + text)
    check_through_plugin("registry.register_event('A', " + text)


def nested(kind: str, depth: int) -> str:
    match kind:
        case "sum":
            inner = " + ".join(["1"] * depth)
        case "or":
            inner = " or ".join(["x"] * depth + ["Struct"])
        case "attribute":
            inner = "x" + ".a" * depth
        case "calls":
            inner = "x" + "(1)" * depth
        case "parentheses":
            inner = "(" * depth + "Struct" + ")" * depth
        case _:
            inner = "not " * depth + "x"
    return VIOLATION + f"SchemaRegistry().register_event('B', {inner})\n"


@pytest.mark.parametrize("depth", [50, 2000])
def test_deep_nesting_does_not_crash(python: str, tmp_path: Path, depth: int) -> None:
    """In another process: a crash of the interpreter must not look like anything else."""
    paths = {kind: tmp_path / f"{kind}.py" for kind in ("sum", "or", "attribute", "calls", "parentheses", "not")}
    for kind, path in paths.items():
        path.write_text(nested(kind, depth))
    command = [python, "-m", "sessionstream_lint", *map(str, paths.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    for path in paths.values():
        found = [line for line in done.stdout.splitlines() if line.startswith(f"{path}:")]
        assert any(":4:38: SST001" in line or "SST900" in line for line in found), path


def test_elif_chains_and_long_files_are_survived() -> None:
    chain = "if x == 0:\n    p = 0\n" + "".join(f"elif x == {n}:\n    p = {n}\n" for n in range(1, 150))
    source = VIOLATION + chain + "SchemaRegistry().register_event('B', p)\n" * 200
    found = engine.check(source, "x.py", options=Options(select=("SST001",)))
    assert [one.code for one in found] == ["SST001"]


@pytest.mark.parametrize("source", ["(x): int = 3\n", "x = 1;;\n", "print 'x'\n", "a.register_event(\n"])
def test_what_a_reader_refuses_is_not_skipped(source: str) -> None:
    assert [one.code for one in engine.check(VIOLATION + source, "x.py")] == ["SST900"]


def test_an_error_of_ours_becomes_a_diagnostic(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(engine, "Registrations", broken)
    [found] = engine.check(VIOLATION, "x.py")
    assert (found.line, found.code) == (4, "SST900")
    assert "KeyError: 'lost'" in found.message


@pytest.mark.parametrize("error", [KeyError, RecursionError, RuntimeError])
def test_what_libcst_cannot_read_is_a_finding_where_something_is_registered(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    from sessionstream_lint.reading import syntax

    def broken(*_: object) -> None:
        raise error("lost")

    monkeypatch.setattr(syntax, "read", broken)
    assert [(one.line, one.code) for one in engine.check(VIOLATION, "x.py")] == [(4, "SST900")]


def test_flake8_reads_standard_input(python: str) -> None:
    done = subprocess.run(
        [python, "-m", "flake8", "--isolated", "--select=SST", "-"],
        input=VIOLATION,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("stdin:4:38: SST001 event 'A' registers google.protobuf.Struct")


@pytest.mark.parametrize(
    ("source", "passes"),
    [
        ("registry.register_event(1)", True),
        ("getattr(r, 'register_ui_event')", True),
        ("x = registry.\\\nregister_command", True),
        ("def register_event(self): ...", False),
        ("register_events()", False),
        ("unregister_event()", False),
        ("register_handler()", False),
        ("", False),
    ],
)
def test_the_gate(source: str, passes: bool) -> None:
    assert gate.concerns(source) is passes
    assert gate.concerns(source.encode()) is passes


def test_calls_that_pass_many_arguments_on_stay_cheap() -> None:
    """A call looked into holds its arguments, and they the call around it: comparing them by value is exponential."""
    names = ", ".join(f"a{n}" for n in range(12))
    functions = "".join(f"def f{n}({names}):\n    return f{n + 1}({names})\n" for n in range(5))
    source = VIOLATION + functions + f"def f5({names}):\n    return a0.register_event\n"
    source += "f0(SchemaRegistry(), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)('B', Struct)\n"
    with Steps() as steps:
        assert [one.code for one in engine.check(source, "x.py")] == ["SST001", "SST001"]
    assert steps.count < 200_000


def test_only_line_ends_end_lines() -> None:
    source = "x = '\u2028\x1c'\n\x0c\n" + VIOLATION.replace('"A"', '"\u2028é"')
    assert [(one.line, one.column, one.code) for one in engine.check(source, "x.py")] == [(6, 38, "SST001")]


def test_names_of_files_do_not_matter(tmp_path: Path) -> None:
    for name in ("-", "stdin", "", "no/such/file.py", "\0", str(tmp_path)):
        assert [one.code for one in engine.check(VIOLATION, name)] == ["SST001"]


def test_the_message_names_the_event_and_the_way_out() -> None:
    [found] = engine.check(VIOLATION, "x.py")
    assert found.text.startswith(
        "SST001 event 'A' registers google.protobuf.Struct as its payload; define a message of its own"
    )
    assert "sessionstream-lint --explain SST001" in found.text


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("1", "an int"),
        ("'x'", "a str"),
        ("1.5", "a float"),
        ("None", "None"),
        ("Struct.DESCRIPTOR", "the descriptor of Struct"),
        ("Struct().DESCRIPTOR", "the descriptor of Struct"),
    ],
)
def test_the_message_names_what_is_no_message(payload: str, text: str) -> None:
    [found] = engine.check(VIOLATION.replace("Struct)", f"{payload})"), "x.py", options=Options(select=("SST005",)))
    assert f"event 'A' registers {text} as its payload; " in found.message


def test_values_that_nest_across_branches_stay_cheap() -> None:
    """Each level shares the one below; whoever walks them anew for each branch never comes back."""
    from sessionstream_lint.engine import check

    head = "from google.protobuf.struct_pb2 import Struct\nfrom sessionstream import SchemaRegistry\n"
    levels = "".join(f"if flag({n}):\n    p = (p, Struct)\n" for n in range(60))
    source = f"{head}r = SchemaRegistry()\np = ()\n{levels}r.register_event('a', p[1])\n"
    assert [one.code for one in check(source, "nested.py")] == ["SST001"]
