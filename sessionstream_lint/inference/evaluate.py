"""On demand: what may this expression be?

Every answer is a set of possibilities with evidence behind each. No answer means unknown, and unknown means
silent. Work is bounded three ways: depth of the question, number of questions, and calls looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import libcst as cst

from sessionstream_lint.inference import calling, containers, members, sources
from sessionstream_lint.inference import values as v
from sessionstream_lint.inference.frames import Frame
from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.resolve import Project
from sessionstream_lint.reading.syntax import Node, constant, dotted, identifier, operands

MAX_DEPTH = 90
MAX_OPERANDS = 20
# Questions for one call, and for a whole file before every call has to do with a few.
MAX_QUESTIONS = 2_000
MAX_QUESTIONS_OF_FILE = 10_000
FEW_QUESTIONS = 40


class Evaluator:
    """Answers questions about one file, looking into the files of its project where a name leads there.

    ``neighbours`` are those among them whose functions may register what this file gives them.
    """

    def __init__(self, module: sc.Module, project: Project, neighbours: tuple[sc.Module, ...] = ()) -> None:
        self.module = module
        self.project = project
        self.neighbours = neighbours
        self._follow_callers = True
        self._answers: dict[Any, v.Values] = {}
        self._asking: set[Any] = set()
        self._frames: dict[Any, Frame] = {}
        self._depth = 0
        self._questions = 0
        self._allowed = MAX_QUESTIONS
        self._cut = 0

    def fresh(self) -> None:
        """Allow a measure of work for the next call."""
        few = self._questions >= MAX_QUESTIONS_OF_FILE
        self._allowed = self._questions + (FEW_QUESTIONS if few else MAX_QUESTIONS)

    def once(self, question: Any, answer: Callable[[], v.Values]) -> v.Values:
        """Answer a question unless it is being asked already; remember answers that nothing cut short."""
        question = (self._follow_callers, question)
        if question in self._answers:
            return self._answers[question]
        self._questions += 1
        if question in self._asking or self._depth >= MAX_DEPTH or self._questions >= self._allowed:
            self._cut += 1
            return ()
        self._depth += 1
        self._asking.add(question)
        cut = self._cut
        try:
            found = answer()
        except RecursionError:  # whoever called may have used up most of the stack
            self._cut += 1
            found = ()
        finally:
            self._asking.discard(question)
            self._depth -= 1
        if self._cut == cut:
            self._answers[question] = found
        return found

    @contextmanager
    def within_file(self) -> Iterator[None]:
        """Answer what the file itself shows, not what its callers may pass."""
        follow, self._follow_callers = self._follow_callers, False
        try:
            yield
        finally:
            self._follow_callers = follow

    def follows_callers(self, scope: sc.Scope) -> bool:
        """Say whether it counts what callers of a function may pass: not in files that are only looked into."""
        return self._follow_callers and (scope.module is self.module or scope.module in self.neighbours)

    # What its parts ask for ------------------------------------------------------------------------------

    def evaluate(self, node: Node, site: sc.Site) -> v.Values:
        """Return what the expression may be at that site."""
        return self.once(("value", node, site), lambda: self._evaluate(node, site))

    def given(self, item: v.Given) -> v.Values:
        """Return what an argument may be."""
        if item.held is not None:
            return item.held
        return v.placed(self.evaluate(item.value, item.site), item.value, item.site)

    def lookup(self, key: str, site: sc.Site) -> v.Values:
        """Return what a name, or a chain of names, may hold at that site."""
        return self.once(("key", key, site), lambda: sources.lookup(self, key, site))

    def bound(self, binding: sc.Binding, site: sc.Site | None = None) -> v.Values:
        """Return what a binding gives its key."""
        return sources.bound(self, binding, site)

    def source(self, source: sc.Source, site: sc.Site) -> v.Values:
        """Return what a source of bindings yields."""
        return sources.given_by(self, source, site)

    def attribute(self, values: v.Values, attr: str, site: sc.Site | None = None) -> v.Values:
        """Return what an attribute of these may be."""
        return members.attribute(self, values, attr, site)

    def call(self, callee: v.Values, given: tuple[v.Given, ...], site: sc.Site) -> v.Values:
        """Return what calling these may give."""
        return calling.call_all(self, callee, given, site)

    def frame(
        self, scope: sc.Scope, given: tuple[v.Given, ...], receiver: v.Value | None, outer: Frame | None, depth: int
    ) -> Frame:
        """Return the one frame for such a call."""
        key = (scope, given, receiver, outer)
        if key not in self._frames:
            self._frames[key] = Frame(scope, given, receiver, outer, depth)
        return self._frames[key]

    # Expressions -----------------------------------------------------------------------------------------

    def _evaluate(self, node: Node, site: sc.Site) -> v.Values:
        match node:
            case cst.Name() | cst.Attribute() if (key := dotted(node)) is not None:
                return self.lookup(key, site)
            case cst.Attribute(value=value):
                return members.attribute(self, self.evaluate(value, site), identifier(node.attr))
            case cst.Call():
                return calling.call_all(
                    self, self.evaluate(node.func, site), v.as_given(sc.arguments(node.args), site), site
                )
            case cst.Subscript():
                return containers.subscript(self, node, site)
            case cst.Tuple() | cst.List() | cst.Set():
                return containers.display(self, node, site)
            case cst.Dict():
                return containers.table(self, node, site)
            case cst.IfExp():
                return v.unsure(v.union(self._arm(node, True, site), self._arm(node, False, site)))
            case cst.BooleanOperation(operator=cst.And()):
                return v.unsure(self.evaluate(node.right, site))
            case cst.BooleanOperation():
                return v.unsure(v.union(*(self.evaluate(operand, site) for operand in operands(node)[:MAX_OPERANDS])))
            case cst.BinaryOperation(operator=cst.Add() | cst.BitOr()):
                return self._joined(node, site)
            case cst.NamedExpr(value=value):
                return self.evaluate(value, site)
            case cst.Await(expression=value):
                return containers.inside(self.evaluate(value, site), "awaitable")
            case cst.Lambda():
                return v.defined(site.block.scope.module.lambdas.get(node)) or ()
            case cst.ListComp() | cst.SetComp() | cst.GeneratorExp() | cst.DictComp():
                inner = site.block.scope.module.comprehensions.get(node)
                return () if inner is None else containers.comprehension(self, node, inner.here().seen_from(site))
            case _:
                written = constant(node)
                return () if written is None else (v.Literal(written.value),)

    def _arm(self, node: cst.IfExp, positive: bool, site: sc.Site) -> v.Values:
        """Return one outcome of ``body if test else orelse``, its test having come out so."""
        guard = sc.Guard(node.test, positive, replace(site, frame=None))
        return self.evaluate(node.body if positive else node.orelse, replace(site, guards=(*site.guards, guard)))

    def _joined(self, node: cst.BinaryOperation, site: sc.Site) -> v.Values:
        """Return ``left + right`` or ``left | right``: of classes the latter is an annotation."""
        left = self.evaluate(node.left, site)
        if isinstance(node.operator, cst.BitOr) and not any(map(containers.is_container, left)):
            return (v.Alternatives(node, site),)
        return containers.added(self, left, self.evaluate(node.right, site))
