"""What a pass over a file notes down: which names get what, and what is put into containers."""

from __future__ import annotations

import libcst as cst

from sessionstream_lint.program import scopes as sc
from sessionstream_lint.reading.syntax import Node, Nodes, dotted, identifier, index, items

# Methods that put their last argument into the container they are called on, all elements of their arguments, or
# an argument under a key.
GROWING = {"append", "add", "insert", "appendleft"}
POURING = {"extend", "update", "extendleft"}
KEYED = {"setdefault", "__setitem__"}
CHANGING = GROWING | POURING | KEYED


class Recorder:
    """Keeps the module that is being filled."""

    def __init__(self, module: sc.Module) -> None:
        self.module = module
        self.order: int = 0
        self.stores: list[tuple[sc.Scope, sc.Binding]] = []

    # Names -----------------------------------------------------------------------------------------------

    def bind(self, target: Node, source: sc.Source, block: sc.Block, kills: bool = True) -> None:
        """Bind a target, however nested, to a source, which is evaluated before any of the names is bound."""
        self._bind(target, source, block, kills, block.here())

    def _bind(self, target: Node, source: sc.Source, block: sc.Block, kills: bool, site: sc.Site) -> None:
        match target:
            case cst.Name():
                self.name(identifier(target), source, block, kills, site=site)
            case cst.Tuple() | cst.List():
                for inner, part in _unpacked(items(target), source):
                    self._bind(inner, part, block, kills, site)
            case cst.Attribute():
                self._attribute(target, source, block)
            case cst.Subscript(value=value):
                key, places = dotted(value), index(target)
                if key is not None:
                    self.store(key, sc.Stored(places[0] if len(places) == 1 else None, source), block)
            case _:
                pass

    def _attribute(self, node: cst.Attribute, source: sc.Source, block: sc.Block) -> None:
        """Bind ``base.attr``; on the first parameter of a method it is an attribute of the class."""
        key = dotted(node)
        if key is None:
            return
        binding = self.name(key, source, block, local=False)
        base, _, attr = key.partition(".")
        owner = block.scope.owner
        if owner is not None and "." not in attr and block.scope.params[0].name == base:
            owner.attributes.setdefault(attr, []).append(binding)

    def name(
        self,
        key: str,
        source: sc.Source,
        block: sc.Block,
        kills: bool = True,
        *,
        local: bool = True,
        site: sc.Site | None = None,
    ) -> sc.Binding:
        """Record a binding, unless ``local`` is False also as a name of the scope, the source evaluated at ``site``."""
        self.order += 1
        site = site or block.here()
        expression = _expression(source)
        if expression is not None:
            self.module.sources.append((key, expression))
        if isinstance(source, sc.Assigned):
            while block.private and block.parent is not None:  # a walrus: comprehensions keep only their own targets
                block, kills = block.parent, False
        binding = sc.Binding(key, source, site, self.order, kills)
        block.events.append(binding)
        if not block.private:
            scope = block.scope
            scope.bindings.setdefault(key, []).append(binding)
            if local:
                scope.names.add(key)
            kind = scope.outer.get(key.partition(".")[0])
            if kind is not None:
                self._home(scope, key, kind).foreign.setdefault(key, []).append(binding)
        return binding

    def _home(self, scope: sc.Scope, key: str, kind: str) -> sc.Scope:
        """The scope that a ``global`` or ``nonlocal`` name belongs to."""
        outer = None if kind == "global" else scope.parent
        while outer is not None and (outer.kind == "class" or key not in outer.names):
            outer = outer.parent
        return outer or self.module.scope

    def scope(self, kind: str, node: sc.Definition, block: sc.Block, signature: sc.Site | None = None) -> sc.Scope:
        """Open a scope that is defined at the end of a block, its parameters bound."""
        self.order += 1
        scope = sc.Scope(kind, self.module, block.scope, block.here(), self.order, node)
        scope.signature = signature or scope.site
        for param in scope.params:
            self.name(param.name, sc.Passed(scope, param), scope.block)
        return scope

    def arm(self, block: sc.Block, *guards: sc.Guard) -> sc.Block:
        """Open a block that hangs at the end of another, entered where these guards hold."""
        return sc.Block(block.scope, block, len(block.events), guards)

    def assume(self, test: Node, positive: bool, block: sc.Block) -> None:
        """Note that from here on a test came out so."""
        block.events.append(sc.Assume(sc.Guard(test, positive, block.here())))

    # Containers ------------------------------------------------------------------------------------------

    def changed(self, target: Node, method: str, args: tuple[sc.Argument, ...], block: sc.Block) -> None:
        """Record what a method puts into the container it is called on, or into a list that is in it under a key."""
        plain = [arg.value for arg in args if not arg.star and arg.keyword is None]
        container, place = _entry(target) if method in GROWING else (target, None)
        key = dotted(container)
        if key is None:
            return
        if method in GROWING and plain:
            put = sc.Stored(None, sc.Assigned(plain[-1]))
            self.store(key, put if place is None else sc.Stored(place, put), block)
        elif method in KEYED and len(plain) == 2:
            self.store(key, sc.Stored(plain[0], sc.Assigned(plain[1])), block)
        for arg in args if method in POURING else ():
            if not arg.star:
                self.store(key, sc.Stored(arg.keyword, sc.Assigned(arg.value), whole=arg.keyword is None), block)

    def store(self, key: str, stored: sc.Stored, block: sc.Block) -> None:
        """Add to what the container under a key may hold."""
        binding = self.name(key, stored, block, kills=False, local=False)
        if block.scope.kind in ("function", "lambda"):
            self.stores.append((block.scope, binding))

    def spread(self) -> None:
        """Note what functions put into containers that are not their own: of an outer scope, or an attribute."""
        for scope, binding in self.stores:
            base, _, attr = binding.key.partition(".")
            if scope.owner is not None and base == scope.params[0].name:
                if attr and "." not in attr:
                    scope.owner.stored.setdefault(attr, []).append(binding)
            elif base not in scope.names and base not in scope.outer:
                self._home(scope, base, "nonlocal").foreign.setdefault(binding.key, []).append(binding)


def _entry(node: Node) -> tuple[Node, Node | None]:
    """Return the container, and the key, of ``container[key]`` or ``container.setdefault(key, …)``."""
    match node:
        case cst.Subscript():
            return node.value, index(node)[0]
        case cst.Call(func=cst.Attribute(attr=cst.Name("setdefault")) as method, args=[first, _]):
            return method.value, first.value
        case _:
            return node, None


def _expression(source: sc.Source) -> Node | None:
    """The expression that a bound value is, or is part of."""
    while isinstance(source, sc.Unpacked):
        source = source.source
    match source:
        case sc.Stored(_, sc.Assigned(value)) | sc.Declared(_, value):
            return value
        case sc.Assigned(value) | sc.Element(value) | sc.Entered(value):
            return value
        case _:
            return None


def _unpacked(targets: Nodes, source: sc.Source) -> list[tuple[Node, sc.Source]]:
    """Pair the items of a tuple target with their sources."""
    found: list[tuple[Node, sc.Source]] = []
    star = next((number for number, one in enumerate(targets) if isinstance(one, cst.StarredElement)), len(targets))
    for number, one in enumerate(targets):
        if isinstance(one, cst.StarredElement):
            found.append((one.value, sc.Unpacked(source, number, starred=True)))
        else:
            found.append((one, sc.Unpacked(source, number - len(targets) if number > star else number)))
    return found
