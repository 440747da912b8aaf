"""In which ways is a point reached? Once for each row of the loops around it, unless a test on the way says no.

What stands in one row belongs together, and so do the arguments of one call: a test of the one is a test of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from sessionstream_lint import truth
from sessionstream_lint.constants import root
from sessionstream_lint.scopes import Assume, Binding, Block, Element, Fork, Guard, Row, Site
from sessionstream_lint.values import Symbol

if TYPE_CHECKING:
    from sessionstream_lint.evaluate import Evaluator

MAX_WAYS = 40


def ways(ev: Evaluator, site: Site) -> list[Site]:
    """Return a site for each way: the same one, looked at in a row of each loop whose rows are known."""
    found = [site]
    if ev.is_spent():
        return found
    with ev.within_file():
        for binding, element in _loops(site):
            found = _in_rows(ev, found, binding.site, element)
        tests = list(dict.fromkeys(_passed(site))) if len(found) > 1 or found[0].rows or site.frame else []
        for test in tests:
            found = [one for one in found if not truth.refuses(ev, test, one)]
        return found


def _in_rows(ev: Evaluator, sites: list[Site], where: Site, element: Element) -> list[Site]:
    """Look at each site in each row that there is in what a loop goes over; as they are where there are too many."""
    found: list[Site] = []
    for site in sites:
        rows = ev.source(element, where.seen_from(site))
        if not rows or any(isinstance(row, Symbol) for row in rows):  # whoever calls may say which there are
            found.append(site)
        else:
            found += (replace(site, rows=(*site.rows, Row(element, where.block, row))) for row in rows)
    return found if len(found) <= MAX_WAYS else sites


def _loops(site: Site) -> Iterator[tuple[Binding, Element]]:
    """Yield what the loops around a site bind first, and what they go over, the outermost loop first."""
    known = [row.element for row in site.rows]
    for block, index in reversed(list(_around(site))):
        if block.loop is None and not block.private:
            continue
        for event in block.events[:index]:
            source = root(event.source) if isinstance(event, Binding) else None
            if isinstance(event, Binding) and isinstance(source, Element) and source not in known:
                known.append(source)
                yield event, source


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
