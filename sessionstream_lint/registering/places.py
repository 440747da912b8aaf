"""Where a payload is written that comes out of a table: in a row, when a loop goes over it."""

from __future__ import annotations

from sessionstream_lint.program import scopes as sc
from sessionstream_lint.program.flow import reaching
from sessionstream_lint.program.scopes import Site
from sessionstream_lint.reading import shapes as s

MAX_STEPS = 12


def is_looped(node: s.Node, site: Site) -> bool:
    """Say whether an expression comes out of a loop: its variable, a part of that, or what was assigned from it."""
    for _ in range(MAX_STEPS):
        shape = s.view(node)
        while isinstance(shape, s.Attribute | s.Subscript):
            shape = s.view(shape.value)
        found = {one.binding for one in reaching(shape.id, site)} if isinstance(shape, s.Name) else set()
        binding = found.pop() if len(found) == 1 else None
        source = None if binding is None else binding.source
        while isinstance(source, sc.Unpacked):
            source = source.source
        if binding is None or not isinstance(source, sc.Assigned):
            return isinstance(source, sc.Element)
        node, site = source.value, binding.site
    return False


def is_within(inner: s.Node, outer: s.Node) -> bool:
    """Say whether an expression is a part of another."""
    waiting = [outer]
    while waiting:
        node = waiting.pop()
        if node is inner:
            return True
        waiting.extend(s.view(node).parts())
    return False
