"""What cannot be read, and how far the engine goes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sessionstream_lint import engine
from sessionstream_lint.inference.callers import MAX_CALLS
from sessionstream_lint.program.resolve import Project, Source
from sessionstream_lint.reading import outline, syntax

HEAD = "from google.protobuf.struct_pb2 import Struct\nfrom sessionstream import SchemaRegistry\n"
CALL = "SchemaRegistry().register_event('A', {})\n"


def found(source: str, path: str = "x.py") -> list[tuple[int, int, str]]:
    return [(one.line, one.column, one.code) for one in engine.check(source, path)]


def test_what_registers_nothing_is_not_parsed() -> None:
    assert found("def broken(:\n") == []


def test_what_nests_too_deep_for_libcst_is_said_where_something_registers() -> None:
    deep = "x" + ".a" * outline.MAX_NESTING
    [(line, _, code)] = found(f"{HEAD}y = {deep}\n{CALL.format('Struct')}")
    assert (line, code) == (4, "SST900")
    assert found(f"{HEAD}y = {deep}\n") == []


def test_what_libcst_cannot_read_of_another_file_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.py").write_text("from google.protobuf.struct_pb2 import Struct as Blob\n")
    path = tmp_path / "x.py"
    source = f"{HEAD}from other import Blob\n{CALL.format('Blob')}{CALL.format('Struct')}"
    path.write_text(source)
    read = syntax.read

    def broken(text: str, tree: ast.Module) -> object:
        if "Blob)" not in text:
            raise RuntimeError("lost")
        return read(text, tree)

    monkeypatch.setattr(syntax, "read", broken)
    assert [line for line, _, code in found(source, str(path)) if code == "SST001"] == [5]


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
