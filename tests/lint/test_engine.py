"""When the two readers do not agree, or one is missing, and how far the engine goes."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import sessionstream_lint
from sessionstream_lint import engine, reading
from sessionstream_lint.callers import MAX_CALLS
from sessionstream_lint.resolve import Project, Source

HEAD = "from google.protobuf.struct_pb2 import Struct\nfrom sessionstream import SchemaRegistry\n"
CALL = "SchemaRegistry().register_event('A', {})\n"


def found(source: str, path: str = "x.py", tree: str | None = None) -> list[tuple[int, int, str]]:
    parsed = None if tree is None else ast.parse(tree)
    return [(one.line, one.column, one.code) for one in engine.check(source, path, parsed)]


def test_what_registers_nothing_is_not_parsed() -> None:
    assert found("def broken(:\n") == []


@pytest.mark.parametrize(
    ("seen", "handed"),
    [
        (CALL.format("Struct"), CALL.format("name(Struct)")),
        (CALL.format("Struct"), CALL.format("Struct()")),
        (CALL.format("Struct, 1"), CALL.format("Struct")),
        (CALL.format("*(1, Struct)"), CALL.format("*(Struct,)")),
        ("SchemaRegistry().register_event(*('A', Struct))\n", "SchemaRegistry().register_event(*('A',))\n"),
    ],
    ids=["another call", "another kind of argument", "fewer arguments", "another item", "fewer items"],
)
def test_the_tree_decides_where_the_text_says_something_else(seen: str, handed: str) -> None:
    """Whoever hands over a tree may have changed it: the places are those of its own nodes, or none."""
    assert found(HEAD + seen, tree=HEAD + handed) == [
        (one.line, one.column, one.code) for one in engine.check(HEAD + handed, "x.py", reader="ast")
    ]


def test_without_libcst_ast_reads_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sessionstream_lint, "syntax_cst", raising=False)
    monkeypatch.setitem(sys.modules, "sessionstream_lint.syntax_cst", None)
    assert found(HEAD + CALL.format("Struct")) == [(3, 0, "SST900"), (3, 37, "SST001")]


def test_what_nests_too_deep_for_libcst_is_read_by_ast() -> None:
    source = HEAD + CALL.format("Struct") + "x.register_event('B', x" + ".a" * reading.MAX_NESTING + ")\n"
    assert reading.read(source, ast.parse(source)) is None
    assert found(source) == [(3, 37, "SST001")]


def test_so_many_calls_of_a_wrapper_are_looked_at() -> None:
    wrapper = "def add(schemas):\n    schemas.register_event('A', Struct)\n"
    calls = "add(None)\n" * MAX_CALLS
    assert found(f"{HEAD}{wrapper}add(SchemaRegistry())\n{calls}") == [(4, 32, "SST001")]
    assert found(f"{HEAD}{wrapper}{calls}add(SchemaRegistry())\n") == []


@pytest.mark.parametrize("path", ["x" * 300 + "/y.py", "\0/y.py"])
def test_a_path_that_no_file_can_have(path: str) -> None:
    assert found(HEAD + CALL.format("Struct"), path) == [(3, 37, "SST001")]


def test_imports_of_what_no_file_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    source = HEAD + f"from {'x' * 300} import registry\nregistry.register_event('A', Struct)\n"
    path.write_text(source)
    assert found(source, str(path)) == []


def test_a_file_that_is_gone_has_nothing_to_read(tmp_path: Path) -> None:
    project, _ = Project.around(str(tmp_path / "x.py"))
    assert Source(tmp_path / "gone.py", "gone", "").read() is None
    assert project.load("gone") is None
