"""One pass over a parsed file: scopes, bindings in order, calls.

Nothing is evaluated; that is done on demand, for the calls that matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import libcst as cst

from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.expressions import EXPECTING, MAX_GUARDS, Expressions
from sessionstream_lint.program.names import absolute
from sessionstream_lint.reading.patterns import pattern
from sessionstream_lint.reading.syntax import Node, called, constant, dotted, identifier, last_name, orelse, statements

# Functions that never come back: of others, of test cases, and by their annotation those of the file.
ENDING = {
    "exit", "quit", "sys.exit", "os._exit", "os.abort", "assert_never", "typing.assert_never", "pytest.exit",
    "pytest.fail", "pytest.skip", "pytest.xfail", "self.fail", "self.skipTest", "abort",
}  # fmt: skip
NEVER = {"NoReturn", "Never"}


def collect(module: sc.Module) -> sc.Module:
    """Fill a module from its tree, and return it."""
    collector = _Collector(module)
    collector.body(module.tree.body, module.scope.block)
    collector.spread()
    return module


class _Collector(Expressions):
    def __init__(self, module: sc.Module) -> None:
        super().__init__(module)
        self.ending = frozenset(_ending(module.tree.body))

    def body(self, body: cst.BaseSuite | Iterable[Node] | None, block: sc.Block) -> None:
        """Collect a whole block, and note whether its end can be reached at all."""
        self.statements(body, block)
        for event in block.events:
            if isinstance(event, sc.Departure):
                block.dead = True
            elif isinstance(event, sc.Fork) and not event.skippable and not event.breaks():
                block.dead = block.dead or all(arm.dead for arm in event.arms)

    def statements(self, body: cst.BaseSuite | Iterable[Node] | None, block: sc.Block) -> None:
        for node in statements(body):
            self.statement(node, block)

    def statement(self, node: Node, block: sc.Block) -> None:
        match node:
            case cst.Expr():
                self.expression(node.value, block)
                if isinstance(node.value, cst.Call) and not self.guarding and self.ends(node.value):
                    block.events.append(sc.Departure())
            case cst.Assign():
                self.expression(node.value, block)
                for target in node.targets:
                    self.target(target.target, block)
                    self.bind(target.target, sc.Assigned(node.value), block)
            case cst.AnnAssign():
                annotation, key = node.annotation.annotation, dotted(node.target)
                if key is not None:
                    block.scope.declared.setdefault(key, (annotation, block.here()))
                self.expression(node.value, block)
                self.bind(node.target, sc.Declared(annotation, node.value), block)
            case cst.AugAssign():
                self.expression(node.value, block)
                self.bind(node.target, sc.Augmented(node.target, node.value), block)
            case cst.Del():
                if not isinstance(node.target, cst.Subscript):
                    self.bind(node.target, sc.Unknown(), block)
            case cst.Import() | cst.ImportFrom():
                self.imports(node, block)
            case cst.If():
                self.expression(node.test, block)
                arms = [self.arm(block, sc.Guard(node.test, positive, block.here())) for positive in (True, False)]
                block.events.append(sc.Fork(arms))
                self.body(node.body, arms[0])
                self.body(orelse(node.orelse), arms[1])
            case cst.While():
                self.repeat(node, block)
            case cst.For():
                self.each(node, block)
            case cst.Try() | cst.TryStar():
                self.attempt(node, block)
            case cst.With():
                self.manage(node, block)
            case cst.Match():
                self.match(node, block)
            case cst.FunctionDef():
                self.function(node, block)
            case cst.ClassDef():
                self.klass(node, block)
            case cst.TypeAlias():
                inner = self.type_params(node.type_parameters, block)
                self.name(identifier(node.name), sc.Assigned(node.value), block, site=inner.here())
            case cst.Return() | cst.Raise() | cst.Break() | cst.Continue():
                self.leave(node, block)
            case cst.Assert():
                self.expression(node.test, block)
                self.expression(node.msg, block)
                self.assume(node.test, True, block)
            case cst.Global() | cst.Nonlocal():
                kind = "global" if isinstance(node, cst.Global) else "nonlocal"
                block.scope.outer.update((identifier(item.name), kind) for item in node.names)
            case _:
                pass

    def target(self, node: Node, block: sc.Block) -> None:
        """Collect what is evaluated to get at a target."""
        if isinstance(node, cst.Attribute | cst.Subscript):
            self.expression(node, block)

    def imports(self, node: cst.Import | cst.ImportFrom, block: sc.Block) -> None:
        if isinstance(node, cst.Import):
            for one in node.names:
                name, alias = dotted(one.name) or "", dotted(one.asname.name) if one.asname else None
                first = name.partition(".")[0]
                self.name(alias or first, sc.Imported(name if alias else first, None), block)
            return
        module = absolute(dotted(node.module) or "", len(node.relative), self.module.package)
        if isinstance(node.names, cst.ImportStar):
            self.name("*", sc.Imported(module, "*"), block, kills=False)
            return
        for one in node.names:
            name, alias = dotted(one.name) or "", dotted(one.asname.name) if one.asname else None
            self.name(alias or name, sc.Imported(module, name), block)
            if alias:
                self.module.renamed.append((name, alias))

    # Loops -----------------------------------------------------------------------------------------------

    def repeat(self, node: cst.While, block: sc.Block) -> None:
        self.expression(node.test, block)
        test = constant(node.test)
        endless = test is not None and bool(test.value)
        arm = self.arm(block, sc.Guard(node.test, True, block.here()))
        fork = self.loop(arm, block, endless)
        self.body(node.body, arm)
        if not endless and not fork.breaks():
            self.assume(node.test, False, block)
        self.otherwise(node.orelse, block, fork)

    def each(self, node: cst.For, block: sc.Block) -> None:
        self.expression(node.iter, block)
        arm = self.arm(block)
        fork = self.loop(arm, block, False)
        self.bind(node.target, sc.Element(node.iter), arm)
        self.body(node.body, arm)
        self.otherwise(node.orelse, block, fork)

    def loop(self, arm: sc.Block, block: sc.Block, endless: bool) -> sc.Fork:
        arm.loop = sc.Fork([] if endless else [arm], skippable=not endless)
        block.events.append(arm.loop)
        return arm.loop

    def otherwise(self, node: cst.Else | None, block: sc.Block, fork: sc.Fork) -> None:
        """The ``else`` of a loop: what leaves that by ``break`` passes by it."""
        if node is not None:
            arm = self.arm(block)
            block.events.append(sc.Fork([arm], jumps=[jump for jump in fork.jumps if jump[2] == "break"]))
            fork.jumps = [jump for jump in fork.jumps if jump[2] != "break"]
            self.body(node.body, arm)

    def leave(self, node: cst.Return | cst.Raise | cst.Break | cst.Continue, block: sc.Block) -> None:
        match node:
            case cst.Return(value=value):
                self.expression(value, block)
                block.scope.returns.append((value, block.here()))
                if value is not None:
                    self.module.sources.append((block.scope.name, value))
            case cst.Raise(exc=error, cause=cause):
                self.expression(error, block)
                self.expression(cause.item if cause else None, block)
            case _:
                kind = "break" if isinstance(node, cst.Break) else "continue"
                fork = next((one.loop for one in block.around() if one.loop is not None), None)
                if fork is not None:
                    fork.jumps.append((block, len(block.events), kind))
        block.events.append(sc.Departure())

    def ends(self, call: cst.Call) -> bool:
        """Say whether a call never comes back, by its spelling."""
        name = dotted(call.func) or ""
        return name in ENDING or name.removeprefix("self.") in self.ending

    # Other statements with blocks ------------------------------------------------------------------------

    def attempt(self, node: cst.Try | cst.TryStar, block: sc.Block) -> None:
        arms = [self.arm(block)]
        with self.expecting(any(map(_is_narrow, node.handlers))):
            self.body((*statements(node.body), *orelse(node.orelse)), arms[0])
        for handler in node.handlers:
            arm = self.arm(block)
            arms.append(arm)
            self.expression(handler.type, arm)
            if handler.name:
                self.name(dotted(handler.name.name) or "", sc.Unknown(), arm)
            self.body(handler.body, arm)
        block.events.append(sc.Fork(arms))
        self.statements(node.finalbody.body if node.finalbody else None, block)

    def manage(self, node: cst.With, block: sc.Block) -> None:
        for item in node.items:
            self.expression(item.item, block)
            if item.asname:
                self.bind(item.asname.name, sc.Entered(item.item), block)
        with self.expecting(any(last_name(called(item.item)) in EXPECTING for item in node.items)):
            self.statements(node.body, block)

    def match(self, node: cst.Match, block: sc.Block) -> None:
        self.expression(node.subject, block)
        site, fork = block.here(), sc.Fork()
        missed: list[sc.Guard] = []
        caught = False
        for case in node.cases:
            found = pattern(case.pattern)
            arm = self.arm(block, *missed, sc.Guard(node.subject, True, site, found))
            fork.arms.append(arm)
            for name, of in found.captures.items():
                self.name(name, sc.Unknown() if of is None else sc.Declared(of, None), arm)
            if found.name:
                self.name(found.name, sc.Assigned(node.subject), arm)
            if case.guard is not None:
                self.expression(case.guard, arm)
                self.assume(case.guard, True, arm)
            elif found.exact:
                missed = [*missed, sc.Guard(node.subject, False, site, found)][-MAX_GUARDS:]
                caught = caught or not found.classes
            self.body(case.body, arm)
        if not caught:
            fork.arms.append(self.arm(block, *missed))
        block.events.append(fork)

    # Definitions -----------------------------------------------------------------------------------------

    def function(self, node: cst.FunctionDef, block: sc.Block) -> None:
        outer = self.type_params(node.type_parameters, block)
        for decorator in node.decorators:
            self.expression(decorator.decorator, block)
        scope = self.scope("function", node, outer, outer.here())
        for param in scope.params:
            self.expression(param.default, block)
        self.decorated(scope, node.decorators, block)
        self.name(scope.name, sc.Defined(scope), block)
        self.body(node.body, scope.block)

    def klass(self, node: cst.ClassDef, block: sc.Block) -> None:
        outer = self.type_params(node.type_parameters, block)
        for one in (*(one.decorator for one in node.decorators), *(one.value for one in (*node.bases, *node.keywords))):
            self.expression(one, block)
        scope = self.scope("class", node, outer, outer.here())
        self.body(node.body, scope.block)
        self.decorated(scope, node.decorators, block)
        self.name(scope.name, sc.Defined(scope), block)

    def decorated(self, scope: sc.Scope, decorators: Iterable[cst.Decorator], block: sc.Block) -> None:
        """Note that each decorator is called, the lowest first, with what is defined."""
        for one in reversed(tuple(decorators)):
            args = (sc.Argument(one.decorator, defined=scope),)
            scope.decorated.append(sc.CallSite(one.decorator, args, block.here(), self.guarding > 0))
        self.module.calls += scope.decorated

    def type_params(self, params: cst.TypeParameters | None, block: sc.Block) -> sc.Block:
        """The block in which annotations are read: with type parameters it holds them."""
        if params is None:
            return block
        inner = self.arm(block)
        for one in params.params:
            alternatives = (getattr(one.param, "bound", None), one.default)
            bounded = sc.Bounded(tuple(node for node in alternatives if node is not None))
            self.name(identifier(one.param.name), bounded, inner, local=False)
        return inner


def _is_narrow(handler: cst.ExceptHandler | cst.ExceptStarHandler) -> bool:
    """Say whether a handler waits for something in particular, not for whatever may go wrong."""
    return handler.type is not None and last_name(handler.type) not in ("Exception", "BaseException")


def _ending(body: cst.BaseSuite | Iterable[Node]) -> Iterator[str]:
    """Yield the names of functions and methods that are said never to return."""
    for node in statements(body):
        if isinstance(node, cst.FunctionDef) and node.returns and last_name(node.returns.annotation) in NEVER:
            yield identifier(node.name)
        if isinstance(node, cst.BaseCompoundStatement) and not isinstance(node, cst.Match):
            yield from _ending(node.body)
