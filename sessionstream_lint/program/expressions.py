"""The part of a pass over a file that goes through expressions: calls, and what is bound in the midst of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessionstream_lint.program.recording import CHANGING, Guards, Recorder, last_name
from sessionstream_lint.program.scopes import (
    Assigned,
    Block,
    CallSite,
    Element,
    Guard,
)
from sessionstream_lint.reading import shapes as s

MAX_GUARDS = 8
# What an error is expected in: context managers, or functions that call what they are given.
EXPECTING = {"raises", "assertRaises", "assertRaisesRegex", "suppress"}
ENTERING = {"enter_context", "enterContext", "enter_async_context"}


class Expressions(Recorder):
    """Collects expressions, however deep."""

    def expressions(self, nodes: s.Nodes, block: Block, guards: Guards = ()) -> None:
        """Collect several expressions, in this order."""
        self.stack.extend((self.expression, node, block, guards) for node in reversed(nodes))

    def expression(self, node: s.Node, block: Block, guards: Guards = ()) -> None:
        """Collect an expression, evaluated where these guards hold."""
        shape = s.view(node)
        step = _EXPRESSIONS.get(type(shape))
        if step is None:
            self.expressions(tuple(shape.parts()), block, guards)
        else:
            step(self, node, shape, block, guards)

    def nothing(self, node: s.Node, shape: s.View, block: Block, guards: Guards) -> None:
        """A name or a literal: nothing inside."""

    def call(self, node: s.Node, shape: s.Call, block: Block, guards: Guards) -> None:
        """Collect a call, after what is inside of it."""
        self.stack.append((self.called, node, shape, block, guards))
        steps = [(self.expression, part, block, guards) for part in shape.parts()]
        self.later(*(self.guard(steps) if last_name(shape.func) in EXPECTING else steps))

    def guard(self, steps: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Note of the calls in these steps that an error of theirs is expected or handled."""
        return [(self.guarded, 1), *steps, (self.guarded, -1)]

    def guarded(self, change: int) -> None:
        """Go to where errors are expected, or come back from there."""
        self.guarding += change

    def called(self, node: s.Node, shape: s.Call, block: Block, guards: Guards) -> None:
        """Note a call, and what it does to the container that it is a method of."""
        self.module.calls.append(CallSite(shape, block.here(guards), self.guarding > 0, self.managing))
        func = s.view(shape.func)
        if self.outside and last_name(shape.func) in ENTERING and shape.args:
            self.guarding += last_name(shape.args[0].value) in EXPECTING
        key = s.dotted(func.value) if isinstance(func, s.Attribute) and func.attr in CHANGING else None
        if isinstance(func, s.Attribute) and key is not None:
            self.changed(key, func.attr, shape.args, block)

    def conditional(self, node: s.Node, shape: s.Conditional, block: Block, guards: Guards) -> None:
        """Collect ``body if test else orelse``: each outcome where the test came out so."""
        site = block.here(guards)
        yes, no = (_more(guards, Guard(shape.test, positive, site)) for positive in (True, False))
        self.later(
            (self.expression, shape.test, block, guards),
            (self.expression, shape.body, block, yes),
            (self.expression, shape.orelse, block, no),
        )

    def boolean(self, node: s.Node, shape: s.Boolean, block: Block, guards: Guards) -> None:
        """Collect ``and`` or ``or``: each operand where those before it came out so."""
        steps = []
        for operand in shape.operands:
            steps.append((self.expression, operand, block, guards))
            guards = _more(guards, Guard(operand, shape.op == "and", block.here(guards)))
        self.later(*steps)

    def walrus(self, node: s.Node, shape: s.Walrus, block: Block, guards: Guards) -> None:
        """Collect ``target := value``."""
        self.later(
            (self.expression, shape.value, block, guards),
            (self.bind, shape.target, Assigned(shape.value), block, not guards),
        )

    def lambda_(self, node: s.Node, shape: s.Lambda, block: Block, guards: Guards) -> None:
        """Collect a lambda, which is a scope of its own."""
        scope = self.scope("lambda", shape, block)
        scope.signature = scope.site
        self.module.lambdas[id(node)] = scope
        self.parameters(scope)
        scope.returns.append((shape.body, scope.block.here()))
        outside = [param.default for param in shape.params if param.default is not None]
        self.later(
            *((self.expression, default, block, guards) for default in outside),
            (self.expression, shape.body, scope.block),
        )

    def comprehension(self, node: s.Node, shape: s.Comprehension, block: Block, guards: Guards) -> None:
        """Collect a comprehension, the targets of which nobody outside sees."""
        inner = Block(block.scope, block, len(block.events), guards)
        inner.private = True
        self.module.comprehensions[id(node)] = inner
        steps: list[tuple[Any, ...]] = []
        where = block
        for clause in shape.clauses:
            steps.append((self.expression, clause.iterable, where))
            steps.append((self.bind, clause.target, Element(clause.iterable), inner))
            for condition in clause.conditions:
                steps.append((self.expression, condition, inner))
                steps.append((self.assume, condition, True, inner))
            where = inner
        if shape.key is not None:
            steps.append((self.expression, shape.key, inner))
        self.later(*steps, (self.expression, shape.element, inner))

    def yielded(self, node: s.Node, shape: s.Yield, block: Block, guards: Guards) -> None:
        """Note what a generator yields."""
        block.scope.yields.append((shape.value, shape.whole, block.here(guards)))
        block.scope.expects = block.scope.expects or self.guarding > 0
        self.expressions(tuple(shape.parts()), block, guards)


def _more(guards: Guards, guard: Guard) -> Guards:
    return (*guards[-MAX_GUARDS:], guard)


_EXPRESSIONS: dict[type[s.View], Callable[..., None]] = {
    s.Name: Expressions.nothing,
    s.Constant: Expressions.nothing,
    s.Call: Expressions.call,
    s.Conditional: Expressions.conditional,
    s.Boolean: Expressions.boolean,
    s.Walrus: Expressions.walrus,
    s.Lambda: Expressions.lambda_,
    s.Comprehension: Expressions.comprehension,
    s.Yield: Expressions.yielded,
}
