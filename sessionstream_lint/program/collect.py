"""One pass over a parsed file: scopes, bindings in order, calls.

Nothing here recurses: what is still to be done stands on a stack, so a chain of ten thousand operands is as
safe as one of two. Nothing is evaluated either; that is done on demand, for the calls that matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sessionstream_lint.program import endings
from sessionstream_lint.program.expressions import EXPECTING, MAX_GUARDS, Expressions
from sessionstream_lint.program.recording import last_name
from sessionstream_lint.program.scopes import (
    Assigned,
    Augmented,
    Block,
    Bounded,
    CallSite,
    Declared,
    Defined,
    Departure,
    Element,
    Entered,
    Fork,
    Guard,
    Imported,
    Matched,
    Module,
    Scope,
    Unknown,
)
from sessionstream_lint.reading import shapes as s


def collect(module: Module) -> Module:
    """Fill a module from its tree, and return it."""
    _Collector(module).run(module.tree)
    return module


class _Collector(Expressions):
    def run(self, tree: s.Node) -> None:
        statements = tuple(s.view(tree).parts())
        self.ending = endings.declared(statements)
        self.body(statements, self.module.scope.block)
        stack = self.stack
        while stack:
            step, *args = stack.pop()
            step(*args)
        self.spread()

    def body(self, statements: s.Nodes, block: Block) -> None:
        self.stack.append((self.close, block))
        self.statements(statements, block)

    def statements(self, statements: s.Nodes, block: Block) -> None:
        self.stack.extend((self.statement, node, block) for node in reversed(statements))

    def statement(self, node: s.Node, block: Block) -> None:
        shape = s.view(node)
        step = _STATEMENTS.get(type(shape))
        if step is None:
            self.expressions(tuple(shape.parts()), block)
        else:
            step(self, shape, block)

    def evaluated(self, shape: s.Expressions, block: Block) -> None:
        """Collect what a statement evaluates; a call that never comes back ends the way."""
        self.later(*((self.expression, node, block) for node in shape.children), (self.ended, shape, block))

    def ended(self, shape: s.Expressions, block: Block) -> None:
        call = s.view(shape.children[0]) if len(shape.children) == 1 else None
        # Where an error is expected, the way goes on behind that.
        if isinstance(call, s.Call) and not self.guarding and endings.ends(call, block, self.ending):
            block.events.append(Departure())

    def close(self, block: Block) -> None:
        """Note whether the end of a finished block can be reached at all."""
        for event in block.events:
            if isinstance(event, Departure):
                block.dead = True
            elif isinstance(event, Fork) and not event.skippable and not event.breaks():
                block.dead = block.dead or all(arm.dead for arm in event.arms)

    def assign(self, shape: s.Assign, block: Block) -> None:
        binds = [(self.bind, target, Assigned(shape.value), block) for target in shape.targets]
        self.later((self.expression, shape.value, block), *binds)

    def declare(self, shape: s.Declare, block: Block) -> None:
        key = s.dotted(shape.target)
        if key is not None:
            block.scope.declared.setdefault(key, (shape.annotation, block.here()))
        bind = (self.bind, shape.target, Declared(shape.annotation, shape.value), block)
        if shape.value is None:
            self.later(bind)
        else:
            self.later((self.expression, shape.value, block), bind)

    def augment(self, shape: s.Augment, block: Block) -> None:
        source = Augmented(shape.target, shape.value)
        self.later((self.expression, shape.value, block), (self.bind, shape.target, source, block))

    def delete(self, shape: s.Delete, block: Block) -> None:
        for target in shape.targets:
            if not isinstance(s.view(target), s.Subscript):
                self.bind(target, Unknown(), block)

    def imports(self, shape: s.Import, block: Block) -> None:
        for name, alias in shape.names:
            first = name.partition(".")[0]
            self.name(alias or first, Imported(name if alias else first, 0, None), block)

    def imports_from(self, shape: s.ImportFrom, block: Block) -> None:
        for name, alias in shape.names:
            source = Imported(shape.module, shape.level, name)
            self.name(alias or name, source, block, kills=name != "*")
            if alias:
                self.module.renamed.append((name, alias))

    def branch(self, shape: s.If, block: Block) -> None:
        self.later((self.expression, shape.test, block), (self.branched, shape, block))

    def branched(self, shape: s.If, block: Block) -> None:
        site = block.here()
        arms = [self.arm(block, Guard(shape.test, positive, site)) for positive in (True, False)]
        block.events.append(Fork(arms))
        self.later((self.body, shape.body, arms[0]), (self.body, shape.orelse, arms[1]))

    def loop_while(self, shape: s.While, block: Block) -> None:
        self.later((self.expression, shape.test, block), (self.looped_while, shape, block))

    def looped_while(self, shape: s.While, block: Block) -> None:
        test = s.view(shape.test)
        endless = isinstance(test, s.Constant) and bool(test.value)
        arm = self.loop(block, endless, bool(shape.orelse), Guard(shape.test, True, block.here()))
        self.later(
            (self.body, shape.body, arm),
            (self.ran_out, shape.test, block, arm),
            (self.otherwise, shape.orelse, block, arm),
        )

    def ran_out(self, test: s.Node, block: Block, loop: Block) -> None:
        """Note that the test of a loop failed, unless the loop was left in another way."""
        fork = loop.loop
        if fork is not None and fork.skippable and not fork.breaks() and not (fork.orelse and fork.orelse.breaks()):
            self.assume(test, False, block)

    def loop_for(self, shape: s.For, block: Block) -> None:
        self.later((self.expression, shape.iterable, block), (self.looped_for, shape, block))

    def looped_for(self, shape: s.For, block: Block) -> None:
        arm = self.loop(block, False, bool(shape.orelse))
        self.later(
            (self.bind, shape.target, Element(shape.iterable), arm),
            (self.body, shape.body, arm),
            (self.otherwise, shape.orelse, block, arm),
        )

    def loop(self, block: Block, endless: bool, followed: bool, *guards: Guard) -> Block:
        arm = self.arm(block, *guards)
        fork = Fork([] if endless else [arm], skippable=not endless, orelse=Fork() if followed else None)
        arm.loop = fork
        block.events.append(fork)
        return arm

    def otherwise(self, statements: s.Nodes, block: Block, loop: Block) -> None:
        """The ``else`` of a loop: it runs unless the loop was left."""
        if loop.loop is not None and loop.loop.orelse is not None:
            arm = self.arm(block)
            loop.loop.orelse.arms.append(arm)
            block.events.append(loop.loop.orelse)
            self.later((self.body, statements, arm))

    def attempt(self, shape: s.Try, block: Block) -> None:
        arms = [self.arm(block)]
        body = [(self.body, (*shape.body, *shape.orelse), arms[0])]
        steps: list[tuple[Any, ...]] = self.guard(body) if any(map(_is_narrow, shape.handlers)) else body
        for handler in shape.handlers:
            arm = self.arm(block)
            arm.torn = arms[0]
            arms.append(arm)
            if handler.type is not None:
                steps.append((self.expression, handler.type, arm))
            if handler.name:
                steps.append((self.name, handler.name, Unknown(), arm))
            steps.append((self.body, handler.body, arm))
        block.events.append(Fork(arms))
        self.later(*steps, (self.statements, shape.final, block))

    def manage(self, shape: s.With, block: Block) -> None:
        steps: list[tuple[Any, ...]] = []
        for manager, target in shape.items:
            steps.append((self.expression, manager, block))
            if target is not None:
                steps.append((self.bind, target, Entered(manager), block))
        managers = tuple(manager for manager, _ in shape.items)
        self.later(*steps, (self.managed, managers, block), (self.statements, shape.body, block), (self.unmanaged,))

    def managed(self, managers: s.Nodes, block: Block) -> None:
        """Go into the body of a ``with``."""
        self.outside.append((self.guarding, self.managing))
        self.guarding += any(last_name(manager) in EXPECTING for manager in managers)
        self.managing = (*self.managing, *((manager, block.here()) for manager in managers))

    def unmanaged(self) -> None:
        """Leave it."""
        self.guarding, self.managing = self.outside.pop()

    def match(self, shape: s.Match, block: Block) -> None:
        self.later((self.expression, shape.subject, block), (self.matched, shape, block))

    def matched(self, shape: s.Match, block: Block) -> None:
        site = block.here()
        fork = Fork()
        block.events.append(fork)
        missed: list[Guard] = []
        steps: list[tuple[Any, ...]] = []
        caught = False
        for case in shape.cases:
            pattern = case.pattern
            arm = self.arm(block, *missed, Guard(shape.subject, True, site, pattern))
            arm.index = len(block.events) - 1
            fork.arms.append(arm)
            steps += [(self.expression, value, arm) for value in pattern.values]
            steps.append((self.captures, pattern, shape.subject, arm))
            if case.guard is not None:
                steps += [(self.expression, case.guard, arm), (self.assume, case.guard, True, arm)]
            elif pattern.exact or pattern.constants:
                missed = [*missed, Guard(shape.subject, False, site, pattern)][-MAX_GUARDS:]
                caught = caught or not (pattern.classes or pattern.constants)
            steps.append((self.body, case.body, arm))
        if not caught:
            fork.arms.append(self.arm(block, *missed))
            fork.arms[-1].index = len(block.events) - 1
        self.later(*steps)

    def captures(self, pattern: s.Pattern, subject: s.Node, arm: Block) -> None:
        typed = dict(pattern.typed)
        for name in pattern.captures:
            self.name(name, Matched(typed[name]) if name in typed else Unknown(), arm)
        if pattern.name:
            self.name(pattern.name, Assigned(subject), arm)

    def function(self, shape: s.Function, block: Block) -> None:
        outer = self.type_params(shape.type_params, block)
        outside = [param.default for param in shape.params if param.default is not None]
        self.later(
            *((self.expression, node, block) for node in (*shape.decorators, *outside)),
            (self.defined, shape, block, outer),
        )

    def defined(self, shape: s.Function, block: Block, outer: Block) -> None:
        scope = self.scope("function", shape, outer)
        scope.signature = outer.here()
        self.decorated(scope, shape.decorators, block)
        self.name(shape.name, Defined(scope), block)
        self.parameters(scope)
        self.later((self.body, shape.body, scope.block))

    def decorated(self, scope: Scope, decorators: s.Nodes, block: Block) -> None:
        """Note that each decorator is called, the lowest first, with what is defined."""
        for decorator in reversed(decorators):
            call = s.Call(decorator, (s.Argument(s.Decorated(scope, decorator)),))
            scope.decorated.append(CallSite(call, block.here(), self.guarding > 0, self.managing))
        self.module.calls += scope.decorated

    def klass(self, shape: s.Class, block: Block) -> None:
        outer = self.type_params(shape.type_params, block)
        outside = (*shape.decorators, *(base.value for base in shape.bases))
        self.later(
            *((self.expression, node, block) for node in outside),
            (self.klass_body, shape, block, outer),
        )

    def klass_body(self, shape: s.Class, block: Block, outer: Block) -> None:
        scope = self.scope("class", shape, outer)
        scope.signature = outer.here()
        self.later(
            (self.body, shape.body, scope.block),
            (self.decorated, scope, shape.decorators, block),
            (self.name, shape.name, Defined(scope), block),
        )

    def type_alias(self, shape: s.TypeAliasStatement, block: Block) -> None:
        inner = self.type_params(shape.type_params, block)
        self.name(shape.name, Assigned(shape.value), block, site=inner.here())

    def type_params(self, params: tuple[s.TypeParameter, ...], block: Block) -> Block:
        """The block in which annotations are read: with type parameters it holds them."""
        if not params:
            return block
        inner = self.arm(block)
        for param in params:
            self.name(param.name, Bounded(param.bound, param.default), inner, local=False)
        return inner

    def leave(self, shape: s.Leave, block: Block) -> None:
        steps = [(self.expression, child, block) for child in shape.children]
        self.later(*steps, (self.left, shape, block))

    def left(self, shape: s.Leave, block: Block) -> None:
        if shape.kind == "return":
            value = shape.children[0] if shape.children else None
            block.scope.returns.append((value, block.here()))
            if value is not None:
                self.module.sources.append((block.scope.name, value))
        elif shape.kind in ("break", "continue"):
            inside: Block | None = block
            while inside is not None and inside.loop is None:
                inside = inside.parent
            if inside is not None and inside.loop is not None:
                left = inside.loop.orelse if shape.kind == "break" and inside.loop.orelse else inside.loop
                left.jumps.append((block, len(block.events), shape.kind))
        block.events.append(Departure())

    def check(self, shape: s.Assert, block: Block) -> None:
        message = () if shape.message is None else ((self.expression, shape.message, block),)
        self.later((self.expression, shape.test, block), *message, (self.assume, shape.test, True, block))

    def outer(self, shape: s.Outer, block: Block) -> None:
        for name in shape.names:
            block.scope.outer[name] = shape.kind


def _is_narrow(handler: s.Handler) -> bool:
    """Say whether a handler waits for something in particular, not for whatever may go wrong."""
    return handler.type is not None and last_name(handler.type) not in ("Exception", "BaseException")


_STATEMENTS: dict[type[s.View], Callable[..., None]] = {
    s.Expressions: _Collector.evaluated,
    s.Assign: _Collector.assign,
    s.Declare: _Collector.declare,
    s.Augment: _Collector.augment,
    s.Delete: _Collector.delete,
    s.Import: _Collector.imports,
    s.ImportFrom: _Collector.imports_from,
    s.If: _Collector.branch,
    s.While: _Collector.loop_while,
    s.For: _Collector.loop_for,
    s.Try: _Collector.attempt,
    s.With: _Collector.manage,
    s.Match: _Collector.match,
    s.Function: _Collector.function,
    s.Class: _Collector.klass,
    s.TypeAliasStatement: _Collector.type_alias,
    s.Leave: _Collector.leave,
    s.Assert: _Collector.check,
    s.Outer: _Collector.outer,
}
