"""What a pass over a file notes down: which names get what, and what is put into containers."""

from __future__ import annotations

from typing import Any, cast

from sessionstream_lint.program.scopes import (
    Assigned,
    Assume,
    Binding,
    Block,
    Declared,
    Element,
    Entered,
    Guard,
    Module,
    Passed,
    Scope,
    Site,
    Source,
    Stored,
    Unpacked,
)
from sessionstream_lint.reading import shapes as s

# Methods that put their last argument into the container they are called on, all elements of their arguments, or
# an argument under a key.
GROWING = {"append", "add", "insert", "appendleft"}
POURING = {"extend", "update", "extendleft"}
KEYED = {"setdefault", "__setitem__"}
CHANGING = GROWING | POURING | KEYED

Guards = tuple[Guard, ...]


class Recorder:
    """Keeps the module that is being filled, and what is still to be done, on a stack."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.order = 0
        # Whether an error is expected or handled here, the context managers around it, and what held outside of them.
        self.guarding = 0
        self.managing: tuple[tuple[s.Node, Site], ...] = ()
        self.outside: list[tuple[int, tuple[tuple[s.Node, Site], ...]]] = []
        self.stack: list[tuple[Any, ...]] = []
        self.stores: list[tuple[Scope, Binding]] = []

    def later(self, *steps: tuple[Any, ...]) -> None:
        """Do these next, in this order."""
        self.stack.extend(reversed(steps))

    def expression(self, node: s.Node, block: Block, guards: Guards = ()) -> None:
        """Collect an expression: for those who know how."""
        raise NotImplementedError

    # Names -----------------------------------------------------------------------------------------------

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
                    self.store(key, Stored(index, value), block)
                self.later((self.expression, node, block))

    def attribute(self, node: s.Node, shape: s.Attribute, source: Source, block: Block) -> None:
        """Bind ``base.attr``; on the first parameter of a method it is an attribute of the class."""
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

    def parameters(self, scope: Scope) -> None:
        """Bind the parameters of a function."""
        for param in scope.params:
            self.name(param.name, Passed(scope, param), scope.block)

    def scope(self, kind: str, shape: s.Function | s.Class | s.Lambda, block: Block) -> Scope:
        """Open a scope that is defined at the end of a block."""
        self.order += 1
        return Scope(kind, self.module, block.scope, block.here(), self.order, shape)

    def arm(self, block: Block, *guards: Guard) -> Block:
        """Open a block that hangs at the end of another, entered where these guards hold."""
        return Block(block.scope, block, len(block.events), guards)

    def assume(self, test: s.Node, positive: bool, block: Block) -> None:
        """Note that from here on a test came out so."""
        block.events.append(Assume(Guard(test, positive, block.here())))

    # Containers ------------------------------------------------------------------------------------------

    def changed(self, key: str, method: str, args: tuple[s.Argument, ...], block: Block) -> None:
        """Record what a method puts into the container it is called on."""
        plain = [arg.value for arg in args if not arg.star and arg.keyword is None]
        if method in GROWING and plain:
            self.store(key, Stored(None, Assigned(plain[-1])), block)
        elif method in POURING:
            for arg in args:
                if arg.keyword is not None:
                    self.store(key, Stored(s.Constant(arg.keyword), Assigned(arg.value)), block)
                elif not arg.star:
                    self.store(key, Stored(None, Assigned(arg.value), whole=True), block)
        elif method in KEYED and len(plain) == 2:
            self.store(key, Stored(plain[0], Assigned(plain[1])), block)

    def store(self, key: str, stored: Stored, block: Block) -> None:
        """Add to what the container under a key may hold."""
        self.name(key, stored, block, kills=False, local=False)
        binding = block.events[-1]
        if isinstance(binding, Binding) and block.scope.kind in ("function", "lambda"):
            self.stores.append((block.scope, binding))

    def spread(self) -> None:
        """Note what functions put into containers that are not their own: of an outer scope, or an attribute."""
        for scope, binding in self.stores:
            base, _, attr = binding.key.partition(".")
            method = scope.parent is not None and scope.parent.kind == "class" and scope.params
            if method and scope.parent and base == scope.params[0].name:
                if attr and "." not in attr:
                    scope.parent.stored.setdefault(attr, []).append(binding)
            elif base not in scope.names and base not in scope.outer:
                owner = self.owner(scope, base, "nonlocal")
                owner.foreign.setdefault(binding.key, []).append(binding)


def last_name(node: s.Node) -> str:
    """Return the last identifier of a name, or of what is called."""
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
