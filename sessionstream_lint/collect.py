"""One pass over a parsed file: scopes, bindings in order, calls.

Nothing here recurses: what is still to be done stands on a stack, so a chain of ten thousand operands is as
safe as one of two. Nothing is evaluated either; that is done on demand, for the calls that matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from sessionstream_lint import syntax as s
from sessionstream_lint.scopes import (
    Assigned,
    Assume,
    Augmented,
    Binding,
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
    Passed,
    Removal,
    Scope,
    Site,
    Source,
    Stored,
    Unknown,
    Unpacked,
)

# Methods that put their last argument into the container they are called on, all elements of their arguments, or
# an argument under a key.
GROWING = {"append", "add", "insert", "appendleft"}
POURING = {"extend", "update", "extendleft"}
KEYED = {"setdefault", "__setitem__"}
# Methods that take something out of it.
SHRINKING = {
    "pop": "key", "popitem": "last", "popleft": "last", "clear": "all", "remove": "value", "discard": "value",
    "__delitem__": "key",
}  # fmt: skip
MAX_GUARDS = 8
# Context managers in whose body an error is expected.
EXPECTING = {"raises", "assertRaises", "assertRaisesRegex", "suppress"}

Guards = tuple[Guard, ...]


def collect(tree: s.Node, module: Module) -> Module:
    """Fill ``module`` from the root node of a parsed file, and return it."""
    _Collector(module).run(tree)
    return module


class _Collector:
    def __init__(self, module: Module) -> None:
        self.module = module
        self.order = 0
        self.guarding = 0
        self.stack: list[tuple[Any, ...]] = []

    def run(self, tree: s.Node) -> None:
        self.body(tuple(s.view(tree).parts()), self.module.scope.block)
        stack = self.stack
        while stack:
            step, *args = stack.pop()
            step(*args)

    def later(self, *steps: tuple[Any, ...]) -> None:
        """Do these next, in this order."""
        self.stack.extend(reversed(steps))

    # Statements ------------------------------------------------------------------------------------------

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
            inner = s.view(target)
            if not isinstance(inner, s.Subscript):
                self.bind(target, Unknown(), block)
                continue
            key = s.dotted(inner.value)
            if key is not None and len(inner.index) == 1:
                self.removed(key, "key", inner.index[0], block)

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
        self.later((self.body, shape.body, arm), (self.otherwise, shape.orelse, block, arm))

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
        body = [(self.statements, shape.body, block)]
        expecting = any(_last_name(manager) in EXPECTING for manager, _ in shape.items)
        self.later(*steps, *(self.guard(body) if expecting else body))

    def guard(self, steps: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Note of the calls in these steps that an error of theirs is expected or handled."""
        return [(self.guarded, 1), *steps, (self.guarded, -1)]

    def guarded(self, change: int) -> None:
        self.guarding += change

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
            elif pattern.exact:
                missed = [*missed, Guard(shape.subject, False, site, pattern)][-MAX_GUARDS:]
                caught = caught or not pattern.classes
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
            scope.decorated.append(CallSite(call, block.here(), self.guarding > 0))
        self.module.calls += scope.decorated

    def parameters(self, scope: Scope) -> None:
        for param in scope.params:
            self.name(param.name, Passed(scope, param), scope.block)

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
        self.name(shape.name, Assigned(shape.value), block)

    def type_params(self, params: tuple[s.TypeParameter, ...], block: Block) -> Block:
        """The block in which annotations are read: with type parameters it holds them."""
        if not params:
            return block
        inner = self.arm(block)
        for param in params:
            self.name(param.name, Bounded(param.bound), inner, local=False)
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

    def assume(self, test: s.Node, positive: bool, block: Block) -> None:
        block.events.append(Assume(Guard(test, positive, block.here())))

    def outer(self, shape: s.Outer, block: Block) -> None:
        for name in shape.names:
            block.scope.outer[name] = shape.kind

    # Expressions -----------------------------------------------------------------------------------------

    def expressions(self, nodes: s.Nodes, block: Block, guards: Guards = ()) -> None:
        self.stack.extend((self.expression, node, block, guards) for node in reversed(nodes))

    def expression(self, node: s.Node, block: Block, guards: Guards = ()) -> None:
        shape = s.view(node)
        step = _EXPRESSIONS.get(type(shape))
        if step is None:
            self.expressions(tuple(shape.parts()), block, guards)
        else:
            step(self, node, shape, block, guards)

    def nothing(self, node: s.Node, shape: s.View, block: Block, guards: Guards) -> None:
        """A name or a literal: nothing inside."""

    def call(self, node: s.Node, shape: s.Call, block: Block, guards: Guards) -> None:
        self.stack.append((self.called, node, shape, block, guards))
        self.expressions(tuple(shape.parts()), block, guards)

    def called(self, node: s.Node, shape: s.Call, block: Block, guards: Guards) -> None:
        self.module.calls.append(CallSite(shape, block.here(guards), self.guarding > 0))
        func = s.view(shape.func)
        key = s.dotted(func.value) if isinstance(func, s.Attribute) and func.attr in _CHANGING else None
        if isinstance(func, s.Attribute) and key is not None:
            if func.attr in SHRINKING:
                self.module.taking[id(node)] = block.here(guards)
            self.changed(key, func.attr, shape.args, block, certain=not guards)

    def changed(self, key: str, method: str, args: tuple[s.Argument, ...], block: Block, *, certain: bool) -> None:
        """Record what a method does to the container it is called on."""
        plain = [arg.value for arg in args if not arg.star and arg.keyword is None]
        if method in GROWING and plain:
            self.store(key, Stored(None, Assigned(plain[-1])), block)
        elif method in POURING:
            for arg in args:
                if arg.keyword is not None:
                    self.put(key, s.Constant(arg.keyword), Assigned(arg.value), block, certain=certain)
                elif not arg.star:
                    self.pour(key, arg.value, block, certain=certain)
        elif method in KEYED and len(plain) == 2:
            self.put(key, plain[0], Assigned(plain[1]), block, certain=certain and method == "__setitem__")
        elif method in SHRINKING and certain:
            self.removed(key, SHRINKING[method], plain[0] if plain else None, block)

    def pour(self, key: str, value: s.Node, block: Block, *, certain: bool) -> None:
        shape = s.view(value)
        for known, _ in shape.pairs if isinstance(shape, s.Pairs) and certain else ():
            self.removed(key, "replaced", known, block)
        self.store(key, Stored(None, Assigned(value), whole=True), block)

    def put(self, key: str, index: s.Node | None, source: Source, block: Block, *, certain: bool) -> None:
        """Put a value under an index, in place of what was there."""
        if certain:
            self.removed(key, "replaced", index, block)
        self.store(key, Stored(index, source), block)

    def store(self, key: str, stored: Stored, block: Block) -> None:
        self.name(key, stored, block, kills=False, local=False)

    def removed(self, key: str, kind: str, node: s.Node | None, block: Block) -> None:
        if kind == "key" and node is None:
            kind = "last"
        if not block.private and (node is not None or kind in ("last", "all")):
            block.events.append(Removal(key, kind, node, block.here()))

    def conditional(self, node: s.Node, shape: s.Conditional, block: Block, guards: Guards) -> None:
        site = block.here(guards)
        yes, no = (_more(guards, Guard(shape.test, positive, site)) for positive in (True, False))
        self.later(
            (self.expression, shape.test, block, guards),
            (self.expression, shape.body, block, yes),
            (self.expression, shape.orelse, block, no),
        )

    def boolean(self, node: s.Node, shape: s.Boolean, block: Block, guards: Guards) -> None:
        steps = []
        for operand in shape.operands:
            steps.append((self.expression, operand, block, guards))
            guards = _more(guards, Guard(operand, shape.op == "and", block.here(guards)))
        self.later(*steps)

    def walrus(self, node: s.Node, shape: s.Walrus, block: Block, guards: Guards) -> None:
        self.later(
            (self.expression, shape.value, block, guards),
            (self.bind, shape.target, Assigned(shape.value), block, not guards),
        )

    def lambda_(self, node: s.Node, shape: s.Lambda, block: Block, guards: Guards) -> None:
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
        block.scope.yields.append((shape.value, shape.whole, block.here(guards)))
        self.expressions(tuple(shape.parts()), block, guards)

    # Bindings --------------------------------------------------------------------------------------------

    def bind(self, target: s.Node, source: Source, block: Block, kills: bool = True) -> None:
        """Bind a target, however nested, to a source."""
        todo: list[tuple[s.Node, Source]] = [(target, source)]
        site = block.here()
        while todo:
            node, value = todo.pop()
            shape = s.view(node)
            if isinstance(shape, s.Name):
                self.name(shape.id, value, block, kills, site=site)
            elif isinstance(shape, s.Items):
                todo.extend(_unpacked(shape.items, value))
            elif isinstance(shape, s.Attribute):
                self.attribute(node, shape, value, block)
            elif isinstance(shape, s.Subscript):
                key = s.dotted(shape.value)
                if key is not None:
                    index = shape.index[0] if len(shape.index) == 1 else None
                    self.put(key, index, value, block, certain=kills and index is not None)
                self.later((self.expression, node, block))

    def attribute(self, node: s.Node, shape: s.Attribute, source: Source, block: Block) -> None:
        key = s.dotted(node)
        if key is None:
            self.later((self.expression, shape.value, block))
            return
        self.name(key, source, block, local=False)
        scope = block.scope
        base, _, attr = key.partition(".")
        method = scope.parent is not None and scope.parent.kind == "class" and scope.params
        if method and "." not in attr and scope.params[0].name == base and scope.parent:
            binding = cast("Binding", block.events[-1])
            scope.parent.attributes.setdefault(attr, []).append(binding)

    def name(
        self,
        key: str,
        source: Source,
        block: Block,
        kills: bool = True,
        *,
        local: bool = True,
        site: Site | None = None,
    ) -> None:
        """Record a binding, unless ``local`` is False also as a name of the scope.

        The source is evaluated at ``site``: before any of the names that get a part of it at the same time.
        """
        self.order += 1
        site = site or block.here()
        expression = _expression(source)
        if expression is not None:
            self.module.sources.append((key, expression))
        if isinstance(source, Assigned) and block.private:
            block = block.home()
            kills = False
        binding = Binding(key, source, site, self.order, kills)
        block.events.append(binding)
        if block.private:
            return
        scope = block.scope
        scope.bindings.setdefault(key, []).append(binding)
        if local:
            scope.names.add(key)
        kind = scope.outer.get(key.partition(".")[0])
        if kind is not None:
            self.owner(scope, key, kind).foreign.setdefault(key, []).append(binding)

    def owner(self, scope: Scope, key: str, kind: str) -> Scope:
        """The scope that a ``global`` or ``nonlocal`` name belongs to."""
        if kind == "global":
            return self.module.scope
        outer = scope.parent
        while outer is not None and (outer.kind == "class" or key not in outer.names):
            outer = outer.parent
        return outer or self.module.scope

    def scope(self, kind: str, shape: s.Function | s.Class | s.Lambda, block: Block) -> Scope:
        self.order += 1
        return Scope(kind, self.module, block.scope, block.here(), self.order, shape)

    def arm(self, block: Block, *guards: Guard) -> Block:
        return Block(block.scope, block, len(block.events), guards)


def _more(guards: Guards, guard: Guard) -> Guards:
    return (*guards[-MAX_GUARDS:], guard)


def _is_narrow(handler: s.Handler) -> bool:
    """Say whether a handler waits for something in particular, not for whatever may go wrong."""
    return handler.type is not None and _last_name(handler.type) not in ("Exception", "BaseException")


def _last_name(node: s.Node) -> str:
    """The last identifier of a name, or of what is called."""
    shape = s.view(node)
    func = s.view(shape.func) if isinstance(shape, s.Call) else shape
    return func.attr if isinstance(func, s.Attribute) else func.id if isinstance(func, s.Name) else ""


def _expression(source: Source) -> s.Node | None:
    """The expression that a bound value is, or is part of."""
    while isinstance(source, Unpacked):
        source = source.source
    match source:
        case Assigned(value) | Element(value) | Entered(value) | Stored(_, Assigned(value)):
            return value
        case Declared(_, value):
            return value
        case _:
            return None


def _unpacked(items: s.Nodes, source: Source) -> list[tuple[s.Node, Source]]:
    """Pair the items of a tuple target with their sources."""
    found: list[tuple[s.Node, Source]] = []
    star = next((n for n, item in enumerate(items) if isinstance(s.view(item), s.Starred)), None)
    for n, item in enumerate(items):
        shape = s.view(item)
        if isinstance(shape, s.Starred):
            found.append((shape.value, Unpacked(source, n, starred=True)))
        elif star is not None and n > star:
            found.append((item, Unpacked(source, n - len(items))))
        else:
            found.append((item, Unpacked(source, n)))
    return found[::-1]


_CHANGING = GROWING | POURING | KEYED | SHRINKING.keys()
_STATEMENTS: dict[type[s.View], Callable[..., None]] = {
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

_EXPRESSIONS: dict[type[s.View], Callable[..., None]] = {
    s.Name: _Collector.nothing,
    s.Constant: _Collector.nothing,
    s.Call: _Collector.call,
    s.Conditional: _Collector.conditional,
    s.Boolean: _Collector.boolean,
    s.Walrus: _Collector.walrus,
    s.Lambda: _Collector.lambda_,
    s.Comprehension: _Collector.comprehension,
    s.Yield: _Collector.yielded,
}
