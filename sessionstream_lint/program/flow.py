"""Which bindings may a key have at a site, and which tests lie between?

The search walks backwards from event to event about the key. Where paths meet they are followed once: a path is a
point and the tests that matter for the key, so the work is linear in the number of such events unless many tests are
about the key.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from sessionstream_lint.program import scopes as sc
from sessionstream_lint.reading.syntax import keys_in

MAX_STEPS = 5000
MAX_GUARDS = 6
MAX_KEEPING = 3
# How many bindings are looked at, and how many times something was put into a container: the nearest.
MAX_BINDINGS = 60
MAX_PUT = 100
PUT = "[]"

Guards = tuple[sc.Guard, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """A binding that may be current, and the tests passed since then, oldest last.

    Without a binding the search ended elsewhere: for a dotted key at a binding of its base or at the outermost
    scope, for a plain name at the outermost scope only (so that it can only be a builtin).
    """

    binding: sc.Binding | None
    guards: Guards


def reaching(key: sc.Key, site: sc.Site, others: tuple[sc.Key, ...] = ()) -> list[Reached]:
    """Return what may be current for ``key`` at ``site``, which must be in a file that is collected.

    Tests of ``others`` are noted as well.
    """
    question = key, site.index, site.guards, others
    known: list[Reached] | None = site.block.reached.get(question)
    if known is None:
        known = site.block.reached[question] = list(dict.fromkeys(_Search(key, others).run(site)))
    return known


def only(key: sc.Key, site: sc.Site) -> sc.Binding | None:
    """Return the one binding that a key has at a site, whichever way control came."""
    found = {one.binding for one in reaching(key, site)}
    return found.pop() if len(found) == 1 else None


@lru_cache(maxsize=1024)
def _keeping(scope: sc.Scope) -> dict[sc.Key, tuple[str, ...]]:
    found: dict[sc.Key, tuple[str, ...]] = {}
    for name, bindings in scope.bindings.items():
        source = bindings[0].source
        if len(bindings) == 1 and isinstance(source, sc.Assigned) and "." not in name:
            for key in {*keys_in(source.value)} - {name}:
                found[key] = (*found.get(key, ()), name)[:MAX_KEEPING]
    return found


def keeping(scope: sc.Scope, key: sc.Key) -> tuple[str, ...]:
    """Return the names of a function that are given an expression in which the key is mentioned, as tests of it are."""
    return _keeping(scope).get(key, ()) if scope.kind in ("function", "lambda") else ()


def passed_by_all(found: list[Reached]) -> dict[sc.Binding | None, Guards]:
    """Return the tests that each binding passes whichever way control comes from it: past a join, none of one arm."""
    common: dict[sc.Binding | None, Guards] = {}
    for one in found:
        before = common.get(one.binding, one.guards)
        common[one.binding] = tuple(guard for guard in before if guard in one.guards)
    return common


def _about(event: sc.Event) -> Iterable[sc.Key]:
    """Return the keys that an event is about; "" is any, and what is put into something has a key of its own."""
    match event:
        case sc.Binding():
            return (event.key + PUT if isinstance(event.source, sc.Stored) else event.key,)
        case sc.Assume(guard):
            return guard.keys
        case sc.Fork():
            if event.touched is None:
                event.touched = frozenset(_inside(event))
            return event.touched
        case _:
            return ("",)


def _inside(fork: sc.Fork) -> Iterator[sc.Key]:
    """Yield the keys that are bound, changed or tested in a fork, and "" if it is left in some other way."""
    if fork.jumps or not (fork.arms or fork.skippable):
        yield ""
    for arm in fork.arms:
        for guard in arm.guards:
            yield from guard.keys
        for event in arm.events:
            yield from _about(event)


def _before(block: sc.Block, index: int, keys: tuple[sc.Key, ...]) -> int:
    """Return the position of the last event before ``index`` that is about one of the keys, or about any; or -1."""
    if block.places is None:
        block.places = {}
        for number, event in enumerate(block.events):
            for key in _about(event):
                block.places.setdefault(key, []).append(number)
    last = -1
    for key in ("", *keys):
        found = block.places.get(key)
        if found is not None:
            position = bisect_left(found, index)
            last = max(last, found[position - 1] if position else -1)
    return last


class _Search:
    def __init__(self, key: sc.Key, others: tuple[sc.Key, ...]) -> None:
        self.key = key
        self.tested = (key, *others)
        self.bases = {key[:n] for n, char in enumerate(key) if char == "."}
        self.base = key.partition(".")[0]
        self.keys = (key, "*", *self.bases, *others, key + PUT)
        self.put = 0
        self.todo: list[tuple[sc.Block, int, Guards]] = []
        self.seen: set[tuple[sc.Block, int, Guards]] = set()

    def run(self, site: sc.Site) -> Iterator[Reached]:
        guards = self.relevant((), site.guards)
        self.push(site.block, site.index, guards)
        yield from self.foreign(site.block.scope)
        bindings = 0
        for _ in range(MAX_STEPS):
            if not self.todo or bindings >= MAX_BINDINGS:
                return
            block, index, guards = self.todo.pop()
            for found in self.back(block, index, guards):
                bindings += found.binding is None or found.binding.kills
                yield found

    def push(self, block: sc.Block, index: int, guards: Guards) -> None:
        point = (block, index, guards)
        if point not in self.seen:
            self.seen.add(point)
            self.todo.append(point)

    def relevant(self, known: Guards, new: tuple[sc.Guard, ...]) -> Guards:
        for guard in reversed(new):
            if len(known) < MAX_GUARDS and guard not in known and not guard.keys.isdisjoint(self.tested):
                known = (*known, guard)
        return known

    def back(self, block: sc.Block, index: int, guards: Guards) -> Iterator[Reached]:
        """Walk one block from ``index`` to its start."""
        number = _before(block, index, self.keys)
        while number >= 0:
            event = block.events[number]
            match event:
                case sc.Binding(key=key) if key == self.key:
                    yield Reached(event, guards)
                    if event.kills:
                        return
                    self.put += 1
                    if self.put == MAX_PUT:
                        self.keys = self.keys[:-1]
                case sc.Binding(key=key) if key in self.bases and event.kills:
                    yield Reached(None, guards)
                    return
                case sc.Binding(key="*") if not self.bases:
                    yield Reached(event, guards)
                case sc.Assume(guard):
                    guards = self.relevant(guards, (guard,))
                case sc.Departure():
                    return
                case sc.Fork():
                    self.fork(block, number, event, guards)
                    return
                case _:
                    pass
            number = _before(block, number, self.keys)
        yield from self.enter(block, self.relevant(guards, block.guards))

    def fork(self, block: sc.Block, index: int, fork: sc.Fork, guards: Guards) -> None:
        if fork.skippable:
            self.push(block, index, guards)
        for arm in fork.arms:
            if not arm.dead:
                self.push(arm, len(arm.events), guards)
        for source, end, kind in fork.jumps:
            if kind == "break" or fork.skippable:
                self.push(source, end, guards)

    def enter(self, block: sc.Block, guards: Guards) -> Iterator[Reached]:
        """Go on from the start of a block to wherever control came from."""
        if block.loop is not None:
            if not block.dead:
                self.push(block, len(block.events), guards)
            for source, end, kind in block.loop.jumps:
                if kind == "continue":
                    self.push(source, end, guards)
        if block.parent is not None:
            self.push(block.parent, block.index, guards)
        else:
            yield from self.leave(block.scope, guards)

    def leave(self, scope: sc.Scope, guards: Guards) -> Iterator[Reached]:
        """Go on from the start of a scope to the scope around it."""
        kind = scope.outer.get(self.base)
        if scope.site is None:
            yield Reached(None, guards)
        elif scope.kind == "class":
            self.push(scope.site.block, scope.site.index, guards)
        elif kind is None and self.base in scope.names:
            return
        else:
            inner, outer = scope, scope.parent
            while outer is not None and (outer.kind == "class" or (kind == "global" and outer.parent)):
                inner, outer = outer, outer.parent
            if outer is not None and inner.site is not None:
                self.push(inner.site.block, inner.site.index, guards)
                yield from self.foreign(outer)
                yield from (Reached(one, ()) for one in _later(outer, self.key, inner))
                if any(_later(outer, base, inner) for base in self.bases):
                    yield Reached(None, ())

    def foreign(self, scope: sc.Scope) -> Iterator[Reached]:
        """Bindings that other functions make through ``global`` or ``nonlocal``, and what they put into containers."""
        for binding in scope.foreign.get(self.key, ())[:MAX_PUT]:
            yield Reached(binding, ())


def _later(outer: sc.Scope, key: sc.Key, inner: sc.Scope) -> list[sc.Binding]:
    """Return what a key is bound to in a scope after another in it is defined: the first of that."""
    found = outer.bindings.get(key, [])
    start = bisect_right(found, inner.order, key=lambda one: one.order)
    return found[start : start + MAX_BINDINGS]
