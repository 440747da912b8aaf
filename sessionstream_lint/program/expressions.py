"""The part of a pass over a file that goes through expressions: calls, and what is bound in the midst of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import libcst as cst

from sessionstream_lint.program.recording import CHANGING, Recorder
from sessionstream_lint.program.scopes import Assigned, Block, CallSite, Element, Guard, Module, arguments
from sessionstream_lint.reading import syntax as s

Guards = tuple[Guard, ...]

MAX_GUARDS = 8
# What an error is expected in: context managers, or functions that call what they are given.
EXPECTING = {"raises", "assertRaises", "assertRaisesRegex", "suppress"}


class Expressions(Recorder):
    """Collects expressions; `reading.outline` says how deep they may be."""

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self.guarding: int = 0  # in how many things at once that expect or handle an error

    @contextmanager
    def expecting(self, whether: bool) -> Iterator[None]:
        """Note of the calls within that an error of theirs is expected or handled, if so."""
        self.guarding += whether
        yield
        self.guarding -= whether

    def expression(self, node: s.Node | None, block: Block, guards: Guards = ()) -> None:
        """Collect an expression, evaluated where these guards hold."""
        match node:
            case None | cst.Name() | cst.BaseNumber() | cst.SimpleString():
                pass
            case cst.Attribute():
                self.expression(node.value, block, guards)
            case cst.Call():
                self._call(node, block, guards)
            case cst.IfExp():
                site = block.here(guards)
                self.expression(node.test, block, guards)
                self.expression(node.body, block, _more(guards, Guard(node.test, True, site)))
                self.expression(node.orelse, block, _more(guards, Guard(node.test, False, site)))
            case cst.BooleanOperation():
                for operand in s.operands(node):
                    self.expression(operand, block, guards)
                    guards = _more(guards, Guard(operand, isinstance(node.operator, cst.And), block.here(guards)))
            case cst.NamedExpr():
                self.expression(node.value, block, guards)
                self.bind(node.target, Assigned(node.value), block, kills=not guards)
            case cst.Lambda():
                self._lambda(node, block, guards)
            case cst.ListComp() | cst.SetComp() | cst.GeneratorExp() | cst.DictComp():
                self._comprehension(node, block, guards)
            case cst.Yield():
                whole = isinstance(node.value, cst.From)
                value = node.value.item if isinstance(node.value, cst.From) else node.value
                block.scope.yields.append((value, whole, block.here(guards)))
                self.expression(value, block, guards)
            case _:
                for part in s.strings(node) if isinstance(node, cst.ConcatenatedString) else s.parts(node):
                    self.expression(part, block, guards)

    def _call(self, node: cst.Call, block: Block, guards: Guards) -> None:
        """Collect a call, after what is inside of it, and what it does to the container that it is a method of."""
        args = arguments(node.args)
        with self.expecting(s.last_name(node.func) in EXPECTING):
            self.expression(node.func, block, guards)
            for arg in args:
                self.expression(arg.value, block, guards)
        self.module.calls.append(CallSite(node.func, args, block.here(guards), self.guarding > 0))
        func = node.func
        if isinstance(func, cst.Attribute) and (method := s.identifier(func.attr)) in CHANGING:
            self.changed(func.value, method, args, block)

    def _lambda(self, node: cst.Lambda, block: Block, guards: Guards) -> None:
        """Collect a lambda, which is a scope of its own."""
        scope = self.scope("lambda", node, block)
        self.module.lambdas[node] = scope
        scope.returns.append((node.body, scope.block.here()))
        for param in scope.params:
            self.expression(param.default, block, guards)
        self.expression(node.body, scope.block)

    def _comprehension(self, node: s.Comprehension, block: Block, guards: Guards) -> None:
        """Collect a comprehension, the targets of which nobody outside sees."""
        inner = Block(block.scope, block, len(block.events), guards)
        inner.private = True
        self.module.comprehensions[node] = inner
        where = block
        for clause in s.clauses(node):
            self.expression(clause.iter, where)
            self.bind(clause.target, Element(clause.iter), inner)
            for condition in clause.ifs:
                self.expression(condition.test, inner)
                self.assume(condition.test, True, inner)
            where = inner
        for part in (node.key, node.value) if isinstance(node, cst.DictComp) else (node.elt,):
            self.expression(part, inner)


def _more(guards: Guards, guard: Guard) -> Guards:
    return (*guards[-MAX_GUARDS:], guard)
