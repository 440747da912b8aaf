"""From the text of a file to its findings."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sessionstream_lint.inference.evaluate import Evaluator
from sessionstream_lint.options import Options
from sessionstream_lint.program.resolve import Project
from sessionstream_lint.program.scopes import Module
from sessionstream_lint.reading import gate, outline
from sessionstream_lint.registering import neighbours
from sessionstream_lint.registering.registrations import Finding, Registrations
from sessionstream_lint.rules.catalogue import RULES, UNREADABLE

EVERYTHING = Options(select=("SST",))
EXPLAIN = "sessionstream-lint --explain"


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


def check(source: str, path: str, tree: ast.Module | None = None, options: Options = EVERYTHING) -> list[Diagnostic]:
    """Return the findings of one file, sorted; never raises, whatever the input.

    ``tree`` spares a parse when the caller has one. Only the rules that ``options`` want are run; SST900 is reported
    whenever it applies.
    """
    if not gate.concerns(source):
        return []
    source = source.removeprefix("\ufeff")
    try:
        return _check(source, path, tree, options)
    except Exception as error:  # noqa: BLE001 - an exception in a plugin would abort the whole run
        reason = " ".join(str(error).split())[:100]
        return [_failure(source, f"this file could not be analysed ({type(error).__name__}: {reason})")]


def _check(source: str, path: str, tree: ast.Module | None, options: Options) -> list[Diagnostic]:
    project, file = Project.around(path, tuple(str(root) for root in options.src_roots))
    registers = gate.registers(source)
    try:  # what ast refuses libcst must not even see: deep enough, it takes the interpreter with it
        tree = tree or outline.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        if registers:
            raise
        return []  # it registers nothing, and what it imports nobody can say
    around = neighbours.find(project, file, source, tree)
    if not registers and not around:
        return []
    module = file.collected(source, tree)
    registrations = Registrations(Evaluator(module, project, around))
    rules = [rule for rule in RULES if options.wants(rule.CODE)]
    found = _merged(one for rule in rules for one in rule.check(registrations))
    return sorted(_diagnostic(one, module) for one in found)


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """Return one finding for each code and expression; rows of tables in other files are named in it."""
    first: dict[tuple[str, int], Finding] = {}
    away: dict[tuple[str, int], dict[str, None]] = {}
    for one in found:
        place = one.code, id(one.node)
        first.setdefault(place, one)
        if one.row:
            away.setdefault(place, {})[one.row] = None
    for place, rows in away.items():
        first[place] = replace(first[place], message=f"{first[place].message}; the rows are {', '.join(rows)}")
    return list(first.values())


def _diagnostic(finding: Finding, module: Module) -> Diagnostic:
    line, column = module.position(finding.node)
    return Diagnostic(line, column, finding.code, f"{finding.message} ({EXPLAIN} {finding.code})")


def _failure(source: str, message: str) -> Diagnostic:
    return Diagnostic(gate.first_line(source), 0, UNREADABLE, f"{message} ({EXPLAIN} {UNREADABLE})")
