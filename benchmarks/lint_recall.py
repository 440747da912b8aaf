"""The planted Struct payloads in ``tests/lint/fixtures`` that four tools find, and their other reports.

    python -m benchmarks.lint_recall

Each tool runs in its own environment below ``build/``, which is created once; a tool that cannot be installed is named
and skipped. mypy uses the ``@deprecated`` overloads. pylint and semgrep know no schemas, so they run a checker and
rules that were written for this benchmark with their own means: inference in pylint, resolved names in semgrep. A
report counts for a planted violation if it is on a line of its statement, because only our linter reports the place of
the payload.

The fixtures were written with our engine, so its recall is 1, or a test fails. The comparison shows how many ways of
writing a registration each tool understands, not how often they occur. "Elsewhere" are reports on other statements:
false alarms, and reports in a wrapper instead of in its caller.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "lint" / "fixtures"
BUILD = ROOT / "build" / "bench-lint"

Report = set[tuple[str, int]]

PYLINT = """
import astroid
from astroid import nodes
from astroid.brain.helpers import register_module_extender
from pylint.checkers import BaseChecker

METHODS = {"register_command", "register_event", "register_ui_event", "register_timeline_entity"}
register_module_extender(astroid.MANAGER, "google.protobuf.struct_pb2", lambda: astroid.parse("class Struct: pass"))


class Payloads(BaseChecker):
    name = "payloads"
    msgs = {"E9901": ("Struct payload", "struct-payload", "A payload is Struct.")}

    def visit_call(self, node):
        owners = {getattr(one.parent.frame(), "name", "") for one in self.inferred(node.func) if self.registers(one)}
        if "SchemaRegistry" not in owners:
            return
        keywords = [one.value for one in node.keywords if one.arg == "message"]
        for payload in [*node.args[1:], *keywords]:
            for one in self.inferred(payload):
                kind = one if isinstance(one, nodes.ClassDef) else getattr(one, "_proxied", None)
                if getattr(kind, "name", "") == "Struct" and kind.root().name == "google.protobuf.struct_pb2":
                    self.add_message("struct-payload", node=payload)
                    return

    def registers(self, one):
        return isinstance(one, (nodes.FunctionDef, astroid.BoundMethod, astroid.UnboundMethod)) and one.name in METHODS

    def inferred(self, node):
        try:
            return [one for one in node.infer() if one is not astroid.Uninferable]
        except (astroid.InferenceError, AttributeError, RecursionError):
            return []


def register(linter):
    linter.register_checker(Payloads(linter))
"""
STRUCT = "google.protobuf.struct_pb2.Struct"
SEMGREP = (
    "rules:\n- id: struct-payload\n  languages: [python]\n  severity: ERROR\n  message: Struct\n  pattern-either:\n"
)
for _method in ("command", "event", "ui_event", "timeline_entity"):
    for _payload in (STRUCT, f"{STRUCT}(...)"):
        for _arguments in (f"$NAME, {_payload}", f"..., message={_payload}, ..."):
            SEMGREP += f"  - pattern: $REGISTRY.register_{_method}({_arguments})\n"


@dataclass(frozen=True)
class Planted:
    """A fixture: the lines of each statement with violations, and their number."""

    path: Path
    statements: tuple[tuple[int, int], ...]


class NotInstallable(Exception):
    """A tool cannot be installed here."""


def planted() -> list[Planted]:
    found = []
    for path in sorted(FIXTURES.glob("sst001_*.py")):
        source = path.read_text("utf-8")
        if "_py3" in path.stem and not _is_readable(source):
            continue
        lines = [
            number
            for number, line in enumerate(source.splitlines(), 1)
            for _ in re.findall(r"col \d+", line.partition("# expect: ")[2])
        ]
        tree = ast.parse(source)
        ends = [(one.lineno, one.end_lineno or one.lineno) for one in ast.walk(tree) if isinstance(one, ast.stmt)]
        found.append(Planted(path, tuple(_innermost(line, ends) for line in lines)))
    return found


def _is_readable(source: str) -> bool:
    """Whether this Python, which also runs the other tools, can parse a fixture."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _innermost(line: int, statements: list[tuple[int, int]]) -> tuple[int, int]:
    around = (one for one in statements if one[0] <= line <= one[1])
    return min(around, key=lambda one: one[1] - one[0], default=(line, line))  # a decorator is outside of its statement


def environment(tool: str, *requirements: str) -> Path:
    """Return the ``bin`` directory of the tool's environment."""
    directory = BUILD / tool
    done = directory / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
        pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements]
        installed = subprocess.run(pip, capture_output=True, text=True, check=False)
        if installed.returncode:
            raise NotInstallable(installed.stderr.strip().splitlines()[-1])
        done.touch()
    return directory / "bin"


def run(*command: str) -> str:
    paths = {"MYPYPATH": f"{ROOT}:{FIXTURES}", "PYTHONPATH": f"{BUILD}:{FIXTURES}"}  # fixtures import from each other
    place = {**os.environ, **paths, "SEMGREP_SEND_METRICS": "off"}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=BUILD, env=place).stdout


def ours(paths: list[str]) -> Report:
    from sessionstream_lint.engine import check
    from sessionstream_lint.options import Options

    options = Options(select=("SST001",))
    return {(path, one.line) for path in paths for one in check(Path(path).read_text("utf-8"), path, options=options)}


def mypy(paths: list[str]) -> Report:
    tools = environment("mypy", "mypy", "types-protobuf", "protobuf", "typing-extensions")
    options = ("--enable-error-code=deprecated", "--check-untyped-defs", "--ignore-missing-imports", "--output=json")
    found: Report = set()
    for path in paths:  # one at a time: an error that stops mypy in one file hides nothing in the others
        for line in run(str(tools / "mypy"), *options, path).splitlines():
            one = json.loads(line) if line.startswith("{") else {}
            if one.get("code") == "deprecated":
                found.add((path, one["line"]))
    return found


def pylint(paths: list[str]) -> Report:
    tools = environment("pylint", "pylint", "protobuf", str(ROOT))
    (BUILD / "bench_payloads.py").write_text(PYLINT)
    options = ("--load-plugins=bench_payloads", "--disable=all", "--enable=struct-payload", "--output-format=json")
    printed = run(str(tools / "pylint"), *options, *paths)
    return {(str(FIXTURES / Path(one["path"]).name), one["line"]) for one in json.loads(printed)}


def semgrep(paths: list[str]) -> Report:
    tools = environment("semgrep", "semgrep")
    rules = BUILD / "struct.yml"
    rules.write_text(SEMGREP)
    printed = run(
        str(tools / "semgrep"),
        "scan",
        "--metrics=off",
        "--disable-version-check",
        "--json",
        "--no-git-ignore",
        f"--config={rules}",
        *paths,
    )
    if not printed:
        raise NotInstallable("semgrep printed nothing")
    return {(one["path"], one["start"]["line"]) for one in json.loads(printed)["results"]}


TOOLS: dict[str, Callable[[list[str]], Report]] = {
    "sessionstream-lint": ours,
    "mypy, @deprecated": mypy,
    "pylint, a checker": pylint,
    "semgrep, rules": semgrep,
}


def main() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    fixtures = planted()
    paths = [str(one.path) for one in fixtures]
    total = sum(len(one.statements) for one in fixtures)
    print(f"{total} planted violations in {len(paths)} files")
    print(f"{'':22}{'found':>8}{'recall':>9}{'elsewhere':>12}")
    for name, tool in TOOLS.items():
        try:
            reported = tool(paths)
        except NotInstallable as error:
            print(f"{name:22}  LEFT OUT: {error}")
            continue
        found = elsewhere = 0
        for one in fixtures:
            lines = {line for path, line in reported if path == str(one.path)}
            found += sum(any(first <= line <= last for line in lines) for first, last in one.statements)
            elsewhere += sum(not any(first <= line <= last for first, last in one.statements) for line in lines)
        print(f"{name:22}{found:8}{found / total:9.1%}{elsewhere:12}")


if __name__ == "__main__":
    main()
