"""In which ways is a point reached? Once for each row of the loops around it, unless a test on the way says no.

What stands in one row belongs together, and so do the arguments of one call, and the attributes of one class: a test of
the one is a test of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from sessionstream_lint import truth
from sessionstream_lint.constants import root
from sessionstream_lint.flow import Reached, reaching
from sessionstream_lint.frames import frame_of
from sessionstream_lint.scopes import Assume, Binding, Block, Element, Fork, Guard, Key, Passed, Row, Site, Source
from sessionstream_lint.values import Sequence, Symbol, Value, is_of_class

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

MAX_WAYS = 40


def ways(ev: Evaluator, site: Site) -> list[Site]:
    """Return a site for each way: the same one, looked at in a row of each loop, and in a class that has the method."""
    found = [site] if _agrees(site) else []
    if ev.is_spent():
        return found
    with ev.within_file():
        for binding, source in _choices(site):
            found = _in_rows(ev, found, binding.site, source)
        tests = dict.fromkeys(_passed(site)) if site.frame or any(one.rows for one in found) else {}
        for test in tests:
            found = [one for one in found if not truth.refuses(ev, test, one)]
        return found


def _agrees(site: Site) -> bool:
    """Say whether the method is looked at in the class of the object that it is called on."""
    for row in site.rows:
        frame = frame_of(site, row.block.scope) if isinstance(row.source, Passed) else None
        if frame is not None and frame.receiver is not None and not is_of_class(frame.receiver, row.value):
            return False
    return True


def let_through(ev: Evaluator, key: Key, site: Site, found: list[Reached]) -> list[Reached]:
    """Return, of what may be current for a key, what no test of the other columns, or arguments, rules out."""
    others = tuple(dict.fromkeys(name for name in _together(site) if name != key))
    if not others:
        return found
    return [
        one
        for one in reaching(key, site, others)
        if not any(isinstance(test, Guard) and truth.refuses(ev, test, site) for test in one.guards)
    ]


def _together(site: Site) -> Iterator[Key]:
    """Yield the names that get a part of the rows, or the arguments of the call, that a site is looked at in."""
    for row in site.rows:
        for event in row.block.events:
            if isinstance(event, Binding) and root(event.source) is row.source:
                yield event.key
    if site.frame is not None:
        yield from (param.name for param in site.block.scope.params)


def _in_rows(ev: Evaluator, sites: list[Site], where: Site, source: Source) -> list[Site]:
    """Look at each site in each row that there is in what a loop goes over; as they are where there are too many."""
    found: list[Site] = []
    for site in sites:
        rows = ev.source(source, where.seen_from(site))
        if isinstance(source, Passed):
            classes = tuple(row for row in rows if not isinstance(row, Symbol))
            rows = classes if len(classes) > 1 else ()
        if not rows or any(map(_is_open, rows)):  # whoever calls may say which there are, or what is in them
            found.append(site)
        else:
            found += (replace(site, rows=(*site.rows, Row(source, where.block, row))) for row in rows)
    return found if len(found) <= MAX_WAYS else sites


def _is_open(row: Value) -> bool:
    return isinstance(row, Symbol) or (isinstance(row, Sequence) and any(map(_is_open, chain(*row.items))))


def _choices(site: Site) -> Iterator[tuple[Binding, Source]]:
    """Yield the first parameter of the method around a site, and what loops bind first, with what it is a part of."""
    known: list[Source] = [row.source for row in site.rows]
    for block, index in reversed(list(_around(site))):
        if block.loop is None and not block.private and not _is_method(block):
            continue
        for event in block.events[: 1 if _is_method(block) else index]:
            source = root(event.source) if isinstance(event, Binding) else None
            if isinstance(event, Binding) and isinstance(source, Element | Passed) and source not in known:
                known.append(source)
                yield event, source


def _is_method(block: Block) -> bool:
    """Say whether a block is what a method does."""
    outer = block.scope.parent
    return block is block.scope.block and block.scope.kind == "function" and outer is not None and outer.kind == "class"


def _passed(site: Site) -> Iterator[Guard]:
    """Yield the tests that every way to a site from the start of its function passes."""
    yield from site.guards
    for block, index in _around(site):
        for event in block.events[:index]:
            if isinstance(event, Assume):
                yield event.guard
            elif isinstance(event, Fork):
                yield from _common(event)
        yield from block.guards


def _common(fork: Fork) -> Iterator[Guard]:
    """Yield the tests that held on entering each of the arms that control may leave."""
    alive = [arm for arm in fork.arms if not arm.dead]
    if alive and not fork.skippable and not fork.jumps:
        yield from (guard for guard in alive[0].guards if all(guard in arm.guards for arm in alive[1:]))


def _around(site: Site) -> Iterator[tuple[Block, int]]:
    """Yield the blocks around a site, the innermost first, and how far each of them has been gone through."""
    block: Block | None = site.block
    index = site.index
    while block is not None:
        yield block, index
        index, block = block.index, block.parent
