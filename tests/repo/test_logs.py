"""Every logging call of the library says which session it concerns, if it knows one."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import sessionstream

PACKAGE = Path(sessionstream.__file__).parent
METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
KEYWORDS = {"exc_info", "extra", "error", "level", "session_id", "ordinal", "event"}

CONFIGURES = {"logs.py", "admin/cli.py", "systemlab/cli.py"}
"""Files that ask for a logger itself: to make a SessionLog, or to add a handler or a filter."""

ABOUT_NO_SESSION = {
    "transport/ws/server/connection.py _perform": "a connection is closed, which may watch several sessions",
}
"""Functions that know a session, and log something else."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def logging_calls(function: Function) -> Iterator[ast.Call]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            called = ast.unparse(node.func.value)
            if called.rpartition(".")[2].strip("_") in ("log", "logger", "LOG"):
                yield node


def knows_a_session(function: Function) -> bool:
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    attributes = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    parameters = {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}
    return "session_id" in names | attributes | parameters


def faults(path: Path, place: str) -> list[str]:
    found = []
    for function in functions(path):
        for call in logging_calls(function):
            keywords = {each.arg for each in call.keywords}
            if not keywords <= KEYWORDS:
                found.append(f"{place}:{call.lineno}: {sorted(map(str, keywords - KEYWORDS))}")
            is_excepted = f"{place} {function.name}" in ABOUT_NO_SESSION
            if knows_a_session(function) and "session_id" not in keywords and not is_excepted:
                found.append(f"{place}:{call.lineno}: {function.name} knows a session_id and does not pass it")
    return found


def test_every_call_that_knows_a_session_passes_it() -> None:
    paths = {str(path.relative_to(PACKAGE)): path for path in PACKAGE.rglob("*.py")}
    assert sum(len(list(logging_calls(each))) for path in paths.values() for each in functions(path)) > 40
    assert [fault for place, path in paths.items() for fault in faults(path, place)] == []
    for excepted in ABOUT_NO_SESSION:
        place, name = excepted.split()
        assert any(each.name == name and list(logging_calls(each)) for each in functions(paths[place]))


def test_every_logger_is_a_session_log() -> None:
    asking = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if "getLogger(" in path.read_text(encoding="utf-8")
    }
    assert asking == CONFIGURES


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("def f(session_id):\n    _log.warning('x')", "f knows a session_id and does not pass it"),
        ("def f(self):\n    self._log.log('x', self.session_id)", "f knows a session_id and does not pass it"),
        ("def f():\n    logger.error('x', sesion_id=1)", "['sesion_id']"),
    ],
)
def test_a_call_that_forgets_it_is_found(code: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(code, encoding="utf-8")
    assert faults(path, "module.py") == [f"module.py:2: {fault}"]


def test_the_attributes_are_nobody_elses() -> None:
    own = vars(logging.makeLogRecord({}))
    assert not [name for name in own if name.startswith("sessionstream")]
