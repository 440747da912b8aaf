"""From the text of a file to its findings, whichever front end reads it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, replace

from sessionstream_lint import gate, neighbours, reading, syntax_ast
from sessionstream_lint import syntax as s
from sessionstream_lint.collect import collect
from sessionstream_lint.evaluate import Evaluator
from sessionstream_lint.gate import split_lines
from sessionstream_lint.mentions import counted
from sessionstream_lint.options import Options
from sessionstream_lint.registrations import Registrations
from sessionstream_lint.resolve import Project, Source
from sessionstream_lint.rules.catalogue import RULES, UNREADABLE, Finding, Rule
from sessionstream_lint.scopes import CallSite, Module
from sessionstream_lint.syntax import Node

EVERYTHING = Options(select=("SST",))
EXPLAIN = "sessionstream-lint --explain"
INSTALL = "pip install 'sessionstream[lint]'"


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """A finding with its place: line from 1, column from 0 in characters."""

    line: int
    column: int
    code: str
    message: str

    @property
    def text(self) -> str:
        """The whole message, code first."""
        return f"{self.code} {self.message}"


def check(
    source: str,
    path: str,
    tree: ast.Module | None = None,
    options: Options = EVERYTHING,
    reader: str = "libcst",
) -> list[Diagnostic]:
    """Return the findings of one file, sorted; never raises, whatever the input.

    ``tree`` spares a parse when the caller has one. Only the rules that ``options`` want are run; SST900 is reported
    whenever it applies. ``reader`` "ast" does without libcst.
    """
    if not gate.concerns(source):
        return []
    source = source.removeprefix("\ufeff")
    try:
        return _check(source, path, tree, options, reader)
    except Exception as error:  # noqa: BLE001 - an exception in a plugin would abort the whole run
        return [_failure(source, f"this file could not be analysed ({type(error).__name__}: {_short(error)})")]


def _check(source: str, path: str, tree: ast.Module | None, options: Options, reader: str) -> list[Diagnostic]:
    project, file = Project.around(path, tuple(str(root) for root in options.src_roots))
    rules = [rule for rule in RULES if options.wants(rule.CODE)]
    registers = gate.registers(source)
    # What ast refuses libcst must not even see: deep enough, it takes the interpreter with it.
    try:
        tree = tree or syntax_ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        if registers:
            raise
        return []  # it registers nothing, and what it imports nobody can say
    around = neighbours.find(project, file, source, tree)
    if not registers and not around:
        return []
    extra: list[Diagnostic] = []
    ground = _Ground(file, project, around, rules, counted(source, tree))
    if reader == "libcst":
        try:
            placed = _with_libcst(source, tree, ground)
        except ImportError:
            if options.says_missing:
                extra = [_failure(source, f"libcst is not installed, so the simpler reader was used: {INSTALL}")]
        else:
            if placed is not None:
                return placed
    _, findings = ground.findings(tree)
    lines = split_lines(source)
    return sorted([*extra, *(_diagnostic(finding, finding.node, lines) for finding in findings)])


@dataclass(frozen=True, slots=True)
class _Ground:
    """All that findings depend on beside the tree: the file, what is around it, and the rules."""

    file: Source
    project: Project
    around: tuple[Module, ...]
    rules: list[Rule]
    mentions_beyond: Callable[[int], bool]

    def collected(self, tree: Node) -> Module:
        """Return the file as a tree shows it."""
        return collect(tree, self.file.module(self.mentions_beyond, self.project.never_returns))

    def findings(self, tree: Node) -> tuple[Module, list[Finding]]:
        """Return the collected file, and what the rules find in it."""
        module = self.collected(tree)
        registrations = Registrations(Evaluator(module, self.project, self.around))
        found: dict[tuple[str, int], Finding] = {}
        away: dict[tuple[str, int], dict[str, None]] = {}
        for one in (one for rule in self.rules for one in rule.check(registrations)):
            place = one.code, id(one.node)
            found.setdefault(place, one)
            if one.row:
                away.setdefault(place, {})[one.row] = None
        for place, rows in away.items():
            found[place] = replace(found[place], message=f"{found[place].message}; the rows are {', '.join(rows)}")
        return module, list(found.values())


def _with_libcst(source: str, tree: ast.Module, ground: _Ground) -> list[Diagnostic] | None:
    """Return the findings as libcst sees the file; None when it cannot read it."""
    try:
        root = reading.read(source, tree)
        if root is None:
            return None
        module, found = ground.findings(root)
    except ImportError:
        raise
    except Exception:  # noqa: BLE001 - libcst raises many things on source that compiles: ast decides
        return None
    return _place(module, found, ground.collected(tree), source) if found else []


# Places --------------------------------------------------------------------------------------------------


def _place(module: Module, found: list[Finding], twin: Module, source: str) -> list[Diagnostic] | None:
    """Find the places of libcst's nodes through the same calls in the ``ast`` tree; None if they differ."""
    if len(twin.calls) != len(module.calls):
        return None
    wanted = {id(one.node) for one in found}
    places: dict[int, Node] = {}
    for call, other in zip(module.calls, twin.calls, strict=True):
        if not _pair(call, other, wanted, places):
            return None
    if len(places) != len(wanted):
        return None
    lines = split_lines(source)
    return sorted(_diagnostic(one, places[id(one.node)], lines) for one in found)


def _pair(call: CallSite, other: CallSite, wanted: set[int], places: dict[int, Node]) -> bool:
    """Walk the arguments of two calls side by side."""
    if len(call.shape.args) != len(other.shape.args):
        return False
    arguments = zip(call.shape.args, other.shape.args, strict=True)
    pairs: list[tuple[Node, Node]] = [(one.value, two.value) for one, two in arguments]
    while pairs:
        one, two = pairs.pop()
        if id(one) in wanted:
            places[id(one)] = two
        shape, shape_two = s.view(one), s.view(two)
        if type(shape) is not type(shape_two):
            return False
        if isinstance(shape, s.Items | s.Pairs):
            pairs.extend(zip(shape.parts(), shape_two.parts(), strict=False))
    return True


def _diagnostic(finding: Finding, node: Node, lines: list[str]) -> Diagnostic:
    line, column = position(node.decorator if isinstance(node, s.Decorated) else node, lines)
    message = f"{finding.message} ({EXPLAIN} {finding.code})"
    return Diagnostic(line, column, finding.code, message)


def position(node: Node, lines: list[str]) -> tuple[int, int]:
    """Return line and column of an ``ast`` node, the column in characters instead of bytes."""
    line = getattr(node, "lineno", 1)
    column = getattr(node, "col_offset", 0)
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    return line, len(text.encode("utf-8", "surrogatepass")[:column].decode("utf-8", "replace"))


def _failure(source: str, message: str) -> Diagnostic:
    return Diagnostic(gate.first_line(source), 0, UNREADABLE, f"{message} ({EXPLAIN} {UNREADABLE})")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
